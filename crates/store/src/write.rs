//! Writing: what can be asked of a tenant's file, and the one function that commits.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pelton_model::{Digest, Event, Json, NewEvent, Offset, Position, Slug, StreamPath, TenantName, Timestamp};

use crate::StoreError;
use crate::cache::StreamCache;
use crate::decide::{Decider, Decision};
use crate::open::{Counters, Shared};
use crate::rows;

/// The only one that can commit to a tenant's file.
pub struct Writer {
    shared: Arc<Shared>,
    tenant: TenantName,
    counters: Counters,
    streams: StreamCache,
    poisoned: bool,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, tenant: TenantName, counters: Counters) -> Self {
        Self { shared, tenant, counters, streams: StreamCache::default(), poisoned: false }
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
        let decider = Decider::new(&self.shared.db, &self.tenant, &mut self.streams, self.counters, now);
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
}

/// One all-or-nothing unit of a group. A unit that is refused leaves no trace.
#[derive(Debug, Clone, Default)]
pub struct Write {
    pub appends: Vec<Append>,
    pub key_reuse: KeyReuse,
    pub component: Option<Component>,
    pub checkpoint: Option<CheckpointWrite>,
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

/// A change of a processor's checkpoint, in one commit with the events of the unit.
#[derive(Debug, Clone)]
pub struct CheckpointWrite {
    pub stream: StreamPath,
    pub slug: Slug,
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
    /// The streams whose processors this commit changed.
    pub processors_changed: Vec<StreamPath>,
}

/// A unit that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// One for each append, in order: newly recorded, or found by its key.
    pub events: Vec<Event>,
    /// How many of them are new.
    pub recorded: usize,
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
    #[error("the checkpoint of {slug} on stream {stream} has revision {found}, expected {expected}")]
    StaleCheckpoint { stream: StreamPath, slug: Slug, expected: u64, found: u64 },
}

fn reason_suffix(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}
