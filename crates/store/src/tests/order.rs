//! In which order a group is decided on, and what each answer is.

use pelton_model::{Digest, Json, NewEvent, Offset, Position};

use super::{Disk, append, commit, commit_one, event, keyed, millis, offset, open, outline, path, processor, unit};
use crate::{
    CheckpointChange, CheckpointWrite, Condition, ControlChange, KeyReuse, PageLimit, Refusal, Write, keyspace::COMPONENT_CHUNK_BYTES_MAX,
    keyspace::RUN_BYTES_MAX,
};

fn expecting(event: NewEvent, expected: u64) -> NewEvent {
    NewEvent { expected_offset: Offset::new(expected), ..event }
}

#[test]
fn the_first_append_begins_the_stream_and_all_above_it() {
    let (store, mut writer) = open(&Disk::default());
    let committed = commit(&mut writer, vec![unit(vec![append("/a/b", event("x", "{}"))])]);
    assert_eq!(committed.answers[0].as_ref().unwrap().events[0].offset, offset(2));
    assert_eq!(committed.answers[0].as_ref().unwrap().recorded, 1);
    assert_eq!(outline(&store, "/"), ["1 stream/initialized", "2 stream/child-stream-created", "3 stream/child-stream-created"]);
    assert_eq!(outline(&store, "/a"), ["1 stream/initialized", "2 stream/child-stream-created"]);
    assert_eq!(outline(&store, "/a/b"), ["1 stream/initialized", "2 x"]);
    let tree = store.read_tree(&path("/"), Position::FIRST, PageLimit::default()).unwrap();
    let order: Vec<_> = tree.events.iter().map(|(_, event)| format!("{} {}", event.stream_path, event.payload.as_str())).collect();
    let expected = [
        r#"/ {"projectSlug":"acme","path":"/"}"#,
        r#"/a {"projectSlug":"acme","path":"/a"}"#,
        r#"/ {"childPath":"/a"}"#,
        r#"/a/b {"projectSlug":"acme","path":"/a/b"}"#,
        r#"/a {"childPath":"/a/b"}"#,
        r#"/ {"childPath":"/a/b"}"#,
        "/a/b {}",
    ];
    assert_eq!(order, expected);
    assert_eq!(committed.head, tree.next);
}

#[test]
fn announcements_pass_the_pause_of_a_stream_above() {
    let (store, mut writer) = open(&Disk::default());
    commit_one(&mut writer, unit(vec![append("/a", event("stream/paused", "{}"))])).unwrap();
    commit_one(&mut writer, unit(vec![append("/a/b", event("x", "{}"))])).unwrap();
    assert_eq!(outline(&store, "/a"), ["1 stream/initialized", "2 stream/paused", "3 stream/child-stream-created"]);
}

#[test]
fn a_known_key_is_answered_before_offset_and_pause_are_looked_at() {
    let (store, mut writer) = open(&Disk::default());
    let first = commit_one(&mut writer, unit(vec![append("/a", keyed("x", r#"{"n":1}"#, "k"))])).unwrap();
    commit_one(&mut writer, unit(vec![append("/a", event("stream/paused", r#"{"reason":"lunch"}"#))])).unwrap();

    let again = commit_one(&mut writer, unit(vec![append("/a", expecting(keyed("x", r#"{"n":1}"#, "k"), 77))])).unwrap();
    assert_eq!((again.events, again.recorded), (first.events.clone(), 0));

    let other = unit(vec![append("/a", keyed("x", r#"{"n":2}"#, "k"))]);
    let refusal = commit_one(&mut writer, other.clone()).unwrap_err();
    assert_eq!(refusal, Refusal::KeyReused { stored: Box::new(first.events[0].clone()) });
    assert_eq!(refusal.to_string(), "the idempotency key belongs to another event, stream /a offset 2");
    let kept = commit_one(&mut writer, Write { key_reuse: KeyReuse::KeepFirst, ..other }).unwrap();
    assert_eq!(kept.events, first.events);

    let refusal = commit_one(&mut writer, unit(vec![append("/a", expecting(event("x", "{}"), 77))])).unwrap_err();
    assert_eq!(refusal.to_string(), "the next event of stream /a gets offset 4, expected 77");
    let refusal = commit_one(&mut writer, unit(vec![append("/a", expecting(event("x", "{}"), 4))])).unwrap_err();
    assert_eq!(refusal.to_string(), "stream /a is paused: lunch");
    commit_one(&mut writer, unit(vec![append("/a", event("stream/error-occurred", r#"{"message":"m"}"#))])).unwrap();
    assert_eq!(outline(&store, "/a").len(), 4);
}

#[test]
fn keys_belong_to_one_stream_and_count_within_a_unit() {
    let (store, mut writer) = open(&Disk::default());
    let appends = ["/a", "/b", "/a"].map(|stream| append(stream, keyed("x", "{}", "k")));
    let written = commit_one(&mut writer, unit(appends.to_vec())).unwrap();
    assert_eq!(written.recorded, 2);
    assert_eq!(written.events[0], written.events[2]);
    assert_eq!((outline(&store, "/a").len(), outline(&store, "/b").len()), (2, 2));
}

#[test]
fn a_refused_unit_leaves_no_trace_and_harms_no_other() {
    let (store, mut writer) = open(&Disk::default());
    let refused = unit(vec![
        append("/new/stream", keyed("x", "{}", "k")),
        append("/a", event("stream/paused", "{}")),
        append("/a", expecting(event("x", "{}"), 99)),
    ]);
    let good = |n: u64| unit(vec![append("/a", expecting(keyed("x", &format!(r#"{{"n":{n}}}"#), &format!("k{n}")), n))]);
    let committed = commit(&mut writer, vec![good(2), refused, good(3), good(2)]);
    assert!(committed.answers[1].is_err());
    assert_eq!(committed.answers[2].as_ref().unwrap().events[0].offset, offset(3));
    assert_eq!(committed.answers[3].as_ref().unwrap().recorded, 0, "a later unit sees what an earlier one recorded");
    assert_eq!(store.stream(&path("/new")).unwrap(), None);
    assert_eq!(outline(&store, "/a"), ["1 stream/initialized", "2 x", "3 x"]);
    assert_eq!(committed.moved, [(path("/"), offset(3)), (path("/a"), offset(4))]);

    let repeated = commit_one(&mut writer, unit(vec![append("/new/stream", keyed("y", "{}", "k"))])).unwrap();
    assert_eq!(repeated.recorded, 1, "the key of a refused unit is free");
}

#[test]
fn a_pause_counts_from_the_next_event_on_also_within_a_unit() {
    let (_, mut writer) = open(&Disk::default());
    let pause_then = |next: &str| unit(vec![append("/a", event("stream/paused", "{}")), append("/a", event(next, "{}"))]);
    assert!(matches!(commit_one(&mut writer, pause_then("x")), Err(Refusal::Paused { .. })));
    commit_one(&mut writer, pause_then("stream/resumed")).unwrap();
    commit_one(&mut writer, unit(vec![append("/a", event("x", "{}"))])).unwrap();
}

#[test]
fn time_never_runs_backwards_within_a_tenant() {
    let disk = Disk::default();
    let (store, mut writer) = open(&disk);
    let write = |stream| vec![unit(vec![append(stream, event("x", "{}"))])];
    writer.commit(write("/a"), millis(100)).unwrap();
    let second = writer.commit(write("/b"), millis(50)).unwrap();
    drop((store, writer));
    let (_, mut writer) = open(&disk);
    let third = writer.commit(write("/b"), millis(99)).unwrap();
    let fourth = writer.commit(write("/b"), millis(101)).unwrap();
    let created = [second, third, fourth].map(|committed| committed.answers[0].as_ref().unwrap().events[0].created_at.as_millis());
    assert_eq!(created, [100, 100, 101]);
}

#[test]
fn a_checkpoint_is_only_replaced_by_who_knows_its_revision() {
    let (store, mut writer) = open(&Disk::default());
    let put = |revision, state: Option<&str>| Write {
        checkpoint: Some(CheckpointWrite {
            stream: path("/a"),
            consumer: processor("p"),
            revision,
            change: CheckpointChange::Put {
                configured_offset: offset(2),
                reduced: 10 + revision,
                acknowledged: revision,
                state: state.map(|text| Json::parse(text).unwrap()),
            },
        }),
        ..unit(vec![append("/out", event("x", "{}"))])
    };
    let read = || store.checkpoint(&path("/a"), &processor("p")).unwrap();
    assert_eq!(read(), None);
    commit_one(&mut writer, put(0, Some(r#"{"n":1}"#))).unwrap();
    let refusal = commit_one(&mut writer, put(0, Some("2"))).unwrap_err();
    assert_eq!(refusal.to_string(), "the checkpoint of processor p on stream /a has revision 1, expected 0");
    assert_eq!(outline(&store, "/out").len(), 2, "the outbox goes with the checkpoint");

    let answers = commit(&mut writer, vec![put(1, None), put(1, Some("3")), put(2, None)]).answers;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    let checkpoint = read().unwrap();
    assert_eq!((checkpoint.revision, checkpoint.reduced, checkpoint.acknowledged), (3, 12, 2));
    assert_eq!((checkpoint.state.as_str(), checkpoint.state_digest), (r#"{"n":1}"#, Digest::of(br#"{"n":1}"#)));

    let delete = CheckpointWrite { stream: path("/a"), consumer: processor("p"), revision: 3, change: CheckpointChange::Delete };
    commit_one(&mut writer, Write { checkpoint: Some(delete), ..Write::default() }).unwrap();
    assert_eq!(read(), None);
}

#[test]
fn a_stale_checkpoint_is_told_before_anything_about_the_appends() {
    let (_, mut writer) = open(&Disk::default());
    commit_one(&mut writer, unit(vec![append("/a", event("stream/paused", "{}"))])).unwrap();
    let checkpoint = CheckpointWrite { stream: path("/a"), consumer: processor("p"), revision: 1, change: CheckpointChange::Delete };
    let write = Write { checkpoint: Some(checkpoint), ..unit(vec![append("/a", event("x", "{}"))]) };
    assert!(matches!(commit_one(&mut writer, write), Err(Refusal::StaleCheckpoint { found: 0, .. })));
}

#[test]
fn a_component_is_kept_whole_with_its_unit() {
    let (store, mut writer) = open(&Disk::default());
    for size in [0, 1, COMPONENT_CHUNK_BYTES_MAX, COMPONENT_CHUNK_BYTES_MAX + 1, 3 * COMPONENT_CHUNK_BYTES_MAX] {
        let bytes: Vec<u8> = (0..251).cycle().take(size).collect();
        let digest = Digest::of(&bytes);
        assert_eq!(store.component(&digest).unwrap(), None);
        let write = Write { component: Some(crate::Component { digest, bytes: bytes.clone() }), ..Write::default() };
        commit(&mut writer, vec![write.clone(), write.clone()]);
        commit(&mut writer, vec![write]);
        assert_eq!(store.component_size(&digest).unwrap(), Some(size as u64));
        assert!(store.component(&digest).unwrap().unwrap() == bytes);
    }
}

#[test]
fn a_group_larger_than_a_row_reads_back_from_anywhere() {
    let (store, mut writer) = open(&Disk::default());
    let filler = "f".repeat(RUN_BYTES_MAX / 5);
    let payload = |n: u64| format!(r#"{{"n":{n},"filler":"{filler}"}}"#);
    let mut group: Vec<_> = (0..12).map(|n| unit(vec![append("/a", event("x", &payload(n))), append("/b", event("y", "{}"))])).collect();
    group.push(unit(vec![append("/a", event("huge", &format!(r#"{{"filler":"{}"}}"#, "h".repeat(2 * RUN_BYTES_MAX))))]));
    group.push(unit(vec![append("/a", event("last", "{}"))]));
    commit(&mut writer, group);
    for first in 1..=15 {
        let page = store.read_stream(&path("/a"), offset(first)..offset(99), PageLimit { events_max: 99, bytes_max: usize::MAX }).unwrap();
        assert!(page.events.iter().map(|event| event.offset.get()).eq(first..=15));
        assert_eq!(page.next, offset(16));
    }
    let tree = store.read_tree(&path("/a"), Position::FIRST, PageLimit { events_max: 99, bytes_max: usize::MAX }).unwrap();
    assert!(tree.events.iter().map(|(_, event)| event.offset.get()).eq(1..=15));
}

#[test]
fn a_page_ends_before_the_limit_and_holds_at_least_one_event() {
    let (store, mut writer) = open(&Disk::default());
    commit(&mut writer, (0..9).map(|_| unit(vec![append("/a", event("x", r#"{"n":1}"#))])).collect());
    let read = |range, events_max, bytes_max| {
        let page = store.read_stream(&path("/a"), range, PageLimit { events_max, bytes_max }).unwrap();
        (page.events.len(), page.next.get())
    };
    assert_eq!(read(offset(2)..offset(99), 3, 1000), (3, 5));
    assert_eq!(read(offset(2)..offset(99), 100, 16), (2, 4));
    assert_eq!(read(offset(2)..offset(99), 0, 0), (1, 3));
    assert_eq!(read(offset(4)..offset(6), 100, 1000), (2, 6));
    assert_eq!(read(offset(6)..offset(6), 100, 1000), (0, 6));
    assert_eq!(read(offset(11)..offset(99), 100, 1000), (0, 11));
    assert_eq!(read(offset(50)..offset(99), 100, 1000), (0, 50));
}

#[test]
fn what_an_event_stands_for_follows_it_in_the_same_commit() {
    let (store, mut writer) = open(&Disk::default());
    let scheduled = r#"{"slug":"s","append":{"type":"tick"},"schedule":{"kind":"once-in","delaySeconds":5}}"#;
    let written =
        commit_one(&mut writer, unit(vec![append("/a", event("stream/append-scheduled", scheduled)), append("/a", event("x", "{}"))]))
            .unwrap();
    assert_eq!((written.events.len(), written.recorded, written.events[1].offset), (2, 2, offset(4)));
    assert_eq!(outline(&store, "/a"), ["1 stream/initialized", "2 stream/append-scheduled", "3 stream/schedule/configured", "4 x"]);
}

#[test]
fn a_tick_is_written_only_while_its_schedule_is_the_one_that_was_due() {
    let (_store, mut writer) = open(&Disk::default());
    let configure = |delay: u64| {
        let payload = format!(r#"{{"slug":"s","append":{{"type":"tick"}},"schedule":{{"kind":"once-in","delaySeconds":{delay}}}}}"#);
        unit(vec![append("/a", event("stream/schedule/configured", &payload))])
    };
    let tick = |configured: u64, at: u64| {
        let slug = pelton_model::Slug::new("s").unwrap();
        let due = Condition::ScheduleDue { stream: path("/a"), slug, configured_offset: offset(configured), at: millis(at) };
        Write { conditions: vec![due], ..unit(vec![append("/a", event("tick", "{}"))]) }
    };
    commit_one(&mut writer, configure(5)).unwrap();
    assert!(matches!(commit_one(&mut writer, tick(2, 5_000)), Err(Refusal::ScheduleChanged { .. })));
    commit_one(&mut writer, tick(2, 5_001)).unwrap();
    commit_one(&mut writer, configure(5)).unwrap();
    assert!(matches!(commit_one(&mut writer, tick(2, 5_001)), Err(Refusal::ScheduleChanged { .. })));
    commit_one(&mut writer, tick(4, 5_001)).unwrap();
    commit_one(&mut writer, unit(vec![append("/a", event("stream/schedule/cancelled", r#"{"slug":"s"}"#))])).unwrap();
    assert!(matches!(commit_one(&mut writer, tick(4, 5_001)), Err(Refusal::ScheduleChanged { .. })));
}

#[test]
fn a_commit_names_the_streams_whose_processors_or_subscriptions_it_changed() {
    let (store, mut writer) = open(&Disk::default());
    let configured = format!(r#"{{"slug":"p","component":{{"digest":"{}"}}}}"#, Digest::of(b"c"));
    let deploy = || unit(vec![append("/a", event("stream/processor/configured", &configured))]);
    let committed = commit(&mut writer, vec![unit(vec![append("/b", event("x", "{}"))]), deploy()]);
    let change = |processors, pushes| ControlChange { stream: path("/a"), processors, pushes, schedules: false };
    assert_eq!(committed.controls_changed, [change(true, false)]);
    assert_eq!(commit(&mut writer, vec![deploy()]).controls_changed, []);
    assert_eq!(store.controls().unwrap().iter().map(|(stream, _)| stream).collect::<Vec<_>>(), [&path("/a")]);
    let removed = unit(vec![append("/a", event("stream/processor/removed", r#"{"slug":"p"}"#))]);
    assert_eq!(commit(&mut writer, vec![removed]).controls_changed, [change(true, false)]);
    assert_eq!(store.controls().unwrap(), []);
    let subscribed = event("stream/subscription/configured", r#"{"slug":"p","type":"webhook","callbackUrl":"http://a/"}"#);
    assert_eq!(commit(&mut writer, vec![unit(vec![append("/a", subscribed)])]).controls_changed, [change(false, true)]);
}
