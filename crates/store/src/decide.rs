//! The first step of a commit: checks every unit of a group, gives out offsets and positions, and comes to the rows to be written.
//! Nothing is written here, and nothing of what a refused unit began remains.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use pelton_model::{
    Breaker, Bucket, Builtin, ChildStreamCreated, Digest, ENV_VARS_MAX, Event, Incarnation, Initialized, Json, NewEvent, Offset,
    StreamControl, StreamPath, Timestamp,
};
use redb::Database;
use serde::Serialize;

use crate::cache::{KnownStream, StreamCache};
use crate::codec::{CommitRow, CursorRow, Malformed, RunBuilder, Segment, StreamId, StreamRow};
use crate::keyspace::{KeyHash, RUN_BYTES_MAX, STREAMS, checkpoint_key, key_hash};
use crate::open::Counters;
use crate::rows::{CheckpointRows, Rows};
use crate::snapshot::Snapshot;
use crate::write::{Append, CheckpointChange, CheckpointWrite, Component, Condition, ControlChange, SecretWrite};
use crate::{Committed, KeyReuse, OpenOptions, Refusal, StoreError, Write, Written};

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
    options: &'a OpenOptions,
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
    secrets: Vec<SecretWrite>,
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
    bucket: Option<Bucket>,
    bucket_before: Option<Bucket>,
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
    /// What has to hold before the first new event.
    conditions: Vec<Condition>,
    /// The stream of the first append.
    incarnation: Option<Incarnation>,
    streams_before: usize,
    next_stream_before: StreamId,
    touched: Vec<Touched>,
}

/// A stream as it was before the unit.
struct Touched {
    stream: usize,
    next_offset: Offset,
    control: Arc<StreamControl>,
    bucket: Option<Bucket>,
    /// Events of the unit that count against the stream's circuit breaker.
    counted: u32,
}

struct Recorded {
    stream: usize,
    event: Event,
    origin: Origin,
}

/// Why an event is recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Asked,
    /// The host's own, because of one that was asked for.
    Consequence,
    /// The host's own, because a stream began.
    Announcement,
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
    pub(crate) fn new(db: &'a Database, options: &'a OpenOptions, cache: &'a mut StreamCache, counters: Counters, now: Timestamp) -> Self {
        Self {
            db,
            options,
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
            secrets: Vec::new(),
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
            conditions: write.conditions,
            incarnation: None,
            streams_before: self.streams.len(),
            next_stream_before: self.counters.next_stream,
            touched: Vec::new(),
        };
        let asked = Asked {
            appends: write.appends,
            key_reuse: write.key_reuse,
            begin: write.begin,
            checkpoint: write.checkpoint,
            component: write.component.as_ref(),
        };
        match self.check(&mut unit, asked) {
            Ok(checked) => {
                self.secrets.extend(write.secret);
                Ok(Ok(self.accept(unit, checked, write.component)))
            }
            Err(Stop::Refused(refusal)) => {
                self.undo(unit);
                Ok(Err(refusal))
            }
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// The checkpoint comes first, so that a processor that was replaced meanwhile learns that, whatever it wants to append.
    fn check(&mut self, unit: &mut Unit, asked: Asked<'_>) -> Result<Checked, Stop> {
        let checkpoint = asked.checkpoint.map(|write| self.checkpoint(write)).transpose()?;
        if let Some(path) = asked.begin
            && self.find(&path)?.is_none()
        {
            self.begin(unit, &path)?;
        }
        for append in asked.appends {
            self.append(unit, append, asked.key_reuse)?;
        }
        self.trip(unit);
        let is_component_new = match asked.component {
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
        if unit.answers.is_empty() {
            unit.incarnation = known.map(|stream| Incarnation::new(self.streams[stream].id));
        }
        let key = event.idempotency_key.as_ref().map(key_hash);
        if let (Some(stream), Some(key)) = (known, key)
            && let Some(stored) = self.keyed(unit, stream, key)?
        {
            if key_reuse == KeyReuse::Refuse && !event.is_repeat_of(&stored) {
                return Err(Stop::Refused(Refusal::KeyReused { stored: Box::new(stored) }));
            }
            unit.answers.push(Answer::Found(stored));
            return Ok(());
        }
        for condition in std::mem::take(&mut unit.conditions) {
            self.hold(condition)?;
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
        if known.is_some_and(|stream| self.streams[stream].control.has_too_many_variables_with(&event)) {
            return Err(Stop::Refused(Refusal::TooManyVariables { stream: path, max: ENV_VARS_MAX }));
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
        unit.incarnation.get_or_insert(Incarnation::new(self.streams[stream].id));
        self.count(unit, stream, &event);
        let takes_room = Builtin::of(event.event_type.as_str()).is_some_and(Builtin::takes_room);
        let bytes_before = self.streams[stream].control.bytes();
        self.record(unit, stream, event, Origin::Asked);
        let (found, max) = (self.streams[stream].control.bytes(), self.options.control_bytes_max);
        if takes_room && found > bytes_before.max(max) {
            return Err(Stop::Refused(Refusal::ControlTooLarge { stream: path, max, found }));
        }
        unit.answers.push(Answer::New);
        Ok(())
    }

    fn hold(&mut self, condition: Condition) -> Result<(), Stop> {
        let (Condition::Is(path, _) | Condition::Exists(path) | Condition::IsNew(path) | Condition::ScheduleDue { stream: path, .. }) =
            &condition;
        let known = self.find(path)?;
        let found = known.map(|stream| Incarnation::new(self.streams[stream].id));
        let refusal = match (condition, found) {
            (Condition::ScheduleDue { stream, slug, configured_offset, at }, _) => {
                let schedule = known.and_then(|known| self.streams[known].control.schedules.get(&slug));
                if schedule.is_some_and(|schedule| schedule.configured_offset == configured_offset && schedule.next_run_at == at) {
                    return Ok(());
                }
                Refusal::ScheduleChanged { stream, slug }
            }
            (Condition::Is(_, expected), Some(found)) if expected == found => return Ok(()),
            (Condition::Is(stream, expected), found) => Refusal::IncarnationMismatch { stream, expected, found },
            (Condition::Exists(_), Some(_)) | (Condition::IsNew(_), None) => return Ok(()),
            (Condition::Exists(stream), None) => Refusal::NoSuchStream { stream },
            (Condition::IsNew(stream), Some(found)) => Refusal::StreamExists { stream, found },
        };
        Err(Stop::Refused(refusal))
    }

    /// What the host records itself, and what ends a pause, is not counted.
    fn count(&mut self, unit: &mut Unit, stream: usize, event: &NewEvent) {
        let is_exempt = Builtin::of(event.event_type.as_str()).is_some_and(|builtin| builtin.is_host_only() || builtin.passes_pause());
        let is_counted = event.source.is_some() || self.options.breaker_counts_all || self.streams[stream].control.breaker.is_some();
        if is_counted && !is_exempt {
            self.touch(unit, stream).counted += 1;
        }
    }

    /// The unit that is too much for a circuit breaker is recorded whole, and then the pause: a unit stays all or nothing.
    fn trip(&mut self, unit: &mut Unit) {
        let counted: Vec<_> =
            unit.touched.iter().filter(|touched| touched.counted > 0).map(|touched| (touched.stream, touched.counted)).collect();
        for (index, counted) in counted {
            let stream = &mut self.streams[index];
            let breaker = stream.control.breaker.unwrap_or(Breaker::DEFAULT);
            let bucket = Bucket::after(stream.bucket, &breaker, counted, self.created_at);
            stream.bucket = Some(bucket);
            if bucket.has_tripped() && stream.control.paused.is_none() {
                let Breaker { burst_capacity, refill_rate_per_minute } = breaker;
                let reason =
                    format!("circuit breaker: burst rate limit exceeded ({burst_capacity} at once, {refill_rate_per_minute} a minute)");
                self.record(unit, index, NewEvent::builtin(Builtin::Paused, &Paused { reason }), Origin::Consequence);
            }
        }
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
            // Any of them may have been destroyed, also one above a stream that exists.
            if self.find(&ancestor)?.is_none() {
                missing.push(ancestor);
            }
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
                bucket: None,
                bucket_before: None,
                runs: Vec::new(),
                unit: None,
            });
            self.counters.next_stream += 1;
            let payload = Initialized { project_slug: self.options.tenant.clone(), path: path.clone() };
            self.record(unit, begun, NewEvent::builtin(Builtin::Initialized, &payload), Origin::Announcement);
            let announcement = NewEvent::builtin(Builtin::ChildStreamCreated, &ChildStreamCreated { child_path: path.clone() });
            for ancestor in path.ancestors() {
                let stream =
                    self.find(&ancestor)?.ok_or_else(|| Malformed("missing, though a stream below it exists").at(&STREAMS, &ancestor))?;
                self.record(unit, stream, announcement.clone(), Origin::Announcement);
            }
        }
        Ok(begun)
    }

    /// What the stream was before the unit, noted the first time that the unit has to do with it.
    fn touch<'u>(&mut self, unit: &'u mut Unit, index: usize) -> &'u mut Touched {
        let stream = &mut self.streams[index];
        let at = match unit.touched.iter().rposition(|touched| touched.stream == index) {
            Some(at) if stream.unit == Some(unit.number) => at,
            _ => {
                stream.unit = Some(unit.number);
                let (next_offset, control) = (stream.next_offset, Arc::clone(&stream.control));
                unit.touched.push(Touched { stream: index, next_offset, control, bucket: stream.bucket, counted: 0 });
                unit.touched.len() - 1
            }
        };
        &mut unit.touched[at]
    }

    fn record(&mut self, unit: &mut Unit, stream_index: usize, event: NewEvent, origin: Origin) {
        if self.streams[stream_index].unit != Some(unit.number) {
            self.touch(unit, stream_index);
        }
        let stream = &mut self.streams[stream_index];
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
        if let (true, Some(builtin)) = (origin != Origin::Announcement, Builtin::of(event.event_type.as_str())) {
            Arc::make_mut(&mut stream.control).apply(&event);
            if matches!(builtin, Builtin::Paused | Builtin::Resumed | Builtin::CircuitBreakerConfigured) {
                stream.bucket = None;
            }
            let consequence = builtin.consequence(&event);
            unit.recorded.push(Recorded { stream: stream_index, event, origin });
            if let Some(consequence) = consequence {
                self.record(unit, stream_index, consequence, Origin::Consequence);
            }
            return;
        }
        unit.recorded.push(Recorded { stream: stream_index, event, origin });
    }

    fn checkpoint(&mut self, write: CheckpointWrite) -> Result<(Vec<u8>, CheckpointRows), Stop> {
        let key = checkpoint_key(&write.stream, &write.consumer);
        let (stored, earlier_state) = match self.checkpoints.get(&key) {
            Some(CheckpointRows::Put(cursor, state)) => (Some(*cursor), state.clone()),
            Some(CheckpointRows::Delete) => (None, None),
            None => (self.snapshot()?.cursor(&key)?, None),
        };
        let found = stored.map_or(0, |cursor| cursor.revision);
        if write.revision != found {
            return Err(Stop::Refused(Refusal::StaleCheckpoint {
                stream: write.stream,
                consumer: write.consumer,
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
        let mut new = unit.recorded.into_iter().filter(|recorded| recorded.origin == Origin::Asked).map(|recorded| recorded.event);
        let answers = unit.answers.into_iter().filter_map(|answer| match answer {
            Answer::New => new.next(),
            Answer::Found(event) => Some(event),
        });
        Written { events: answers.collect(), recorded, incarnation: unit.incarnation }
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
        for Touched { stream, next_offset, control, bucket, .. } in unit.touched {
            let stream = &mut self.streams[stream];
            (stream.next_offset, stream.control, stream.bucket) = (next_offset, control, bucket);
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
            let known =
                KnownStream { id, next_offset: snapshot.next_offset(id)?, control: snapshot.control(id)?, bucket: snapshot.bucket(id)? };
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
            bucket: known.bucket,
            bucket_before: known.bucket,
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
        let mut rows = Rows {
            components: self.components,
            checkpoints: self.checkpoints.into_iter().collect(),
            secrets: self.secrets,
            ..Rows::default()
        };
        let (mut moved, mut controls_changed, mut known) = (Vec::new(), Vec::new(), Vec::new());
        for stream in self.streams {
            if stream.runs.is_empty() {
                continue;
            }
            if stream.is_new {
                rows.streams.push((stream.path.clone(), StreamRow { id: stream.id, created_at: self.created_at }));
            }
            if stream.control != stream.control_before {
                controls_changed.extend(control_change(&stream.path, &stream.control_before, &stream.control));
                rows.controls.push((stream.id, Arc::clone(&stream.control)));
            }
            if stream.bucket != stream.bucket_before {
                rows.buckets.push((stream.id, stream.bucket));
            }
            rows.runs.extend(stream.runs.into_iter().map(|run| (stream.id, run)));
            moved.push((stream.path.clone(), stream.next_offset));
            known.push((
                stream.path,
                KnownStream { id: stream.id, next_offset: stream.next_offset, control: stream.control, bucket: stream.bucket },
            ));
        }
        rows.keys = self.keys.into_iter().map(|((stream, key), keyed)| (stream, key, keyed.offset)).collect();
        // In the order of their keys, neighbouring rows are written while their page is at hand.
        rows.runs.sort_by_key(|(stream, run)| (*stream, run.first));
        rows.keys.sort_unstable();
        if !self.segments.is_empty() {
            rows.commit = Some((self.before.next_position, CommitRow { created_at: self.created_at, segments: self.segments }));
        }
        let committed = Committed { answers: self.answers, moved, head: self.counters.next_position, controls_changed };
        Decision { rows, counters: self.counters, streams: known, committed }
    }
}

/// What a unit asks for, besides what it needs no check for.
struct Asked<'a> {
    appends: Vec<Append>,
    key_reuse: KeyReuse,
    begin: Option<StreamPath>,
    checkpoint: Option<CheckpointWrite>,
    component: Option<&'a Component>,
}

fn control_change(stream: &StreamPath, before: &StreamControl, now: &StreamControl) -> Option<ControlChange> {
    let change = ControlChange {
        stream: stream.clone(),
        processors: before.processors != now.processors,
        pushes: before.subscriptions != now.subscriptions || before.transformers != now.transformers,
        schedules: before.schedules != now.schedules || (!now.schedules.is_empty() && before.paused != now.paused),
    };
    (change.processors || change.pushes || change.schedules).then_some(change)
}

/// What the checks of a unit found out that accepting it needs.
struct Checked {
    checkpoint: Option<(Vec<u8>, CheckpointRows)>,
    is_component_new: bool,
}

#[derive(Serialize)]
struct Paused {
    reason: String,
}

/// A little more than the event takes in a run.
fn event_bytes_about(event: &Event) -> usize {
    let metadata = event.metadata.as_ref().map_or(0, |metadata| metadata.as_str().len());
    let key = event.idempotency_key.as_ref().map_or(0, |key| key.as_str().len());
    let source = event.source.as_ref().map_or(0, |source| 64 + source.slug.as_str().len() + source.stream_path.as_str().len());
    64 + event.event_type.as_str().len() + event.payload.as_str().len() + metadata + key + source
}
