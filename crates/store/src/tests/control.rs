//! How much may be configured on one stream.

use pelton_model::{Digest, NewEvent};
use serde_json::json;

use super::{Disk, append, commit, commit_one, event, open, open_with, options, outline, path, unit};
use crate::{Committed, OpenOptions, Refusal, Store, Writer};

const MAX: usize = 10_000;

fn open_bounded(disk: &Disk) -> (Store, Writer) {
    open_with(disk, &OpenOptions { control_bytes_max: MAX, ..options() })
}

fn builtin(event_type: &str, payload: serde_json::Value) -> NewEvent {
    event(&format!("stream/{event_type}"), &payload.to_string())
}

fn schedule(slug: &str, bytes: usize) -> NewEvent {
    let append = json!({ "type": "x", "payload": { "text": "x".repeat(bytes) } });
    builtin("schedule/configured", json!({ "slug": slug, "append": append, "schedule": { "kind": "once-in", "delaySeconds": 9 } }))
}

fn processor(slug: &str, bytes: usize) -> NewEvent {
    let config = json!({ "text": "x".repeat(bytes) });
    builtin("processor/configured", json!({ "slug": slug, "component": { "digest": Digest::of(b"") }, "config": config }))
}

fn of_host(event_type: &str, configured_offset: u64, more: serde_json::Value) -> NewEvent {
    let mut payload = json!({ "slug": "p", "digest": Digest::of(b""), "configuredOffset": configured_offset });
    payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    builtin(event_type, payload)
}

#[track_caller]
fn record(writer: &mut Writer, event: NewEvent) {
    let recorded = commit_one(writer, unit(vec![append("/a", event)]));
    assert!(recorded.is_ok(), "{recorded:?}");
}

#[track_caller]
fn assert_refused(writer: &mut Writer, event: NewEvent) {
    let refusal = commit_one(writer, unit(vec![append("/a", event)])).unwrap_err();
    let Refusal::ControlTooLarge { max: MAX, found, .. } = refusal else { panic!("{refusal}") };
    assert!(found > MAX);
    let text = refusal.to_string();
    assert!(text.contains("/a would have") && text.contains("remove processors"), "{text}");
}

fn bytes(store: &Store) -> usize {
    store.stream(&path("/a")).unwrap().unwrap().control.bytes()
}

#[test]
fn what_would_make_a_control_state_too_large_is_refused_and_leaves_no_trace() {
    let (store, mut writer) = open_bounded(&Disk::default());
    record(&mut writer, schedule("s", 6_000));
    let before = (outline(&store, "/a"), store.controls().unwrap());
    let text = "x".repeat(4_000);
    let scheduled = json!({ "slug": "t", "append": { "type": text }, "schedule": { "kind": "once-in", "delaySeconds": 9 } });
    for event in [
        schedule("t", 4_000),
        schedule("s", 10_000),
        processor("p", 4_000),
        builtin(
            "append-scheduled",
            json!({ "slug": "t", "append": { "type": "x", "payload": { "text": text } }, "schedule": scheduled["schedule"] }),
        ),
        builtin("metadata-updated", json!({ "metadata": { "text": text } })),
        builtin("dynamic-worker/env-var-set", json!({ "key": "A", "value": text })),
        builtin("jsonata-transformer-configured", json!({ "slug": "t", "matcher": text, "transform": "{}" })),
        builtin(
            "subscription/configured",
            json!({ "slug": "t", "type": "webhook", "callbackUrl": "https://a/", "headers": { "x": text } }),
        ),
        builtin("dynamic-worker/configured", json!({ "slug": "t", "script": text, "runtime": { "digest": Digest::of(b"") } })),
    ] {
        assert_refused(&mut writer, event);
    }
    assert_eq!((outline(&store, "/a"), store.controls().unwrap()), before);
    record(&mut writer, schedule("s", 9_000));
    record(&mut writer, builtin("schedule/cancelled", json!({ "slug": "s" })));
    record(&mut writer, processor("p", 9_000));
}

#[test]
fn of_a_group_each_unit_is_judged_after_those_before_it() {
    let (_store, mut writer) = open_bounded(&Disk::default());
    let schedules = |slugs: &[&str]| unit(slugs.iter().map(|slug| append("/a", schedule(slug, 3_000))).collect());
    let Committed { answers, .. } = commit(&mut writer, vec![schedules(&["a", "b"]), schedules(&["c", "d"]), schedules(&["e"])]);
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn a_full_control_state_keeps_nothing_from_ending_and_nothing_that_the_host_has_to_say_from_being_recorded() {
    let (store, mut writer) = open_bounded(&Disk::default());
    let reason = json!({ "code": "trap", "message": "x".repeat(2_000) });
    record(&mut writer, processor("p", 100));
    record(&mut writer, of_host("processor/activated", 2, json!({ "manifest": {} })));
    let recurring = json!({ "slug": "every", "append": { "type": "x" }, "schedule": { "kind": "every", "intervalSeconds": 9 } });
    record(&mut writer, builtin("schedule/configured", recurring));
    record(&mut writer, processor("p", 200));
    let left = MAX - bytes(&store);
    record(&mut writer, builtin("metadata-updated", json!({ "metadata": { "text": "x".repeat(left - 20) } })));

    let at = json!({ "phase": "reduce", "streamPath": "/a", "atOffset": 2, "atCursor": 2, "attempts": 1, "reason": reason });
    record(&mut writer, of_host("processor/parked", 2, at));
    record(&mut writer, of_host("processor/rejected", 5, json!({ "reason": reason, "running": true })));
    let time = "2026-01-01T00:00:00Z";
    let finished = json!({ "slug": "every", "outcome": "failed", "scheduledAt": time, "nextRunAt": time, "reason": "x".repeat(500) });
    record(&mut writer, builtin("schedule/internal/execution-finished", finished));
    assert!(bytes(&store) > MAX);
    assert_refused(&mut writer, schedule("s", 1));
    record(&mut writer, builtin("paused", json!({ "reason": "x" })));
    record(&mut writer, builtin("resumed", json!({})));
    record(&mut writer, builtin("processor/resumed", json!({ "slug": "p", "skip": true })));
    record(&mut writer, builtin("circuit-breaker/configured", json!({ "burstCapacity": 3, "refillRatePerMinute": 60 })));
    record(&mut writer, event("x", "{}"));
    record(&mut writer, builtin("processor/removed", json!({ "slug": "p" })));
    record(&mut writer, builtin("schedule/cancelled", json!({ "slug": "every" })));
    record(&mut writer, schedule("s", 1));
}

#[test]
fn what_a_processor_says_of_itself_counts() {
    let (_store, mut writer) = open_bounded(&Disk::default());
    record(&mut writer, processor("p", 6_000));
    assert_refused(&mut writer, of_host("processor/activated", 2, json!({ "manifest": { "description": "x".repeat(4_000) } })));
    record(&mut writer, of_host("processor/activated", 2, json!({ "manifest": {} })));
}

#[test]
fn a_stream_that_was_beyond_the_bound_before_there_was_one_may_not_grow_and_does_everything_else() {
    let disk = Disk::default();
    let (store, mut writer) = open(&disk);
    record(&mut writer, schedule("s", 2 * MAX));
    let known = bytes(&store);
    drop((store, writer));
    let (store, mut writer) = open_bounded(&disk);
    assert_eq!(bytes(&store), known);
    assert_refused(&mut writer, schedule("t", 1));
    record(&mut writer, schedule("s", 2 * MAX - 1));
    record(&mut writer, schedule("s", 1));
    record(&mut writer, schedule("t", 1));
}
