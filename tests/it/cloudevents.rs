//! CloudEvents 1.0 over HTTP: structured, in a batch, and binary.

use serde_json::{Value, json};

use crate::support::*;

const STRUCTURED: &str = "application/cloudevents+json; charset=UTF-8";

fn send(client: &Client, content_type: &str, body: &Value) -> Reply {
    client.send("POST", "/api/streams/a", &[("content-type", content_type)], body.to_string().as_bytes())
}

fn binary(client: &Client, headers: &[(&str, &str)], body: &[u8]) -> Value {
    let own = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")];
    let given = |name: &str| headers.iter().any(|(given, _)| *given == name);
    let headers: Vec<_> = own.into_iter().filter(|(name, _)| !given(name)).chain(headers.iter().copied()).collect();
    client.send("POST", "/api/streams/a", &headers, body).ok()["event"].take()
}

#[test]
fn a_structured_one_becomes_an_event() {
    let server = Server::start();
    let cloudevent = json!({
        "specversion": "1.0", "id": "A234-1234-1234", "source": "https://example.com/repo", "type": "com.example.push", "subject": "main",
        "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json", "traceparent": "00-1", "attempt": 3, "urgent": true,
        "nothing": null, "data": { "commits": 2 },
    });
    let event = send(&server, STRUCTURED, &cloudevent).ok()["event"].take();
    assert_eq!(event["type"], "com.example.push");
    assert_eq!(event["payload"], json!({ "commits": 2 }));
    assert_eq!(event["idempotencyKey"], "https://example.com/repo A234-1234-1234");
    let attributes = json!({
        "specversion": "1.0", "id": "A234-1234-1234", "source": "https://example.com/repo", "subject": "main", "time": "2026-01-01T00:00:00Z",
        "datacontenttype": "application/json", "traceparent": "00-1", "attempt": 3, "urgent": true,
    });
    assert_eq!(event["metadata"], json!({ "cloudevent": attributes }));
    assert_eq!(send(&server, STRUCTURED, &cloudevent).ok()["event"], event, "sent again it is found again");
    let mut other = cloudevent;
    other["data"]["commits"] = json!(3);
    send(&server, STRUCTURED, &other).problem(409, "key-reused");
}

#[test]
fn data_that_is_no_object_gets_one_around_it() {
    let server = Server::start();
    for (nth, (data, payload)) in [
        (json!({ "data": [1, 2] }), json!({ "data": [1, 2] })),
        (json!({ "data": null }), json!({ "data": null })),
        (json!({ "data": "text", "datacontenttype": "text/plain" }), json!({ "data": "text" })),
        (json!({ "data_base64": "AQI=" }), json!({ "data_base64": "AQI=" })),
        (json!({}), json!({})),
    ]
    .into_iter()
    .enumerate()
    {
        let mut cloudevent = json!({ "specversion": "1.0", "id": nth.to_string(), "source": "/s", "type": "t" });
        cloudevent.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
        assert_eq!(send(&server, STRUCTURED, &cloudevent).ok()["event"]["payload"], payload, "{cloudevent}");
    }
}

#[test]
fn one_that_does_not_fit_is_kept_with_a_line_for_each_attribute() {
    let server = Server::start();
    let valid = json!({ "specversion": "1.0", "id": "1", "source": "/s", "type": "t" });
    for (change, wrong) in [
        (json!({ "id": null }), vec!["id"]),
        (json!({ "id": "", "source": "" }), vec!["id", "source"]),
        (json!({ "source": "two words" }), vec!["source"]),
        (json!({ "type": 7 }), vec!["type"]),
        (json!({ "specversion": "0.3" }), vec!["specversion"]),
        (json!({ "specversion": 1.0 }), vec!["specversion"]),
        (json!({ "time": 5, "subject": "" }), vec!["subject", "time"]),
        (json!({ "Upper": "x", "with_line": "x" }), vec!["Upper", "with_line"]),
        (json!({ "ext": {} , "float": 1.5, "large": 2147483648_u64 }), vec!["ext", "float", "large"]),
        (json!({ "data": 1, "data_base64": "AQI=" }), vec!["data_base64"]),
        (json!({ "data_base64": "no base64" }), vec!["data_base64"]),
        (json!({ "type": "stream/no-such-thing" }), vec!["type"]),
    ] {
        let mut cloudevent = valid.clone();
        cloudevent.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let event = send(&server, STRUCTURED, &cloudevent).ok()["event"].take();
        assert_eq!(event["type"], "stream/invalid-event-appended", "{cloudevent}");
        assert_eq!(event["payload"]["rawInput"], cloudevent, "the CloudEvent itself is kept");
        let error = event["payload"]["error"].as_str().unwrap();
        assert_eq!(error.lines().map(|line| line.split(':').next().unwrap()).collect::<Vec<_>>(), wrong, "{error}");
    }
    for body in [json!([valid]), json!("x")] {
        let event = send(&server, STRUCTURED, &body).ok()["event"].take();
        assert_eq!((&event["type"], &event["payload"]["rawInput"]), (&json!("stream/invalid-event-appended"), &body));
    }
    let avro = send(&server, "application/cloudevents+avro", &valid).ok()["event"].take();
    assert!(avro["payload"]["error"].as_str().unwrap().contains("expected application/cloudevents+json"), "{avro}");
}

#[test]
fn a_batch_is_recorded_in_order_and_at_once() {
    let server = Server::start();
    let batch = "application/cloudevents-batch+json";
    let of = |id: &str| json!({ "specversion": "1.0", "id": id, "source": "/s", "type": "t" });
    let events = send(&server, batch, &json!([of("1"), { "id": "2" }, of("3")])).ok()["events"].take();
    assert_eq!(types(events.as_array().unwrap()), ["t", "stream/invalid-event-appended", "t"]);
    assert_eq!(events[2]["idempotencyKey"], "/s 3");
    send(&server, batch, &json!([])).problem(400, "bad-body");
    assert_eq!(send(&server, batch, &of("4")).ok()["event"]["type"], "stream/invalid-event-appended", "one is no batch");
    assert_eq!(server.log("/a").len(), 5);
}

#[test]
fn a_binary_one_has_its_attributes_in_headers() {
    let server = Server::start();
    let headers = [
        ("ce-source", "/%C3%A4%2Fb"),
        ("ce-subject", r#""quoted \"%20text""#),
        ("ce-ext", "Euro%20%E2%82%AC"),
        ("content-type", "application/json"),
    ];
    let event = binary(&server, &headers, br#"{"n":1.10}"#);
    assert_eq!((&event["type"], &event["idempotencyKey"]), (&json!("t"), &json!("/ä/b 1")));
    let expected = json!({
        "specversion": "1.0", "id": "1", "source": "/ä/b", "subject": "quoted \" text", "ext": "Euro €", "datacontenttype": "application/json",
    });
    assert_eq!(event["metadata"], json!({ "cloudevent": expected }));
    assert_eq!(event["payload"].to_string(), r#"{"n":1.1}"#);

    // The same in structured mode is the same event.
    let mut structured = expected;
    structured["type"] = json!("t");
    structured["data"] = json!({ "n": 1.10 });
    let text = structured.to_string().replace("1.1}", "1.10}");
    let again = server.send("POST", "/api/streams/a", &[("content-type", STRUCTURED)], text.as_bytes()).ok();
    assert_eq!(again["event"], event);
}

#[test]
fn binary_data_is_json_text_or_bytes() {
    let server = Server::start();
    for (nth, (content_type, body, payload)) in [
        ("application/json", &b"[1]"[..], json!({ "data": [1] })),
        ("application/vnd.x+json", b"{}", json!({})),
        ("text/plain", b"{}", json!({ "data": "{}" })),
        ("application/octet-stream", b"\xff\x00", json!({ "data_base64": "/wA=" })),
        ("application/json", b"", json!({})),
    ]
    .into_iter()
    .enumerate()
    {
        let event = binary(&server, &[("ce-id", &nth.to_string()), ("content-type", content_type)], body);
        assert_eq!(event["payload"], payload, "{content_type}");
    }
}

#[test]
fn a_binary_one_that_does_not_fit_is_kept() {
    let server = Server::start();
    for (headers, body, wrong) in [
        (&[("ce-id", "")][..], &b""[..], "id"),
        (&[("ce-specversion", "2.0")], b"", "specversion"),
        (&[("ce-subject", "%ff")], b"", "subject"),
        (&[("ce-a_b", "x")], b"", "a_b"),
        (&[("ce-ext", "1"), ("ce-ext", "2")], b"", "ext"),
        (&[("content-type", "application/json")], b"{", "data"),
        (&[("ce-data", "x")], b"", "data"),
    ] {
        let event = binary(&server, headers, body);
        assert_eq!(event["type"], "stream/invalid-event-appended", "{event}");
        let error = event["payload"]["error"].as_str().unwrap();
        assert!(error.starts_with(&format!("{wrong}: ")), "{headers:?}: {error}");
        assert_eq!(event["payload"]["rawInput"]["type"], "t");
    }
    let without_version = server.send("POST", "/api/streams/a", &[("ce-id", "1"), ("ce-type", "t")], br#"{"type":"own"}"#).ok();
    assert_eq!(without_version["event"]["type"], "own", "without ce-specversion it is no CloudEvent");
}
