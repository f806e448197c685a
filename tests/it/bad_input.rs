//! Input that is broken in ways that parsers get wrong: it is kept exactly, or refused, and costs nobody else anything.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};

use crate::support::*;

/// The payload of the `stream/invalid-event-appended` that a body becomes.
#[track_caller]
fn kept(client: &Client, body: impl AsRef<[u8]>) -> serde_json::Value {
    let event = client.post("/a", body).ok()["event"].take();
    assert_eq!(event["type"], "stream/invalid-event-appended", "{event}");
    event["payload"].clone()
}

#[test]
fn a_body_in_another_encoding_is_kept_as_bytes() {
    let server = Server::start();
    let utf16_with_mark: Vec<u8> = [0xff, 0xfe].into_iter().chain(r#"{"type":"a"}"#.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let latin1 = b"{\"type\":\"caf\xe9\"}";
    for body in [&utf16_with_mark[..], latin1, b"\xf0\x9f\x98", b"\xc0\xaf", b"\xed\xa0\x80"] {
        let payload = kept(&server, body);
        assert!(payload["error"].as_str().unwrap().starts_with("not UTF-8"), "{payload}");
        assert!(payload["rawInput"]["base64"].is_string(), "{payload}");
    }
    let utf16: Vec<u8> = r#"{"type":"a"}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let payload = kept(&server, &utf16);
    assert_eq!(payload["rawInput"], String::from_utf8(utf16).unwrap(), "UTF-16 of ASCII without a mark is text with NULs in it");
}

#[test]
fn a_compressed_body_is_refused() {
    let server = Server::start();
    for encoding in ["gzip", "br", "identity, gzip", "x"] {
        let headers = [("content-encoding", encoding), ("content-type", "application/json")];
        let problem = server.send("POST", "/api/streams/a", &headers, br#"{"type":"a"}"#).problem(415, "unsupported-encoding");
        assert!(problem["detail"].as_str().unwrap().contains(encoding), "{problem}");
    }
    assert_eq!(server.state("/a")["eventCount"], 0);
    server.send("POST", "/api/streams/a", &[("content-encoding", "Identity")], br#"{"type":"a"}"#).ok();
}

#[test]
fn nesting_has_a_limit_that_the_error_tells() {
    let server = Server::start();
    let nested = |levels: usize| format!(r#"{{"type":"a","payload":{{"x":{}1{}}}}}"#, "[".repeat(levels), "]".repeat(levels));
    assert_eq!(server.post("/a", nested(125)).ok_text_type(), "a");
    for body in [nested(126), nested(100_000), "[".repeat(1_000_000), r#"{"a":"#.repeat(100_000)] {
        let payload = kept(&server, &body);
        assert!(payload["error"].as_str().unwrap().contains("recursion limit exceeded"), "{}", payload["error"]);
        assert_eq!(payload["rawInput"], body);
    }
    // As deep as JSON may be, but no event: there is no room for what the record puts around it.
    let deepest = format!("{}1{}", r#"{"x":"#.repeat(127), "}".repeat(127));
    assert_eq!(kept(&server, &deepest)["rawInput"], deepest);
    let yaml = format!("type: a\npayload: {{x: {}1{}}}", "[".repeat(200), "]".repeat(200));
    let reply = server.send("POST", "/api/streams/a", &[("content-type", "application/yaml")], yaml.as_bytes()).ok();
    assert!(reply["event"]["payload"]["error"].as_str().unwrap().contains("at most 127 levels"), "{reply}");
}

#[test]
fn nul_and_every_other_control_character_survive_in_strings() {
    let server = Server::start();
    let all: String = (0..0x20).map(|byte| format!("\\u{byte:04x}")).collect();
    let recorded = server.post("/a", format!(r#"{{"type":"a\u0000b","payload":{{"\u0000":"{all}"}}}}"#)).ok()["event"].take();
    assert_eq!(recorded["type"], "a\u{0}b");
    let expected: String = (0..0x20_u8).map(char::from).collect();
    assert_eq!(recorded["payload"], json!({ "\u{0}": expected }));
    assert_eq!(server.log("/a").last().unwrap(), &recorded);
    let payload = kept(&server, "{\"type\":\"a\u{1}\"}");
    assert!(payload["error"].as_str().unwrap().contains("control character"), "bare in a string it is no JSON: {payload}");
}

#[test]
fn a_lone_surrogate_is_not_repaired() {
    let server = Server::start();
    for text in [r#"{"type":"\ud800"}"#, r#"{"type":"a","payload":{"x":"\udc00"}}"#, r#"{"type":"a","payload":{"\ud800\u0041":1}}"#] {
        let payload = kept(&server, text);
        assert_eq!(payload["rawInput"], text);
        assert!(payload["error"].as_str().unwrap().contains("line 1 column"), "{payload}");
    }
    assert_eq!(server.post("/a", r#"{"type":"\ud83d\ude00"}"#).ok()["event"]["type"], "😀");
}

#[test]
fn a_number_is_kept_as_written_or_refused() {
    let server = Server::start();
    for number in ["123456789012345678901234567890", "1.10", "-0", "1E+2", "0.1000000000000000055511151231257827", "5e-324", "1e-999"] {
        let reply = server.post("/a", format!(r#"{{"type":"a","payload":{{"n":{number}}}}}"#));
        assert!(reply.ok()["event"]["type"] == "a" && reply.text().contains(&format!(r#""payload":{{"n":{number}}}"#)), "{}", reply.text());
        let stored = server.log_text("/a");
        assert!(stored.last().unwrap().get().contains(&format!(r#"{{"n":{number}}}"#)), "{number}");
    }
    for number in ["1e999", "-1e400", "01", "+1", ".5", "1.", "0x1", "NaN", "Infinity", "1_0"] {
        let text = format!(r#"{{"type":"a","payload":{{"n":{number}}}}}"#);
        assert_eq!(kept(&server, &text)["rawInput"], text);
    }
}

#[test]
fn a_duplicate_key_is_refused_wherever_it_is() {
    let server = Server::start();
    for text in [
        r#"{"type":"a","type":"b"}"#,
        r#"{"type":"a","payload":{"x":[{"y":1,"\u0079":2}]}}"#,
        r#"{"event":{"type":"a"},"event":{"type":"b"}}"#,
    ] {
        let payload = kept(&server, text);
        assert_eq!(payload["rawInput"], text);
        assert!(payload["error"].as_str().unwrap().contains("duplicate key"), "{payload}");
    }
}

#[test]
fn an_empty_body_is_kept_as_empty_text() {
    let server = Server::start();
    for content_type in ["application/json", "text/plain", "application/yaml", "application/x-www-form-urlencoded", ""] {
        let event = server.send("POST", "/api/streams/a", &[("content-type", content_type)], b"").ok()["event"].take();
        assert_eq!(event["type"], "stream/invalid-event-appended", "{content_type}");
        assert_eq!(event["payload"]["rawInput"], "", "{content_type}");
    }
    server.send("POST", "/api/streams/a", &[("content-type", "application/x-ndjson")], b"").problem(400, "bad-body");
}

#[test]
fn a_body_that_stops_half_way_is_not_recorded() {
    let server = Server::start();
    for (head, sent) in [
        ("content-length: 1000", r#"{"type":"a"}"#),
        ("content-type: application/x-ndjson\r\ncontent-length: 1000", "{\"type\":\"a\"}\n"),
        ("transfer-encoding: chunked", "c\r\n{\"type\":\"a\"}\r\n"),
        ("transfer-encoding: chunked", "zz\r\n"),
    ] {
        let mut connection = TcpStream::connect(server.authority()).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(connection, "POST /api/streams/a HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n{sent}").unwrap();
        connection.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(!answer.starts_with("HTTP/1.1 2"), "{head}: {answer}");
    }
    assert_eq!(server.state("/a")["eventCount"], 0);
}

#[test]
fn a_text_that_is_too_long_is_kept_or_refused_by_size() {
    let server = Server::start();
    let long_type = kept(&server, json!({ "type": "ä".repeat(2049) }).to_string());
    assert!(long_type["error"].as_str().unwrap().starts_with("type:"), "{}", long_type["error"]);
    let long_key = kept(&server, json!({ "type": "a", "idempotencyKey": "k".repeat(2049) }).to_string());
    assert!(long_key["error"].as_str().unwrap().starts_with("idempotencyKey:"), "{}", long_key["error"]);
    for content_type in ["application/json", "application/yaml", "text/plain", "application/x-www-form-urlencoded"] {
        let text = format!("x={}", "y".repeat(2 << 20));
        server.send("POST", "/api/streams/b", &[("content-type", content_type)], text.as_bytes()).problem(413, "event-too-large");
    }
    let lines = "{\"type\":\"a\"}\n".repeat(10_001);
    server.send("POST", "/api/streams/b", &[("content-type", "application/x-ndjson")], lines.as_bytes()).problem(413, "batch-too-large");
    let documents = "--- {type: a}\n".repeat(10_001);
    server.send("POST", "/api/streams/b", &[("content-type", "application/yaml")], documents.as_bytes()).problem(413, "batch-too-large");
    assert_eq!(server.state("/b")["eventCount"], 0);
}

/// The places in a JSON value, as pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| places(inner, &format!("{at}/{}", name.replace('/', "~1")), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(nth, inner)| places(inner, &format!("{at}/{nth}"), found)),
        _ => {}
    }
}

#[test]
fn a_built_in_event_with_anything_in_any_field_harms_nothing() {
    let mut server = Server::start();
    let document = server.get("/api/openapi.json").ok();
    let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
    let long = json!("x".repeat(100_000)).to_string();
    let values = [
        "null",
        "true",
        "[]",
        "{}",
        r#""""#,
        r#""\u0000""#,
        r#""\ud83d\ude00 \u202e""#,
        "-1",
        "0",
        "1.5",
        "1e308",
        "18446744073709551615",
        "99999999999999999999999999",
        &deep,
        &long,
        r#""+275760-09-13T00:00:00Z""#,
        r#""https://[::1]:99999/\u0000""#,
        r#""(((((""#,
    ];
    let mut streams = Vec::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let Some(example) = schema["examples"].get(0) else { continue };
        let mut found = Vec::new();
        places(&example["payload"], "/payload", &mut found);
        for (nth, place) in found.iter().enumerate() {
            let stream = format!("/{}/{nth}", name.replace('.', "_"));
            // A marker, for values that serde_json would not keep as they are.
            let mut event = example.clone();
            *event.pointer_mut(place).unwrap() = json!("\u{1}here\u{1}");
            let event = event.to_string();
            for value in values {
                let body = event.replace(r#""\u0001here\u0001""#, value);
                let reply =
                    server.send("POST", &format!("/api/streams{stream}?wait=0"), &[("content-type", "application/json")], body.as_bytes());
                assert!((200..500).contains(&reply.status), "{name} {place} {value:.60}: {} {}", reply.status, reply.text());
            }
            streams.push(stream);
        }
    }
    assert!(streams.len() > 60, "{streams:?}");
    assert_eq!(server.get("/readyz").status, 200);
    let last = streams.last().unwrap().clone();
    let before = server.get(&format!("/api/streams{last}")).text().to_owned();
    server.kill_and_start_again();
    for stream in &streams {
        assert_eq!(server.get(&format!("/api/streams/__state{stream}")).status, 200, "{stream}");
    }
    assert_eq!(server.get(&format!("/api/streams{last}")).text(), before);
}

trait TypeOf {
    fn ok_text_type(&self) -> String;
}

impl TypeOf for Reply {
    /// The type of the event, read without reading its payload, which serde_json would find too deep.
    #[track_caller]
    fn ok_text_type(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text());
        let after = self.text().split_once(r#""type":""#).unwrap().1;
        after.split_once('"').unwrap().0.to_owned()
    }
}
