//! The streams that the writer wrote to lately, so that an append to one of them looks nothing up.

use std::collections::HashMap;
use std::sync::Arc;

use pelton_model::{Bucket, Offset, StreamControl, StreamPath};

use crate::codec::StreamId;

/// What deciding on an append needs to know of its stream.
#[derive(Debug, Clone)]
pub(crate) struct KnownStream {
    pub id: StreamId,
    pub next_offset: Offset,
    pub control: Arc<StreamControl>,
    pub bucket: Option<Bucket>,
}

/// A bounded map in two generations. When the young one is full it becomes the old one, and what nobody asked for in the
/// meantime is forgotten.
#[derive(Default)]
pub(crate) struct StreamCache {
    young: HashMap<StreamPath, KnownStream>,
    old: HashMap<StreamPath, KnownStream>,
}

impl StreamCache {
    const GENERATION_STREAMS_MAX: usize = 8192;

    pub(crate) fn get(&mut self, path: &StreamPath) -> Option<KnownStream> {
        if let Some(known) = self.young.get(path) {
            return Some(known.clone());
        }
        let (path, known) = self.old.remove_entry(path)?;
        self.insert(path, known.clone());
        Some(known)
    }

    pub(crate) fn insert(&mut self, path: StreamPath, known: KnownStream) {
        if self.young.len() >= Self::GENERATION_STREAMS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(path, known);
    }

    pub(crate) fn forget(&mut self, path: &StreamPath) {
        self.young.remove(path);
        self.old.remove(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(n: usize) -> StreamPath {
        StreamPath::new(&format!("/{n}")).unwrap()
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_asked_for() {
        let mut cache = StreamCache::default();
        for n in 0..4 * StreamCache::GENERATION_STREAMS_MAX {
            cache.insert(path(n), KnownStream { id: n as u64, next_offset: Offset::FIRST, control: Arc::default(), bucket: None });
            assert_eq!(cache.get(&path(0)).unwrap().id, 0);
            assert!(cache.young.len() + cache.old.len() <= 2 * StreamCache::GENERATION_STREAMS_MAX);
        }
        assert!(cache.get(&path(1)).is_none());
    }

    #[test]
    fn the_newest_knowledge_of_a_stream_wins() {
        let mut cache = StreamCache::default();
        let known = |id| KnownStream { id, next_offset: Offset::FIRST, control: Arc::default(), bucket: None };
        cache.insert(path(0), known(1));
        for n in 1..=StreamCache::GENERATION_STREAMS_MAX {
            cache.insert(path(n), known(9));
        }
        cache.insert(path(0), known(2));
        assert_eq!(cache.get(&path(0)).unwrap().id, 2);
    }
}
