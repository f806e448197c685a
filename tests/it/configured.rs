//! Uploading a component as an event, in every form, and what the processor does from then on.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::*;

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// `stream/processor/configured` with these fields.
fn configured(fields: &Value) -> Value {
    json!({ "type": "stream/processor/configured", "payload": fields })
}

fn multipart(event: &dyn std::fmt::Display, component: &[u8]) -> (String, Vec<u8>) {
    let boundary = "a-boundary-that-does-not-occur";
    let mut body =
        format!("--{boundary}\r\ncontent-disposition: form-data; name=\"event\"\r\ncontent-type: application/json\r\n\r\n{event}\r\n")
            .into_bytes();
    body.extend(format!("--{boundary}\r\ncontent-disposition: form-data; name=\"component\"; filename=\"p.wasm\"\r\n\r\n").as_bytes());
    body.extend(component);
    body.extend(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

#[test]
fn a_ping_is_answered_with_a_pong_that_says_where_it_comes_from() {
    let server = Server::start();
    let activated = server.deploy("/games", "pinger", "ping-pong", json!({}));
    let ping = server.append("/games", &json!({ "type": "ping", "payload": { "message": "hi" } }));
    let pong = server.wait_for("/games", |event| event["type"] == "pong");
    assert_eq!(pong["payload"], json!({ "to": ping["offset"], "count": 1, "message": "hi" }));
    let source = json!({
        "slug": "pinger",
        "digest": activated["payload"]["digest"],
        "streamPath": "/games",
        "offset": ping["offset"],
        "depth": 1,
    });
    assert_eq!(pong["source"], source);
    assert!(ping.get("source").is_none());
}

#[test]
fn a_component_is_taken_in_every_form() {
    let server = Server::start();
    let component = plugin("ping-pong");
    let json_type = ("content-type", "application/json");
    let wasm_type = ("content-type", "application/wasm");
    let fields = json!({ "slug": "p" });
    let (multipart_type, multipart_body) = multipart(&configured(&fields), &component);

    let as_json = server.send(
        "POST",
        "/api/streams/json",
        &[json_type],
        configured(&json!({ "slug": "p", "component": base64(&component) })).to_string().as_bytes(),
    );
    let digest = as_json.ok()["event"]["payload"]["component"]["digest"].clone();
    let by_digest = configured(&json!({ "slug": "p", "component": { "digest": digest } })).to_string();
    let replies = [
        ("/json", as_json),
        ("/query", server.send("POST", "/api/streams/query?slug=p", &[wasm_type], &component)),
        ("/header", server.send("POST", "/api/streams/header", &[wasm_type, ("x-pelton-processor", &fields.to_string())], &component)),
        ("/multipart", server.send("POST", "/api/streams/multipart", &[("content-type", &multipart_type)], &multipart_body)),
        ("/digest", server.send("POST", "/api/streams/digest", &[json_type], by_digest.as_bytes())),
    ];
    for (stream, reply) in replies {
        let reply = reply.ok();
        assert_eq!(reply["event"]["type"], "stream/processor/configured", "{stream}");
        let stored = json!({ "slug": "p", "component": { "digest": digest, "size": component.len() } });
        assert_eq!(reply["event"]["payload"], stored, "{stream}");
        let outcome = &reply["outcome"];
        assert_eq!(outcome["type"], "stream/processor/activated", "{stream}: {reply:#}");
        assert_eq!((&outcome["payload"]["slug"], &outcome["payload"]["digest"]), (&json!("p"), &digest), "{stream}");
        assert_eq!(outcome["payload"]["configuredOffset"], reply["event"]["offset"], "{stream}");
        assert_eq!(outcome["payload"]["manifest"]["name"], "ping-pong", "{stream}");
        assert_eq!(server.log(stream)[1..], [reply["event"].clone(), outcome.clone()]);
        server.append(stream, &event("ping"));
        server.wait_for(stream, |event| event["type"] == "pong");
    }
}

/// A component with a custom section of this size, which means nothing.
fn padded(component: &[u8], size: usize) -> Vec<u8> {
    let leb128 = |mut number: usize| {
        std::iter::from_fn(move || {
            let more = number > 0x7f;
            let byte = (number & 0x7f) as u8 | u8::from(more) << 7;
            number >>= 7;
            (byte > 0).then_some(byte)
        })
    };
    let section = [&[3][..], b"pad", &vec![0; size]].concat();
    component.iter().copied().chain([0]).chain(leb128(section.len())).chain(section).collect()
}

/// Those in Go and Python are larger than what the web framework takes of a multipart body unless told, which was 2 MB.
#[test]
fn a_large_component_is_taken_in_a_multipart_body_up_to_the_limit() {
    let server = Server::start_with(&["--body-limit", "4MB"]);
    let post = |stream: &str, size: usize| {
        let component = padded(&plugin("ping-pong"), size);
        let (multipart_type, body) = multipart(&configured(&json!({ "slug": "p" })), &component);
        // Who asks first has the answer before the body is sent, and not a closed connection on the way.
        server.send("POST", &format!("/api/streams{stream}"), &[("content-type", &multipart_type), ("expect", "100-continue")], &body)
    };
    assert_eq!(post("/a", 3_000_000).ok()["outcome"]["type"], "stream/processor/activated");
    post("/b", 6_000_000).problem(413, "body-too-large");
}

#[test]
fn the_options_of_an_upload_are_recorded_however_they_are_sent() {
    let server = Server::start();
    let component = plugin("ping-pong");
    let options = json!({
        "config": { "n": 1.5, "text": "ä&=" }, "consumes": ["ping", "x/*"], "effectsFrom": "start", "catchUp": "latest", "includeChildren": true,
        "limits": { "attemptsMax": 2, "reduceFuelMax": 1_000_000_000 },
    });
    let mut fields = options.clone();
    fields["slug"] = json!("p");
    let query = "slug=p&config=%7B%22n%22%3A1.5%2C%22text%22%3A%22%C3%A4%26%3D%22%7D&consumes=ping,x/*&effectsFrom=start&catchUp=latest\
                 &includeChildren=true&limits=%7B%22attemptsMax%22%3A2%2C%22reduceFuelMax%22%3A1000000000%7D";
    let (multipart_type, multipart_body) = multipart(&configured(&fields), &component);
    let wasm_type = ("content-type", "application/wasm");
    let header = fields.to_string().replace('ä', "\\u00e4");
    for reply in [
        server.send("POST", &format!("/api/streams/query?{query}"), &[wasm_type], &component),
        server.send("POST", "/api/streams/header", &[wasm_type, ("x-pelton-processor", &header)], &component),
        server.send("POST", "/api/streams/multipart", &[("content-type", &multipart_type)], &multipart_body),
    ] {
        let recorded = reply.ok()["event"]["payload"].take();
        for (name, value) in options.as_object().unwrap() {
            assert_eq!(&recorded[name], value, "{name}");
        }
    }
    let reply = server.send("POST", "/api/streams/numbers?slug=p&effectsFrom=7&catchUp=60", &[wasm_type], &component).ok();
    let recorded = &reply["event"]["payload"];
    assert_eq!((&recorded["effectsFrom"], &recorded["catchUp"]), (&json!({ "offset": 7 }), &json!({ "maxAgeSeconds": 60 })));
}

#[test]
fn the_numbers_of_a_config_stay_as_they_were_written() {
    let server = Server::start();
    let component = plugin("ping-pong");
    let config = r#"{"n":123456789012345678901234567890,"m":1.10}"#;
    let fields = format!(r#"{{"slug":"p","config":{config}}}"#);
    let event = format!(r#"{{"type":"stream/processor/configured","payload":{fields}}}"#);
    let with_component = event.replace(r#""slug""#, &format!(r#""component":"{}","slug""#, base64(&component)));
    let (multipart_type, multipart_body) = multipart(&event, &component);
    let wasm_type = ("content-type", "application/wasm");
    let query = "slug=p&config=%7B%22n%22%3A123456789012345678901234567890%2C%22m%22%3A1.10%7D";
    for (form, reply) in [
        ("json", server.post("/a", with_component)),
        ("multipart", server.send("POST", "/api/streams/b", &[("content-type", &multipart_type)], &multipart_body)),
        ("header", server.send("POST", "/api/streams/c", &[wasm_type, ("x-pelton-processor", &fields)], &component)),
        ("query", server.send("POST", &format!("/api/streams/d?{query}"), &[wasm_type], &component)),
    ] {
        assert!(reply.text().contains(&format!(r#""config":{config}"#)), "{form}: {}", reply.text());
    }
}

#[test]
fn the_log_never_holds_the_bytes_of_a_component() {
    let server = Server::start();
    let component = plugin("ping-pong");
    let text = base64(&component);
    server.post("/a", configured(&json!({ "slug": "p", "component": text })).to_string()).ok();
    let broken = configured(&json!({ "slug": "not a slug", "component": text }));
    assert_eq!(server.append("/a", &broken)["type"], "stream/invalid-event-appended");
    server.settled("/a");
    for event in server.log_text("/a") {
        assert!(event.get().len() < 4096, "{} bytes: {:.200}", event.get().len(), event.get());
        assert!(!event.get().contains(&text[1000..1100]));
    }
}

#[test]
fn the_state_tells_all_about_a_processor() {
    let server = Server::start();
    server.append_all("/a", [event("ping"), event("ping")]);
    let activated = server.deploy("/a", "p", "ping-pong", json!({}));
    server.deploy("/a", "twin", "ping-pong", json!({}));
    let state = server.settled("/a");
    let (p, twin) = (&state["processors"]["p"], &state["processors"]["twin"]);
    assert_eq!((&p["status"], &p["digest"]), (&json!("active"), &activated["payload"]["digest"]));
    assert_eq!((&p["configuredOffset"], &p["manifest"]), (&json!(4), &activated["payload"]["manifest"]));
    assert_eq!(p["cursors"], json!({ "reduced": 8, "acknowledged": 8 }), "cursors are the next to be handled");
    assert_eq!(p["state"], json!({ "count": 2, "last": null }));
    assert!(p["stateDigest"].as_str().is_some_and(|digest| digest.starts_with("sha256:") && digest.len() == 71), "{p:#}");
    assert_eq!(p["stateDigest"], twin["stateDigest"], "the same history and code, the same state");
    for absent in ["pending", "parked", "rejected"] {
        assert!(p.get(absent).is_none_or(Value::is_null), "{absent}: {p:#}");
    }
}

#[test]
fn history_is_reduced_and_its_effects_do_not_fire() {
    let server = Server::start();
    server.append_all("/a", [event("ping"), event("ping"), event("ping")]);
    server.deploy("/a", "p", "ping-pong", json!({}));
    let live = server.append("/a", &event("ping"));
    let state = server.settled("/a");
    assert_eq!(state["processors"]["p"]["state"]["count"], 4);
    let pongs = server.log_of_type("/a", "pong");
    assert_eq!(pongs.iter().map(|pong| &pong["payload"]).collect::<Vec<_>>(), [&json!({ "to": live["offset"], "count": 4 })]);
}

#[test]
fn effects_begin_where_the_configuration_says() {
    let server = Server::start();
    for (stream, effects_from, answered) in [
        ("/start", json!("start"), vec![2, 3, 4]),
        ("/offset", json!({ "offset": 3 }), vec![3, 4]),
        ("/configured", json!("configured"), vec![]),
    ] {
        server.append_all(stream, [event("ping"), event("ping"), event("ping")]);
        server.deploy(stream, "p", "ping-pong", json!({ "effectsFrom": effects_from }));
        assert_eq!(server.settled(stream)["processors"]["p"]["state"]["count"], 3);
        let pongs = server.log_of_type(stream, "pong");
        let to: Vec<_> =
            pongs.iter().map(|pong| (pong["payload"]["to"].as_u64().unwrap(), pong["payload"]["count"].as_u64().unwrap())).collect();
        let expected: Vec<_> = answered.into_iter().map(|offset| (offset, offset - 1)).collect();
        assert_eq!(to, expected, "{stream}: each with the state as it was at its event");
    }
}

#[test]
fn what_is_appended_while_a_component_is_compiled_is_answered() {
    let server = Server::start();
    let component = plugin("ping-pong");
    let reply = server.send("POST", "/api/streams/a?slug=p&wait=0", &[("content-type", "application/wasm")], &component).ok();
    assert!(reply.get("outcome").is_none() || reply["outcome"]["type"] == "stream/processor/activated", "{reply:#}");
    let pings = server.append_all("/a", [event("ping"), event("ping")]);
    server.wait_for("/a", |event| event["type"] == "pong" && event["payload"]["to"] == pings[1]["offset"]);
    assert_eq!(server.log_of_type("/a", "pong").len(), 2);
}

#[test]
fn a_configuration_and_its_first_events_can_be_one_batch() {
    let server = Server::start();
    let digest = server.deploy("/elsewhere", "p", "ping-pong", json!({}))["payload"]["digest"].clone();
    let by_digest = configured(&json!({ "slug": "p", "component": { "digest": digest } }));
    let recorded = server.append_all("/a", [event("ping"), by_digest, event("ping")]);
    let pong = server.wait_for("/a", |event| event["type"] == "pong");
    assert_eq!(pong["payload"], json!({ "to": recorded[2]["offset"], "count": 2 }));
}

#[test]
fn the_same_upload_again_changes_nothing() {
    let server = Server::start();
    let component = plugin("ping-pong");
    server.deploy("/a", "p", "ping-pong", json!({ "config": { "x": 1 } }));
    server.append("/a", &event("ping"));
    let before = server.settled("/a");
    for fields in [json!({ "config": { "x": 1 } }), json!({ "config": { "x": 1 }, "effectsFrom": "start" })] {
        let reply = server.upload("/a", "p", &component, fields).ok();
        assert!(reply.get("outcome").is_none(), "{reply:#}");
    }
    server.append("/a", &event("ping"));
    let after = server.settled("/a");
    assert_eq!(server.log_of_type("/a", "stream/processor/activated").len(), 1);
    assert_eq!(after["processors"]["p"]["configuredOffset"], before["processors"]["p"]["configuredOffset"]);
    assert_eq!(server.log_of_type("/a", "pong").len(), 2);
}

#[test]
fn an_upload_with_a_key_is_repeated_without_harm() {
    let server = Server::start();
    let body = configured(&json!({ "slug": "p", "component": base64(&plugin("ping-pong")) }));
    let body = json!({ "type": body["type"], "payload": body["payload"], "idempotencyKey": "deploy-1" }).to_string();
    let first = server.post("/a", &body).ok();
    let again = server.post("/a", &body).ok();
    assert_eq!(first["event"], again["event"]);
    assert_eq!(types(&server.log("/a")), ["stream/initialized", "stream/processor/configured", "stream/processor/activated"]);
}

#[test]
fn a_removed_processor_stops_and_can_be_deployed_anew() {
    let server = Server::start();
    server.deploy("/a", "p", "ping-pong", json!({}));
    server.deploy("/a", "other", "ping-pong", json!({}));
    server.append("/a", &event("ping"));
    server.settled("/a");
    server.append("/a", &json!({ "type": "stream/processor/removed", "payload": { "slug": "p" } }));
    let unanswered = server.append("/a", &event("ping"));
    let state = server.settled("/a");
    assert!(state["processors"].get("p").is_none() && state["processors"]["other"]["status"] == "active", "{state:#}");
    let answers_of_p = |server: &Server| {
        let pongs = server.log_of_type("/a", "pong");
        pongs.iter().filter(|pong| pong["source"]["slug"] == "p").map(|pong| pong["payload"]["to"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(answers_of_p(&server).len(), 1);
    server.deploy("/a", "p", "ping-pong", json!({}));
    let answered = server.append("/a", &event("ping"));
    let state = server.settled("/a");
    assert_eq!(state["processors"]["p"]["state"]["count"], 3, "a new processor folds the whole history");
    let answers = answers_of_p(&server);
    assert!(answers.len() == 2 && answers[1] == answered["offset"] && !answers.contains(&unanswered["offset"]), "{answers:?}");
}

#[test]
fn a_paused_stream_takes_no_upload() {
    let server = Server::start();
    server.append("/a", &event("stream/paused"));
    server.upload("/a", "p", &plugin("ping-pong"), json!({})).problem(412, "stream-paused");
    assert_eq!(server.state("/a")["processors"], json!({}));
}

#[test]
fn a_component_is_known_to_the_tenant_that_uploaded_it_and_to_no_other() {
    let server = Server::start();
    let digest = server.deploy("/a", "p", "ping-pong", json!({}))["payload"]["digest"].clone();
    let by_digest = configured(&json!({ "slug": "p", "component": { "digest": digest } })).to_string();
    server.tenant("acme").post("/a", by_digest).problem(422, "component-rejected");
    server.tenant("acme").deploy("/a", "p", "ping-pong", json!({}));
    server.tenant("acme").append("/a", &event("ping"));
    assert_eq!(server.tenant("acme").settled("/a")["processors"]["p"]["state"]["count"], 1);
    assert_eq!(server.settled("/a")["processors"]["p"]["state"]["count"], 0);
}
