//! How many events a stream takes before it is paused.

use pelton_model::{Digest, NewEvent, Slug, Source};

use super::{Disk, append, commit_one, event, millis, offset, open, outline, path, unit};
use crate::{Refusal, Write, Writer, Written};

fn from_processor(n: usize) -> NewEvent {
    let source = Source { slug: Slug::new("p").unwrap(), digest: Digest::of(b"p"), stream_path: path("/a"), offset: offset(1), depth: 1 };
    NewEvent { source: Some(source), ..event("answer", &format!(r#"{{"n":{n}}}"#)) }
}

fn answers(count: usize) -> Write {
    unit((0..count).map(|n| append("/a", from_processor(n))).collect())
}

fn commit_at(writer: &mut Writer, write: Write, now: u64) -> Result<Written, Refusal> {
    writer.commit(vec![write], millis(now)).unwrap().answers.remove(0)
}

#[test]
fn what_processors_append_too_fast_is_recorded_whole_and_pauses_the_stream() {
    let (store, mut writer) = open(&Disk::default());
    let written = commit_one(&mut writer, answers(101)).unwrap();
    assert_eq!((written.events.len(), written.recorded), (101, 101));
    let log = outline(&store, "/a");
    assert_eq!((log.len(), log[102].as_str()), (103, "103 stream/paused"));
    let refusal = commit_one(&mut writer, answers(1)).unwrap_err().to_string();
    assert!(refusal.contains("burst rate limit exceeded (100 at once, 6000 a minute)"), "{refusal}");
}

#[test]
fn a_resume_begins_with_a_full_bucket() {
    let (_store, mut writer) = open(&Disk::default());
    commit_one(&mut writer, answers(101)).unwrap();
    commit_one(&mut writer, unit(vec![append("/a", event("stream/resumed", "{}"))])).unwrap();
    commit_one(&mut writer, answers(100)).unwrap();
    commit_one(&mut writer, answers(1)).unwrap();
    assert!(matches!(commit_one(&mut writer, answers(1)), Err(Refusal::Paused { .. })));
}

#[test]
fn events_from_outside_count_only_where_the_stream_says_so() {
    let (store, mut writer) = open(&Disk::default());
    let outside = |count| unit((0..count).map(|_| append("/a", event("x", "{}"))).collect());
    commit_one(&mut writer, outside(500)).unwrap();
    let breaker = event("stream/circuit-breaker/configured", r#"{"burstCapacity":3,"refillRatePerMinute":60}"#);
    commit_one(&mut writer, unit(vec![append("/a", breaker)])).unwrap();
    commit_at(&mut writer, outside(3), 1).unwrap();
    commit_at(&mut writer, outside(1), 1_001).unwrap();
    commit_at(&mut writer, outside(1), 1_002).unwrap();
    assert!(outline(&store, "/a").last().unwrap().ends_with("stream/paused"));
}

#[test]
fn what_was_counted_survives_a_restart() {
    let disk = Disk::default();
    let (store, mut writer) = open(&disk);
    commit_one(&mut writer, answers(100)).unwrap();
    drop((store, writer));
    let (store, mut writer) = open(&disk);
    commit_one(&mut writer, answers(1)).unwrap();
    assert!(outline(&store, "/a").last().unwrap().ends_with("stream/paused"));
}

#[test]
fn a_refused_unit_does_not_count() {
    let (store, mut writer) = open(&Disk::default());
    commit_one(&mut writer, answers(1)).unwrap();
    let mut refused = answers(99);
    refused.appends[98].event.expected_offset = Some(offset(1));
    commit_one(&mut writer, refused).unwrap_err();
    commit_one(&mut writer, answers(99)).unwrap();
    assert!(outline(&store, "/a").last().unwrap().ends_with("answer"));
}
