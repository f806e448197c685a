//! What is scheduled is appended at its time, once, also when the host was down or the stream paused meanwhile.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::*;

const CONFIGURED: &str = "stream/schedule/configured";
const STARTED: &str = "stream/schedule/internal/execution-started";
const FINISHED: &str = "stream/schedule/internal/execution-finished";

fn every(seconds: u64) -> Value {
    json!({ "kind": "every", "intervalSeconds": seconds })
}

fn configure(server: &Client, stream: &str, slug: &str, schedule: &Value, more: Value) -> Value {
    let mut payload = json!({ "slug": slug, "append": { "type": "tick", "payload": { "by": slug } }, "schedule": schedule });
    payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let recorded = server.append(stream, &json!({ "type": CONFIGURED, "payload": payload }));
    assert_eq!(recorded["type"], CONFIGURED, "{recorded:#}");
    recorded
}

/// The instants of the executions that the log tells of, in milliseconds.
fn scheduled_at(log: &[Value]) -> Vec<u64> {
    let finished = log.iter().filter(|event| event["type"] == FINISHED);
    finished.map(|event| millis(&event["payload"]["scheduledAt"])).collect()
}

fn millis(instant: &Value) -> u64 {
    let text = instant.as_str().unwrap();
    let at: jiff::Timestamp = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    u64::try_from(at.as_millisecond()).unwrap()
}

/// Waits for the clock, where there is nothing else to wait for: the server is down.
fn wait_until(millis: u64) {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
    while let Ok(left) = at.duration_since(SystemTime::now()) {
        std::thread::sleep(left);
    }
}

#[track_caller]
fn assert_each_tick_once(log: &[Value]) {
    let mut keys: Vec<_> =
        log.iter().filter(|event| event["type"] == "tick").map(|event| event["idempotencyKey"].as_str().unwrap()).collect();
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count, "a tick fired twice");
}

#[test]
fn once_reads_append_scheduled_configured_target_finished() {
    let server = Server::start();
    let payload = json!({ "slug": "s", "append": { "type": "tick" }, "schedule": { "kind": "once-in", "delaySeconds": 1 } });
    let scheduled = server.append("/a", &json!({ "type": "stream/append-scheduled", "payload": payload }));
    let finished = server.wait_for("/a", |event| event["type"] == FINISHED);
    let log = server.log("/a");
    assert_eq!(types(&log), ["stream/initialized", "stream/append-scheduled", CONFIGURED, "tick", FINISHED]);
    assert_eq!(millis(&log[2]["payload"]["nextRunAt"]), millis(&scheduled["createdAt"]) + 1000);
    assert!(millis(&log[3]["createdAt"]) >= millis(&log[2]["payload"]["nextRunAt"]));
    assert_eq!((&finished["payload"]["outcome"], &finished["payload"]["nextRunAt"]), (&json!("succeeded"), &Value::Null));
    assert_eq!(server.state("/a").get("schedules"), None, "it has ended");
}

#[test]
fn every_reads_configured_and_then_started_target_finished_again_and_again() {
    let server = Server::start();
    let configured = configure(&server, "/a", "s", &every(1), json!({}));
    let mut tail = server.tail("/a", "", &[]);
    let log = tail.take(2 + 3 * 3);
    assert_eq!(
        types(&log),
        ["stream/initialized", CONFIGURED, STARTED, "tick", FINISHED, STARTED, "tick", FINISHED, STARTED, "tick", FINISHED]
    );
    let start = millis(&configured["createdAt"]);
    assert_eq!(scheduled_at(&log), [start + 1000, start + 2000, start + 3000], "no drift");
    for (started, finished) in [(2, 4), (5, 7), (8, 10)] {
        assert_eq!(log[started]["payload"]["scheduledAt"], log[finished]["payload"]["scheduledAt"]);
        assert_eq!(millis(&log[finished]["payload"]["nextRunAt"]), millis(&log[finished]["payload"]["scheduledAt"]) + 1000);
    }
    let state = server.state("/a");
    assert!(state["schedules"]["s"]["runs"].as_u64() >= Some(3), "{state:#}");
    assert_eq!(state["schedules"]["s"]["schedule"], every(1));
    assert_each_tick_once(&log);
}

#[test]
fn cron_reads_configured_and_then_target_finished_again_and_again() {
    let server = Server::start();
    configure(&server, "/a", "s", &json!({ "kind": "cron", "cron": "* * * * * *", "timeZone": "Europe/Berlin" }), json!({}));
    let log = server.tail("/a", "", &[]).take(6);
    assert_eq!(types(&log), ["stream/initialized", CONFIGURED, "tick", FINISHED, "tick", FINISHED]);
    let at = scheduled_at(&log);
    assert!(at[0].is_multiple_of(1000) && at[1] == at[0] + 1000, "{at:?}");
}

#[test]
fn once_at_in_the_past_fires_at_once() {
    let server = Server::start();
    configure(&server, "/a", "s", &json!({ "kind": "once-at", "at": "2020-01-01T00:00:00+02:00" }), json!({}));
    let finished = server.wait_for("/a", |event| event["type"] == FINISHED);
    assert_eq!(finished["payload"]["scheduledAt"], "2019-12-31T22:00:00.000Z");
    assert_eq!(server.log_of_type("/a", "tick")[0]["idempotencyKey"], "schedule/s/2019-12-31T22:00:00.000Z");
}

#[test]
fn a_tick_that_was_due_while_the_host_was_down_fires_once_after_the_start() {
    let mut server = Server::start();
    let configured = configure(&server, "/a", "s", &json!({ "kind": "once-in", "delaySeconds": 1 }), json!({}));
    server.kill();
    wait_until(millis(&configured["createdAt"]) + 1100);
    server.start_again();
    server.wait_for("/a", |event| event["type"] == FINISHED);
    server.kill_and_start_again();
    configure(&server, "/a", "next", &json!({ "kind": "once-in", "delaySeconds": 1 }), json!({}));
    server.wait_for("/a", |event| event["type"] == FINISHED && event["payload"]["slug"] == "next");
    let log = server.log("/a");
    assert_eq!(types(&log), ["stream/initialized", CONFIGURED, "tick", FINISHED, CONFIGURED, "tick", FINISHED]);
}

#[test]
fn kill_9_between_ticks_loses_and_doubles_none() {
    let mut server = Server::start();
    let configured = configure(&server, "/a", "s", &every(1), json!({ "missed": "all" }));
    for count in [2, 4, 6] {
        let mut tail = server.tail("/a", "", &[]);
        tail.take(2 + 3 * count);
        server.kill_and_start_again();
    }
    let log = server.tail("/a", "", &[]).take(2 + 3 * 8);
    let start = millis(&configured["createdAt"]);
    assert_eq!(scheduled_at(&log), (1..=8).map(|n| start + n * 1000).collect::<Vec<_>>());
    assert_each_tick_once(&log);
}

#[test]
fn missed_ticks_become_one_or_all_as_configured() {
    let mut server = Server::start();
    let configured = configure(&server, "/one", "s", &every(1), json!({ "missed": "one" }));
    configure(&server, "/all", "s", &every(1), json!({ "missed": "all" }));
    server.kill();
    let start = millis(&configured["createdAt"]);
    wait_until(start + 5_200);
    server.start_again();
    let one = scheduled_at(&server.tail("/one", "", &[]).take(2 + 3 * 2));
    assert!(one[0] >= start + 5_000, "all that were missed became one: {start} {one:?}");
    assert_eq!(one[1], one[0] + 1000);
    let all = scheduled_at(&server.tail("/all", "", &[]).take(2 + 3 * 5));
    assert!(all.windows(2).all(|pair| pair[1] == pair[0] + 1000) && all[0] <= start + 2_000, "{all:?}");
}

#[test]
fn skip_passes_over_what_is_late_and_says_so() {
    let server = Server::start();
    configure(&server, "/a", "s", &json!({ "kind": "once-at", "at": "2020-01-01T00:00:00Z" }), json!({ "missed": "skip" }));
    let finished = server.wait_for("/a", |event| event["type"] == FINISHED);
    assert_eq!(finished["payload"]["outcome"], "skipped");
    assert_eq!(types(&server.log("/a")), ["stream/initialized", CONFIGURED, FINISHED]);
}

#[test]
fn a_tick_that_is_due_on_a_paused_stream_fires_on_resume() {
    let server = Server::start();
    configure(&server, "/a", "s", &json!({ "kind": "once-in", "delaySeconds": 1 }), json!({}));
    server.append("/a", &json!({ "type": "stream/paused", "payload": { "reason": "maintenance" } }));
    // A schedule of another stream shows that the time has come and gone.
    configure(&server, "/b", "s", &json!({ "kind": "once-in", "delaySeconds": 2 }), json!({}));
    server.wait_for("/b", |event| event["type"] == FINISHED);
    assert_eq!(types(&server.log("/a")), ["stream/initialized", CONFIGURED, "stream/paused"]);
    server.append("/a", &event("stream/resumed"));
    server.wait_for("/a", |event| event["type"] == FINISHED);
    assert_eq!(types(&server.log("/a")), ["stream/initialized", CONFIGURED, "stream/paused", "stream/resumed", "tick", FINISHED]);
}

#[test]
fn a_cancelled_schedule_does_not_fire_and_an_unknown_one_is_no_error() {
    let server = Server::start();
    configure(&server, "/a", "s", &json!({ "kind": "once-in", "delaySeconds": 1 }), json!({}));
    for slug in ["s", "nobody"] {
        server.append("/a", &json!({ "type": "stream/schedule/cancelled", "payload": { "slug": slug } }));
    }
    configure(&server, "/b", "s", &json!({ "kind": "once-in", "delaySeconds": 2 }), json!({}));
    server.wait_for("/b", |event| event["type"] == FINISHED);
    assert_eq!(server.log_of_type("/a", "tick"), Vec::<Value>::new());
}

#[test]
fn a_slug_configured_again_is_replaced() {
    let server = Server::start();
    configure(&server, "/a", "s", &every(3600), json!({}));
    configure(&server, "/a", "s", &json!({ "kind": "once-in", "delaySeconds": 1 }), json!({}));
    configure(&server, "/a", "other", &json!({ "kind": "once-in", "delaySeconds": 2 }), json!({}));
    server.wait_for("/a", |event| event["type"] == FINISHED && event["payload"]["slug"] == "other");
    let ticks = server.log_of_type("/a", "tick");
    assert_eq!(ticks.iter().map(|tick| tick["payload"]["by"].as_str().unwrap()).collect::<Vec<_>>(), ["s", "other"]);
}

#[test]
fn a_constant_key_does_not_swallow_the_ticks_of_a_recurring_schedule() {
    let server = Server::start();
    configure(&server, "/a", "s", &every(1), json!({ "append": { "type": "tick", "idempotencyKey": "mine" } }));
    let log = server.tail("/a", "", &[]).take(2 + 3 * 2);
    let ticks: Vec<_> = log.iter().filter(|event| event["type"] == "tick").collect();
    assert_eq!(ticks.len(), 2);
    assert_eq!(ticks[0]["idempotencyKey"], format!("mine @{}", log[4]["payload"]["scheduledAt"].as_str().unwrap()));
}

#[test]
fn what_is_refused_at_its_time_is_a_failed_execution_with_the_reason() {
    let server = Server::start();
    configure(&server, "/a", "s", &json!({ "kind": "once-in", "delaySeconds": 1 }), json!({ "append": { "type": "tick", "offset": 99 } }));
    let finished = server.wait_for("/a", |event| event["type"] == FINISHED);
    assert_eq!((&finished["payload"]["outcome"], &finished["payload"]["nextRunAt"]), (&json!("failed"), &Value::Null));
    assert!(finished["payload"]["reason"].as_str().unwrap().contains("gets offset 3, expected 99"), "{finished}");
}

#[test]
fn a_schedule_may_pause_the_stream() {
    let server = Server::start();
    let pause = json!({ "append": { "type": "stream/paused", "payload": { "reason": "night" } } });
    configure(&server, "/a", "s", &json!({ "kind": "once-in", "delaySeconds": 1 }), pause);
    server.wait_for("/a", |event| event["type"] == FINISHED);
    server.post("/a", r#"{"type":"x"}"#).problem(412, "stream-paused");
}

#[test]
fn a_tenant_that_nobody_uses_fires_all_the_same() {
    let server = Server::start_with(&["--idle-seconds", "1", "--open-tenants", "1"]);
    let acme = server.tenant("acme");
    configure(&acme, "/a", "s", &json!({ "kind": "once-in", "delaySeconds": 8 }), json!({}));
    // Another tenant needs the only place.
    server.tenant("other").append("/a", &event("x"));
    let finished = acme.wait_for("/a", |event| event["type"] == FINISHED);
    assert_eq!(finished["payload"]["outcome"], "succeeded");
}

#[test]
fn a_destroyed_stream_takes_its_schedules_along() {
    let server = Server::start();
    configure(&server, "/a", "s", &json!({ "kind": "once-in", "delaySeconds": 1 }), json!({}));
    server.send("DELETE", "/api/streams/a", &[], b"").ok();
    configure(&server, "/b", "s", &json!({ "kind": "once-in", "delaySeconds": 2 }), json!({}));
    server.wait_for("/b", |event| event["type"] == FINISHED);
    assert_eq!(server.state("/a")["eventCount"], 0);
}

#[test]
fn a_schedule_that_makes_no_sense_is_an_invalid_event_that_names_the_field() {
    let server = Server::start();
    for (payload, expected) in [
        (json!({ "slug": "s", "append": { "type": "t" }, "schedule": { "kind": "every", "intervalSeconds": 0 } }), "expected 1 to"),
        (json!({ "slug": "s", "append": { "type": "t" }, "schedule": { "kind": "cron", "cron": "0 0 30 2 *" } }), "it never matches"),
        (json!({ "slug": "s", "append": { "typ": "t" }, "schedule": every(1) }), "payload.append.type: expected a string"),
        (json!({ "slug": "s", "schedule": every(1) }), "expected `append`, or `callback` and `payloadJson`"),
        (json!({ "slug": "a b", "append": { "type": "t" }, "schedule": every(1) }), "slug: expected"),
    ] {
        let recorded = server.append("/a", &json!({ "type": CONFIGURED, "payload": payload }));
        assert_eq!(recorded["type"], "stream/invalid-event-appended", "{payload}");
        assert!(recorded["payload"]["error"].as_str().unwrap().contains(expected), "{recorded}");
    }
    assert_eq!(server.state("/a").get("schedules"), None);
}

#[test]
fn the_shape_with_a_callback_works_too() {
    let server = Server::start();
    let payload =
        json!({ "slug": "s", "callback": "append", "payloadJson": r#"{"type":"tick"}"#, "schedule": every(3600), "nextRunAt": 1 });
    server.append("/a", &json!({ "type": "https://events.iterate.com/events/stream/schedule/configured", "payload": payload }));
    let finished = server.wait_for("/a", |event| event["type"] == FINISHED);
    assert_eq!(finished["payload"]["outcome"], "succeeded");
    assert_eq!(server.log_of_type("/a", "tick").len(), 1);
}
