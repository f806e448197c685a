//! `--compat iterate`: where that service answers differently, its clients get what they know.

use serde_json::{Value, json};

use crate::support::*;

const ALIAS: &str = "https://events.iterate.com/events/stream/";

fn start() -> Server {
    Server::start_with(&["--compat", "iterate"])
}

#[test]
fn built_in_types_carry_their_full_names_in_every_answer() {
    let server = start();
    let recorded = server.append("/a", &json!({ "type": "stream/metadata-updated", "payload": { "metadata": { "m": 1 } } }));
    assert_eq!(recorded["type"], format!("{ALIAS}metadata-updated"));
    assert_eq!(server.append("/a", &event("own"))["type"], "own");
    let expected = [format!("{ALIAS}initialized"), format!("{ALIAS}metadata-updated"), "own".to_owned()];
    assert_eq!(types(&server.log("/a")), expected);
    assert_eq!(types(&server.tail("/a", "?beforeOffset=end", &[]).rest()), expected);
    assert_eq!(server.state("/a")["metadata"], json!({ "m": 1 }));
    let headers = [("content-type", "application/wasm"), ("x-pelton-processor", r#"{"slug":"p"}"#)];
    let problem = server.send("POST", "/api/streams/a?wait=60", &headers, b"no wasm").problem(422, "component-rejected");
    assert_eq!(problem["outcome"]["type"], format!("{ALIAS}processor/rejected"));
}

#[test]
fn stored_types_are_the_same_in_either_way() {
    let mut server = start();
    server.append("/a", &json!({ "type": format!("{ALIAS}paused"), "payload": {} }));
    server.terminate();
    server.start_again_with(&[]);
    assert_eq!(types(&server.tenant("public").log("/a")), ["stream/initialized", "stream/paused"]);
}

#[test]
fn a_key_that_is_used_again_answers_with_the_stored_event() {
    let server = start();
    let first = server.append("/a", &json!({ "type": "x", "idempotencyKey": "k" }));
    assert_eq!(server.append("/a", &json!({ "type": "y", "payload": { "n": 1 }, "idempotencyKey": "k" })), first);
    let headers = [("idempotency-key", "k")];
    assert_eq!(server.send("POST", "/api/streams/a", &headers, br#"{"type":"z"}"#).ok()["event"], first);
    assert_eq!(server.state("/a")["eventCount"], 2);
}

#[test]
fn reading_begins_a_stream() {
    let server = start();
    let page: Vec<Value> = server.log("/a/b");
    assert_eq!(types(&page), [format!("{ALIAS}initialized")]);
    assert_eq!(server.state("/c")["eventCount"], 1);
    assert_eq!(server.tail("/d", "", &[]).take(1)[0]["type"], format!("{ALIAS}initialized"));
    assert_eq!(server.append("/a/b", &event("x"))["offset"], 2);
    server.get(&format!("/api/streams{}", "/a".repeat(33))).problem(400, "path-too-deep");

    let plain = Server::start();
    assert_eq!(plain.log("/a"), Vec::<Value>::new());
    assert_eq!(plain.state("/a")["eventCount"], 0);
}

#[test]
fn a_read_that_is_refused_begins_no_stream() {
    let server = start();
    let json = ("accept", "application/json");
    for (target, headers, status, code) in [
        ("a?afterOffset=x", &[json][..], 400, "bad-query"),
        ("a?limit=0", &[json], 400, "bad-query"),
        ("a?limit=1", &[("accept", "text/event-stream")], 400, "bad-query"),
        ("a?types=,", &[json], 400, "bad-query"),
        ("a?nonsense=1", &[json], 400, "bad-query"),
        ("a?afterPosition=1", &[json], 400, "bad-query"),
        ("a?incarnation=7", &[json], 409, "incarnation-changed"),
        ("a", &[json, ("last-event-id", "x")], 400, "bad-header"),
        ("a", &[("accept", "text/html")], 406, "not-acceptable"),
        ("a", &[("upgrade", "websocket")], 400, "bad-header"),
        ("__state/a?handled=0", &[json], 400, "bad-query"),
        ("__state/a?wait=61", &[json], 400, "bad-query"),
        ("__state/a?nonsense=1", &[json], 400, "bad-query"),
    ] {
        server.send("GET", &format!("/api/streams/{target}"), headers, b"").problem(status, code);
    }
    assert_eq!(server.get("/api/streams/__children/").ok(), json!([{ "path": "/" }]));
}

#[test]
fn types_are_found_by_either_name_and_so_everywhere() {
    for server in [start(), Server::start()] {
        server.append("/a", &json!({ "type": "stream/metadata-updated", "payload": { "metadata": {} } }));
        server.append("/a", &event("own"));
        let offsets_of = |types: &str| offsets(server.get(&format!("/api/streams/a?types={types}")).ok()["events"].as_array().unwrap());
        assert_eq!(offsets_of("stream/metadata-updated"), [2]);
        assert_eq!(offsets_of(&format!("{ALIAS}metadata-updated")), [2]);
        assert_eq!(offsets_of(&format!("{ALIAS}*,own")), [1, 2, 3]);
        assert_eq!(offsets_of("stream/*"), [1, 2]);
        assert_eq!(offsets_of("https://events.iterate.com/*"), [1, 2]);
        assert_eq!(offsets(&server.tail("/a", &format!("?beforeOffset=end&types={ALIAS}metadata-*"), &[]).rest()), [2]);
    }
}

#[test]
fn a_state_has_the_slices_of_the_built_in_processors() {
    let server = start();
    let empty = server.state("/empty");
    let expected = json!({
        "circuit-breaker": {
            "paused": false, "pauseReason": null, "pausedAt": null,
            "config": { "burstCapacity": 100, "refillRatePerMinute": 6000 },
            "availableTokens": empty["processors"]["circuit-breaker"]["availableTokens"],
            "lastRefillAtMs": empty["processors"]["circuit-breaker"]["lastRefillAtMs"],
        },
        "external-subscriber": { "subscribersBySlug": {} },
        "dynamic-worker": { "envVarsByKey": {}, "workersBySlug": {} },
        "jsonata-transformer": { "transformersBySlug": {} },
        "scheduler": {},
    });
    assert_eq!(empty["processors"], expected);

    let transformer = json!({ "slug": "t", "matcher": "false", "transform": "$" });
    let subscription = json!({ "slug": "s", "type": "webhook", "callbackUrl": "http://127.0.0.1:1/" });
    let schedule = json!({ "kind": "every", "intervalSeconds": 3600 });
    let tick = json!({ "type": "tick" });
    server.append_all(
        "/a",
        [
            json!({ "type": format!("{ALIAS}circuit-breaker/configured"), "payload": { "burstCapacity": 7, "refillRatePerMinute": 1 } }),
            json!({ "type": format!("{ALIAS}jsonata-transformer-configured"), "payload": transformer }),
            json!({ "type": format!("{ALIAS}subscription/configured"), "payload": subscription }),
            json!({ "type": format!("{ALIAS}schedule/configured"), "payload": { "slug": "r", "append": tick, "schedule": schedule } }),
            json!({ "type": format!("{ALIAS}paused"), "payload": { "reason": "why" } }),
        ],
    );
    server.post("/a", r#"{"type":"x"}"#).problem(412, "stream-paused");
    let state = server.state("/a");
    let slices = &state["processors"];
    let breaker = &slices["circuit-breaker"];
    assert_eq!((&breaker["paused"], &breaker["pauseReason"]), (&json!(true), &json!("why")), "{state:#}");
    assert_eq!(breaker["pausedAt"], state["pausedAt"]);
    assert_eq!(breaker["config"], json!({ "burstCapacity": 7, "refillRatePerMinute": 1 }));
    assert!(breaker["availableTokens"].as_i64() < Some(7) && breaker["lastRefillAtMs"].is_u64(), "{breaker}");
    assert_eq!(slices["jsonata-transformer"]["transformersBySlug"]["t"], transformer);
    assert_eq!(slices["external-subscriber"]["subscribersBySlug"]["s"], subscription);
    let scheduled = &slices["scheduler"]["r"];
    assert_eq!((&scheduled["callback"], &scheduled["schedule"], &scheduled["running"]), (&json!("append"), &schedule, &json!(false)));
    assert_eq!(serde_json::from_str::<Value>(scheduled["payloadJson"].as_str().unwrap()).unwrap(), tick);
    assert!(scheduled["nextRunAt"].is_u64() && scheduled["createdAt"].is_string(), "{scheduled}");

    let destroyed = server.send("DELETE", "/api/streams/a", &[], b"").ok();
    assert_eq!(destroyed["finalStateByPath"]["/a"]["finalState"]["processors"], *slices);
    assert_eq!(Server::start().state("/a")["processors"], json!({}), "nobody else sees them");
}

#[test]
fn a_processor_of_the_stream_is_beside_the_slices() {
    let server = start();
    let uploaded = server.upload("/a", "p", &plugin("ping-pong"), json!({ "config": { "script": "of its own" } })).ok();
    assert_eq!(uploaded["outcome"]["type"], format!("{ALIAS}processor/activated"));
    let processors = server.state("/a")["processors"].take();
    assert_eq!((&processors["p"]["status"], &processors["scheduler"]), (&json!("active"), &json!({})));
    assert_eq!(
        processors["dynamic-worker"]["workersBySlug"],
        json!({}),
        "a component is no program, whatever its configuration looks like"
    );
}

#[test]
fn who_names_no_tenant_is_public() {
    let server = start();
    let recorded = server.append("/a", &event("x"));
    assert_eq!(server.tenant("public").log("/a")[1], recorded);
    assert_eq!(server.state("/a")["projectSlug"], "public");
    let iterate = server.send("GET", "/api/streams/a", &[("x-iterate-project", "public"), ("accept", "application/json")], b"").ok();
    assert_eq!(iterate["events"][1], recorded);
}

#[test]
fn the_circuit_breaker_counts_what_everybody_appends() {
    let server = start();
    let burst: Value = vec![event("x"); 150].into();
    server.append_all("/a", burst.as_array().unwrap().clone());
    assert_eq!(server.log("/a").last().unwrap()["type"], format!("{ALIAS}paused"));
    server.post("/a", r#"{"type":"x"}"#).problem(412, "stream-paused");
}

#[test]
fn another_service_is_not_known() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_pelton")).args(["serve", "--compat", "other"]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("iterate"), "the possible values are told");
}
