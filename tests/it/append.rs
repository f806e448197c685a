//! What an append records, and what it answers.

use serde_json::json;

use crate::support::*;

#[test]
fn the_first_event_of_a_caller_is_the_second_of_its_stream() {
    let server = Server::start();
    let recorded =
        server.append("/a", &json!({ "type": "hello", "payload": { "n": 1 }, "metadata": { "m": true }, "idempotencyKey": "k" }));
    let created_at = recorded["createdAt"].as_str().unwrap();
    let expected = json!({
        "streamPath": "/a", "offset": 2, "type": "hello", "payload": { "n": 1 }, "metadata": { "m": true }, "idempotencyKey": "k",
        "createdAt": created_at,
    });
    assert_eq!(recorded, expected);
    assert!(created_at.len() == "2026-01-01T00:00:00.000Z".len() && created_at.ends_with('Z'), "{created_at}");
    assert_eq!(server.append("/a", &event("hello"))["offset"], 3);
    let log = server.log("/a");
    assert_eq!(types(&log), ["stream/initialized", "hello", "hello"]);
    assert_contiguous(&log);
    assert_eq!(log[1], recorded);
}

#[test]
fn a_type_is_enough_and_absent_fields_stay_absent() {
    let server = Server::start();
    let recorded = server.append("/a", &json!({ "type": "  hello  " }));
    assert_eq!((&recorded["type"], &recorded["payload"]), (&json!("hello"), &json!({})));
    for absent in ["metadata", "idempotencyKey", "source"] {
        assert!(recorded.get(absent).is_none(), "{absent}: {recorded}");
    }
}

#[test]
fn raw_and_escaped_paths_are_the_same_stream() {
    let server = Server::start();
    for (nth, form) in ["/team/inbox", "/team%2Finbox", "/%2Fteam%2Finbox", "/team%2finbox"].into_iter().enumerate() {
        let recorded = server.append(form, &event("hello"));
        assert_eq!((&recorded["streamPath"], &recorded["offset"]), (&json!("/team/inbox"), &json!(nth + 2)), "{form}");
    }
    for endpoint in ["/api/streams", "/api/streams/__state"] {
        let raw = server.get(&format!("{endpoint}/team/inbox")).body;
        for form in ["/team%2Finbox", "/%2Fteam%2Finbox"] {
            assert_eq!(server.get(&format!("{endpoint}{form}")).body, raw, "{endpoint}{form}");
        }
    }
}

#[test]
fn the_root_has_three_spellings() {
    let server = Server::start();
    for (nth, form) in ["/", "//", "/%2F"].into_iter().enumerate() {
        let recorded = server.append(form, &event("hello"));
        assert_eq!((&recorded["streamPath"], &recorded["offset"]), (&json!("/"), &json!(nth + 2)), "{form}");
    }
    for endpoint in ["/api/streams", "/api/streams/__state"] {
        let body = server.get(&format!("{endpoint}/")).body;
        for form in ["//", "/%2F"] {
            assert_eq!(server.get(&format!("{endpoint}{form}")).body, body, "{endpoint}{form}");
        }
    }
}

#[test]
fn bare_wrapped_and_batched_bodies_are_taken() {
    let server = Server::start();
    let bare = server.post("/a", r#"{"type":"bare","payload":{"event":1}}"#).ok();
    assert_eq!((&bare["event"]["type"], &bare["event"]["payload"]), (&json!("bare"), &json!({ "event": 1 })));
    assert_eq!(server.post("/a", r#" { "event" : { "type" : "wrapped" } } "#).ok()["event"]["type"], "wrapped");
    let batch = server.post("/a", r#"[{"type":"one"},{"event":{"type":"two"}},{"type":"three"}]"#).ok();
    let events: Vec<_> = batch["events"].as_array().unwrap().clone();
    assert_eq!((types(&events), offsets(&events)), (vec!["one", "two", "three"], vec![4, 5, 6]));
    assert_eq!(server.log("/a")[3..], events);
}

#[test]
fn json_is_json_whatever_the_content_type_says() {
    let server = Server::start();
    for content_type in ["application/x-www-form-urlencoded", "text/plain", "application/vnd.thing+json; charset=utf-8"] {
        let reply = server.send("POST", "/api/streams/a", &[("content-type", content_type)], br#"{"type":"hello"}"#).ok();
        assert_eq!(reply["event"]["type"], "hello", "{content_type}");
    }
}

#[test]
fn a_new_stream_is_announced_to_every_ancestor_from_shallow_to_deep() {
    let server = Server::start();
    server.append("/a/b/c", &event("hello"));
    for (stream, children) in [("/", vec!["/a", "/a/b", "/a/b/c"]), ("/a", vec!["/a/b", "/a/b/c"]), ("/a/b", vec!["/a/b/c"])] {
        let log = server.log(stream);
        assert_contiguous(&log);
        assert_eq!(log[0]["type"], "stream/initialized");
        assert!(log[1..].iter().all(|event| event["type"] == "stream/child-stream-created"), "{stream}: {:?}", types(&log));
        let announced: Vec<_> = log[1..].iter().map(|event| event["payload"]["childPath"].as_str().unwrap()).collect();
        assert_eq!(announced, children, "{stream}");
    }
    server.append("/a/b/c", &event("again"));
    server.append("/a/b/d", &event("hello"));
    let new = &server.log("/")[4..];
    assert_eq!(
        (new.len(), &new[0]["payload"]["childPath"]),
        (1, &json!("/a/b/d")),
        "one for a stream that began, none for one that was there"
    );
}

#[test]
fn the_state_names_the_streams_below() {
    let server = Server::start();
    server.append("/a/b", &event("hello"));
    let state = server.state("/a");
    assert_eq!((&state["path"], &state["eventCount"], &state["childPaths"]), (&json!("/a"), &json!(2), &json!(["/a/b"])));
    assert_eq!(state["projectSlug"], "default");
    assert_eq!(state["createdAt"], server.log("/a")[0]["createdAt"]);
    assert_eq!(server.state("/a/b")["childPaths"], json!([]));
}

#[test]
fn numbers_stay_as_they_were_written() {
    let server = Server::start();
    let payload = r#"{"big":123456789012345678901234567890,"fine":1.10,"small":-0.0,"exp":1E+2}"#;
    let reply = server.post("/a", format!(r#"{{"type":"n","payload":{payload},"metadata":{payload}}}"#));
    let sse = server.send("GET", "/api/streams/a?beforeOffset=end", &[], b"");
    for text in [reply.text(), server.get("/api/streams/a").text(), sse.text()] {
        assert!(text.contains(&format!(r#""payload":{payload}"#)), "{text}");
        assert!(text.contains(&format!(r#""metadata":{payload}"#)), "{text}");
    }
    let invalid = server.post("/a", format!(r#"{{"no type":{payload}}}"#));
    assert!(invalid.text().contains(&format!(r#""rawInput":{{"no type":{payload}}}"#)), "{}", invalid.text());
}

#[test]
fn a_stale_offset_writes_nothing() {
    let server = Server::start();
    server.append("/a", &json!({ "type": "hello", "offset": 2 }));
    server.append("/a", &json!({ "type": "hello", "offset": "3" }));
    let before = server.log("/a");
    for stale in [1, 3, 5] {
        let problem = server.post("/a", json!({ "type": "hello", "offset": stale }).to_string()).problem(412, "offset-mismatch");
        assert_eq!((&problem["expected"], &problem["next"]), (&json!(stale), &json!(4)), "{problem:#}");
    }
    assert_eq!(server.log("/a"), before);
}

#[test]
fn a_refused_first_append_does_not_begin_the_stream() {
    let server = Server::start();
    server.post("/new", r#"{"type":"hello","offset":9}"#).problem(412, "offset-mismatch");
    assert_eq!(server.state("/new")["eventCount"], 0);
    assert_eq!(server.log("/new"), Vec::<serde_json::Value>::new());
    assert_eq!(server.log("/"), Vec::<serde_json::Value>::new());
    assert_eq!(server.append("/new", &json!({ "type": "hello", "offset": 2 }))["offset"], 2);
}

#[test]
fn a_batch_is_recorded_entirely_or_not_at_all() {
    let server = Server::start();
    server.append("/a", &json!({ "type": "first", "idempotencyKey": "k" }));
    let before = server.log("/a");
    server.post("/a", r#"[{"type":"x"},{"type":"y","offset":3}]"#).problem(412, "offset-mismatch");
    server.post("/a", r#"[{"type":"x"},{"type":"y"},{"type":"z","idempotencyKey":"k"}]"#).problem(409, "key-reused");
    server.post("/a", r#"[{"type":"stream/paused"},{"type":"x"}]"#).problem(412, "stream-paused");
    assert_eq!(server.log("/a"), before);
    let events = server.append_all("/a", [json!({ "type": "x", "offset": 3 }), json!({ "type": "y", "offset": 4 })]);
    assert_eq!(offsets(&events), [3, 4]);
}

#[test]
fn a_paused_stream_refuses_until_it_is_resumed() {
    let server = Server::start();
    server.append("/a", &event("before"));
    server.append("/a", &json!({ "type": "stream/paused", "payload": { "reason": "spring cleaning" } }));
    let problem = server.post("/a", r#"{"type":"hello"}"#).problem(412, "stream-paused");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("stream is paused") && detail.contains("spring cleaning"), "{detail}");
    server.post("/a", "no event at all").problem(412, "stream-paused");
    let state = server.state("/a");
    assert_eq!((&state["paused"], &state["pauseReason"]), (&json!(true), &json!("spring cleaning")));
    assert_eq!(state["pausedAt"], server.log("/a")[2]["createdAt"]);

    server.append("/a", &json!({ "type": "stream/error-occurred", "payload": { "message": "is recorded all the same" } }));
    server.append("/b", &event("another-stream-goes-on"));
    server.append("/a/below", &event("so-does-one-below"));
    server.append("/a", &event("stream/resumed"));
    server.append("/a", &event("after"));
    assert_eq!(server.state("/a")["paused"], false);
    let log = server.log("/a");
    let expected = [
        "stream/initialized",
        "before",
        "stream/paused",
        "stream/error-occurred",
        "stream/child-stream-created",
        "stream/resumed",
        "after",
    ];
    assert_eq!(types(&log), expected);
}

#[test]
fn metadata_of_a_stream_is_the_last_that_was_set() {
    let server = Server::start();
    server.append("/a", &json!({ "type": "stream/metadata-updated", "payload": { "metadata": { "a": 1 } } }));
    server.append("/a", &json!({ "type": "stream/metadata-updated", "payload": { "metadata": { "b": 2 } } }));
    assert_eq!(server.state("/a")["metadata"], json!({ "b": 2 }));
}

#[test]
fn builtin_types_have_an_alias_and_are_recorded_under_their_own_name() {
    let server = Server::start();
    let recorded = server.append("/a", &event("https://events.iterate.com/events/stream/paused"));
    assert_eq!(recorded["type"], "stream/paused");
    server.post("/a", r#"{"type":"hello"}"#).problem(412, "stream-paused");
}

#[test]
fn tenants_are_separate() {
    let server = Server::start();
    server.append("/a", &event("of-default"));
    let acme = server.tenant("acme");
    assert_eq!(acme.append("/a", &json!({ "type": "of-acme", "idempotencyKey": "k" }))["offset"], 2);
    assert_eq!(server.tenant("other").append("/a", &json!({ "type": "of-other", "idempotencyKey": "k" }))["offset"], 2);
    assert_eq!(types(&acme.log("/a")), ["stream/initialized", "of-acme"]);
    assert_eq!(types(&server.log("/a")), ["stream/initialized", "of-default"]);
    assert_eq!(types(&server.tenant("default").log("/a")), ["stream/initialized", "of-default"]);
    assert_eq!((&acme.state("/a")["projectSlug"], &acme.state("/b")["eventCount"]), (&json!("acme"), &json!(0)));
    let alias = server.send("GET", "/api/streams/a", &[("x-iterate-project", "acme"), ("accept", "application/json")], b"").ok();
    assert_eq!(alias["events"][1]["type"], "of-acme");
}
