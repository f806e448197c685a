//! What is not a valid event is kept, with the reason, and answered with 200.

use serde_json::{Value, json};

use crate::support::*;

/// The payload of the `stream/invalid-event-appended` that a body becomes.
#[track_caller]
fn kept(client: &Client, body: impl AsRef<[u8]>) -> Value {
    let event = client.post("/a", body).ok()["event"].take();
    assert_eq!(event["type"], "stream/invalid-event-appended", "{event}");
    let payload = event["payload"].as_object().unwrap();
    assert!(payload.len() == 2 && payload["error"].as_str().is_some_and(|error| !error.is_empty()), "{event}");
    assert_eq!(client.log("/a").last().unwrap(), &event);
    event["payload"].clone()
}

#[test]
fn json_that_is_no_event_is_kept_with_a_line_for_each_field_that_does_not_fit() {
    let server = Server::start();
    for (body, wrong) in [
        (json!({}), vec!["type"]),
        (json!({ "zen": "Keep it logically awesome.", "hook": { "id": 1 } }), vec!["type", "zen", "hook"]),
        (json!({ "type": "x", "extra": 1 }), vec!["extra"]),
        (json!({ "type": 7 }), vec!["type"]),
        (json!({ "type": "   " }), vec!["type"]),
        (json!({ "type": "x".repeat(2049) }), vec!["type"]),
        (json!({ "type": "x", "payload": [1] }), vec!["payload"]),
        (json!({ "type": "x", "payload": null }), vec!["payload"]),
        (json!({ "type": "x", "payload": "text" }), vec!["payload"]),
        (json!({ "type": "x", "metadata": [] }), vec!["metadata"]),
        (json!({ "type": "x", "idempotencyKey": "" }), vec!["idempotencyKey"]),
        (json!({ "type": "x", "idempotencyKey": "  " }), vec!["idempotencyKey"]),
        (json!({ "type": "x", "idempotencyKey": 7 }), vec!["idempotencyKey"]),
        (json!({ "type": "x", "offset": 0 }), vec!["offset"]),
        (json!({ "type": "x", "offset": -1 }), vec!["offset"]),
        (json!({ "type": "x", "offset": 1.5 }), vec!["offset"]),
        (json!({ "type": "x", "streamPath": "/a", "payload": 1 }), vec!["streamPath", "payload"]),
    ] {
        let payload = kept(&server, body.to_string());
        assert_eq!(payload["rawInput"], body);
        let error = payload["error"].as_str().unwrap();
        assert_eq!(error.lines().count(), wrong.len(), "{error}");
        for field in wrong {
            assert!(error.lines().any(|line| line.starts_with(&format!("{field}:"))), "{field} is not named: {error}");
        }
    }
}

#[test]
fn values_that_are_no_objects_are_kept() {
    let server = Server::start();
    for body in ["7", "null", "true", r#""text""#] {
        assert_eq!(kept(&server, body)["rawInput"].to_string(), body);
    }
    for body in ["[1]", "7", "null", r#""text""#] {
        let payload = kept(&server, format!(r#"{{"event":{body}}}"#));
        assert!(payload["error"].as_str().unwrap().contains("JSON object"), "{payload}");
        assert!(payload["rawInput"].to_string().contains(body), "{payload}");
    }
}

#[test]
fn text_that_is_not_json_is_kept_as_a_string() {
    let server = Server::start();
    for body in [
        "",
        "hello",
        r#"{"type":"#,
        r#"{"type":"x"} trailing"#,
        "payload=%7B%22a%22%3A1%7D&b=%C3%A4",
        "type: yaml\npayload:\n  ä: 1\n",
        r#"{"type":"x","payload":{"a":1,"a":2}}"#,
        r#"{"type":"x","type":"y"}"#,
        r#"{"type":"x","payload":{"a":"\ud800"}}"#,
        r#"{"type":"x","payload":{"a":1e999}}"#,
        r#"{"type":"x","payload":{"a":NaN}}"#,
    ] {
        assert_eq!(kept(&server, body)["rawInput"], body);
    }
    let deep = format!(r#"{{"type":"x","payload":{{"a":{}{}}}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(kept(&server, &deep)["rawInput"], deep);
}

#[test]
fn bytes_that_are_not_text_are_kept_as_base64() {
    let server = Server::start();
    assert_eq!(kept(&server, b"\xff\xfe\x00")["rawInput"], json!({ "base64": "//4A" }));
    assert_eq!(kept(&server, b"{\"type\":\"\xff\"}")["rawInput"], json!({ "base64": "eyJ0eXBlIjoi/yJ9" }));
}

#[test]
fn telling_headers_are_kept_and_credentials_never_are() {
    let server = Server::start();
    let telling = [
        ("content-type", "application/json"),
        ("user-agent", "GitHub-Hookshot/1"),
        ("webhook-id", "w1"),
        ("webhook-timestamp", "2"),
        ("x-github-delivery", "d3"),
        ("x-github-event", "issues"),
        ("x-github-hook-id", "5"),
        ("x-gitlab-event", "Push Hook"),
        ("x-gitlab-event-uuid", "u7"),
        ("x-slack-request-timestamp", "8"),
        ("x-slack-retry-num", "9"),
        ("x-slack-retry-reason", "http_timeout"),
        ("x-shopify-topic", "orders/create"),
        ("x-event-key", "repo:push"),
        ("ce-id", "c13"),
        ("ce-source", "/c14"),
        ("ce-type", "c15"),
    ];
    let secret = [
        ("authorization", "Bearer s3cret"),
        ("proxy-authorization", "Basic s3cret"),
        ("cookie", "session=s3cret"),
        ("x-hub-signature", "sha1=s3cret"),
        ("x-hub-signature-256", "sha256=s3cret"),
        ("x-slack-signature", "v0=s3cret"),
        ("webhook-signature", "v1,s3cret"),
        ("x-gitlab-token", "s3cret"),
        ("x-shopify-hmac-sha256", "s3cret"),
        ("x-api-key", "s3cret"),
        ("x-forwarded-for", "10.0.0.1"),
    ];
    let headers: Vec<_> = telling.into_iter().chain(secret).collect();
    let event = server.send("POST", "/api/streams/a", &headers, br#"{"action":"opened"}"#).ok()["event"].take();
    let expected: Value =
        telling.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into();
    assert_eq!(event["metadata"], json!({ "headers": expected }));

    let shouted = [("X-GitHub-Event", "push"), ("Content-Type", "text/plain"), ("User-Agent", "u")];
    let event = server.send("POST", "/api/streams/a", &shouted, b"no json").ok()["event"].take();
    assert_eq!(event["metadata"], json!({ "headers": { "x-github-event": "push", "content-type": "text/plain", "user-agent": "u" } }));

    let valid = server.send("POST", "/api/streams/a", &headers, br#"{"type":"hello"}"#).ok()["event"].take();
    assert!(valid.get("metadata").is_none(), "a valid event says itself what its metadata is: {valid}");
    assert!(!server.get("/api/streams/a").text().contains("s3cret"));
}

#[test]
fn in_a_batch_only_the_invalid_one_is_replaced() {
    let server = Server::start();
    let events = server.append_all("/a", [event("x"), json!({ "no": "type" }), event("y")]);
    assert_eq!(types(&events), ["x", "stream/invalid-event-appended", "y"]);
    assert_eq!(events[1]["payload"]["rawInput"], json!({ "no": "type" }));
    assert_eq!(offsets(&events), [2, 3, 4]);
}

#[test]
fn the_key_of_an_invalid_event_is_not_used_up() {
    let server = Server::start();
    for _ in 0..2 {
        kept(&server, r#"{"type":"","idempotencyKey":"k"}"#);
    }
    assert_eq!(server.append("/a", &json!({ "type": "x", "idempotencyKey": "k" }))["offset"], 3);
}

#[test]
fn a_builtin_type_cannot_be_borrowed() {
    let server = Server::start();
    for (body, error) in [
        (json!({ "type": "stream/processor/activated", "payload": { "slug": "p" } }), "only the host"),
        (json!({ "type": "https://events.iterate.com/events/stream/processor/parked" }), "only the host"),
        (json!({ "type": "stream/no-such-thing" }), "reserved"),
        (json!({ "type": "stream/dynamic-worker/configured", "payload": { "slug": "a" } }), "found neither"),
        (json!({ "type": "stream/paused", "payload": { "why": "x" } }), "unknown field"),
        (json!({ "type": "stream/metadata-updated", "payload": {} }), "metadata"),
        (json!({ "type": "stream/child-stream-created", "payload": { "childPath": "no path" } }), "stream path"),
        (json!({ "type": "stream/processor/removed", "payload": {} }), "slug"),
    ] {
        let payload = kept(&server, body.to_string());
        assert!(payload["error"].as_str().unwrap().contains(error), "{payload}");
    }
    assert_eq!(server.state("/a")["paused"], false);
}
