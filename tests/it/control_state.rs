//! What is configured on one stream is bounded, whoever configures it, and a stream that is full still works.

use serde_json::{Value, json};

use crate::support::*;

const SCHEDULE: &str = "stream/schedule/configured";
const CODE: &str = "control-state-too-large";

/// Of more than a tenth of what a stream may have.
fn large(slug: &str) -> Value {
    let append = json!({ "type": "x", "payload": { "text": "x".repeat(900_000) } });
    json!({ "slug": slug, "append": append, "schedule": { "kind": "once-in", "delaySeconds": 1_000_000 } })
}

fn large_event(slug: &str) -> Value {
    json!({ "type": SCHEDULE, "payload": large(slug) })
}

/// Fills a stream until nothing large fits any more.
fn fill(server: &Client, stream: &str) {
    for slug in ["s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"] {
        server.append(stream, &large_event(slug));
    }
}

#[test]
fn a_stream_takes_so_much_configuration_and_no_more() {
    let mut server = Server::start();
    fill(&server, "/a");
    let before = server.state("/a")["eventCount"].clone();
    let problem = server.post("/a", large_event("more").to_string()).problem(409, CODE);
    assert_eq!(problem["max"], 8_388_608);
    assert!(problem["found"].as_u64() > Some(8_388_608), "{problem:#}");
    mentions(problem["detail"].as_str().unwrap(), &["/a", "remove processors"]);
    let scheduled = json!({ "type": "stream/append-scheduled", "payload": large("more") });
    server.post("/a", scheduled.to_string()).problem(409, CODE);
    assert_eq!(server.state("/a")["eventCount"], before);

    server.append("/b", &large_event("elsewhere"));
    server.kill_and_start_again();
    server.append("/a", &event("x"));
    server.append("/a", &event("stream/paused"));
    server.append("/a", &json!({ "type": "stream/schedule/cancelled", "payload": { "slug": "s1" } }));
    server.append("/a", &event("stream/resumed"));
    server.append("/a", &large_event("more"));
}

#[test]
fn who_reacts_to_events_is_refused_the_same() {
    let server = Server::start();
    server.deploy("/a", "p", "effects", json!({ "consumes": ["do"], "limits": { "attemptsMax": 1 } }));
    let transformer =
        json!({ "slug": "t", "matcher": "type = 'grow'", "transform": "{ 'type': payload.type, 'payload': payload.payload }" });
    server.append("/a", &json!({ "type": "stream/jsonata-transformer-configured", "payload": transformer }));
    fill(&server, "/a");

    server.append("/a", &json!({ "type": "grow", "payload": large_event("by-transformer") }));
    let error = server.wait_for("/a", |event| event["type"] == "stream/error-occurred");
    mentions(error["payload"]["message"].as_str().unwrap(), &["control state", "remove processors"]);

    let mut action = large_event("by-processor");
    action["action"] = json!("append");
    server.append("/a", &json!({ "type": "do", "payload": action }));
    let parked = server.wait_for("/a", |event| event["type"] == "stream/processor/parked");
    mentions(parked["payload"]["reason"]["message"].as_str().unwrap(), &["control state", "remove processors"]);

    server.append("/a", &json!({ "type": "stream/schedule/cancelled", "payload": { "slug": "s1" } }));
    server.append("/a", &json!({ "type": "stream/schedule/cancelled", "payload": { "slug": "s2" } }));
    let schedule = json!({ "kind": "once-at", "at": "2020-01-01T00:00:00Z" });
    // What it appends is as large as it is itself, and the first of the two has to fit.
    server.append("/a", &large_event("s1"));
    server.append(
        "/a",
        &json!({ "type": SCHEDULE, "payload": { "slug": "late", "append": large_event("by-schedule"), "schedule": schedule } }),
    );
    let finished = server.wait_for("/a", |event| event["type"] == "stream/schedule/internal/execution-finished");
    assert_eq!(finished["payload"]["outcome"], "failed");
    mentions(finished["payload"]["reason"].as_str().unwrap(), &["control state", "remove processors"]);

    server.append("/a", &json!({ "type": "stream/processor/resumed", "payload": { "slug": "p", "skip": true } }));
    server.append("/a", &json!({ "type": "do", "payload": { "action": "append", "type": "y" } }));
    server.wait_for("/a", |event| event["type"] == "y");
}
