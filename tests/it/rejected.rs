//! A component that cannot run is rejected with a reason that its author can act on, and disturbs nobody.

use serde_json::{Value, json};

use crate::support::*;

/// Uploads a component beside a processor that works, and checks all that a rejection promises. Returns the reason.
#[track_caller]
fn rejected(component: &[u8]) -> Value {
    let server = Server::start();
    server.deploy("/a", "works", "ping-pong", json!({}));
    let problem = server.upload("/a", "p", component, json!({})).problem(422, "component-rejected");
    check_rejection(&server, &problem);
    problem["reason"].clone()
}

/// The rejection of slug `p` is in the answer, the log and the state, and the processor `works` of the stream goes on.
#[track_caller]
fn check_rejection(server: &Client, problem: &Value) {
    let reason = &problem["reason"];
    assert!(reason["message"].as_str().is_some_and(|message| !message.is_empty()), "{problem:#}");
    let rejected = &problem["outcome"];
    assert_eq!(rejected["type"], "stream/processor/rejected");
    assert_eq!(problem["event"]["type"], "stream/processor/configured");
    assert_eq!(rejected["payload"]["configuredOffset"], problem["event"]["offset"]);
    assert_eq!(rejected["payload"]["slug"], "p");
    assert_eq!(rejected["payload"]["digest"], problem["event"]["payload"]["component"]["digest"]);
    assert_eq!(rejected["payload"]["running"], false);
    for field in ["code", "message", "expected", "found"] {
        assert_eq!(rejected["payload"]["reason"][field], reason[field], "{field}");
    }
    assert_eq!(server.log_of_type("/a", "stream/processor/rejected"), std::slice::from_ref(rejected));
    let ping = server.append("/a", &event("ping"));
    let state = server.settled("/a");
    let p = &state["processors"]["p"];
    assert_eq!((&p["status"], &p["digest"]), (&json!("rejected"), &rejected["payload"]["digest"]), "{state:#}");
    assert_eq!(p["rejected"]["reason"]["code"], reason["code"], "{state:#}");
    assert_eq!(server.log("/a").last().unwrap()["payload"]["to"], ping["offset"]);
    server.append("/b", &event("another-stream-goes-on"));
}

#[track_caller]
fn assert_mentions(reason: &Value, code: &str, expected: &str, found: &str) {
    assert_eq!(reason["code"], code, "{reason:#}");
    for (field, part) in [("expected", expected), ("found", found)] {
        assert!(part.is_empty() || reason[field].as_str().is_some_and(|text| text.contains(part)), "{field} without {part:?}: {reason:#}");
    }
}

#[test]
fn what_is_not_wasm() {
    assert_mentions(&rejected(b"#!/bin/sh\necho hello"), "not-wasm", "component", "#!/bin/sh");
    assert_mentions(&rejected(b"\x1f\x8b\x08\x00\x00"), "not-wasm", "component", "gzip");
    assert_mentions(&rejected(b""), "not-wasm", "component", "nothing");
}

#[test]
fn a_torn_component() {
    let component = plugin("ping-pong");
    assert_mentions(&rejected(&component[..component.len() / 2]), "malformed-component", "", "");
    let mut flipped = component.clone();
    for byte in &mut flipped[component.len() / 3..component.len() / 3 + 64] {
        *byte = !*byte;
    }
    assert_mentions(&rejected(&flipped), "malformed-component", "", "");
}

#[test]
pub fn a_core_module() {
    let reason = rejected(&plugin("core-module"));
    assert_mentions(&reason, "core-module", "component", "module");
    assert!(reason["message"].as_str().unwrap().contains("wasm-tools component new"), "says what to do: {reason:#}");
}

#[test]
pub fn a_component_of_another_world() {
    assert_mentions(&rejected(&plugin("wrong-world")), "wrong-world", "pelton:processor/processor", "greet");
}

#[test]
pub fn a_component_of_another_version_of_the_contract() {
    let reason = rejected(&plugin("other-contract"));
    assert_mentions(&reason, "other-contract", "pelton:processor@0.1", "pelton:processor@0.2.0");
    assert!(reason["message"].as_str().unwrap().contains("this host speaks pelton:processor@0.1; build it with the SDK"), "{reason:#}");
}

#[test]
pub fn a_component_that_imports_what_is_not_granted() {
    assert_mentions(&rejected(&plugin("undeclared-import")), "forbidden-import", "pelton:processor", "evil:corp/secrets@1.0.0");
}

#[test]
pub fn a_component_that_traps_in_describe() {
    assert_mentions(&rejected(&plugin("trap-in-describe")), "trap", "", "");
}

#[test]
pub fn a_component_that_never_returns_from_describe() {
    assert_mentions(&rejected(&plugin("spin-in-describe")), "out-of-fuel", "", "");
}

#[test]
fn a_digest_that_nobody_uploaded() {
    let server = Server::start();
    server.deploy("/a", "works", "ping-pong", json!({}));
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let configured = json!({ "type": "stream/processor/configured", "payload": { "slug": "p", "component": { "digest": digest } } });
    let problem = server.post("/a", configured.to_string()).problem(422, "component-rejected");
    check_rejection(&server, &problem);
    assert_mentions(&problem["reason"], "unknown-component", "digest", &digest);
}

#[test]
fn a_rejected_slug_can_be_deployed_again() {
    let mut server = Server::start();
    server.upload("/a", "p", &plugin("core-module"), json!({})).problem(422, "component-rejected");
    server.kill_and_start_again();
    assert_eq!(server.state("/a")["processors"]["p"]["status"], "rejected", "a restart does not try again");
    assert_eq!(server.log_of_type("/a", "stream/processor/rejected").len(), 1);
    server.deploy("/a", "p", "ping-pong", json!({}));
    server.append("/a", &event("ping"));
    let p = &server.settled("/a")["processors"]["p"];
    assert!(p["status"] == "active" && p["state"]["count"] == 1 && p.get("rejected").is_none_or(Value::is_null), "{p:#}");
}

#[test]
fn the_same_bad_component_again_is_rejected_again() {
    let server = Server::start();
    for nth in 1..=2 {
        server.upload("/a", "p", &plugin("core-module"), json!({})).problem(422, "component-rejected");
        assert_eq!(server.log_of_type("/a", "stream/processor/rejected").len(), nth);
    }
}

#[test]
fn configurations_that_do_not_fit_are_kept_as_invalid_events() {
    let server = Server::start();
    let digest = json!({ "digest": format!("sha256:{}", "0".repeat(64)) });
    for payload in [
        json!({ "slug": "p" }),
        json!({ "component": digest }),
        json!({ "slug": "no slug", "component": digest }),
        json!({ "slug": "p", "component": "no base64!" }),
        json!({ "slug": "p", "component": { "digest": "sha256:short" } }),
        json!({ "slug": "p", "component": digest, "unknown": 1 }),
        json!({ "slug": "p", "component": digest, "effectsFrom": "never" }),
        json!({ "slug": "p", "component": digest, "limits": { "unknown": 1 } }),
        json!({ "slug": "p", "component": digest, "config": [] }),
    ] {
        let recorded = server.append("/a", &json!({ "type": "stream/processor/configured", "payload": payload }));
        assert_eq!(recorded["type"], "stream/invalid-event-appended", "{payload}");
        assert!(recorded["payload"]["error"].as_str().unwrap().starts_with("payload"), "{recorded:#}");
    }
    assert_eq!(server.state("/a")["processors"], json!({}));
}
