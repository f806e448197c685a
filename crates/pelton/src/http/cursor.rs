//! What every reader is: a cursor that reads pages of a stream, or of a stream and all below it, and waits at the tail. Whoever reads slowly is
//! served later, nothing else.

use std::sync::Arc;

use pelton_engine::{PageLimit, StoreError, Tail, Tenant};
use pelton_model::{Event, Incarnation, Offset, Position, StreamPath, TypePatterns};
use tokio::sync::Semaphore;

use super::Compat;

/// So many pages are read at the same time. An append that ten thousand readers wait for must not start a thread for each.
static READS: Semaphore = Semaphore::const_new(16);

pub struct Cursor {
    pub tenant: Arc<Tenant>,
    pub path: StreamPath,
    pub scope: Scope,
    /// Only events of these types; all where there is none.
    pub types: Option<Arc<TypePatterns>>,
    /// The stream that is read; unknown as long as it has not begun.
    pub incarnation: Option<Incarnation>,
    /// The next offset or position to be read.
    pub from: u64,
    /// Where to stop; nowhere for a reader that goes on live.
    pub before: Option<u64>,
    pub tail: Tail,
    pub compat: Option<Compat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// By offset.
    Stream,
    /// The stream and all below it, by position.
    Tree,
}

/// What a page of the log holds for a reader.
pub struct Batch {
    pub events: Vec<Placed>,
    /// How many events were looked at, those of other types included.
    pub looked_at: usize,
    /// Events after the last one in `events` were passed over.
    pub skipped_last: bool,
}

/// An event at its cursor.
pub struct Placed {
    /// Offset or position, whichever the reader counts by.
    pub id: u64,
    pub position: Option<Position>,
    pub event: Event,
}

pub enum Ready {
    Readable,
    /// Everything that was asked for has been read.
    Finished,
    /// The stream was destroyed, or the tenant closes.
    Gone,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the stream was destroyed while it was read")]
    Destroyed,
}

impl Cursor {
    /// Returns once something can be read. It can be dropped and called again.
    pub async fn ready(&mut self) -> Ready {
        if self.from < self.end() {
            return Ready::Readable;
        }
        if self.before.is_some() {
            return Ready::Finished;
        }
        if self.tail.reaches(self.from).await { Ready::Readable } else { Ready::Gone }
    }

    /// The next page. The cursor moves over it once it is there.
    pub async fn read(&mut self, limit: PageLimit) -> Result<Batch, ReadError> {
        let (from, before) = (self.from, self.end());
        let (tenant, path, scope, types) = (Arc::clone(&self.tenant), self.path.clone(), self.scope, self.types.clone());
        let permit = READS.acquire().await;
        let read = tokio::task::spawn_blocking(move || match scope {
            Scope::Stream => read_stream(&tenant, &path, types.as_deref(), from..before, limit),
            Scope::Tree => read_tree(&tenant, &path, types.as_deref(), from..before, limit),
        });
        let read = read.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        drop(permit);
        let Read { batch, next, incarnation } = read.inspect_err(|error| {
            tracing::error!(%error, stream = %self.path, "a reader's page could not be read");
        })?;
        if scope == Scope::Stream && from < before {
            // What the tail speaks of is there, unless its stream is gone. What has the path now is another stream.
            if next == from || self.incarnation.is_some_and(|mine| incarnation != Some(mine)) {
                return Err(ReadError::Destroyed);
            }
            self.incarnation = incarnation;
        }
        self.from = next;
        Ok(batch)
    }

    /// Whether the stream is gone that was being read.
    pub fn is_destroyed(&self) -> bool {
        self.scope == Scope::Stream
            && self.incarnation.is_some_and(|mine| self.tenant.incarnation(&self.path).is_ok_and(|found| found != Some(mine)))
    }

    /// What a reader is told of the end of its stream.
    pub fn obituary(&self) -> String {
        let incarnation = self.incarnation.map_or_else(|| "null".to_owned(), |incarnation| incarnation.to_string());
        format!(r#""streamPath":"{}","incarnation":{incarnation}"#, self.path)
    }

    /// The first place that is not read.
    pub fn end(&self) -> u64 {
        self.before.unwrap_or_else(|| self.tail.next())
    }
}

struct Read {
    batch: Batch,
    next: u64,
    incarnation: Option<Incarnation>,
}

fn read_stream(
    tenant: &Tenant,
    path: &StreamPath,
    types: Option<&TypePatterns>,
    range: std::ops::Range<u64>,
    limit: PageLimit,
) -> Result<Read, StoreError> {
    let from = Offset::new(range.start).unwrap_or(Offset::FIRST);
    let page = tenant.read(path, from..Offset::new(range.end).unwrap_or(from).max(from), limit)?;
    let placed = page.events.into_iter().map(|event| Placed { id: event.offset.get(), position: None, event });
    Ok(Read { next: page.next.get(), incarnation: page.incarnation, batch: Batch::of(placed, types) })
}

fn read_tree(
    tenant: &Tenant,
    root: &StreamPath,
    types: Option<&TypePatterns>,
    range: std::ops::Range<u64>,
    limit: PageLimit,
) -> Result<Read, StoreError> {
    let from = Position::new(range.start).unwrap_or(Position::FIRST);
    if range.is_empty() {
        return Ok(Read { next: from.get(), incarnation: None, batch: Batch::of(std::iter::empty(), types) });
    }
    let page = tenant.read_tree(root, from, limit)?;
    let next = page.next.get().min(range.end);
    let placed = page.events.into_iter().map(|(position, event)| Placed { id: position.get(), position: Some(position), event });
    let mut batch = Batch::of(placed.take_while(|placed| placed.id < range.end), types);
    // Events of streams elsewhere are passed over too.
    batch.skipped_last = batch.events.last().is_none_or(|last| last.id + 1 < next);
    Ok(Read { next, incarnation: None, batch })
}

impl Batch {
    fn of(placed: impl Iterator<Item = Placed>, types: Option<&TypePatterns>) -> Self {
        let mut batch = Self { events: Vec::new(), looked_at: 0, skipped_last: false };
        for placed in placed {
            batch.looked_at += 1;
            batch.skipped_last = types.is_some_and(|types| !types.matches(placed.event.event_type.as_str()));
            if !batch.skipped_last {
                batch.events.push(placed);
            }
        }
        batch
    }
}
