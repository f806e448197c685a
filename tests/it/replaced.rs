//! A new version of a processor takes over where the old one was; a broken one never does.

use serde_json::{Value, json};

use crate::support::*;

fn told(action: &str, more: Value) -> Value {
    let mut payload = more;
    payload["action"] = json!(action);
    json!({ "type": "do", "payload": payload })
}

#[test]
pub fn a_new_version_folds_the_whole_history_repeats_no_effect_and_goes_on() {
    let server = Server::start();
    server.append_all("/a", [event("early"), event("early")]);
    server.deploy("/a", "p", "effects", json!({}));
    for n in 0..3 {
        server.append("/a", &told("append", json!({ "type": "x", "payload": { "n": n } })));
    }
    let before = server.settled("/a");
    assert_eq!(before["processors"]["p"]["state"]["byType"]["x"], 3);
    assert_eq!(before["processors"]["p"]["state"]["events"], before["eventCount"]);
    let length = before["eventCount"].as_u64().unwrap();

    let activated = server.deploy("/a", "p", "counter-v2", json!({}));
    let state = server.settled("/a");
    let p = &state["processors"]["p"];
    assert_eq!(p["state"], json!({ "total": length + 2 }), "all of the history, with its own two events");
    assert_eq!((&p["digest"], &p["manifest"]["version"]), (&activated["payload"]["digest"], &json!("2.0.0")));
    assert_ne!(p["digest"], before["processors"]["p"]["digest"]);
    let told_now = server.append("/a", &told("append", json!({ "type": "x" })));
    let did = server.wait_for("/a", |event| event["type"] == "did");
    assert_eq!(did["payload"], json!({ "to": told_now["offset"], "total": told_now["offset"] }));
    assert_eq!(did["source"]["digest"], p["digest"]);
    server.settled("/a");
    assert_eq!((server.log_of_type("/a", "x").len(), server.log_of_type("/a", "did").len()), (3, 1));
}

#[test]
fn a_broken_replacement_leaves_the_running_version_working() {
    let server = Server::start();
    let running = server.deploy("/a", "p", "ping-pong", json!({}))["payload"]["digest"].clone();
    for broken in ["core-module", "wrong-world", "undeclared-import", "trap-in-describe"] {
        let problem = server.upload("/a", "p", &plugin(broken), json!({})).problem(422, "component-rejected");
        assert_eq!(problem["outcome"]["payload"]["running"], true, "{broken}: {problem:#}");
        let ping = server.append("/a", &event("ping"));
        let pong = server.wait_for("/a", |event| event["type"] == "pong" && event["payload"]["to"] == ping["offset"]);
        assert_eq!(pong["source"]["digest"], running);
        let p = &server.settled("/a")["processors"]["p"];
        assert_eq!((&p["status"], &p["digest"]), (&json!("active"), &running), "{broken}");
        assert_eq!(p["rejected"]["reason"]["code"], problem["reason"]["code"], "the state tells of the rejection too: {p:#}");
    }
    assert_eq!(server.settled("/a")["processors"]["p"]["state"]["count"], 4);
}

#[test]
fn a_replacement_that_cannot_fold_the_history_is_rejected_with_the_place() {
    let server = Server::start();
    let running = server.deploy("/a", "p", "ping-pong", json!({}))["payload"]["digest"].clone();
    server.append("/a", &event("tick"));
    let boom = server.append("/a", &event("boom"));
    server.settled("/a");
    let problem = server.upload("/a", "p", &plugin("trap-in-reduce"), json!({})).problem(422, "component-rejected");
    assert_eq!(problem["reason"]["code"], "trap");
    assert!(problem["reason"]["message"].as_str().unwrap().contains(&format!("offset {}", boom["offset"])), "{problem:#}");
    server.append("/a", &event("ping"));
    let p = &server.settled("/a")["processors"]["p"];
    assert_eq!((&p["status"], &p["digest"], &p["state"]["count"]), (&json!("active"), &running, &json!(1)));
}

#[test]
fn what_the_old_version_passed_over_is_history_to_the_new_one() {
    let server = Server::start();
    server.deploy("/a", "p", "ping-pong", json!({}));
    server.append("/a", &told("log", json!({ "message": "not for ping-pong" })));
    let before = server.settled("/a");
    assert_eq!(before["processors"]["p"]["cursors"]["acknowledged"], before["eventCount"].as_u64().unwrap() + 1);
    server.deploy("/a", "p", "counter-v2", json!({}));
    let now = server.append("/a", &told("log", json!({ "message": "for counter-v2" })));
    server.settled("/a");
    let did: Vec<_> = server.log_of_type("/a", "did").iter().map(|did| did["payload"]["to"].clone()).collect();
    assert_eq!(did, [now["offset"].clone()]);
}

#[test]
fn a_replacement_keeps_its_scope() {
    let server = Server::start();
    server.deploy("/a", "p", "ping-pong", json!({}));
    let problem = server.upload("/a", "p", &plugin("ping-pong"), json!({ "includeChildren": true })).problem(422, "component-rejected");
    assert_eq!(problem["reason"]["code"], "scope-changed");
}

#[test]
fn another_configuration_is_another_version() {
    let server = Server::start();
    for n in 1..=2 {
        let config = json!({ "n": n, "exact": "1.10" });
        server.deploy("/a", "p", "effects", json!({ "config": config }));
        server.append("/a", &told("show-config", json!({})));
        server.settled("/a");
        assert_eq!(server.log_of_type("/a", "config").last().unwrap()["payload"], json!({ "slug": "p", "config": config }));
    }
    assert_eq!(server.log_of_type("/a", "config").len(), 2);
}

#[test]
fn a_replacement_amid_a_storm_loses_and_doubles_nothing() {
    let server = Server::start();
    server.without_breaker("/a");
    server.deploy("/a", "p", "ping-pong", json!({ "config": { "version": 0 } }));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..100).for_each(|_| drop(server.append("/a", &event("ping")))));
        }
        for version in 1..=3 {
            server.deploy("/a", "p", "ping-pong", json!({ "config": { "version": version } }));
        }
    });
    assert_eq!(server.settled("/a")["processors"]["p"]["state"]["count"], 200);
    let pings: Vec<_> = server.log_of_type("/a", "ping").iter().map(|ping| ping["offset"].clone()).collect();
    let answered: Vec<_> = server.log_of_type("/a", "pong").iter().map(|pong| pong["payload"]["to"].clone()).collect();
    assert_eq!(answered, pings, "one each, in order");
}

#[test]
fn of_uploads_in_quick_succession_the_last_one_wins() {
    let mut server = Server::start();
    let wasm_type = [("content-type", "application/wasm")];
    for name in ["effects", "ping-pong", "counter-v2"] {
        server.send("POST", "/api/streams/a?slug=p&wait=0", &wasm_type, &plugin(name)).ok();
    }
    server.kill_and_start_again();
    // What was there before a version took over from one that did not want it is not acted on again.
    server.wait_for("/a", |event| event["type"] == "stream/processor/activated" && event["payload"]["manifest"]["version"] == "2.0.0");
    server.append("/a", &told("log", json!({ "message": "hello" })));
    server.wait_for("/a", |event| event["type"] == "did");
    let p = &server.settled("/a")["processors"]["p"];
    assert_eq!((&p["status"], &p["manifest"]["version"]), (&json!("active"), &json!("2.0.0")));
    assert!(p.get("pending").is_none_or(Value::is_null), "{p:#}");
}

#[test]
fn a_kill_amid_a_replacement_ends_in_the_new_version() {
    let mut server = Server::start();
    server.append_all("/a", vec![event("tick"); 2000]);
    server.deploy("/a", "p", "effects", json!({}));
    server.append("/a", &told("append", json!({ "type": "x" })));
    server.settled("/a");
    server.send("POST", "/api/streams/a?slug=p&wait=0", &[("content-type", "application/wasm")], &plugin("counter-v2")).ok();
    server.kill_and_start_again();
    server.wait_for("/a", |event| event["type"] == "stream/processor/activated" && event["payload"]["manifest"]["version"] == "2.0.0");
    let state = server.settled("/a");
    assert_eq!(state["processors"]["p"]["state"]["total"], state["eventCount"]);
    assert_eq!((server.log_of_type("/a", "x").len(), server.log_of_type("/a", "did").len()), (1, 0));
}

#[test]
fn going_back_to_an_older_version_is_one_more_replacement() {
    let server = Server::start();
    let first = server.deploy("/a", "p", "effects", json!({}))["payload"]["digest"].clone();
    server.deploy("/a", "p", "counter-v2", json!({}));
    let by_digest = json!({ "type": "stream/processor/configured", "payload": { "slug": "p", "component": { "digest": first } } });
    server.append("/a", &by_digest);
    let state = server.settled("/a");
    let p = &state["processors"]["p"];
    assert_eq!((&p["digest"], &p["state"]["events"]), (&first, &state["eventCount"]));
    assert_eq!(server.log_of_type("/a", "stream/processor/activated").len(), 3);
}
