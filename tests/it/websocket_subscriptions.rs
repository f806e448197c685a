//! Subscriptions of the kind that dials a WebSocket: frames both ways.

use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::support::*;

/// A WebSocket server that the daemon dials.
struct Far {
    listener: TcpListener,
    rule: String,
}

impl Far {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let rule = format!("ws://{}", listener.local_addr().unwrap());
        Self { listener, rule }
    }

    fn accept(&self) -> WebSocket<TcpStream> {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        tungstenite::accept(stream).unwrap()
    }
}

fn subscribe(server: &Client, far: &Far, more: Value) {
    let mut payload = json!({ "slug": "s", "type": "websocket", "callbackUrl": format!("{}/feed", far.rule) });
    payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.append("/a", &json!({ "type": "stream/subscription/configured", "payload": payload }));
}

fn next(socket: &mut WebSocket<TcpStream>) -> Value {
    loop {
        match socket.read().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("expected text, found {other:?}"),
        }
    }
}

#[test]
fn events_arrive_as_frames_and_the_far_side_can_append() {
    let far = Far::start();
    let server = Server::start_with(&["--egress", &far.rule]);
    subscribe(&server, &far, json!({ "jsonataFilter": "type = 'x'" }));
    let x = server.append("/a", &event("x"));
    let mut socket = far.accept();
    assert_eq!(next(&mut socket), json!({ "type": "event", "event": x }));

    socket.send(Message::text(r#"{"type":"append","event":{"type":"from-afar","payload":{"n":1}}}"#)).unwrap();
    assert_eq!(server.wait_for("/a", |event| event["type"] == "from-afar")["payload"], json!({ "n": 1 }));
    socket.send(Message::text(r#"{"type":"append","event":{"no":"type"}}"#)).unwrap();
    server.wait_for("/a", |event| event["type"] == "stream/invalid-event-appended");
    socket.send(Message::text(r#"{"type":"append","event":{"type":"stream/initialized"}}"#)).unwrap();
    assert!(next(&mut socket)["message"].as_str().unwrap().contains("initialized once, by the host"));
    socket.send(Message::text(r#"{"type":"whatever"}"#)).unwrap();
    socket.send(Message::text("no json")).unwrap();
    let error = next(&mut socket);
    assert!(error["type"] == "error" && error["message"].as_str().unwrap().contains("not valid JSON"), "{error}");
    socket.send(Message::binary(vec![1])).unwrap();
    assert!(next(&mut socket)["message"].as_str().unwrap().contains("expected a text frame"));

    server.append("/a", &event("stream/paused"));
    socket.send(Message::text(r#"{"type":"append","event":{"type":"late"}}"#)).unwrap();
    assert!(next(&mut socket)["message"].as_str().unwrap().contains("is paused"));
}

#[test]
fn a_lost_connection_is_dialled_again_and_nothing_is_passed_over() {
    let far = Far::start();
    let mut server = Server::start_with(&["--egress", &far.rule]);
    subscribe(&server, &far, json!({ "types": ["x"] }));
    let first = server.append("/a", &event("x"));
    let mut socket = far.accept();
    assert_eq!(next(&mut socket)["event"], first);
    drop(socket);
    let mut socket = far.accept();
    let second = server.append("/a", &event("x"));
    assert_eq!(next(&mut socket)["event"], second);

    server.kill_and_start_again();
    let third = server.append("/a", &event("x"));
    let mut socket = far.accept();
    // The kill may have come before the second was written down as delivered.
    let frame = next(&mut socket)["event"].clone();
    assert!(frame == third || (frame == second && next(&mut socket)["event"] == third), "{frame}");
}

#[test]
fn a_far_side_that_is_not_there_parks_in_the_end() {
    let far = Far::start();
    let server = Server::start_with(&["--egress", &far.rule]);
    drop(far.listener);
    let far = Far { listener: TcpListener::bind("127.0.0.1:0").unwrap(), rule: far.rule };
    subscribe(&server, &far, json!({ "types": ["x"], "attemptsMax": 2 }));
    server.append("/a", &event("x"));
    let parked = server.wait_for("/a", |event| event["type"] == "stream/subscription/parked");
    assert_eq!((&parked["payload"]["attempts"], &parked["payload"]["reason"]["code"]), (&json!(2), &json!("unreachable")));
}

#[test]
fn a_target_that_is_not_allowed_parks_at_once() {
    let far = Far::start();
    let server = Server::start();
    subscribe(&server, &far, json!({}));
    let parked = server.wait_for("/a", |event| event["type"] == "stream/subscription/parked");
    assert_eq!(parked["payload"]["reason"]["code"], "egress-denied");
}
