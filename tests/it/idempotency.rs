//! An idempotency key makes a repeated append find the first.

use serde_json::json;

use crate::support::*;

#[test]
fn a_repeated_append_answers_with_the_first_event() {
    let server = Server::start();
    let body = json!({ "type": "x", "payload": { "n": 1 }, "metadata": { "m": 1 }, "idempotencyKey": "k" });
    let first = server.append("/a", &body);
    server.append("/a", &event("in-between"));
    assert_eq!(server.append("/a", &body), first);
    let spaced = r#"{ "idempotencyKey": "  k ", "metadata": {"m": 1}, "payload": { "n" : 1 }, "type": "x" }"#;
    assert_eq!(server.post("/a", spaced).ok()["event"], first);
    assert_eq!(server.state("/a")["eventCount"], 3);
}

#[test]
fn a_key_with_another_event_is_refused_with_the_event_it_belongs_to() {
    let server = Server::start();
    let first = server.append("/a", &json!({ "type": "x", "payload": { "n": 1 }, "idempotencyKey": "k" }));
    for changed in [
        json!({ "type": "y", "payload": { "n": 1 }, "idempotencyKey": "k" }),
        json!({ "type": "x", "payload": { "n": 2 }, "idempotencyKey": "k" }),
        json!({ "type": "x", "idempotencyKey": "k" }),
        json!({ "type": "x", "payload": { "n": 1 }, "metadata": {}, "idempotencyKey": "k" }),
    ] {
        assert_eq!(server.post("/a", changed.to_string()).problem(409, "key-reused")["event"], first, "{changed}");
    }
    assert_eq!(server.state("/a")["eventCount"], 2);
}

#[test]
fn a_key_belongs_to_one_stream() {
    let server = Server::start();
    server.append("/a", &json!({ "type": "x", "idempotencyKey": "k" }));
    assert_eq!(server.append("/b", &json!({ "type": "y", "idempotencyKey": "k" }))["offset"], 2);
}

#[test]
fn a_key_holds_within_a_batch_and_over_a_restart() {
    let mut server = Server::start();
    let keyed = json!({ "type": "x", "idempotencyKey": "k" });
    let events = server.append_all("/a", [keyed.clone(), event("y"), keyed.clone()]);
    assert_eq!(offsets(&events), [2, 3, 2]);
    server.kill_and_start_again();
    assert_eq!(server.append("/a", &keyed), events[0]);
    assert_eq!(server.state("/a")["eventCount"], 3);
}

#[test]
fn the_key_is_looked_up_before_the_offset_and_the_offset_before_the_pause() {
    let server = Server::start();
    let first = server.append("/a", &json!({ "type": "x", "idempotencyKey": "k" }));
    server.append("/a", &event("stream/paused"));
    let again = |offset: u64| json!({ "type": "x", "idempotencyKey": "k", "offset": offset });
    for offset in [1, 2, 4, 99] {
        assert_eq!(server.append("/a", &again(offset)), first);
    }
    server.post("/a", r#"{"type":"y","idempotencyKey":"k","offset":99}"#).problem(409, "key-reused");
    server.post("/a", r#"{"type":"y","offset":99}"#).problem(412, "offset-mismatch");
    server.post("/a", r#"{"type":"y","offset":4}"#).problem(412, "stream-paused");
    assert_eq!(server.state("/a")["eventCount"], 3);
}

#[test]
fn of_many_at_once_with_one_key_one_is_recorded() {
    let server = Server::start();
    let body = json!({ "type": "x", "idempotencyKey": "k" });
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| server.append("/a", &body))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:#?}");
    assert_eq!(types(&server.log("/a")), ["stream/initialized", "x"]);
}

#[test]
fn a_repeated_append_that_is_no_event_finds_the_first_record_of_it() {
    let server = Server::start();
    let send = |headers: &[(&str, &str)], body: &str| {
        let headers: Vec<_> = [("idempotency-key", "k")].into_iter().chain(headers.iter().copied()).collect();
        server.send("POST", "/api/streams/a", &headers, body.as_bytes()).ok()["event"].take()
    };
    let json = ("content-type", "application/json");
    for (headers, body) in [
        (&[json][..], r#"{"action":"opened"}"#),
        (&[json], r#"{"type":"#),
        (&[("content-type", "text/plain")], "hello"),
        (&[("content-type", "application/x-www-form-urlencoded")], "a=1&b=2"),
        (&[json, ("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "")], "{}"),
    ] {
        let first = send(headers, body);
        assert_eq!(first["type"], "stream/invalid-event-appended", "{body}");
        let again: Vec<_> = headers.iter().copied().chain([("webhook-timestamp", "2"), ("user-agent", "another")]).collect();
        assert_eq!(send(&again, body), first, "whatever the headers tell, {body}");
    }
    assert_eq!(send(&[json], r#"{"type":"corrected"}"#)["idempotencyKey"], "k", "the corrected event may use the key");
    assert_eq!(server.log_of_type("/a", "corrected").len(), 1);
}

#[test]
fn a_key_in_an_invalid_event_or_in_a_batch_with_one_finds_the_first_record_too() {
    let server = Server::start();
    let wrong = json!({ "type": "x", "payload": [], "idempotencyKey": "k" });
    let first = server.append("/a", &wrong);
    assert_eq!(first["type"], "stream/invalid-event-appended");
    assert_eq!(server.append("/a", &wrong), first);
    let batch = [json!({ "type": "x", "idempotencyKey": "1" }), json!({ "type": 7, "idempotencyKey": "2" })];
    let recorded = server.append_all("/a", batch.clone());
    assert_eq!(server.append_all("/a", batch), recorded);
    assert_eq!(server.append("/a", &json!({ "type": "x", "payload": {}, "idempotencyKey": "k" }))["idempotencyKey"], "k");
    assert_eq!(server.state("/a")["eventCount"], 5);
    let without_key = json!({ "type": "x", "payload": [] });
    assert_ne!(server.append("/a", &without_key), server.append("/a", &without_key), "without a key nothing says that it is a repeat");
}
