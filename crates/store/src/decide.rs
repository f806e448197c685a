//! The first step of a commit: checks every unit of a group, gives out offsets and positions, and comes to the rows to be written.
//! Nothing is written here, and nothing of what a refused unit began remains.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use pelton_model::{Builtin, Digest, Event, Json, NewEvent, Offset, StreamControl, StreamPath, TenantName, Timestamp};
use redb::Database;
use serde::Serialize;

use crate::cache::{KnownStream, StreamCache};
use crate::codec::{CommitRow, CursorRow, Malformed, RunBuilder, Segment, StreamId, StreamRow};
use crate::keyspace::{KeyHash, RUN_BYTES_MAX, STREAMS, checkpoint_key, key_hash};
use crate::open::Counters;
use crate::rows::{CheckpointRows, Rows};
use crate::snapshot::Snapshot;
use crate::write::{Append, CheckpointChange, CheckpointWrite, Component};
use crate::{Committed, KeyReuse, Refusal, StoreError, Write, Written};

/// What a group came to.
pub(crate) struct Decision {
    pub rows: Rows,
    /// Where numbering goes on once the rows are written; the same holds for the next offsets in `streams`.
    pub counters: Counters,
    pub streams: Vec<(StreamPath, KnownStream)>,
    pub committed: Committed,
}

/// One group being decided on. What is on disk is seen through the cache and a snapshot, what earlier units of the group do through
/// the fields that follow them.
pub(crate) struct Decider<'a> {
    db: &'a Database,
    tenant: &'a TenantName,
    cache: &'a mut StreamCache,
    /// Taken when first needed: a group of appends without keys to streams that are known needs none.
    snapshot: Option<Snapshot>,
    before: Counters,
    counters: Counters,
    created_at: Timestamp,
    streams: Vec<Stream>,
    by_path: HashMap<StreamPath, usize>,
    segments: Vec<Segment>,
    keys: HashMap<(StreamId, KeyHash), Keyed>,
    checkpoints: BTreeMap<Vec<u8>, CheckpointRows>,
    components: Vec<Component>,
    component_digests: HashSet<Digest>,
    answers: Vec<Result<Written, Refusal>>,
}

/// A stream that the group has to do with.
struct Stream {
    path: StreamPath,
    id: StreamId,
    /// Whether it began in this group.
    is_new: bool,
    next_offset: Offset,
    control: Arc<StreamControl>,
    control_before: Arc<StreamControl>,
    runs: Vec<RunBuilder>,
    /// The last unit that recorded something here.
    unit: Option<usize>,
}

/// Where in the group an event with a key is.
#[derive(Clone, Copy)]
struct Keyed {
    unit: usize,
    /// Which of the unit's appends, and which of the events that it records.
    append: usize,
    recorded: usize,
    offset: Offset,
}

/// One unit being decided on, with what it takes to undo it.
struct Unit {
    number: usize,
    recorded: Vec<Recorded>,
    answers: Vec<Answer>,
    keys: Vec<(StreamId, KeyHash)>,
    streams_before: usize,
    next_stream_before: StreamId,
    touched: Vec<(usize, Offset, Arc<StreamControl>)>,
}

struct Recorded {
    stream: usize,
    event: Event,
    /// Recorded since a stream began, rather than asked for.
    is_announcement: bool,
}

enum Answer {
    New,
    Found(Event),
}

/// Why deciding on a unit ended early.
enum Stop {
    Refused(Refusal),
    Failed(StoreError),
}

impl<E: Into<StoreError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl<'a> Decider<'a> {
    pub(crate) fn new(db: &'a Database, tenant: &'a TenantName, cache: &'a mut StreamCache, counters: Counters, now: Timestamp) -> Self {
        Self {
            db,
            tenant,
            cache,
            snapshot: None,
            before: counters,
            counters,
            created_at: now.max(counters.last_created_at),
            streams: Vec::new(),
            by_path: HashMap::new(),
            segments: Vec::new(),
            keys: HashMap::new(),
            checkpoints: BTreeMap::new(),
            components: Vec::new(),
            component_digests: HashSet::new(),
            answers: Vec::new(),
        }
    }

    pub(crate) fn decide(mut self, group: Vec<Write>) -> Result<Decision, StoreError> {
        for write in group {
            let answer = self.unit(write)?;
            self.answers.push(answer);
        }
        Ok(self.finish())
    }

    fn unit(&mut self, write: Write) -> Result<Result<Written, Refusal>, StoreError> {
        let mut unit = Unit {
            number: self.answers.len(),
            recorded: Vec::with_capacity(write.appends.len()),
            answers: Vec::with_capacity(write.appends.len()),
            keys: Vec::new(),
            streams_before: self.streams.len(),
            next_stream_before: self.counters.next_stream,
            touched: Vec::new(),
        };
        match self.check(&mut unit, write.appends, write.key_reuse, write.checkpoint, write.component.as_ref()) {
            Ok(checked) => Ok(Ok(self.accept(unit, checked, write.component))),
            Err(Stop::Refused(refusal)) => {
                self.undo(unit);
                Ok(Err(refusal))
            }
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// The checkpoint comes first, so that a processor that was replaced meanwhile learns that, whatever it wants to append.
    fn check(
        &mut self,
        unit: &mut Unit,
        appends: Vec<Append>,
        key_reuse: KeyReuse,
        checkpoint: Option<CheckpointWrite>,
        component: Option<&Component>,
    ) -> Result<Checked, Stop> {
        let checkpoint = checkpoint.map(|write| self.checkpoint(write)).transpose()?;
        for append in appends {
            self.append(unit, append, key_reuse)?;
        }
        let is_component_new = match component {
            Some(Component { digest, .. }) if !self.component_digests.contains(digest) => {
                self.snapshot()?.component_size(digest.as_bytes())?.is_none()
            }
            _ => false,
        };
        Ok(Checked { checkpoint, is_component_new })
    }

    /// The order of the checks is a promise: a key that is known is answered whatever else is the case, so that a repeat gets the
    /// answer of the first time.
    fn append(&mut self, unit: &mut Unit, Append { stream: path, event }: Append, key_reuse: KeyReuse) -> Result<(), Stop> {
        let known = self.find(&path)?;
        let key = event.idempotency_key.as_ref().map(key_hash);
        if let (Some(stream), Some(key)) = (known, key)
            && let Some(stored) = self.keyed(unit, stream, key)?
        {
            if key_reuse == KeyReuse::Refuse && !is_same(&stored, &event) {
                return Err(Stop::Refused(Refusal::KeyReused { stored: Box::new(stored) }));
            }
            unit.answers.push(Answer::Found(stored));
            return Ok(());
        }
        // The first event of a stream is the host's own.
        let next = known.map_or(Offset::FIRST.next(), |stream| self.streams[stream].next_offset);
        if let Some(expected) = event.expected_offset.filter(|&expected| expected != next) {
            return Err(Stop::Refused(Refusal::OffsetMismatch { stream: path, expected, next }));
        }
        if let Some(pause) = known.and_then(|stream| self.streams[stream].control.paused.as_ref())
            && !Builtin::of(event.event_type.as_str()).is_some_and(Builtin::passes_pause)
        {
            return Err(Stop::Refused(Refusal::Paused { stream: path, reason: pause.reason.clone() }));
        }
        let stream = match known {
            Some(stream) => stream,
            None => self.begin(unit, &path)?,
        };
        let offset = self.streams[stream].next_offset;
        if let Some(key) = key {
            let id = self.streams[stream].id;
            let keyed = Keyed { unit: unit.number, append: unit.answers.len(), recorded: unit.recorded.len(), offset };
            self.keys.insert((id, key), keyed);
            unit.keys.push((id, key));
        }
        self.record(unit, stream, event, false);
        unit.answers.push(Answer::New);
        Ok(())
    }

    /// The event that the stream has recorded under a key: in this unit, earlier in this group, or on disk.
    fn keyed(&mut self, unit: &Unit, stream: usize, key: KeyHash) -> Result<Option<Event>, StoreError> {
        let Stream { id, is_new, ref path, .. } = self.streams[stream];
        if let Some(keyed) = self.keys.get(&(id, key)) {
            let in_unit = || unit.recorded.get(keyed.recorded).map(|recorded| &recorded.event);
            let in_group = || self.answers.get(keyed.unit)?.as_ref().ok()?.events.get(keyed.append);
            let event = if keyed.unit == unit.number { in_unit() } else { in_group() };
            return Ok(event.cloned());
        }
        if is_new {
            return Ok(None);
        }
        let path = path.clone();
        let snapshot = self.snapshot()?;
        let Some(offset) = snapshot.keyed(id, &key)? else { return Ok(None) };
        snapshot.event(&path, id, offset).map(Some)
    }

    /// Begins a stream, and those above it that are missing. Each announces itself to all above it.
    fn begin(&mut self, unit: &mut Unit, path: &StreamPath) -> Result<usize, StoreError> {
        let mut missing = vec![path.clone()];
        for ancestor in path.ancestors() {
            if self.find(&ancestor)?.is_some() {
                // What is above an existing stream exists.
                break;
            }
            missing.push(ancestor);
        }
        let mut begun = 0;
        for path in missing.into_iter().rev() {
            begun = self.streams.len();
            self.by_path.insert(path.clone(), begun);
            self.streams.push(Stream {
                path: path.clone(),
                id: self.counters.next_stream,
                is_new: true,
                next_offset: Offset::FIRST,
                control: Arc::default(),
                control_before: Arc::default(),
                runs: Vec::new(),
                unit: None,
            });
            self.counters.next_stream += 1;
            let payload = Initialized { project_slug: self.tenant, path: &path };
            self.record(unit, begun, NewEvent::builtin(Builtin::Initialized, &payload), true);
            let announcement = NewEvent::builtin(Builtin::ChildStreamCreated, &ChildStreamCreated { child_path: &path });
            for ancestor in path.ancestors() {
                let stream =
                    self.find(&ancestor)?.ok_or_else(|| Malformed("missing, though a stream below it exists").at(&STREAMS, &ancestor))?;
                self.record(unit, stream, announcement.clone(), true);
            }
        }
        Ok(begun)
    }

    fn record(&mut self, unit: &mut Unit, stream_index: usize, event: NewEvent, is_announcement: bool) {
        let stream = &mut self.streams[stream_index];
        if stream.unit != Some(unit.number) {
            stream.unit = Some(unit.number);
            unit.touched.push((stream_index, stream.next_offset, Arc::clone(&stream.control)));
        }
        let event = Event {
            stream_path: stream.path.clone(),
            offset: stream.next_offset,
            event_type: event.event_type,
            payload: event.payload,
            metadata: event.metadata,
            idempotency_key: event.idempotency_key,
            created_at: self.created_at,
            source: event.source,
        };
        stream.next_offset = stream.next_offset.next();
        if !is_announcement && Builtin::of(event.event_type.as_str()).is_some() {
            let mut control = StreamControl::clone(&stream.control);
            if control.apply(&event) {
                stream.control = Arc::new(control);
            }
        }
        unit.recorded.push(Recorded { stream: stream_index, event, is_announcement });
    }

    fn checkpoint(&mut self, write: CheckpointWrite) -> Result<(Vec<u8>, CheckpointRows), Stop> {
        let key = checkpoint_key(&write.stream, &write.slug);
        let (stored, earlier_state) = match self.checkpoints.get(&key) {
            Some(CheckpointRows::Put(cursor, state)) => (Some(*cursor), state.clone()),
            Some(CheckpointRows::Delete) => (None, None),
            None => (self.snapshot()?.cursor(&key)?, None),
        };
        let found = stored.map_or(0, |cursor| cursor.revision);
        if write.revision != found {
            return Err(Stop::Refused(Refusal::StaleCheckpoint {
                stream: write.stream,
                slug: write.slug,
                expected: write.revision,
                found,
            }));
        }
        let CheckpointChange::Put { configured_offset, reduced, acknowledged, state } = write.change else {
            return Ok((key, CheckpointRows::Delete));
        };
        let (state, state_digest) = match (state, stored) {
            (None, Some(cursor)) => (earlier_state, cursor.state_digest),
            (state, _) => {
                let state = state.unwrap_or_else(|| Json::from_checked("null"));
                let digest = Digest::of(state.as_str().as_bytes());
                (Some(state), digest)
            }
        };
        let cursor = CursorRow { configured_offset, reduced, acknowledged, revision: found + 1, state_digest };
        Ok((key, CheckpointRows::Put(cursor, state)))
    }

    fn accept(&mut self, unit: Unit, checked: Checked, component: Option<Component>) -> Written {
        if let Some((key, rows)) = checked.checkpoint {
            self.checkpoints.insert(key, rows);
        }
        if let Some(component) = component.filter(|_| checked.is_component_new) {
            self.component_digests.insert(component.digest);
            self.components.push(component);
        }
        for recorded in &unit.recorded {
            self.write_down(recorded);
        }
        let recorded = unit.answers.iter().filter(|answer| matches!(answer, Answer::New)).count();
        let mut new = unit.recorded.into_iter().filter(|recorded| !recorded.is_announcement).map(|recorded| recorded.event);
        let answers = unit.answers.into_iter().filter_map(|answer| match answer {
            Answer::New => new.next(),
            Answer::Found(event) => Some(event),
        });
        Written { events: answers.collect(), recorded }
    }

    fn write_down(&mut self, Recorded { stream, event, .. }: &Recorded) {
        let stream = &mut self.streams[*stream];
        let run = match stream.runs.last_mut() {
            Some(run) if run.len() + event_bytes_about(event) <= RUN_BYTES_MAX => run,
            _ => {
                stream.runs.push(RunBuilder::new(event.offset, self.before.next_position, self.created_at));
                let last = stream.runs.len() - 1;
                &mut stream.runs[last]
            }
        };
        run.push(event);
        match self.segments.last_mut() {
            Some(last) if last.stream == stream.id => last.count += 1,
            _ => self.segments.push(Segment { stream: stream.id, first: event.offset, count: 1 }),
        }
        self.counters.next_position = self.counters.next_position.next();
        self.counters.last_created_at = self.created_at;
    }

    fn undo(&mut self, unit: Unit) {
        for key in unit.keys {
            self.keys.remove(&key);
        }
        for (stream, next_offset, control) in unit.touched {
            let stream = &mut self.streams[stream];
            (stream.next_offset, stream.control) = (next_offset, control);
        }
        // This also drops streams that the unit only looked at; the cache still has those.
        for stream in self.streams.drain(unit.streams_before..) {
            self.by_path.remove(&stream.path);
        }
        self.counters.next_stream = unit.next_stream_before;
    }

    /// The index of a stream that exists, on disk or since an earlier append of the group.
    fn find(&mut self, path: &StreamPath) -> Result<Option<usize>, StoreError> {
        if let Some(&stream) = self.by_path.get(path) {
            return Ok(Some(stream));
        }
        let known = if let Some(known) = self.cache.get(path) {
            known
        } else {
            let snapshot = self.snapshot()?;
            let Some(StreamRow { id, .. }) = snapshot.stream(path)? else { return Ok(None) };
            let known = KnownStream { id, next_offset: snapshot.next_offset(id)?, control: snapshot.control(id)? };
            self.cache.insert(path.clone(), known.clone());
            known
        };
        self.by_path.insert(path.clone(), self.streams.len());
        self.streams.push(Stream {
            path: path.clone(),
            id: known.id,
            is_new: false,
            next_offset: known.next_offset,
            control_before: Arc::clone(&known.control),
            control: known.control,
            runs: Vec::new(),
            unit: None,
        });
        Ok(Some(self.streams.len() - 1))
    }

    fn snapshot(&mut self) -> Result<&Snapshot, StoreError> {
        match &mut self.snapshot {
            Some(snapshot) => Ok(snapshot),
            none => Ok(none.insert(Snapshot::new(self.db)?)),
        }
    }

    fn finish(self) -> Decision {
        let mut rows = Rows { components: self.components, checkpoints: self.checkpoints.into_iter().collect(), ..Rows::default() };
        let (mut moved, mut processors_changed, mut known) = (Vec::new(), Vec::new(), Vec::new());
        for stream in self.streams {
            if stream.runs.is_empty() {
                continue;
            }
            if stream.is_new {
                rows.streams.push((stream.path.clone(), StreamRow { id: stream.id, created_at: self.created_at }));
            }
            if stream.control != stream.control_before {
                if stream.control.processors != stream.control_before.processors {
                    processors_changed.push(stream.path.clone());
                }
                rows.controls.push((stream.id, Arc::clone(&stream.control)));
            }
            rows.runs.extend(stream.runs.into_iter().map(|run| (stream.id, run)));
            moved.push((stream.path.clone(), stream.next_offset));
            known.push((stream.path, KnownStream { id: stream.id, next_offset: stream.next_offset, control: stream.control }));
        }
        rows.keys = self.keys.into_iter().map(|((stream, key), keyed)| (stream, key, keyed.offset)).collect();
        // In the order of their keys, neighbouring rows are written while their page is at hand.
        rows.runs.sort_by_key(|(stream, run)| (*stream, run.first));
        rows.keys.sort_unstable();
        if !self.segments.is_empty() {
            rows.commit = Some((self.before.next_position, CommitRow { created_at: self.created_at, segments: self.segments }));
        }
        let committed = Committed { answers: self.answers, moved, head: self.counters.next_position, processors_changed };
        Decision { rows, counters: self.counters, streams: known, committed }
    }
}

/// What the checks of a unit found out that accepting it needs.
struct Checked {
    checkpoint: Option<(Vec<u8>, CheckpointRows)>,
    is_component_new: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Initialized<'a> {
    project_slug: &'a TenantName,
    path: &'a StreamPath,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChildStreamCreated<'a> {
    child_path: &'a StreamPath,
}

/// Whether an append under a known key asks for the event that is stored. Who repeats a request repeats its text, so texts are compared.
fn is_same(stored: &Event, event: &NewEvent) -> bool {
    stored.event_type == event.event_type && stored.payload == event.payload && stored.metadata == event.metadata
}

/// A little more than the event takes in a run.
fn event_bytes_about(event: &Event) -> usize {
    let metadata = event.metadata.as_ref().map_or(0, |metadata| metadata.as_str().len());
    let key = event.idempotency_key.as_ref().map_or(0, |key| key.as_str().len());
    let source = event.source.as_ref().map_or(0, |source| 64 + source.slug.as_str().len() + source.stream_path.as_str().len());
    64 + event.event_type.as_str().len() + event.payload.as_str().len() + metadata + key + source
}
