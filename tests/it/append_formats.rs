//! What an append may be written in, and what its headers ask for.

use serde_json::{Value, json};

use crate::support::*;

fn send(client: &Client, stream: &str, content_type: &str, body: impl AsRef<[u8]>) -> Reply {
    client.send("POST", &format!("/api/streams{stream}"), &[("content-type", content_type)], body.as_ref())
}

fn with(client: &Client, headers: &[(&str, &str)], body: &str) -> Reply {
    client.send("POST", "/api/streams/a", headers, body.as_bytes())
}

#[test]
fn lines_of_json_are_one_batch_in_order() {
    let server = Server::start();
    for (nth, content_type) in ["application/x-ndjson", "application/ndjson", "application/jsonl; charset=utf-8"].into_iter().enumerate() {
        let stream = format!("/s{nth}");
        let body = "{\"type\":\"a\"}\n\n  \r\n{\"event\":{\"type\":\"b\"}}\r\nno json\n[1]\n{\"type\":\"c\"}";
        let events = send(&server, &stream, content_type, body).ok()["events"].take();
        let events: Vec<Value> = serde_json::from_value(events).unwrap();
        let invalid = "stream/invalid-event-appended";
        assert_eq!(types(&events), ["a", "b", invalid, invalid, "c"]);
        assert_eq!(offsets(&events), [2, 3, 4, 5, 6]);
        assert_eq!(events[2]["payload"]["rawInput"], "no json");
        let error = events[2]["payload"]["error"].as_str().unwrap();
        assert!(error.starts_with("line 5: not valid JSON:") && error.ends_with(" at column 2"), "{error}");
        assert_eq!(events[3]["payload"]["rawInput"], json!([1]));
        assert_eq!(server.log(&stream)[1..], events);
    }
    let one = send(&server, "/one", "application/x-ndjson", r#"{"type":"a"}"#).ok();
    assert_eq!(one["events"].as_array().unwrap().len(), 1, "one line is a batch of one: {one}");
}

#[test]
fn lines_are_recorded_all_or_none() {
    let server = Server::start();
    let lines = "{\"type\":\"a\"}\n{\"type\":\"b\",\"offset\":9}\n";
    send(&server, "/a", "application/x-ndjson", lines).problem(412, "offset-mismatch");
    send(&server, "/a", "application/x-ndjson", "\n\n").problem(400, "bad-body");
    assert_eq!(server.state("/a")["eventCount"], 0);
}

#[test]
fn an_object_that_lists_events_is_a_batch() {
    let server = Server::start();
    let body = server.post("/a", r#"{ "events": [ {"type":"a"}, {"type":"b"} ] }"#).ok();
    assert_eq!(offsets(body["events"].as_array().unwrap()), [2, 3]);
    server.post("/a", r#"{"events":[]}"#).problem(400, "bad-body");
    let one = server.post("/a", r#"{"events":[{"type":"a"}],"type":"x"}"#).ok();
    assert_eq!(one["event"]["type"], "stream/invalid-event-appended", "with another key it is an event, and no valid one");
}

#[test]
fn yaml_is_what_the_same_json_is() {
    let server = Server::start();
    let event = "type: deployed\npayload:\n  version: 1.10\n  big: 123456789012345678901234567890\n  ok: yes\n  tags: [a, null, true]\n  note: |\n    two\n    lines\n";
    for (nth, content_type) in ["application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml; charset=utf-8"].into_iter().enumerate()
    {
        let reply = send(&server, &format!("/y{nth}"), content_type, event);
        assert_eq!(reply.ok()["event"]["type"], "deployed");
        let payload = r#"{"version":1.10,"big":123456789012345678901234567890,"ok":"yes","tags":["a",null,true],"note":"two\nlines\n"}"#;
        assert!(reply.text().contains(payload), "numbers stay as written: {}", reply.text());
    }
    for batch in ["- type: a\n- event: {type: b}\n", "type: a\n---\ntype: b\n", "events: [{type: a}, {type: b}]"] {
        let events = send(&server, "/batches", "application/yaml", batch).ok()["events"].take();
        assert_eq!(types(events.as_array().unwrap()), ["a", "b"], "{batch}");
    }
}

#[test]
fn yaml_that_json_cannot_say_is_kept_with_its_place() {
    let server = Server::start();
    for (text, place) in [
        ("type: a\npayload: &x {}\n", "line 2"),
        ("type: a\npayload: {a: *x}\n", "line 2"),
        ("type: !!str a\n", "line 1"),
        ("type: a\npayload: {n: .inf}\n", "line 2 column 14"),
        ("type: a\ntype: b\n", "line 2 column 1"),
        ("type: \"a\n", "line"),
        ("type: a: b", "line 1"),
    ] {
        let event = send(&server, "/a", "application/yaml", text).ok()["event"].take();
        assert_eq!(event["type"], "stream/invalid-event-appended", "{text}");
        assert_eq!(event["payload"]["rawInput"], text);
        let error = event["payload"]["error"].as_str().unwrap();
        assert!(error.contains(place), "{text}: {error}");
    }
    let bytes = send(&server, "/a", "application/yaml", b"type: \xff").ok();
    assert_eq!(bytes["event"]["payload"]["rawInput"], json!({ "base64": "dHlwZTog/w==" }));
}

#[test]
fn form_fields_are_kept_as_an_object() {
    let server = Server::start();
    let slash_command = "token=t&command=%2Fweather&text=94070+now&tag=a&tag=b&empty=&bare&%C3%A4=%E2%9C%93";
    let event = send(&server, "/slack", "application/x-www-form-urlencoded", slash_command).ok()["event"].take();
    assert_eq!(event["type"], "stream/invalid-event-appended");
    let expected = json!({
        "token": "t", "command": "/weather", "text": "94070 now", "tag": ["a", "b"], "empty": "", "bare": "", "ä": "✓",
    });
    assert_eq!(event["payload"]["rawInput"], expected);
    assert_eq!(event["metadata"]["headers"]["content-type"], "application/x-www-form-urlencoded");
    let not_text = send(&server, "/slack", "application/x-www-form-urlencoded", "a=%ff").ok();
    assert_eq!(not_text["event"]["payload"]["rawInput"], "a=%ff", "what does not decode is kept as sent");
}

#[test]
fn json_that_curl_calls_a_form_is_json() {
    let server = Server::start();
    let form = "application/x-www-form-urlencoded";
    assert_eq!(send(&server, "/a", form, r#"{"type":"a","payload":{"q":"x=1&y=2"}}"#).ok()["event"]["payload"]["q"], "x=1&y=2");
    assert_eq!(send(&server, "/a", form, r#"[{"type":"a"},{"type":"b"}]"#).ok()["events"].as_array().unwrap().len(), 2);
    for text in [r#"{"type":"a=b""#, "hello there"] {
        let event = send(&server, "/a", form, text).ok()["event"].take();
        assert_eq!(event["payload"]["rawInput"], text);
        assert!(event["payload"]["error"].as_str().unwrap().starts_with("not valid JSON"), "{event}");
    }
}

#[test]
fn text_is_kept_as_sent_and_json_is_json_whatever_it_is_called() {
    let server = Server::start();
    for content_type in ["text/plain", "text/plain; charset=utf-8", "text/markdown", "application/xml", "", "image/png", "no media type"] {
        let text = "  Disk full\r\n<b>&amp; \u{0} ä\n";
        let event = send(&server, "/a", content_type, text).ok()["event"].take();
        assert_eq!(event["payload"]["rawInput"], text, "{content_type}");
        assert_eq!(send(&server, "/a", content_type, r#"{"type":"a"}"#).ok()["event"]["type"], "a", "{content_type}");
    }
}

#[test]
fn an_answer_says_which_incarnation_it_went_to() {
    let server = Server::start();
    let one = server.post("/a", r#"{"type":"a"}"#).ok();
    let batch = server.post("/a", r#"[{"type":"a"}]"#).ok();
    assert!(one["incarnation"].is_u64(), "{one}");
    assert_eq!(one["incarnation"], batch["incarnation"]);
    assert_eq!(one["incarnation"], server.state("/a")["incarnation"]);
    server.send("DELETE", "/api/streams/a", &[], b"").ok();
    assert_ne!(server.post("/a", r#"{"type":"a"}"#).ok()["incarnation"], one["incarnation"]);
}

#[test]
fn the_key_may_stand_in_a_header() {
    let server = Server::start();
    let first = with(&server, &[("idempotency-key", "k 1")], r#"{"type":"a"}"#).ok()["event"].take();
    assert_eq!(first["idempotencyKey"], "k 1");
    for (header, body) in
        [(r#""k 1""#, r#"{"type":"a"}"#), ("k 1", r#"{"type":"a","idempotencyKey":"k 1"}"#), ("k 1", r#"{"event":{"type":"a"}}"#)]
    {
        assert_eq!(with(&server, &[("idempotency-key", header)], body).ok()["event"], first, "{header} {body}");
    }
    assert_eq!(server.append("/a", &json!({ "type": "a", "idempotencyKey": "k 1" })), first);
    with(&server, &[("idempotency-key", "k 1")], r#"{"type":"b"}"#).problem(409, "key-reused");
    let quoted = with(&server, &[("idempotency-key", r#""a \"b\" \\ c""#)], r#"{"type":"a"}"#).ok()["event"].take();
    assert_eq!(quoted["idempotencyKey"], r#"a "b" \ c"#);
}

#[test]
fn a_key_that_fits_nothing_is_refused() {
    let server = Server::start();
    let too_long = "k".repeat(2049);
    for (header, body) in [
        ("k", r#"{"type":"a","idempotencyKey":"other"}"#),
        ("k", r#"[{"type":"a"}]"#),
        (r#""k"#, r#"{"type":"a"}"#),
        (r#""a"b""#, r#"{"type":"a"}"#),
        ("", r#"{"type":"a"}"#),
        (r#""""#, r#"{"type":"a"}"#),
        (&*too_long, r#"{"type":"a"}"#),
    ] {
        let problem = with(&server, &[("idempotency-key", header)], body).problem(400, "bad-header");
        assert!(problem["detail"].as_str().unwrap().starts_with("Idempotency-Key:"), "{problem}");
    }
    with(&server, &[("idempotency-key", "a"), ("idempotency-key", "b")], r#"{"type":"a"}"#).problem(400, "bad-header");
    assert_eq!(server.state("/a")["eventCount"], 0);
}

#[test]
fn the_key_in_the_header_of_an_invalid_event_is_not_used_up() {
    let server = Server::start();
    let invalid = with(&server, &[("idempotency-key", "k")], r#"{"type":""}"#).ok()["event"].take();
    assert_eq!(invalid["type"], "stream/invalid-event-appended");
    assert_ne!(invalid["idempotencyKey"], "k", "which stays free for the corrected event");
    assert_eq!(with(&server, &[("idempotency-key", "k")], r#"{"type":"a"}"#).ok()["event"]["offset"], 3);
}

#[test]
fn an_append_may_be_meant_for_one_state_of_the_stream_only() {
    let server = Server::start();
    let event = r#"{"type":"a"}"#;
    with(&server, &[("if-match", "*")], event).problem(412, "no-such-stream");
    with(&server, &[("if-match", "1")], r#"{"type":"a","offset":3}"#).problem(400, "bad-header");
    assert_eq!(server.state("/a")["eventCount"], 0);
    let first = with(&server, &[("if-match", r#""0-0""#)], event).ok();
    assert_eq!(first["event"]["offset"], 2);
    let incarnation = first["incarnation"].as_u64().unwrap();
    with(&server, &[("if-match", r#""0-0""#)], event).problem(412, "stream-exists");
    for (nth, tag) in [format!("\"{incarnation}-2\""), "\"3\"".to_owned(), "4".to_owned(), "*".to_owned(), format!("\"{incarnation}-6\"")]
        .iter()
        .enumerate()
    {
        assert_eq!(with(&server, &[("if-match", tag)], event).ok()["event"]["offset"], nth + 3, "{tag}");
    }
    for stale in ["6".to_owned(), "\"8\"".to_owned(), "0".to_owned(), format!("\"{incarnation}-2\"")] {
        let problem = with(&server, &[("if-match", &stale)], event).problem(412, "offset-mismatch");
        assert_eq!(problem["next"], 8, "{stale}");
    }
    let problem = with(&server, &[("if-match", &format!("\"{}-7\"", incarnation + 1))], event).problem(412, "incarnation-changed");
    assert_eq!(problem["found"], incarnation);
    let batch = r#"[{"type":"a"},{"type":"b"}]"#;
    with(&server, &[("if-match", "6")], batch).problem(412, "offset-mismatch");
    assert_eq!(offsets(with(&server, &[("if-match", "7")], batch).ok()["events"].as_array().unwrap()), [8, 9]);
    with(&server, &[("if-match", "3")], "no json").problem(412, "offset-mismatch");
    for bad in ["x", "W/\"1-2\"", "\"1-2\", \"1-3\"", "-1", "1-", "-", "\"\"", "18446744073709551615", "1-2-3", "+1"] {
        with(&server, &[("if-match", bad)], event).problem(400, "bad-header");
    }
    assert_eq!(server.state("/a")["eventCount"], 9);
}

#[test]
fn a_stream_may_be_begun_by_one_only() {
    let server = Server::start();
    let event = r#"{"type":"a","idempotencyKey":"k"}"#;
    let new = [("if-none-match", "*")];
    let first = with(&server, &new, event).ok();
    assert_eq!(with(&server, &new, event).ok(), first, "a repeat gets the answer of the first time");
    with(&server, &new, r#"{"type":"b"}"#).problem(412, "stream-exists");
    with(&server, &[("if-none-match", "\"1-2\"")], event).problem(400, "bad-header");
}

#[test]
fn a_stream_is_not_initialized_twice() {
    let server = Server::start();
    for event_type in ["stream/initialized", "https://events.iterate.com/events/stream/initialized", " stream/initialized "] {
        let event = json!({ "type": event_type, "payload": { "projectSlug": "default", "path": "/a" } });
        server.post("/a", event.to_string()).problem(400, "already-initialized");
        server.post("/a", json!([{ "type": "a" }, event]).to_string()).problem(400, "already-initialized");
        server.post("/a", json!({ "event": event }).to_string()).problem(400, "already-initialized");
    }
    assert_eq!(server.state("/a")["eventCount"], 0);
}
