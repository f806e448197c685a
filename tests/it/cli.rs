//! The client says what the server says, in a form for people or for programs, and its exit code is one that scripts can use.

use std::io::{BufRead as _, BufReader, Write as _};
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
    assert!(fails(&server, 1, &["append", "/A", "--type", "x"]).contains("(bad-path)"));
    assert!(fails(&server, 5, &["streams", "/nobody"]).contains("no such stream"));
    assert!(fails(&server, 5, &["destroy", "/nobody", "--yes"]).contains("no such stream"));
    for usage in [
        &["append"][..],
        &["destroy", "/a"],
        &["schedule", "add", "/a", "{}", "--slug", "s"],
        &["append", "/a", "--type", "x", "--payload", "["],
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
    child.kill().unwrap();
    child.wait().unwrap();
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
