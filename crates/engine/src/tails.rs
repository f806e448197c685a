//! How far each stream goes, for those who wait. No payload travels here, so a slow waiter loses nothing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pelton_model::{Offset, Position, StreamPath};
use pelton_store::{Store, StoreError};
use tokio::sync::watch;

/// The tails of one tenant. The writer publishes after a commit; waiters subscribe.
pub(crate) struct Tails {
    streams: Mutex<Streams>,
    head: watch::Sender<u64>,
    commits: watch::Sender<u64>,
}

#[derive(Default)]
struct Streams {
    waited_for: HashMap<StreamPath, watch::Sender<u64>>,
    /// Entries nobody waits on any more are swept out when the map has grown to this.
    sweep_at: usize,
}

/// The tail of one stream, or of the whole tenant: the *next* offset or position.
pub struct Tail(watch::Receiver<u64>);

impl Tail {
    /// Waits until the event at `cursor` exists. `false` when the stream was destroyed, or the tenant closes.
    pub async fn reaches(&mut self, cursor: u64) -> bool {
        self.0.wait_for(|next| *next > cursor).await.is_ok()
    }

    /// The next offset or position as last published.
    #[must_use]
    pub fn next(&self) -> u64 {
        *self.0.borrow()
    }
}

impl Tails {
    pub fn new(head: Position) -> Self {
        Self { streams: Mutex::default(), head: watch::Sender::new(head.get()), commits: watch::Sender::new(0) }
    }

    /// Called by the writer once a commit is on disk and visible.
    pub fn publish(&self, moved: &[(StreamPath, Offset)], head: Position) {
        let mut streams = self.lock();
        for (path, next) in moved {
            if let Some(tail) = streams.waited_for.get(path) {
                if tail.receiver_count() == 0 {
                    streams.waited_for.remove(path);
                } else {
                    tail.send_replace(next.get());
                }
            }
        }
        drop(streams);
        self.head.send_replace(head.get());
        self.commits.send_modify(|commits| *commits += 1);
    }

    /// Lets go of those who wait on streams that are gone. What begins there later is not what they follow.
    pub fn destroyed<'a>(&self, streams: impl Iterator<Item = &'a StreamPath>) {
        let mut waiting = self.lock();
        streams.for_each(|path| drop(waiting.waited_for.remove(path)));
        drop(waiting);
        self.commits.send_modify(|commits| *commits += 1);
    }

    /// The disk is read under the lock: a commit is visible before it is published, so either this read sees it or its
    /// publication, which needs the lock too, comes after and moves the value.
    pub fn stream(&self, store: &Store, path: &StreamPath) -> Result<Tail, StoreError> {
        let mut streams = self.lock();
        if let Some(tail) = streams.waited_for.get(path) {
            return Ok(Tail(tail.subscribe()));
        }
        let next = store.stream(path)?.map_or(Offset::FIRST, |info| info.next_offset);
        let (sender, receiver) = watch::channel(next.get());
        if streams.waited_for.len() >= streams.sweep_at {
            streams.waited_for.retain(|_, tail| tail.receiver_count() > 0);
            streams.sweep_at = 2 * streams.waited_for.len() + 64;
        }
        streams.waited_for.insert(path.clone(), sender);
        Ok(Tail(receiver))
    }

    /// The tail of the tenant's commit order.
    pub fn tenant(&self) -> Tail {
        Tail(self.head.subscribe())
    }

    /// Changes with every commit, also one that appends nothing.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// A panic elsewhere leaves at worst a tail that the next commit corrects.
    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
