//! Writing: what can be asked of a tenant's file, and the one function that commits.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pelton_model::{Consumer, Digest, Event, Incarnation, Json, NewEvent, Offset, Position, Slug, StreamPath, Timestamp};

use crate::cache::StreamCache;
use crate::decide::{Decider, Decision};
use crate::open::{Counters, Shared};
use crate::{OpenOptions, StoreError, destroy, rows};

/// The only one that can commit to a tenant's file.
pub struct Writer {
    shared: Arc<Shared>,
    options: OpenOptions,
    counters: Counters,
    streams: StreamCache,
    poisoned: bool,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, options: OpenOptions, counters: Counters) -> Self {
        Self { shared, options, counters, streams: StreamCache::default(), poisoned: false }
    }

    /// Decides on each unit of the group and writes those that are not refused in one redb transaction, durable and visible when this
    /// returns. `now` is when events are recorded; it never runs backwards within a tenant, whatever the clock does.
    ///
    /// To decide is to read and to compute, in memory; to write is to take the [`Rows`](crate::rows::Rows) it came to and to sync
    /// them. The two meet only here, so that a journal shared by many tenants can take the place of the second step.
    ///
    /// # Errors
    /// After any error, of reading or of writing, the writer is poisoned: no one knows what of the group is on disk.
    pub fn commit(&mut self, group: Vec<Write>, now: Timestamp) -> Result<Committed, StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        // Lifted at the end only, so that an early return and even a panic leave the writer poisoned.
        self.poisoned = true;
        let decider = Decider::new(&self.shared.db, &self.options, &mut self.streams, self.counters, now);
        let Decision { rows, counters, streams, committed } = decider.decide(group)?;
        rows::apply(&self.shared.db, rows)?;
        for (path, stream) in streams {
            self.streams.insert(path, stream);
        }
        self.counters = counters;
        self.shared.head.store(counters.next_position.get(), Ordering::Release);
        self.poisoned = false;
        Ok(committed)
    }

    /// Removes a stream, and if asked for all below it, with everything that belongs to them, in one durable transaction. What is appended to
    /// such a path later begins another stream, at offset 1. Answers with what was removed, in the order of their paths.
    ///
    /// # Errors
    /// As [`Writer::commit`].
    pub fn destroy(&mut self, path: &StreamPath, with_children: bool) -> Result<Vec<(StreamPath, Incarnation)>, StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        self.poisoned = true;
        let destroyed = destroy::destroy(&self.shared.db, path, with_children, self.counters.next_stream)?;
        for (path, _) in &destroyed {
            self.streams.forget(path);
        }
        self.poisoned = false;
        Ok(destroyed)
    }
}

/// One all-or-nothing unit of a group. A unit that is refused leaves no trace.
#[derive(Debug, Clone, Default)]
pub struct Write {
    pub appends: Vec<Append>,
    pub key_reuse: KeyReuse,
    /// What must hold for the first event that is new.
    pub conditions: Vec<Condition>,
    /// A stream that begins to exist if it did not, whatever is appended.
    pub begin: Option<StreamPath>,
    pub component: Option<Component>,
    pub checkpoint: Option<CheckpointWrite>,
    pub secret: Option<SecretWrite>,
}

/// What must hold for a unit to be written. An idempotency key that is known is answered all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The stream exists, and is this one rather than one before or after it.
    Is(StreamPath, Incarnation),
    Exists(StreamPath),
    IsNew(StreamPath),
    /// The schedule is still the one that has this tick to come.
    ScheduleDue {
        stream: StreamPath,
        slug: Slug,
        configured_offset: Offset,
        at: Timestamp,
    },
}

/// A change of a secret. The value is what the engine sealed; the store knows no more of it.
#[derive(Debug, Clone)]
pub enum SecretWrite {
    Put { name: String, sealed: Vec<u8> },
    Delete { name: String },
}

/// An event and the stream it goes to, which begins to exist if it did not.
#[derive(Debug, Clone)]
pub struct Append {
    pub stream: StreamPath,
    pub event: NewEvent,
}

/// What happens where an idempotency key is known, but with another type, payload or metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyReuse {
    /// The unit is refused, with the stored event.
    #[default]
    Refuse,
    /// The stored event is the answer.
    KeepFirst,
}

/// Bytes of a processor, kept once for each digest.
#[derive(Debug, Clone)]
pub struct Component {
    pub digest: Digest,
    pub bytes: Vec<u8>,
}

/// A change of a consumer's checkpoint, in one commit with the events of the unit.
#[derive(Debug, Clone)]
pub struct CheckpointWrite {
    pub stream: StreamPath,
    pub consumer: Consumer,
    /// Must be the stored one, 0 if none is stored; the stored one becomes one more.
    pub revision: u64,
    pub change: CheckpointChange,
}

/// What becomes of a checkpoint.
#[derive(Debug, Clone)]
pub enum CheckpointChange {
    Put {
        configured_offset: Offset,
        reduced: u64,
        acknowledged: u64,
        /// `None` leaves the stored state as it is, `null` where there is none.
        state: Option<Json>,
    },
    Delete,
}

/// What became of a group.
#[derive(Debug)]
pub struct Committed {
    /// One for each unit, in order.
    pub answers: Vec<Result<Written, Refusal>>,
    /// Every stream that got events, with its next offset now.
    pub moved: Vec<(StreamPath, Offset)>,
    /// The next position now.
    pub head: Position,
    /// The streams whose control state this commit changed, as far as somebody acts on it.
    pub controls_changed: Vec<ControlChange>,
}

/// Which parts of a stream's control state changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlChange {
    pub stream: StreamPath,
    pub processors: bool,
    /// Subscriptions or transformers.
    pub pushes: bool,
    /// Schedules, or a pause that holds them up.
    pub schedules: bool,
}

/// A unit that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// One for each append, in order: newly recorded, or found by its key.
    pub events: Vec<Event>,
    /// How many of them are new.
    pub recorded: usize,
    /// Of the stream of the first append.
    pub incarnation: Option<Incarnation>,
}

/// Why a unit was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("stream {stream} is paused{}", reason_suffix(.reason.as_deref()))]
    Paused { stream: StreamPath, reason: Option<String> },
    #[error("the next event of stream {stream} gets offset {next}, expected {expected}")]
    OffsetMismatch { stream: StreamPath, expected: Offset, next: Offset },
    #[error("the idempotency key belongs to another event, stream {} offset {}", .stored.stream_path, .stored.offset)]
    KeyReused { stored: Box<Event> },
    #[error("the checkpoint of {consumer} on stream {stream} has revision {found}, expected {expected}")]
    StaleCheckpoint { stream: StreamPath, consumer: Consumer, expected: u64, found: u64 },
    #[error("stream {stream} is incarnation {}, expected {expected}", or_none(*.found))]
    IncarnationMismatch { stream: StreamPath, expected: Incarnation, found: Option<Incarnation> },
    #[error("schedule {slug} of stream {stream} was changed or cancelled meanwhile")]
    ScheduleChanged { stream: StreamPath, slug: Slug },
    #[error("stream {stream} does not exist")]
    NoSuchStream { stream: StreamPath },
    #[error("stream {stream} exists already, as incarnation {found}")]
    StreamExists { stream: StreamPath, found: Incarnation },
    #[error("stream {stream} has {max} environment variables, which is as many as it may have")]
    TooManyVariables { stream: StreamPath, max: usize },
    #[error(
        "the control state of stream {stream} would have {found} bytes, expected at most {max}: remove processors, subscriptions, transformers, \
         schedules or variables that are no longer needed, or shorten what is configured"
    )]
    ControlTooLarge { stream: StreamPath, max: usize, found: usize },
}

fn or_none(incarnation: Option<Incarnation>) -> String {
    incarnation.map_or_else(|| "none".to_owned(), |incarnation| incarnation.to_string())
}

fn reason_suffix(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}
