//! Any groups of writes, against a model in memory that is too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pelton_model::{Builtin, Digest, Event, Incarnation, Json, NewEvent, Offset, Position, StreamControl, StreamPath, Timestamp};
use proptest::prelude::*;

use super::{Disk, append, event, keyed, millis, offset, open, path, processor};
use crate::{
    Append, Checkpoint, CheckpointChange, CheckpointWrite, Committed, Component, ControlChange, KeyReuse, PageLimit, Refusal, Store, Write,
    Written,
};

/// Everything that can be read from a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Model {
    streams: BTreeMap<StreamPath, (Vec<Event>, Arc<StreamControl>)>,
    incarnations: BTreeMap<StreamPath, Incarnation>,
    order: Vec<Event>,
    checkpoints: BTreeMap<(StreamPath, String), Checkpoint>,
    components: BTreeMap<Digest, Vec<u8>>,
    last_created_at: Option<Timestamp>,
}

impl Model {
    pub(super) fn commit(&mut self, group: &[Write], now: Timestamp) -> Committed {
        let before = self.clone();
        let now = self.last_created_at.map_or(now, |last| last.max(now));
        let mut answers = Vec::new();
        for write in group {
            let mut attempt = self.clone();
            let answer = attempt.unit(write, now);
            if answer.is_ok() {
                *self = attempt;
            }
            answers.push(answer);
        }
        let next = |(events, _): &(Vec<Event>, _)| offset(events.len() as u64 + 1);
        let old = |path| before.streams.get(path).cloned().unwrap_or_default();
        let moved = self.streams.iter().filter(|(path, stream)| next(&old(path)) != next(stream));
        let changed = self.streams.iter().filter_map(|(path, (_, control))| {
            let before = old(path).1;
            let processors = before.processors != control.processors;
            let pushes = before.subscriptions != control.subscriptions || before.transformers != control.transformers;
            let schedules = before.schedules != control.schedules || (!control.schedules.is_empty() && before.paused != control.paused);
            let change = || ControlChange { stream: path.clone(), processors, pushes, schedules };
            (processors || pushes || schedules).then(change)
        });
        Committed {
            answers,
            moved: moved.map(|(path, stream)| (path.clone(), next(stream))).collect(),
            head: Position::FIRST.plus(self.order.len() as u64),
            controls_changed: changed.collect(),
        }
    }

    fn unit(&mut self, write: &Write, now: Timestamp) -> Result<Written, Refusal> {
        if let Some(checkpoint) = &write.checkpoint {
            self.checkpoint(checkpoint)?;
        }
        if let Some(component) = &write.component {
            self.components.insert(component.digest, component.bytes.clone());
        }
        let mut written = Written { events: Vec::new(), recorded: 0, incarnation: None };
        for append in &write.appends {
            let (event, is_new) = self.append(append, write.key_reuse, now)?;
            written.events.push(event);
            written.recorded += usize::from(is_new);
        }
        written.incarnation = write.appends.first().map(|append| self.incarnations[&append.stream]);
        Ok(written)
    }

    fn append(&mut self, append: &Append, key_reuse: KeyReuse, now: Timestamp) -> Result<(Event, bool), Refusal> {
        let Append { stream: path, event } = append;
        let (events, control) = self.streams.get(path).cloned().unwrap_or_default();
        if let Some(stored) =
            events.iter().find(|stored| event.idempotency_key.is_some() && stored.idempotency_key == event.idempotency_key)
        {
            let same = (&stored.event_type, &stored.payload, &stored.metadata) == (&event.event_type, &event.payload, &event.metadata);
            if same || key_reuse == KeyReuse::KeepFirst {
                return Ok((stored.clone(), false));
            }
            return Err(Refusal::KeyReused { stored: Box::new(stored.clone()) });
        }
        let next = offset(events.len().max(1) as u64 + 1);
        match (event.expected_offset, &control.paused) {
            (Some(expected), _) if expected != next => Err(Refusal::OffsetMismatch { stream: path.clone(), expected, next }),
            (_, Some(pause)) if !Builtin::of(event.event_type.as_str()).is_some_and(Builtin::passes_pause) => {
                Err(Refusal::Paused { stream: path.clone(), reason: pause.reason.clone() })
            }
            _ => {
                self.begin(path, now);
                Ok((self.record(path, event, now), true))
            }
        }
    }

    fn begin(&mut self, path: &StreamPath, now: Timestamp) {
        if self.streams.contains_key(path) {
            return;
        }
        if let Some(parent) = path.parent() {
            self.begin(&parent, now);
        }
        self.incarnations.insert(path.clone(), Incarnation::new(self.incarnations.len() as u64 + 1));
        self.record(path, &event("stream/initialized", &format!(r#"{{"projectSlug":"acme","path":"{path}"}}"#)), now);
        for ancestor in path.ancestors() {
            self.record(&ancestor, &event("stream/child-stream-created", &format!(r#"{{"childPath":"{path}"}}"#)), now);
        }
    }

    fn record(&mut self, path: &StreamPath, event: &NewEvent, now: Timestamp) -> Event {
        let (events, control) = self.streams.entry(path.clone()).or_default();
        let event = Event {
            stream_path: path.clone(),
            offset: offset(events.len() as u64 + 1),
            event_type: event.event_type.clone(),
            payload: event.payload.clone(),
            metadata: event.metadata.clone(),
            idempotency_key: event.idempotency_key.clone(),
            created_at: now,
            source: event.source.clone(),
        };
        Arc::make_mut(control).apply(&event);
        events.push(event.clone());
        self.order.push(event.clone());
        self.last_created_at = Some(now);
        event
    }

    fn checkpoint(&mut self, write: &CheckpointWrite) -> Result<(), Refusal> {
        let key = (write.stream.clone(), write.consumer.to_string());
        let stored = self.checkpoints.remove(&key);
        let found = stored.as_ref().map_or(0, |stored| stored.revision);
        if found != write.revision {
            let (stream, consumer) = (write.stream.clone(), write.consumer.clone());
            return Err(Refusal::StaleCheckpoint { stream, consumer, expected: write.revision, found });
        }
        if let CheckpointChange::Put { configured_offset, reduced, acknowledged, state } = write.change.clone() {
            let state = state.or(stored.map(|stored| stored.state)).unwrap_or_else(|| Json::parse("null").unwrap());
            let state_digest = Digest::of(state.as_str().as_bytes());
            self.checkpoints.insert(key, Checkpoint { configured_offset, reduced, acknowledged, state, state_digest, revision: found + 1 });
        }
        Ok(())
    }

    /// Reads a whole file through pages of the given size, and on the way checks everything that is said twice.
    pub(super) fn read(store: &Store, limit: PageLimit) -> Self {
        let order = read_tree(store, "/", limit);
        assert_eq!(store.head(), Position::FIRST.plus(order.len() as u64));
        assert!(order.iter().map(|(position, _)| position.get()).eq(1..=order.len() as u64));
        let mut model = Self { last_created_at: order.last().map(|(_, event)| event.created_at), ..Self::default() };
        for (path, created_at) in store.descendants(&path("/")).unwrap() {
            let info = store.stream(&path).unwrap().unwrap();
            let events = read_stream(store, &path, limit);
            assert!(events.iter().map(|event| event.offset.get()).eq(1..info.next_offset.get()));
            assert_eq!((events[0].created_at, info.created_at), (created_at, created_at));
            let own: Vec<_> = order.iter().filter(|(_, event)| event.stream_path == path).collect();
            assert!(own.iter().map(|(_, event)| event).eq(&events));
            assert!(own.iter().all(|(position, event)| store.position(&path, event.offset).unwrap() == Some(*position)));
            let below: Vec<_> = order.iter().filter(|(_, event)| path.covers(&event.stream_path)).cloned().collect();
            assert_eq!(read_tree(store, path.as_str(), limit), below);
            for name in SLUGS {
                if let Some(checkpoint) = store.checkpoint(&path, &processor(name)).unwrap() {
                    model.checkpoints.insert((path.clone(), processor(name).to_string()), checkpoint);
                }
            }
            model.incarnations.insert(path.clone(), info.incarnation);
            model.streams.insert(path, (events, info.control));
        }
        for path in PATHS.map(path) {
            for name in SLUGS {
                if let Some(checkpoint) = store.checkpoint(&path, &processor(name)).unwrap() {
                    model.checkpoints.insert((path.clone(), processor(name).to_string()), checkpoint);
                }
            }
            let children: Vec<_> = model.streams.keys().filter(|child| child.parent().as_ref() == Some(&path)).cloned().collect();
            assert_eq!(store.children(&path).unwrap(), children);
        }
        for bytes in COMPONENTS {
            let digest = Digest::of(bytes);
            if let Some(stored) = store.component(&digest).unwrap() {
                assert_eq!(store.component_size(&digest).unwrap(), Some(stored.len() as u64));
                model.components.insert(digest, stored);
            }
        }
        let controls = model.streams.iter().map(|(path, (_, control))| (path.clone(), Arc::clone(control)));
        let controls: Vec<_> = controls.filter(|(_, control)| **control != StreamControl::default()).collect();
        assert_eq!(store.controls().unwrap(), controls);
        model.order = order.into_iter().map(|(_, event)| event).collect();
        model
    }
}

fn read_stream(store: &Store, path: &StreamPath, limit: PageLimit) -> Vec<Event> {
    let (mut events, mut next) = (Vec::new(), Offset::FIRST);
    loop {
        let page = store.read_stream(path, next..Offset::MAX, limit).unwrap();
        assert!(page.events.len() <= limit.events_max.max(1));
        if page.events.is_empty() {
            assert_eq!(page.next, next);
            return events;
        }
        next = page.next;
        events.extend(page.events);
    }
}

fn read_tree(store: &Store, root: &str, limit: PageLimit) -> Vec<(Position, Event)> {
    let (mut events, mut next) = (Vec::new(), Position::FIRST);
    loop {
        let page = store.read_tree(&path(root), next, limit).unwrap();
        assert!(page.next >= next && page.events.len() <= limit.events_max.max(1));
        next = page.next;
        if page.events.is_empty() {
            assert_eq!(next, store.head());
            return events;
        }
        events.extend(page.events);
    }
}

const PATHS: [&str; 7] = ["/", "/a", "/a/b", "/a-b", "/a/b/c", "/a/b0", "/d/e"];
const SLUGS: [&str; 2] = ["p", "q"];
const COMPONENTS: [&[u8]; 2] = [b"", &[7; 300_000]];

fn arbitrary_event() -> impl Strategy<Value = NewEvent> {
    let plain = (0..3_u8).prop_map(|n| event("x", &format!(r#"{{"n":{n}}}"#)));
    let with_key = (0..3_u8, 0..2_u8).prop_map(|(n, key)| keyed("x", &format!(r#"{{"n":{n}}}"#), &format!("k{key}")));
    let builtin = prop_oneof![
        Just(event("stream/paused", r#"{"reason":"r"}"#)),
        Just(event("stream/resumed", "{}")),
        Just(event("stream/metadata-updated", r#"{"metadata":{"m":1}}"#)),
        (0..2_usize).prop_map(|n| {
            let digest = Digest::of(COMPONENTS[n]);
            event("stream/processor/configured", &format!(r#"{{"slug":"p","component":{{"digest":"{digest}"}}}}"#))
        }),
        Just(event("stream/processor/removed", r#"{"slug":"p"}"#)),
    ];
    let kind = prop_oneof![4 => plain, 3 => with_key, 2 => builtin];
    (kind, prop_oneof![5 => Just(None), 1 => (1..9_u64).prop_map(Some)])
        .prop_map(|(event, expected)| NewEvent { expected_offset: expected.and_then(Offset::new), ..event })
}

fn arbitrary_checkpoint() -> impl Strategy<Value = CheckpointWrite> {
    let state = proptest::option::of((0..100_u8).prop_map(|n| Json::parse(&n.to_string()).unwrap()));
    let put = (0..9_u64, 0..9_u64, state).prop_map(|(reduced, acknowledged, state)| CheckpointChange::Put {
        configured_offset: offset(2),
        reduced,
        acknowledged,
        state,
    });
    let change = prop_oneof![4 => put, 1 => Just(CheckpointChange::Delete)];
    (prop::sample::select(&PATHS[..]), prop::sample::select(&SLUGS[..]), 0..3_u64, change)
        .prop_map(|(stream, name, revision, change)| CheckpointWrite { stream: path(stream), consumer: processor(name), revision, change })
}

fn arbitrary_write() -> impl Strategy<Value = Write> {
    let appends = prop::collection::vec((prop::sample::select(&PATHS[..]), arbitrary_event()), 0..4);
    let component = proptest::option::weighted(0.1, prop::sample::select(&COMPONENTS[..]));
    (appends, any::<bool>(), proptest::option::weighted(0.4, arbitrary_checkpoint()), component).prop_map(
        |(appends, keep_first, checkpoint, component)| Write {
            appends: appends.into_iter().map(|(stream, event)| append(stream, event)).collect(),
            key_reuse: if keep_first { KeyReuse::KeepFirst } else { KeyReuse::Refuse },
            component: component.map(|bytes| Component { digest: Digest::of(bytes), bytes: bytes.to_vec() }),
            checkpoint,
            ..Write::default()
        },
    )
}

/// Groups, each with what the clock shows.
pub(super) fn arbitrary_groups() -> impl Strategy<Value = Vec<(Vec<Write>, Timestamp)>> {
    prop::collection::vec((prop::collection::vec(arbitrary_write(), 0..5), (0..9_u64).prop_map(millis)), 1..8)
}

pub(super) fn assert_same(mut found: Committed, expected: &Committed) {
    // Streams come in the order in which the group touched them, which is nobody's business.
    let paths: BTreeSet<_> = found.moved.iter().map(|(path, _)| path.clone()).collect();
    assert_eq!(paths.len(), found.moved.len());
    found.moved.sort();
    found.controls_changed.sort_by(|one, other| one.stream.cmp(&other.stream));
    assert_eq!(format!("{found:#?}"), format!("{expected:#?}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_groups_give_what_the_model_says_also_after_reopening(
        groups in arbitrary_groups(), reopen in any::<u8>(), events_max in 0..4_usize, bytes_max in 0..200_usize,
    ) {
        let disk = Disk::default();
        let mut model = Model::default();
        let (mut store, mut writer) = open(&disk);
        for (nth, (group, now)) in groups.into_iter().enumerate() {
            let expected = model.commit(&group, now);
            assert_same(writer.commit(group, now).unwrap(), &expected);
            prop_assert_eq!(store.head(), expected.head);
            if reopen >> nth & 1 == 1 {
                drop((store, writer));
                (store, writer) = open(&disk);
            }
        }
        prop_assert_eq!(&Model::read(&store, PageLimit { events_max, bytes_max }), &model);
        drop((store, writer));
        prop_assert_eq!(&Model::read(&open(&disk).0, PageLimit::default()), &model);
    }
}
