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
