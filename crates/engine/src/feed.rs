//! What a processor reads: its own stream by offset, or a stream and all below it by position. Either way a cursor is one number, the
//! next to be handled.

use pelton_model::{Event, Offset, Position, StreamPath};
use pelton_store::{PageLimit, Store, StoreError};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::tails::{Tail, Tails};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Feed {
    Stream(StreamPath),
    Tree(StreamPath),
}

/// Events in order, each with its cursor, and the cursor after them.
pub(crate) struct FeedPage {
    pub events: Vec<(u64, Event)>,
    pub next: u64,
}

impl Feed {
    pub fn new(stream: &StreamPath, include_children: bool) -> Self {
        if include_children { Self::Tree(stream.clone()) } else { Self::Stream(stream.clone()) }
    }

    /// The events in `[from, before)`, as many as fit into a page.
    pub fn read(&self, store: &Store, from: u64, before: u64) -> Result<FeedPage, StoreError> {
        if from >= before {
            return Ok(FeedPage { events: Vec::new(), next: from });
        }
        match self {
            Self::Stream(path) => {
                let range = Offset::new(from).unwrap_or(Offset::FIRST)..Offset::new(before).unwrap_or(Offset::FIRST);
                let page = store.read_stream(path, range, PageLimit::default())?;
                let events = page.events.into_iter().map(|event| (event.offset.get(), event)).collect();
                Ok(FeedPage { events, next: page.next.get() })
            }
            Self::Tree(root) => {
                let page = store.read_tree(root, Position::new(from).unwrap_or(Position::FIRST), PageLimit::default())?;
                let mut events: Vec<_> = page.events.into_iter().map(|(position, event)| (position.get(), event)).collect();
                events.retain(|(cursor, _)| *cursor < before);
                Ok(FeedPage { events, next: page.next.get().min(before) })
            }
        }
    }

    pub fn tail(&self, store: &Store, tails: &Tails) -> Result<Tail, StoreError> {
        match self {
            Self::Stream(path) => tails.stream(store, path),
            Self::Tree(_) => Ok(tails.tenant()),
        }
    }

    /// The cursor of the event that has this offset in `stream`.
    pub fn cursor_of(&self, store: &Store, stream: &StreamPath, offset: Offset) -> Result<u64, StoreError> {
        match self {
            Self::Stream(_) => Ok(offset.get()),
            Self::Tree(_) => Ok(store.position(stream, offset)?.map_or(offset.get(), Position::get)),
        }
    }
}

/// Reads the page after the one just read while that is worked off, so that a long replay waits for neither disk nor decoding.
#[derive(Default)]
pub(crate) struct ReadAhead(Option<(u64, JoinHandle<Result<FeedPage, StoreError>>)>);

impl ReadAhead {
    /// As [`Feed::read`]. Blocking, on a thread of a tokio runtime that may block.
    pub fn read(&mut self, feed: &Feed, store: &Store, from: u64, before: u64) -> Result<FeedPage, StoreError> {
        let runtime = Handle::current();
        let page = match self.0.take() {
            Some((ahead, task)) if ahead == from => match runtime.block_on(task) {
                Ok(page) => page?,
                Err(failed) => std::panic::resume_unwind(failed.into_panic()),
            },
            _ => feed.read(store, from, before)?,
        };
        if page.next < before {
            let (feed, store, next) = (feed.clone(), store.clone(), page.next);
            self.0 = Some((next, runtime.spawn_blocking(move || feed.read(&store, next, before))));
        }
        Ok(page)
    }
}
