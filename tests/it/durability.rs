//! Acknowledged means on disk.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use serde_json::value::RawValue;

use crate::support::*;

/// The text of the event that an append was answered with.
fn acknowledged(reply: &Reply) -> Box<RawValue> {
    #[derive(serde::Deserialize)]
    struct Answer {
        event: Box<RawValue>,
    }
    reply.read::<Answer>().event
}

/// Appends from several threads until the server goes away or `until` says that enough is acknowledged. Returns the texts of what was.
fn append_until_the_end(server: &Client, enough: usize, then: impl FnOnce() + Send) -> Vec<Box<RawValue>> {
    const THREADS: usize = 6;
    let (acks, count, then) = (Mutex::new(Vec::new()), AtomicUsize::new(0), Mutex::new(Some(then)));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (acks, count, then) = (&acks, &count, &then);
            scope.spawn(move || {
                for n in 0.. {
                    let body = json!({ "type": "e", "payload": { "thread": thread, "n": n, "text": "x".repeat(n % 500) } }).to_string();
                    let stream = format!("/api/streams/s{}", n % 3);
                    match server.try_send("POST", &stream, &[], body.as_bytes()) {
                        Ok(reply) if reply.status == 200 => acks.lock().unwrap().push(acknowledged(&reply)),
                        Ok(reply) => return assert_eq!(reply.problem(503, "unavailable")["code"], "unavailable"),
                        Err(_gone) => return,
                    }
                    if count.fetch_add(1, Ordering::SeqCst) + 1 == enough {
                        then.lock().unwrap().take().unwrap()();
                    }
                }
            });
        }
    });
    acks.into_inner().unwrap()
}

#[track_caller]
fn assert_all_there(server: &Client, acks: &[Box<RawValue>]) {
    for stream in ["/s0", "/s1", "/s2"] {
        assert_contiguous(&server.log(stream));
    }
    let logs: std::collections::HashSet<String> =
        ["/s0", "/s1", "/s2"].iter().flat_map(|stream| server.log_text(stream)).map(|event| event.get().to_owned()).collect();
    for ack in acks {
        assert!(logs.contains(ack.get()), "acknowledged and lost: {ack}");
    }
}

#[test]
fn an_acknowledged_event_survives_kill_9() {
    let mut server = Server::start();
    let mut acks = Vec::new();
    for n in 0..5 {
        let body = json!({ "type": "e", "payload": { "n": n, "big": 1 }, "metadata": {}, "idempotencyKey": format!("k{n}") });
        acks.push(acknowledged(&server.post("/a/b", body.to_string())).get().to_owned());
        server.kill_and_start_again();
        let log: Vec<_> = server.log_text("/a/b")[1..].iter().map(|event| event.get().to_owned()).collect();
        assert_eq!(log, acks, "the same events, byte for byte");
    }
    assert_eq!(server.append("/a/b", &event("next"))["offset"], 7);
    assert_eq!(server.log("/").len(), 3, "the streams are announced once");
}

#[test]
fn kill_9_amid_appends_loses_nothing_acknowledged() {
    let mut server = Server::start();
    let mut acks = Vec::new();
    for _round in 0..3 {
        let pid = server.pid();
        acks.extend(append_until_the_end(&server, 60, || kill_9(pid)));
        server.kill();
        server.start_again();
        assert_all_there(&server, &acks);
    }
    server.append("/s0", &event("goes-on"));
}

#[test]
fn sigterm_amid_appends_loses_nothing_acknowledged_and_exits_with_0() {
    let mut server = Server::start();
    server.append("/s0", &event("first"));
    let reader = server.tail("/s0", "", &[]);
    let acks = append_until_the_end(&server, 60, || server.send_sigterm());
    let status = server.wait_for_exit();
    assert!(status.success(), "{status}");
    drop(reader);
    server.start_again();
    assert_all_there(&server, &acks);
}

#[test]
fn sigterm_ends_readers() {
    let mut server = Server::start();
    server.append("/a", &event("first"));
    let mut tail = server.tail("/a", "", &[]);
    tail.take(2);
    assert!(server.terminate().success());
    assert_eq!(tail.next(), None);
}

#[test]
fn sigterm_finishes_what_was_accepted() {
    let mut server = Server::start();
    let mut connection = TcpStream::connect(server.authority()).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = r#"{"type":"accepted"}"#;
    write!(connection, "POST /api/streams/a HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n", body.len())
        .unwrap();
    let mut begun = [0; 12];
    connection.read_exact(&mut begun).unwrap();
    assert_eq!(begun.as_slice(), b"HTTP/1.1 100", "the server has begun with the request");
    server.send_sigterm();
    while TcpStream::connect(server.authority()).is_ok() {
        std::thread::yield_now();
    }
    connection.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("HTTP/1.1 200") && answer.contains(r#""type":"accepted""#), "{answer}");
    assert!(server.wait_for_exit().success());
    server.start_again();
    assert_eq!(types(&server.log("/a")), ["stream/initialized", "accepted"]);
}

#[test]
fn the_state_of_a_stream_survives_a_restart() {
    let mut server = Server::start();
    server.append("/a/b", &json!({ "type": "stream/metadata-updated", "payload": { "metadata": { "m": 1.10 } } }));
    server.append("/a/b", &json!({ "type": "stream/paused", "payload": { "reason": "r" } }));
    let acme = server.tenant("acme").append("/a", &event("of-acme"));
    let (above, below) = (server.state("/a"), server.state("/a/b"));
    server.kill_and_start_again();
    assert_eq!((server.state("/a"), server.state("/a/b")), (above, below));
    server.post("/a/b", r#"{"type":"x"}"#).problem(412, "stream-paused");
    assert_eq!(server.tenant("acme").log("/a")[1], acme);
}

#[test]
fn one_data_folder_has_one_server() {
    let server = Server::start();
    server.append("/a", &event("first"));
    let mut second = std::process::Command::new(env!("CARGO_BIN_EXE_pelton"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(server.data())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first_line = String::new();
    BufReader::new(second.stdout.take().unwrap()).read_line(&mut first_line).unwrap();
    // It has ended by itself, or it listens and has to be stopped.
    second.kill().ok();
    let output = second.wait_with_output().unwrap();
    assert_eq!(first_line, "", "a second server on the same data listens");
    assert!(!output.status.success() && !output.stderr.is_empty(), "{output:?}");
    assert_eq!(server.append("/a", &event("second"))["offset"], 3);
}

#[test]
fn a_tenant_that_nobody_uses_is_closed_and_opened_again_when_needed() {
    let server = Server::start_with(&["--idle-seconds", "0"]);
    let acme = server.tenant("acme");
    acme.deploy("/a", "p", "ping-pong", json!({}));
    acme.append("/a", &event("ping"));
    let before = acme.settled("/a");
    let deadline = Instant::now() + PATIENCE;
    while open_files(&server).iter().any(|path| path.contains("acme")) {
        assert!(Instant::now() < deadline, "the file stays open");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(acme.settled("/a"), before);
    let ping = acme.append("/a", &event("ping"));
    acme.wait_for("/a", |event| event["type"] == "pong" && event["payload"]["to"] == ping["offset"]);
    assert_eq!(acme.log_of_type("/a", "pong").len(), 2);
}

#[test]
fn more_tenants_than_may_be_open_take_turns_and_their_processors_go_on() {
    let server = Server::start_with(&["--open-tenants", "2", "--idle-seconds", "3600"]);
    let names = ["ada", "bob", "cyd", "dan", "eve"];
    for name in names {
        server.tenant(name).deploy("/a", "p", "ping-pong", json!({}));
        server.tenant(name).append("/a", &event("ping"));
    }
    for name in names {
        assert_eq!(server.tenant(name).settled("/a")["processors"]["p"]["state"]["count"], 1, "{name}");
        let open = open_files(&server).iter().filter(|path| path.ends_with(".redb")).count();
        // One that has something under way is not closed for another.
        assert!(open < names.len(), "{open} files are open");
    }
}

fn open_files(server: &Server) -> Vec<String> {
    let files = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    files.filter_map(|file| Some(std::fs::read_link(file.ok()?.path()).ok()?.to_string_lossy().into_owned())).collect()
}
