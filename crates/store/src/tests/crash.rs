//! What holds when the disk fails or the machine goes down.

use pelton_model::{Json, Position};
use proptest::prelude::*;

use super::model::{Model, arbitrary_groups, assert_same};
use super::{Disk, append, event, millis, open, outline, path, unit};
use crate::{PageLimit, StoreError};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn after_a_crash_all_that_was_acknowledged_is_there_and_no_group_by_half(
        groups in arbitrary_groups(), changes in 0..120_u64, fates in prop::collection::vec(any::<u8>(), 1..50),
    ) {
        let disk = Disk::default();
        let (store, mut writer) = open(&disk);
        disk.fail_after(changes);
        let (mut acknowledged, mut attempted) = (Model::default(), Model::default());
        for (group, now) in groups.clone() {
            let expected = attempted.commit(&group, now);
            match writer.commit(group, now) {
                Ok(committed) => assert_same(committed, &expected),
                Err(_) => break,
            }
            acknowledged = attempted.clone();
        }
        let found = disk.after_crash(&fates);
        drop((store, writer));

        let (store, mut writer) = open(&found);
        let mut model = Model::read(&store, PageLimit::default());
        prop_assert!(model == acknowledged || model == attempted, "found {:#?}\nacknowledged {:#?}", model, acknowledged);
        for (group, now) in groups {
            let expected = model.commit(&group, now);
            assert_same(writer.commit(group, now).unwrap(), &expected);
        }
        prop_assert_eq!(Model::read(&store, PageLimit::default()), model);
    }
}

#[test]
fn a_crash_after_each_possible_change_loses_nothing_acknowledged() {
    for changes in 0..60 {
        let disk = Disk::default();
        let (store, mut writer) = open(&disk);
        disk.fail_after(changes);
        let mut acknowledged = 0;
        while acknowledged < 5 && writer.commit(vec![unit(vec![append("/a", event("x", "{}"))])], millis(1)).is_ok() {
            acknowledged += 1;
        }
        for fates in [[0], [1], [2], [129]] {
            let (store, _writer) = open(&disk.after_crash(&fates));
            let events = outline(&store, "/a").len().saturating_sub(1);
            assert!((acknowledged..=acknowledged + 1).contains(&events), "{acknowledged} acknowledged, {events} found");
        }
        drop((store, writer));
    }
}

/// Everything of a file that a reader can see, as text.
fn all_of(store: &crate::Store) -> String {
    let tree = store.read_tree(&path("/"), Position::FIRST, PageLimit { events_max: usize::MAX, bytes_max: usize::MAX }).unwrap();
    let streams = store.descendants(&path("/")).unwrap();
    let infos: Vec<_> = streams.iter().map(|(path, _)| (path, store.stream(path).unwrap())).collect();
    let logs: Vec<_> =
        ["/", "/a", "/a/b", "/a/c", "/e"].map(|stream| (outline(store, stream), store.children(&path(stream)).unwrap())).into();
    let checkpoints: Vec<_> = ["/a", "/e"].map(|stream| store.checkpoint(&path(stream), &super::processor("p")).unwrap()).into();
    format!("{:#?}", (tree.events, store.head(), infos, logs, checkpoints, store.controls().unwrap()))
}

/// A tree with everything that belongs to streams, in several commits, beside a stream that stays.
fn planted(disk: &Disk) -> (crate::Store, crate::Writer) {
    let (store, mut writer) = open(disk);
    for round in 0..4 {
        for stream in ["/a/b", "/a/c", "/a", "/e"] {
            let text = format!(r#"{{"text":"{}"}}"#, "x".repeat(3_000));
            let events = (0..10).map(|n| append(stream, super::keyed("x", &text, &format!("{round} {n}")))).collect();
            writer.commit(vec![unit(events)], millis(1)).unwrap();
        }
    }
    for stream in ["/a", "/e"] {
        let put = crate::CheckpointChange::Put {
            configured_offset: super::offset(2),
            reduced: 3,
            acknowledged: 3,
            state: Some(Json::parse(r#"{"n":3}"#).unwrap()),
        };
        let checkpoint = crate::CheckpointWrite { stream: path(stream), consumer: super::processor("p"), revision: 0, change: put };
        let paused = append(stream, event("stream/paused", "{}"));
        writer.commit(vec![crate::Write { checkpoint: Some(checkpoint), ..unit(vec![paused]) }], millis(1)).unwrap();
    }
    (store, writer)
}

#[test]
fn a_destroy_that_is_cut_at_any_change_has_destroyed_everything_or_nothing() {
    let disk = Disk::default();
    let (store, mut writer) = planted(&disk);
    let before = all_of(&store);
    writer.destroy(&path("/a"), true).unwrap();
    let after = all_of(&store);
    assert_ne!(before, after);
    drop((store, writer));

    let (mut cuts, mut is_complete) = (0, false);
    while !is_complete {
        let disk = Disk::default();
        let (store, mut writer) = planted(&disk);
        disk.fail_after(cuts);
        is_complete = writer.destroy(&path("/a"), true).is_ok();
        for fates in [&[0][..], &[1], &[2], &[129], &[0, 2], &[2, 0], &[2, 2, 1]] {
            let (store, mut writer) = open(&disk.after_crash(fates));
            let found = all_of(&store);
            assert!(found == after || (!is_complete && found == before), "cut at {cuts}, {fates:?}, acknowledged: {is_complete}\n{found}");
            // Whatever is there, it goes on.
            writer.commit(vec![unit(vec![append("/a/d", event("x", "{}"))])], millis(1)).unwrap();
            assert_eq!(outline(&store, "/a/d"), ["1 stream/initialized", "2 x"]);
        }
        drop((store, writer));
        cuts += 1;
    }
    assert!(cuts > 10, "only {cuts} changes");
}

#[test]
fn a_failed_commit_poisons_the_writer_and_is_not_visible() {
    let disk = Disk::default();
    let (store, mut writer) = open(&disk);
    let write = || vec![unit(vec![append("/a", event("x", "{}"))])];
    writer.commit(write(), millis(1)).unwrap();
    let before = store.head();
    disk.fail_syncs();
    assert!(matches!(writer.commit(write(), millis(1)), Err(StoreError::Redb(_))));
    assert!(matches!(writer.commit(write(), millis(1)), Err(StoreError::Poisoned)));
    assert!(matches!(writer.commit(Vec::new(), millis(1)), Err(StoreError::Poisoned)));
    assert_eq!(store.head(), before);
}

#[test]
fn a_group_is_one_sync_more_and_a_group_that_records_nothing_is_none() {
    let disk = Disk::default();
    let (store, mut writer) = open(&disk);
    writer.commit(vec![unit(vec![append("/a", event("x", "{}"))])], millis(1)).unwrap();
    let before = disk.syncs();
    let group = (0..50).map(|n| unit(vec![append("/a", event("x", &format!(r#"{{"n":{n}}}"#)))])).collect();
    writer.commit(group, millis(1)).unwrap();
    let per_group = disk.syncs() - before;
    assert_eq!(per_group, 1);
    let refused = crate::Write { checkpoint: Some(stale()), ..unit(vec![append("/b", event("x", "{}"))]) };
    writer.commit(vec![refused], millis(1)).unwrap();
    assert_eq!((disk.syncs() - before, store.stream(&path("/b")).unwrap()), (1, None));
    assert_eq!(store.head(), Position::FIRST.plus(54));
}

fn stale() -> crate::CheckpointWrite {
    crate::CheckpointWrite { stream: path("/a"), consumer: super::processor("p"), revision: 7, change: crate::CheckpointChange::Delete }
}
