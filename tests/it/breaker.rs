//! The circuit breaker pauses a stream that gets too much, visibly, until somebody resumes it.

use serde_json::json;

use crate::support::*;

#[test]
fn a_processor_that_answers_itself_for_ever_is_stopped_by_a_pause() {
    let server = Server::start();
    server.deploy("/a", "p", "effects", json!({}));
    server.append("/a", &json!({ "type": "do", "payload": { "action": "loop" } }));
    let paused = server.wait_for("/a", |event| event["type"] == "stream/paused");
    assert!(
        paused["payload"]["reason"]
            .as_str()
            .unwrap()
            .starts_with("circuit breaker: burst rate limit exceeded (100 at once, 6000 a minute)")
    );
    server.post("/a", r#"{"type":"x"}"#).problem(412, "stream-paused");
    let state = server.state("/a");
    assert_eq!((&state["paused"], &state["circuitBreaker"]["configured"]), (&json!(true), &json!(false)));
}

#[test]
fn what_comes_from_outside_is_counted_where_the_stream_configures_it() {
    let server = Server::start();
    server.append_all("/a", vec![event("x"); 1_000]);
    let configured = json!({ "type": "stream/circuit-breaker/configured", "payload": { "burstCapacity": 5, "refillRatePerMinute": 1 } });
    server.append("/a", &configured);
    assert_eq!(server.append_all("/a", vec![event("x"); 5]).len(), 5);
    assert_eq!(server.append_all("/a", vec![event("x"); 2]).len(), 2, "what trips is recorded whole");
    let log = server.log("/a");
    assert_eq!(types(&log[log.len() - 3..]), ["x", "x", "stream/paused"]);
    server.post("/a", r#"{"type":"x"}"#).problem(412, "stream-paused");
    server.append("/a", &event("stream/resumed"));
    assert_eq!(server.append_all("/a", vec![event("x"); 5]).len(), 5, "a resume begins with a full bucket");
    assert_eq!(server.state("/a")["circuitBreaker"], json!({ "burstCapacity": 5, "refillRatePerMinute": 1, "configured": true }));
}

#[test]
fn the_configuration_and_what_was_counted_survive_kill_9() {
    let mut server = Server::start();
    let configured = json!({ "type": "stream/circuit-breaker/configured", "payload": { "burstCapacity": 3, "refillRatePerMinute": 1 } });
    server.append("/a", &configured);
    server.append_all("/a", vec![event("x"); 3]);
    server.kill_and_start_again();
    server.append("/a", &event("x"));
    assert_eq!(types(&server.log("/a")).last(), Some(&"stream/paused"));
}

#[test]
fn a_repeat_of_a_known_key_is_not_counted() {
    let server = Server::start();
    let configured = json!({ "type": "stream/circuit-breaker/configured", "payload": { "burstCapacity": 1, "refillRatePerMinute": 1 } });
    server.append("/a", &configured);
    for _ in 0..3 {
        server.append("/a", &json!({ "type": "x", "idempotencyKey": "k" }));
    }
    assert_eq!(server.state("/a")["paused"], false);
}

#[test]
fn a_breaker_that_makes_no_sense_is_an_invalid_event() {
    let server = Server::start();
    for (payload, problem) in [
        (json!({ "burstCapacity": 0, "refillRatePerMinute": 1 }), "payload.burstCapacity: invalid value: integer `0`"),
        (json!({ "burstCapacity": 1 }), "payload: missing field `refillRatePerMinute`"),
        (json!({ "burstCapacity": -1.5, "refillRatePerMinute": 1 }), "payload.burstCapacity: invalid type: floating point `-1.5`"),
    ] {
        let recorded = server.append("/a", &json!({ "type": "stream/circuit-breaker/configured", "payload": payload }));
        assert_eq!(recorded["type"], "stream/invalid-event-appended");
        assert!(recorded["payload"]["error"].as_str().unwrap().starts_with(problem), "{recorded}");
    }
}
