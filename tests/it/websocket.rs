//! Reading and appending over a WebSocket.

use std::net::TcpStream;

use serde_json::{Value, json};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

use crate::support::*;

struct Socket(WebSocket<TcpStream>);

impl Socket {
    fn open(server: &Client, target: &str) -> Self {
        let stream = TcpStream::connect(server.authority()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(tungstenite::client(format!("ws://{}/api/streams{target}", server.authority()), stream).unwrap().0)
    }

    fn send(&mut self, frame: &Value) {
        self.0.send(Message::text(frame.to_string())).unwrap();
    }

    /// The next frame of text; an error is how the other side closed.
    fn next(&mut self) -> Result<Value, Option<CloseCode>> {
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => return Ok(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(frame)) => return Err(frame.map(|frame| frame.code)),
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The next frame of this type; events in between are passed over.
    fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().unwrap();
            if frame["type"] == kind {
                return frame;
            }
            assert_eq!(frame["type"], "event", "{frame:#}");
        }
    }
}

#[test]
fn history_comes_first_then_what_is_appended_each_with_its_cursor() {
    let server = Server::start();
    server.append("/a", &event("first"));
    let mut socket = Socket::open(&server, "/a");
    for (nth, recorded) in server.log("/a").iter().enumerate() {
        assert_eq!(socket.next(), Ok(json!({ "type": "event", "event": recorded, "cursor": nth + 1 })));
    }
    let recorded = server.append("/a", &event("live"));
    assert_eq!(socket.next(), Ok(json!({ "type": "event", "event": recorded, "cursor": 3 })));
}

#[test]
fn what_is_asked_for_and_no_more_is_sent_and_then_it_closes() {
    let server = Server::start();
    server.append_all("/a/b", ["red", "blue", "red"].map(event));
    let read = |target: &str| {
        let mut socket = Socket::open(&server, target);
        let mut cursors = Vec::new();
        loop {
            match socket.next() {
                Ok(frame) => cursors.push(frame["cursor"].as_u64().unwrap()),
                Err(code) => {
                    assert_eq!(code, Some(CloseCode::Normal));
                    return cursors;
                }
            }
        }
    };
    assert_eq!(read("/a/b?beforeOffset=end"), [1, 2, 3, 4]);
    assert_eq!(read("/a/b?beforeOffset=end&afterOffset=2&types=red"), [4]);
    let tree = server.get("/api/streams/a?includeChildren=true").ok();
    let positions: Vec<_> = tree["events"].as_array().unwrap().iter().map(|event| event["position"].as_u64().unwrap()).collect();
    assert_eq!(read("/a?includeChildren=true&beforePosition=end"), positions);
}

#[test]
fn a_frame_appends_and_is_answered_by_its_reference() {
    let server = Server::start();
    let mut socket = Socket::open(&server, "/a?afterOffset=end");
    let reference = json!({ "any": ["thing", 1] });
    socket.send(&json!({ "type": "append", "event": { "type": "hello", "payload": { "n": 1 }, "idempotencyKey": "k" }, "ref": reference }));
    let answer = socket.next_of("appended");
    assert_eq!(answer, json!({ "type": "appended", "event": server.log("/a")[1], "ref": reference }));
    socket.send(&json!({ "type": "append", "event": { "no": "type" } }));
    let tolerated = socket.next_of("appended");
    assert_eq!(tolerated["event"]["type"], "stream/invalid-event-appended");
    assert_eq!(tolerated.get("ref"), None);
    socket.send(&json!({ "type": "append", "event": { "type": "stream/initialized", "payload": {} }, "ref": 6 }));
    let refused = socket.next_of("error");
    assert_eq!((&refused["code"], &refused["ref"]), (&json!("already-initialized"), &json!(6)), "{refused:#}");
    socket.send(&json!({ "type": "append", "event": { "type": "other", "idempotencyKey": "k" }, "ref": 7 }));
    let refused = socket.next_of("error");
    assert_eq!((&refused["code"], &refused["ref"]), (&json!("key-reused"), &json!(7)), "{refused:#}");
    server.append("/a", &event("stream/paused"));
    socket.send(&json!({ "type": "append", "event": event("late") }));
    assert_eq!(socket.next_of("error")["code"], "stream-paused");
    assert_eq!(types(&server.log("/a")), ["stream/initialized", "hello", "stream/invalid-event-appended", "stream/paused"]);
}

#[test]
fn a_frame_that_is_not_understood_is_answered_and_ends_nothing() {
    let server = Server::start();
    let mut socket = Socket::open(&server, "/a");
    for text in
        ["", "{", "[]", r#"{"type":"append"}"#, r#"{"type":"shout","event":{}}"#, r#"{"type":"append","event":{"type":"e"},"more":1}"#]
    {
        socket.0.send(Message::text(text)).unwrap();
        let answer = socket.next().unwrap();
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!("bad-frame")), "{text}: {answer:#}");
    }
    socket.0.send(Message::binary(vec![0, 255])).unwrap();
    assert_eq!(socket.next().unwrap()["code"], "bad-frame");
    assert_eq!(server.log("/a"), Vec::<Value>::new(), "and nothing is recorded");
    socket.send(&json!({ "type": "append", "event": event("e") }));
    assert_eq!(socket.next_of("appended")["event"]["offset"], 2);
}

#[test]
fn a_frame_larger_than_an_event_may_be_closes_with_its_own_code() {
    let server = Server::start_with(&["--event-limit", "10KiB"]);
    let mut socket = Socket::open(&server, "/a");
    let large = |bytes: usize| json!({ "type": "append", "event": { "type": "e", "payload": { "text": "x".repeat(bytes) } } });
    socket.send(&large(20_000));
    assert_eq!(socket.next().unwrap()["code"], "event-too-large");
    socket.send(&large(200_000));
    assert_eq!(socket.next(), Err(Some(CloseCode::Size)));
}

#[test]
fn a_client_that_does_not_read_holds_nobody_up_and_misses_nothing() {
    let server = Server::start();
    let mut slow = Socket::open(&server, "/a");
    let text = "x".repeat(500_000);
    for n in 0..40 {
        server.append("/a", &json!({ "type": "large", "payload": { "n": n, "text": text } }));
    }
    for offset in 1..=41 {
        assert_eq!(slow.next().unwrap()["cursor"], offset);
    }
}

#[test]
fn a_refusal_is_an_ordinary_answer() {
    let server = Server::start();
    for target in ["/a?afterPosition=1", "/a?limit=3", "/A", "/a?types="] {
        let stream = TcpStream::connect(server.authority()).unwrap();
        let Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) =
            tungstenite::client(format!("ws://{}/api/streams{target}", server.authority()), stream)
        else {
            panic!("{target} was not refused");
        };
        assert_eq!(answer.status(), 400, "{target}");
    }
    let headers = [("connection", "upgrade"), ("upgrade", "websocket")];
    server.send("GET", "/api/streams/a", &headers, b"").problem(400, "bad-header");
}

#[test]
fn a_socket_learns_that_its_stream_was_destroyed() {
    let server = Server::start();
    server.append("/a", &event("e"));
    let incarnation = server.state("/a")["incarnation"].clone();
    let mut socket = Socket::open(&server, "/a?afterOffset=1");
    assert_eq!(socket.next().unwrap()["cursor"], 2);
    server.send("DELETE", "/api/streams/a", &[], b"").ok();
    assert_eq!(socket.next(), Ok(json!({ "type": "destroyed", "streamPath": "/a", "incarnation": incarnation })));
    assert_eq!(socket.next(), Err(Some(CloseCode::Normal)));
}

#[test]
fn a_daemon_that_stops_says_so_and_does_not_wait_for_sockets() {
    let mut server = Server::start();
    let mut socket = Socket::open(&server, "/a");
    server.append("/a", &event("e"));
    assert_eq!((socket.next().unwrap()["cursor"].as_u64(), socket.next().unwrap()["cursor"].as_u64()), (Some(1), Some(2)));
    server.send_sigterm();
    assert_eq!(socket.next(), Err(Some(CloseCode::Away)));
    drop(socket);
    assert!(server.wait_for_exit().success());
}
