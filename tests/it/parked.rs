//! A processor that cannot handle an event is parked at it, visibly, until somebody resumes, skips or replaces. It never stops
//! silently and never skips by itself.

use serde_json::{Value, json};

use crate::support::*;

/// A server where this plugin runs as `p` on `/a`, beside a processor that works.
fn with(name: &str, limits: Value) -> Server {
    let server = Server::start();
    server.deploy("/a", "works", "ping-pong", json!({}));
    server.deploy("/a", "p", name, json!({ "limits": limits }));
    server
}

/// Waits for the last park of `p` and checks all that it promises. Returns its payload.
#[track_caller]
fn parked_at(server: &Client, culprit: &Value, phase: &str, code: &str) -> Value {
    let parked = server.wait_for("/a", |event| {
        event["type"] == "stream/processor/parked"
            && event["payload"]["slug"] == "p"
            && event["offset"].as_u64() > culprit["offset"].as_u64()
    });
    let payload = parked["payload"].clone();
    assert_eq!((&payload["phase"], &payload["reason"]["code"]), (&json!(phase), &json!(code)), "{payload:#}");
    assert_eq!((&payload["streamPath"], &payload["atOffset"]), (&culprit["streamPath"], &culprit["offset"]), "{payload:#}");
    assert!(payload["reason"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{payload:#}");
    let ping = server.append("/a", &event("ping"));
    let state = server.settled("/a");
    assert_eq!(server.log_of_type("/a", "pong").last().unwrap()["payload"]["to"], ping["offset"], "the others go on");
    let p = &state["processors"]["p"];
    assert_eq!((&p["status"], &p["digest"], &p["parked"]["atOffset"]), (&json!("parked"), &payload["digest"], &culprit["offset"]), "{p:#}");
    assert_eq!(p["parked"]["reason"], payload["reason"]);
    server.append("/b", &event("another-stream-goes-on"));
    payload
}

fn resume(server: &Client, skip: bool) -> Value {
    server.append("/a", &json!({ "type": "stream/processor/resumed", "payload": { "slug": "p", "skip": skip } }))
}

/// Appends tick, culprit, tick; waits for the park; then resumes in vain, skips, and sees the second tick counted.
#[track_caller]
fn parks_in_reduce(name: &str, limits: Value, culprit: &str, code: &str) -> Value {
    let server = with(name, limits);
    let events = server.append_all("/a", [event("tick"), event(culprit), event("tick")]);
    let payload = parked_at(&server, &events[1], "reduce", code);
    let p = server.state("/a")["processors"]["p"].clone();
    assert_eq!(p["state"]["ticks"], 1, "the state is as it was before: {p:#}");
    assert_eq!(p["cursors"]["reduced"], events[1]["offset"], "{p:#}");

    let resumed = resume(&server, false);
    let again =
        server.wait_for("/a", |event| event["type"] == "stream/processor/parked" && event["offset"].as_u64() > resumed["offset"].as_u64());
    assert_eq!(again["payload"]["atOffset"], events[1]["offset"], "it tries again, and parks again");

    resume(&server, true);
    let state = server.settled("/a");
    let p = &state["processors"]["p"];
    assert!(p["status"] == "active" && p["state"]["ticks"] == 2 && p.get("parked").is_none_or(Value::is_null), "{p:#}");
    payload
}

#[test]
pub fn a_trap_in_reduce() {
    let payload = parks_in_reduce("trap-in-reduce", json!({}), "boom", "trap");
    assert!(payload["reason"]["location"].as_str().is_some_and(|backtrace| !backtrace.is_empty()), "where it trapped: {payload:#}");
}

#[test]
pub fn an_endless_loop_in_reduce() {
    parks_in_reduce("spin-in-reduce", json!({ "reduceFuelMax": 10_000_000 }), "boom", "out-of-fuel");
}

#[test]
pub fn memory_without_end() {
    parks_in_reduce("grow-memory", json!({ "memoryBytesMax": 32 << 20 }), "grow", "out-of-memory");
}

#[test]
pub fn a_state_over_the_limit() {
    parks_in_reduce("huge-state", json!({}), "grow", "state-too-large");
}

#[track_caller]
fn parks_in_after_append(name: &str, limits: Value, code: &str) {
    let attempts = limits["attemptsMax"].clone();
    let server = with(name, limits);
    let events = server.append_all("/a", [event("tick"), event("boom"), event("tick")]);
    let payload = parked_at(&server, &events[1], "after-append", code);
    assert_eq!(payload["attempts"], attempts);
    let p = server.state("/a")["processors"]["p"].clone();
    assert_eq!(p["cursors"]["acknowledged"], events[1]["offset"], "{p:#}");

    let resumed = resume(&server, false);
    let again =
        server.wait_for("/a", |event| event["type"] == "stream/processor/parked" && event["offset"].as_u64() > resumed["offset"].as_u64());
    assert_eq!(again["payload"]["atOffset"], events[1]["offset"], "it tries again, and parks again");

    resume(&server, true);
    let state = server.settled("/a");
    let p = &state["processors"]["p"];
    assert!(p["status"] == "active" && p["state"]["ticks"] == 2, "{p:#}");
}

#[test]
pub fn a_trap_in_after_append() {
    parks_in_after_append("trap-in-after-append", json!({ "attemptsMax": 2 }), "trap");
}

#[test]
pub fn an_endless_loop_in_after_append_runs_out_of_time() {
    parks_in_after_append("spin-in-after-append", json!({ "attemptsMax": 1, "afterAppendMillisMax": 100 }), "timeout");
}

#[test]
fn an_endless_loop_in_after_append_runs_out_of_fuel() {
    parks_in_after_append("spin-in-after-append", json!({ "attemptsMax": 1, "afterAppendFuelMax": 10_000_000 }), "out-of-fuel");
}

#[test]
fn an_error_is_recorded_in_its_own_words() {
    let server = with("effects", json!({ "attemptsMax": 1 }));
    let culprit = server.append("/a", &json!({ "type": "do", "payload": { "action": "fail", "message": "no more coffee" } }));
    let payload = parked_at(&server, &culprit, "after-append", "guest-error");
    assert!(payload["reason"]["message"].as_str().unwrap().contains("no more coffee"), "{payload:#}");
}

#[test]
fn a_park_outlasts_a_restart() {
    let mut server = with("trap-in-reduce", json!({}));
    let culprit = server.append("/a", &event("boom"));
    parked_at(&server, &culprit, "reduce", "trap");
    let before = server.settled("/a")["processors"]["p"].clone();
    server.kill_and_start_again();
    server.append("/a", &event("ping"));
    let after = server.settled("/a")["processors"]["p"].clone();
    for field in ["status", "parked", "state", "digest"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!(server.log_of_type("/a", "stream/processor/parked").len(), 1);
    server.append("/a", &event("tick"));
    resume(&server, true);
    assert_eq!(server.settled("/a")["processors"]["p"]["state"]["ticks"], 1);
    server.kill_and_start_again();
    assert_eq!(server.settled("/a")["processors"]["p"]["state"]["ticks"], 1, "what was skipped stays skipped");
}

#[test]
fn a_replacement_takes_over_at_the_event_that_the_parked_version_stopped_at() {
    let server = with("trap-in-after-append", json!({ "attemptsMax": 1 }));
    let culprit = server.append("/a", &event("boom"));
    parked_at(&server, &culprit, "after-append", "trap");
    let waiting = server.append("/a", &json!({ "type": "do", "payload": { "action": "append", "type": "done" } }));
    server.deploy("/a", "p", "effects", json!({}));
    let done = server.wait_for("/a", |event| event["type"] == "done");
    assert_eq!(done["source"]["offset"], waiting["offset"]);
    assert_eq!(server.settled("/a")["processors"]["p"]["status"], "active");
}

#[test]
fn one_parked_processor_of_many_is_resumed_alone() {
    let server = with("trap-in-reduce", json!({}));
    server.deploy("/a", "q", "trap-in-reduce", json!({}));
    server.append("/a", &event("boom"));
    server.append("/a", &event("tick"));
    for slug in ["p", "q"] {
        server.wait_for("/a", |event| event["type"] == "stream/processor/parked" && event["payload"]["slug"] == slug);
    }
    resume(&server, true);
    let state = server.settled("/a");
    assert_eq!((&state["processors"]["p"]["status"], &state["processors"]["q"]["status"]), (&json!("active"), &json!("parked")));
}

#[test]
fn resuming_what_is_not_parked_changes_nothing() {
    let server = with("trap-in-reduce", json!({}));
    server.append("/a", &event("tick"));
    resume(&server, true);
    server.append("/a", &json!({ "type": "stream/processor/resumed", "payload": { "slug": "nobody" } }));
    server.append("/a", &event("tick"));
    assert_eq!(server.settled("/a")["processors"]["p"]["state"]["ticks"], 2);
}

#[test]
fn what_piled_up_is_acted_on_as_the_configuration_says() {
    let server = Server::start();
    for (stream, catch_up, acted_on) in [
        ("/all", json!("all"), vec![1, 2, 3, 4]),
        ("/latest", json!("latest"), vec![3, 4]),
        ("/young", json!({ "maxAgeSeconds": 3600 }), vec![1, 2, 3, 4]),
    ] {
        server.deploy(stream, "p", "effects", json!({ "consumes": ["do"], "catchUp": catch_up, "limits": { "attemptsMax": 1 } }));
        server.append(stream, &json!({ "type": "do", "payload": { "action": "fail" } }));
        server.wait_for(stream, |event| event["type"] == "stream/processor/parked");
        let append = |n: u64| json!({ "type": "do", "payload": { "action": "append", "type": "x", "payload": { "n": n } } });
        server.append_all(stream, (1..=3).map(append));
        server.append(stream, &json!({ "type": "stream/processor/resumed", "payload": { "slug": "p", "skip": true } }));
        server.settled(stream);
        server.append(stream, &append(4));
        let state = server.settled(stream);
        assert_eq!(state["processors"]["p"]["state"]["events"], 5, "{stream}: every event is reduced");
        let found: Vec<_> = server.log_of_type(stream, "x").iter().map(|event| event["payload"]["n"].as_u64().unwrap()).collect();
        assert_eq!(found, acted_on, "{stream}");
    }
}
