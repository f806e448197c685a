//! Streams that end, and begin again.

use pelton_model::{Incarnation, JsonObject, Position};

use super::{Disk, all_events, append, commit_one, event, keyed, offset, open, outline, path, processor, unit};
use crate::{CheckpointChange, CheckpointWrite, Condition, PageLimit, Refusal, Store, Write, Writer};

fn write(writer: &mut Writer, stream: &str) -> Incarnation {
    commit_one(writer, unit(vec![append(stream, keyed("x", "{}", "k"))])).unwrap().incarnation.unwrap()
}

fn destroy(writer: &mut Writer, stream: &str, with_children: bool) -> Vec<String> {
    writer.destroy(&path(stream), with_children).unwrap().into_iter().map(|(path, _)| path.to_string()).collect()
}

fn tree(store: &Store) -> Vec<String> {
    let page = store.read_tree(&path("/"), Position::FIRST, PageLimit::default()).unwrap();
    assert_eq!(page.next, store.head());
    page.events.iter().map(|(_, event)| format!("{} {}", event.stream_path, event.event_type)).collect()
}

#[test]
fn a_destroyed_stream_is_gone_and_begins_again_as_another() {
    let disk = Disk::default();
    let (store, mut writer) = open(&disk);
    let first = write(&mut writer, "/a/b");
    let checkpoint = CheckpointWrite {
        stream: path("/a/b"),
        consumer: processor("p"),
        revision: 0,
        change: CheckpointChange::Put { configured_offset: offset(2), reduced: 3, acknowledged: 3, state: None },
    };
    commit_one(&mut writer, Write { checkpoint: Some(checkpoint), ..Write::default() }).unwrap();
    commit_one(&mut writer, unit(vec![append("/a/b", event("stream/paused", "{}"))])).unwrap();
    assert_eq!(destroy(&mut writer, "/a/b", false), ["/a/b"]);
    assert_eq!(store.stream(&path("/a/b")).unwrap(), None);
    assert_eq!(store.checkpoint(&path("/a/b"), &processor("p")).unwrap(), None);
    assert_eq!(store.children(&path("/a")).unwrap(), []);
    assert_eq!(all_events(&store, "/a/b"), []);
    assert!(tree(&store).iter().all(|event| !event.starts_with("/a/b ")));

    drop((store, writer));
    let (store, mut writer) = open(&disk);
    let second = write(&mut writer, "/a/b");
    assert!(second > first, "{second} {first}");
    assert_eq!(outline(&store, "/a/b"), ["1 stream/initialized", "2 x"]);
    assert_eq!(store.stream(&path("/a/b")).unwrap().unwrap().incarnation, second);
}

#[test]
fn children_go_only_when_asked_for() {
    let (store, mut writer) = open(&Disk::default());
    for stream in ["/a/b/c", "/a/d", "/e"] {
        write(&mut writer, stream);
    }
    assert_eq!(destroy(&mut writer, "/a/b", false), ["/a/b"]);
    assert!(store.stream(&path("/a/b/c")).unwrap().is_some());
    assert_eq!(destroy(&mut writer, "/a", true), ["/a", "/a/b/c", "/a/d"]);
    assert_eq!(destroy(&mut writer, "/a", true), Vec::<String>::new());
    let left: Vec<_> = store.descendants(&path("/")).unwrap().into_iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(left, ["/", "/e"]);
}

#[test]
fn what_is_below_a_destroyed_stream_goes_on_and_its_ancestors_come_back() {
    let (store, mut writer) = open(&Disk::default());
    write(&mut writer, "/a/b/c");
    destroy(&mut writer, "/a", false);
    write(&mut writer, "/a/b/c/d");
    assert_eq!(outline(&store, "/a"), ["1 stream/initialized", "2 stream/child-stream-created"]);
    let begun = all_events(&store, "/a").remove(1);
    assert_eq!(begun.payload, JsonObject::parse(r#"{"childPath":"/a/b/c/d"}"#).unwrap());
}

#[test]
fn the_root_can_be_destroyed() {
    let (store, mut writer) = open(&Disk::default());
    write(&mut writer, "/a");
    assert_eq!(destroy(&mut writer, "/", true), ["/", "/a"]);
    assert_eq!(tree(&store), Vec::<String>::new());
    write(&mut writer, "/");
    assert_eq!(tree(&store), ["/ stream/initialized", "/ x"]);
}

#[test]
fn conditions_hold_or_the_unit_is_refused() {
    let (_store, mut writer) = open(&Disk::default());
    let attempt = |writer: &mut Writer, key: &str, condition: Condition| {
        commit_one(writer, Write { conditions: vec![condition], ..unit(vec![append("/a", keyed("x", "{}", key))]) })
    };
    assert!(matches!(attempt(&mut writer, "1", Condition::Exists(path("/a"))), Err(Refusal::NoSuchStream { .. })));
    let is = |incarnation| Condition::Is(path("/a"), incarnation);
    assert!(matches!(attempt(&mut writer, "1", is(Incarnation::new(2))), Err(Refusal::IncarnationMismatch { found: None, .. })));
    let first = attempt(&mut writer, "1", Condition::IsNew(path("/a"))).unwrap().incarnation.unwrap();
    assert!(matches!(attempt(&mut writer, "2", Condition::IsNew(path("/a"))), Err(Refusal::StreamExists { found, .. }) if found == first));
    attempt(&mut writer, "2", is(first)).unwrap();
    attempt(&mut writer, "3", Condition::Exists(path("/a"))).unwrap();
    // A repeat gets the answer of the first time.
    attempt(&mut writer, "1", Condition::IsNew(path("/a"))).unwrap();
    destroy(&mut writer, "/a", false);
    assert!(matches!(attempt(&mut writer, "4", is(first)), Err(Refusal::IncarnationMismatch { .. })));
}

#[test]
fn a_stream_can_begin_without_an_event_of_anyones() {
    let (store, mut writer) = open(&Disk::default());
    for _ in 0..2 {
        commit_one(&mut writer, Write { begin: Some(path("/a")), ..Write::default() }).unwrap();
    }
    assert_eq!(outline(&store, "/a"), ["1 stream/initialized"]);
}
