//! The client says what the server says, in a form for people or for programs, and its exit code is one that scripts can use.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::*;

fn command(server: &Server, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pelton"));
    command.args(args).env("PELTON_URL", &server.base).env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

fn run(server: &Server, args: &[&str]) -> Output {
    command(server, args).output().unwrap()
}

/// Standard output of a command that must succeed.
#[track_caller]
fn ok(server: &Server, args: &[&str]) -> String {
    let output = run(server, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a command that must fail with this code.
#[track_caller]
fn fails(server: &Server, code: i32, args: &[&str]) -> String {
    let output = run(server, args);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
    stderr
}

#[track_caller]
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn with_input(server: &Server, args: &[&str], input: &str) -> Output {
    let mut child = command(server, args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn append_takes_json_yaml_files_standard_input_and_options() {
    let server = Server::start();
    let recorded = json(&ok(&server, &["append", "/a", r#"{"type":"x","payload":{"n":1.10}}"#, "--json"]));
    assert_eq!((&recorded["offset"], &recorded["type"]), (&json!(2), &json!("x")));
    assert_eq!(json(&ok(&server, &["append", "a", "type: y\npayload: {n: 1}", "--json"]))["payload"], json!({ "n": 1 }));
    let built =
        ["append", "/a", "--type", "z", "--payload", r#"{"n":2}"#, "--metadata", "{}", "--key", "k", "--expect-offset", "4", "--json"];
    assert_eq!(json(&ok(&server, &built))["idempotencyKey"], "k");
    assert_eq!(json(&ok(&server, &built))["offset"], 4, "a repeat finds the first");
    let file = server.data().join("event.json");
    std::fs::write(&file, r#"{"type":"f"}"#).unwrap();
    assert_eq!(json(&ok(&server, &["append", "/a", &format!("@{}", file.display()), "--json"]))["type"], "f");
    let output = with_input(&server, &["append", "/a", "-", "--json"], r#"{"type":"s"}"#);
    assert_eq!(json(std::str::from_utf8(&output.stdout).unwrap())["type"], "s");
    let line = ok(&server, &["append", "/a", r#"{"type":"x","payload":{"n":1.10}}"#]);
    assert!(line.contains("    7  ") && line.contains(r#"x  {"n":1.1"#), "{line:?}");
}

#[test]
fn batches_of_lines_are_appended_in_order() {
    let server = Server::start();
    let lines: String = (0..25).map(|n| format!("{{\"type\":\"x\",\"payload\":{{\"n\":{n}}}}}\n\n")).collect();
    let output = with_input(&server, &["append", "/a", "--batch", "--batch-size", "10"], &lines);
    assert_eq!(std::str::from_utf8(&output.stdout).unwrap(), "25 events appended to /a\n");
    let found: Vec<_> = server.log("/a")[1..].iter().map(|event| event["payload"]["n"].as_u64().unwrap()).collect();
    assert!(found.into_iter().eq(0..25));
}

#[test]
fn exit_codes_tell_what_happened() {
    let server = Server::start();
    assert!(fails(&server, 3, &["append", "/a", r#"{"no":"type"}"#]).contains("type: expected a string, found nothing"));
    assert!(fails(&server, 4, &["append", "/a", "--type", "x", "--expect-offset", "99"]).contains("(offset-mismatch)"));
    ok(&server, &["pause", "/a", "--reason", "maintenance"]);
    assert_eq!(fails(&server, 4, &["append", "/a", "--type", "x"]), "pelton: stream is paused: maintenance (stream-paused)\n");
    ok(&server, &["resume", "/a"]);
    for part in ["schedule", "subscribe"] {
        let end = if part == "schedule" { "cancel" } else { "remove" };
        assert!(fails(&server, 5, &[part, end, "/a", "nobody"]).contains("there is no \"nobody\""));
    }
    assert!(fails(&server, 5, &["streams", "/nobody"]).contains("no such stream"));
    assert!(fails(&server, 5, &["destroy", "/nobody", "--yes"]).contains("no such stream"));
    fails(&server, 5, &["destroy", "/nobody", "--yes", "--json"]);
    for usage in [
        &["append"][..],
        &["destroy", "/a"],
        &["schedule", "add", "/a", "{}", "--slug", "s"],
        &["append", "/a", "--type", "x", "--payload", "["],
        &["append", "/a", "events.ndjson", "--batch"],
        &["append", "/a", "{}", "--key", "schl\u{fc}ssel"],
        &["state", "/a", "--url", "localhost:7070"],
        &["nonsense"],
    ] {
        fails(&server, 2, usage);
    }
    let unreachable = fails(&server, 6, &["state", "/a", "--url", "http://127.0.0.1:1"]);
    assert!(unreachable.contains("http://127.0.0.1:1 cannot be reached") && unreachable.contains("pelton serve"), "{unreachable}");
}

#[test]
fn tail_shows_what_is_asked_for_and_ends() {
    let server = Server::start();
    server.append_all("/a", [event("x"), event("y"), event("x")]);
    server.append("/a/b", &event("z"));
    let types_of =
        |args: &[&str]| -> Vec<String> { ok(&server, args).lines().map(|line| json(line)["type"].as_str().unwrap().to_owned()).collect() };
    assert_eq!(types_of(&["tail", "/a", "--json", "--after", "1", "--before", "4"]), ["x", "y"]);
    assert_eq!(types_of(&["tail", "/a", "--no-follow", "--json", "--types", "x,z"]), ["x", "x"]);
    assert_eq!(types_of(&["tail", "/a", "--no-follow", "--json", "--types", "z", "--children"]), ["z"]);
    assert_eq!(types_of(&["tail", "/a", "--json", "--limit", "2"]), ["stream/initialized", "x"]);
    let text = ok(&server, &["tail", "/a", "--no-follow", "--yaml", "--after", "3"]);
    assert!(text.starts_with("---\nstreamPath: /a\noffset: 4\n"), "{text}");
    let plain = ok(&server, &["tail", "/a", "--no-follow"]);
    assert!(!plain.contains('\x1b') && plain.lines().count() == 5, "{plain:?}");
    assert!(ok(&server, &["tail", "/a", "--no-follow", "--color", "always"]).contains("\x1b["));
    assert_eq!(ok(&server, &["tail", "/nobody", "--no-follow"]), "");
}

fn follow(server: &Server, args: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut child = command(server, args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (child, stdout)
}

fn interrupt(child: &Child) {
    assert!(Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap().success());
}

fn text_of(mut output: impl Read) -> String {
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    text
}

fn next_type(lines: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    json(&line)["type"].as_str().unwrap().to_owned()
}

#[test]
fn tail_follows_and_goes_on_where_it_was_when_the_server_comes_back() {
    let mut server = Server::start_with(&["--listen", "127.0.0.1:0"]);
    server.append("/a", &event("before"));
    let (mut child, mut lines) = follow(&server, &["tail", "/a", "--json"]);
    assert_eq!([next_type(&mut lines), next_type(&mut lines)], ["stream/initialized", "before"]);
    server.append("/a", &event("live"));
    assert_eq!(next_type(&mut lines), "live");
    let address = server.authority().to_owned();
    server.kill();
    server.start_again_at(&address);
    server.append("/a", &event("after"));
    assert_eq!(next_type(&mut lines), "after");
    interrupt(&child);
    assert!(child.wait().unwrap().success(), "who ends it with ^C has seen enough");
    assert!(text_of(child.stderr.take().unwrap()).contains("connecting again"));
}

/// Passes one connection on to the server until the other end closes it, or until the answer has this in it; then nobody hears of it again.
fn pass_on(listener: &TcpListener, server: &Server, until: &str) {
    let client = listener.accept().unwrap().0;
    let upstream = TcpStream::connect(server.authority()).unwrap();
    let (mut requests, mut to_server) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
    // Ends when either side has closed, however it did.
    let requests = std::thread::spawn(move || drop(std::io::copy(&mut requests, &mut to_server)));
    let (mut answer, mut buffer) = (String::new(), [0; 4096]);
    while !answer.contains(until) {
        let count = (&upstream).read(&mut buffer).unwrap();
        assert!(count > 0, "{until:?} is not in {answer}");
        answer.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        (&client).write_all(&buffer[..count]).unwrap();
    }
    client.shutdown(Shutdown::Both).unwrap();
    upstream.shutdown(Shutdown::Both).ok();
    requests.join().unwrap();
}

#[test]
fn tail_from_the_end_loses_nothing_to_a_cut() {
    let server = Server::start();
    server.append_all("/a", [event("old"), event("old")]);
    for (children, seen) in [(&[][..], "meanwhile"), (&["--children"], "meanwhile in the tree")] {
        let between = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", between.local_addr().unwrap());
        let (mut child, mut lines) = follow(&server, &[&["tail", "/a", "--json", "--after", "end", "--url", &url], children].concat());
        pass_on(&between, &server, "}\n");
        pass_on(&between, &server, "\r\n\r\n");
        server.append("/a", &event(seen));
        pass_on(&between, &server, "}\n\n");
        assert_eq!(next_type(&mut lines), seen);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn tail_says_when_its_stream_was_destroyed() {
    let mut server = Server::start_with(&["--listen", "127.0.0.1:0"]);
    server.append("/a", &event("x"));
    let (mut child, mut lines) = follow(&server, &["tail", "/a", "--json", "--after", "1"]);
    assert_eq!(next_type(&mut lines), "x");
    server.send("DELETE", "/api/streams/a", &[], b"").ok();
    assert_eq!(child.wait().unwrap().code(), Some(5));
    assert!(text_of(child.stderr.take().unwrap()).contains("was destroyed"));

    // Somebody else's stream at the same path is not gone on with.
    server.append("/a", &event("x"));
    let (mut child, mut lines) = follow(&server, &["tail", "/a", "--json", "--after", "1"]);
    assert_eq!(next_type(&mut lines), "x");
    let address = server.authority().to_owned();
    server.kill();
    server.start_again();
    server.send("DELETE", "/api/streams/a", &[], b"").ok();
    server.append_all("/a", [event("other"), event("other")]);
    server.kill();
    server.start_again_at(&address);
    assert_eq!(child.wait().unwrap().code(), Some(5));
    assert!(text_of(child.stderr.take().unwrap()).contains("was destroyed while the connection was cut"));
    assert_eq!(text_of(lines), "");
}

#[test]
fn numbers_and_the_order_of_fields_stay_as_they_were_written() {
    let server = Server::start();
    let payload = r#"{"z":1.10,"a":12345678901234567890123}"#;
    let event = format!(r#"{{"type":"x","payload":{payload}}}"#);
    for form in [&["--json"][..], &[]] {
        let shown = ok(&server, &[&["append", "/a", &event], form].concat());
        assert!(shown.contains(payload), "{shown}");
        assert!(ok(&server, &[&["tail", "/a", "--no-follow"], form].concat()).contains(payload));
    }
    let built = ok(&server, &["append", "/a", "--type", "x", "--payload", payload, "--yaml"]);
    assert!(built.contains("z: 1.10\n  a: 12345678901234567890123\n"), "{built}");
    ok(&server, &["schedule", "add", "/a", &event, "--slug", "json", "--every", "1h"]);
    let yaml = "---\ntype: x\npayload:\n  z: 1.10\n  a: 12345678901234567890123\n  text: |\n    two\n    lines\n";
    let file = server.data().join("event.yaml");
    std::fs::write(&file, yaml).unwrap();
    ok(&server, &["schedule", "add", "/a", &format!("@{}", file.display()), "--slug", "yaml", "--every", "1h"]);
    let listed = ok(&server, &["schedule", "list", "/a", "--json"]);
    assert_eq!(listed.matches(r#""z":1.10,"a":12345678901234567890123"#).count(), 2, "{listed}");
    assert_eq!(json(&listed)["yaml"]["append"]["payload"]["text"], "two\nlines\n");
    let key = "a key: \"\u{e9}\"";
    assert_eq!(json(&ok(&server, &["append", "/a", "--type", "x", "--key", key, "--json"]))["idempotencyKey"], key);
}

#[test]
fn a_path_never_means_another_stream() {
    let server = Server::start();
    server.append("/keep", &event("x"));
    for path in ["/keep#more", "/keep?more", "/more/../keep", "../streams/keep", "/keep/", "//keep", ""] {
        fails(&server, 2, &["destroy", path, "--yes"]);
        fails(&server, 2, &["append", path, "--type", "x"]);
    }
    assert_eq!(server.log("/keep").len(), 2);
}

#[test]
fn nothing_from_outside_reaches_the_terminal_as_a_command() {
    let server = Server::start();
    let bad = "\u{1b}[31m\u{9b}2J\u{7f}";
    server.append("/a", &json!({ "type": bad, "payload": { "text": bad } }));
    let shown = ok(&server, &["tail", "/a", "--no-follow"]);
    assert!(shown.contains(r"\u001b[31m\u009b2J\u007f"), "{shown:?}");
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    ok(&server, &["pause", "/a", "--reason", bad]);
    let refused = fails(&server, 4, &["append", "/a", "--type", "x"]);
    assert!(!refused.contains(|c: char| c.is_control() && c != '\n'), "{refused:?}");
}

#[test]
fn what_is_wrong_with_a_line_is_for_the_server_to_say() {
    let server = Server::start();
    let mut child = command(&server, &["append", "/a", "--batch", "--batch-size", "2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"{\"type\":\"x\"}\n\xff\nnonsense\n{\"type\":\"y\"}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "4 events appended to /a\n");
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("pelton: 2 of 4 events are invalid; the first was kept as"));
    let log = server.log("/a");
    let invalid = "stream/invalid-event-appended";
    assert_eq!(types(&log), ["stream/initialized", "x", invalid, invalid, "y"]);

    ok(&server, &["pause", "/a"]);
    assert!(!String::from_utf8_lossy(&with_input(&server, &["append", "/a", "--batch"], "{}").stderr).contains("before this batch"));
    ok(&server, &["resume", "/a"]);
    let output = with_input(&server, &["append", "/a", "--batch", "--batch-size", "1"], "{\"type\":\"stream/paused\"}\n{\"type\":\"x\"}\n");
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("(stream-paused)\nthe 1 events before this batch were appended"), "{said}");
}

#[test]
fn colour_is_for_terminals_unless_somebody_says_otherwise() {
    let server = Server::start();
    server.append("/a", &event("x"));
    let shown = |options: &str, no_color: Option<&str>| {
        // `script` gives the client a terminal.
        let line = format!("{} tail /a --no-follow {options}", env!("CARGO_BIN_EXE_pelton"));
        let mut script = Command::new("script");
        script
            .args(["-qec", &line, "/dev/null"])
            .env("PELTON_URL", &server.base)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        let output = script.envs(no_color.map(|value| ("NO_COLOR", value))).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(shown("", None).contains("\x1b[36mx\x1b[0m"));
    assert!(!shown("", Some("1")).contains('\x1b'));
    assert!(!shown("--color never", None).contains('\x1b'));
    assert!(shown("--color always", Some("1")).contains('\x1b'));
}

#[test]
fn plain_http_needs_no_certificates_and_loopback_no_proxy() {
    let server = Server::start();
    let mut state = command(&server, &["state", "/a"]);
    state.env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent");
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        state.env(name, "http://127.0.0.1:1");
    }
    let output = state.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_reader_that_goes_away_while_nothing_happens_is_noticed() {
    let server = Server::start();
    let (mut child, mut lines) = follow(&server, &["tail", "/a", "--json"]);
    server.append("/a", &event("x"));
    assert_eq!([next_type(&mut lines), next_type(&mut lines)], ["stream/initialized", "x"]);
    drop(lines);
    assert!(child.wait().unwrap().success());

    let mut completions = command(&server, &["completions", "bash"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(completions.stdout.take());
    assert!(completions.wait().unwrap().success());
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let server = Server::start();
    server.append_all("/a", (0..5_000).map(|n| json!({ "type": "x", "payload": { "n": n } })));
    let (mut child, mut lines) = follow(&server, &["tail", "/a", "--json"]);
    next_type(&mut lines);
    drop(lines);
    assert!(child.wait().unwrap().success());
}

#[test]
fn state_and_streams_are_shown() {
    let server = Server::start();
    server.append("/a/b", &event("x"));
    server.append("/c", &event("x"));
    assert_eq!(json(&ok(&server, &["state", "/a/b", "--json"])), server.state("/a/b"));
    assert!(ok(&server, &["state", "/a/b"]).contains("path: /a/b\n"));
    let tree: Vec<_> = ok(&server, &["streams"]).lines().map(|line| line.split("  2").next().unwrap().to_owned()).collect();
    assert_eq!(tree, ["/", "  a", "    b", "  c"]);
    assert_eq!(ok(&server, &["streams", "/a"]).lines().count(), 2);
    assert_eq!(ok(&server, &["destroy", "/a", "--children", "--yes"]), "2 streams destroyed\n");
    assert_eq!(ok(&server, &["streams"]).lines().count(), 2);
}

#[test]
fn schedules_subscriptions_and_secrets_are_kept_from_here() {
    let server = Server::start();
    ok(&server, &["schedule", "add", "/a", r#"{"type":"tick"}"#, "--slug", "s", "--every", "1h30m", "--missed", "skip"]);
    let listed = json(&ok(&server, &["schedule", "list", "/a", "--json"]));
    assert_eq!((&listed["s"]["schedule"], &listed["s"]["missed"]), (&json!({ "kind": "every", "intervalSeconds": 5400 }), &json!("skip")));
    ok(&server, &["schedule", "add", "/a", r#"{"type":"tick"}"#, "--slug", "c", "--cron", "0 9 * * *", "--time-zone", "Europe/Berlin"]);
    assert!(fails(&server, 3, &["schedule", "add", "/a", r#"{"type":"tick"}"#, "--slug", "c", "--cron", "never"]).contains("cron pattern"));
    fails(&server, 2, &["schedule", "add", "/a", r#"{"type":"tick"}"#, "--slug", "c", "--in", "soon"]);
    ok(&server, &["schedule", "cancel", "/a", "s"]);
    assert_eq!(json(&ok(&server, &["schedule", "list", "/a", "--json"])).as_object().unwrap().keys().collect::<Vec<_>>(), ["c"]);

    let add = [
        "subscribe",
        "add",
        "/a",
        "--slug",
        "w",
        "--webhook",
        "http://127.0.0.1:1/",
        "--types",
        "x,y*",
        "--from",
        "3",
        "--header",
        "a=b",
        "--attempts",
        "1",
    ];
    ok(&server, &add);
    server.wait_for("/a", |event| event["type"] == "stream/subscription/configured");
    server.append("/a", &event("x"));
    server.wait_for("/a", |event| event["type"] == "stream/subscription/parked");
    let listed = json(&ok(&server, &["subscribe", "list", "/a", "--json"]));
    assert_eq!((&listed["w"]["status"], &listed["w"]["parked"]["reason"]["code"]), (&json!("parked"), &json!("egress-denied")));
    ok(&server, &["subscribe", "resume", "/a", "w", "--skip"]);
    ok(&server, &["subscribe", "remove", "/a", "w"]);
    assert_eq!(ok(&server, &["subscribe", "list", "/a", "--json"]), "{}\n");

    let output = with_input(&server, &["secret", "set", "hook", "--host", "example.com", "--json"], "s3cret\n");
    assert!(output.status.success() && !String::from_utf8_lossy(&output.stdout).contains("s3cret"));
    assert!(ok(&server, &["secret", "list"]).contains("  hook  "));
    assert_eq!(ok(&server, &["secret", "delete", "hook"]), "deleted\n");
    fails(&server, 5, &["secret", "delete", "hook"]);
}

#[test]
fn a_tenant_is_named_by_option_or_environment() {
    let server = Server::start();
    ok(&server, &["append", "/a", "--type", "x", "--tenant", "acme"]);
    assert_eq!(server.tenant("acme").log("/a").len(), 2);
    assert_eq!(server.state("/a")["eventCount"], 0);
}

#[test]
fn every_shell_gets_completions_of_every_command() {
    let server = Server::start();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = ok(&server, &["completions", shell]);
        for name in ["serve", "append", "tail", "state", "streams", "pause", "resume", "destroy", "schedule", "subscribe", "secret"] {
            assert!(text.contains(name), "{shell}: {name}");
        }
    }
}
