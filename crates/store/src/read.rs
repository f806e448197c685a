//! Reading: pages of events, what is known of streams, checkpoints, components.

use std::collections::HashMap;
use std::ops::{Bound, Range};
use std::sync::Arc;

use pelton_model::{Bucket, Consumer, Digest, Event, EventType, Incarnation, Json, Offset, Position, StreamControl, StreamPath, Timestamp};

use crate::StoreError;
use crate::codec::{CommitRow, Malformed, StreamId, StreamRow, decode_path, decode_state};
use crate::keyspace::{COMMITS, COMPONENT_CHUNKS, CONTROLS, RUNS, SECRETS, STATES, STREAMS, checkpoint_key};
use crate::open::Shared;
use crate::snapshot::{CommitRuns, Run, Snapshot};

/// Reads one tenant's file, from any thread. Cheap to clone. Every call sees all that was committed before it.
#[derive(Clone)]
pub struct Store {
    pub(crate) shared: Arc<Shared>,
}

/// What is known of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    pub incarnation: Incarnation,
    /// The offset that its next event will get.
    pub next_offset: Offset,
    pub created_at: Timestamp,
    pub control: Arc<StreamControl>,
    /// What its circuit breaker has counted; `None` as long as that is nothing.
    pub bucket: Option<Bucket>,
}

/// How much one page may hold. A page holds at least one event if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    pub events_max: usize,
    /// Types, payloads, metadata, keys and sources together.
    pub bytes_max: usize,
}

/// Consecutive events of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The stream that the events are of; `None` if none has this path.
    pub incarnation: Option<Incarnation>,
    pub events: Vec<Event>,
    /// The cursor after the page; where the range started if the page is empty.
    pub next: Offset,
}

/// Events of a stream and all below it, in commit order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreePage {
    pub events: Vec<(Position, Event)>,
    /// The cursor after the page. It moves over events of other streams too.
    pub next: Position,
}

/// State and cursors of a processor, as they were written together. A cursor names the next event to be handled: by its offset, or
/// by its position for a processor of a whole tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The version of the processor that it belongs to.
    pub configured_offset: Offset,
    pub reduced: u64,
    pub acknowledged: u64,
    pub state: Json,
    /// Of the text of the state.
    pub state_digest: Digest,
    /// What the next [`CheckpointWrite`](crate::CheckpointWrite) must name.
    pub revision: u64,
}

impl Default for PageLimit {
    fn default() -> Self {
        Self { events_max: 1000, bytes_max: 1 << 20 }
    }
}

impl Store {
    /// The position that the next event will get.
    #[must_use]
    pub fn head(&self) -> Position {
        self.shared.head()
    }

    /// `None` if the stream does not exist.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn stream(&self, path: &StreamPath) -> Result<Option<StreamInfo>, StoreError> {
        let snapshot = self.snapshot()?;
        let Some(StreamRow { id, created_at }) = snapshot.stream(path)? else { return Ok(None) };
        Ok(Some(StreamInfo {
            incarnation: Incarnation::new(id),
            next_offset: snapshot.next_offset(id)?,
            created_at,
            control: snapshot.control(id)?,
            bucket: snapshot.bucket(id)?,
        }))
    }

    /// The events of a half-open range of offsets, as far as they exist. A stream that does not exist has none.
    ///
    /// # Errors
    /// As [`Store::stream`].
    pub fn read_stream(&self, path: &StreamPath, range: Range<Offset>, limit: PageLimit) -> Result<Page, StoreError> {
        let mut page = Page { incarnation: None, events: Vec::new(), next: range.start };
        let snapshot = self.snapshot()?;
        let Some(StreamRow { id, .. }) = snapshot.stream(path)? else { return Ok(page) };
        page.incarnation = Some(Incarnation::new(id));
        let mut left = Left(limit);
        let mut recent_type = None;
        let mut current = if range.is_empty() { None } else { snapshot.run(id, range.start)? };
        let later = |run: &Run| Ok::<_, StoreError>((id, run.end()?.get())..(id, range.end.get()));
        let mut more = None;
        while let Some(mut run) = current {
            while page.next < range.end
                && let Some(bytes) = run.peek()?
            {
                if !left.fits(page.events.is_empty(), bytes) {
                    return Ok(page);
                }
                page.events.push(run.take(path, &mut recent_type)?);
                page.next = page.next.next();
            }
            if page.next >= range.end {
                break;
            }
            let rows = match &mut more {
                Some(rows) => rows,
                none => none.insert(snapshot.transaction.open_table(RUNS)?.range(later(&run)?)?),
            };
            current = rows.next().transpose()?.map(|(key, row)| Run::new(key.value(), row)).transpose()?;
            if let Some(run) = &current
                && run.offset()? != page.next
            {
                return Err(Malformed("does not follow the run before it").at(&RUNS, format_args!("stream {id} offset {}", run.offset()?)));
            }
        }
        Ok(page)
    }

    /// The events of a stream and of all below it, in commit order.
    ///
    /// # Errors
    /// As [`Store::stream`].
    pub fn read_tree(&self, root: &StreamPath, from: Position, limit: PageLimit) -> Result<TreePage, StoreError> {
        let snapshot = self.snapshot()?;
        let mut page = TreePage { events: Vec::new(), next: from };
        let mut left = Left(limit);
        let mut paths = HashMap::new();
        let mut recent_type: Option<EventType> = None;
        let commits = snapshot.transaction.open_table(COMMITS)?;
        let start = commits.range(..=from.get())?.next_back().transpose()?.map_or(from.get(), |(position, _)| position.value());
        for row in commits.range(start..)? {
            let (first, row) = row?;
            let at = |malformed: Malformed| malformed.at(&COMMITS, format_args!("position {}", first.value()));
            let commit = CommitRow::decode(row.value()).map_err(at)?;
            let end = first.value().checked_add(commit.count().map_err(at)?);
            let mut position = end.and(Position::new(first.value())).ok_or_else(|| at(Malformed("position out of range")))?;
            let mut runs = CommitRuns::new(&snapshot);
            for segment in commit.segments {
                let segment_end = position.plus(segment.count);
                let skipped = page.next.get().saturating_sub(position.get()).min(segment.count);
                position = position.plus(skipped);
                if position < segment_end
                    && let Some(path) = covered(&snapshot, &mut paths, root, segment.stream)?
                {
                    let mut offset = segment.first.plus(skipped);
                    while position < segment_end {
                        let run = runs.at(segment.stream, offset)?;
                        let bytes = run.peek()?.unwrap_or(0);
                        if !left.fits(page.events.is_empty(), bytes) {
                            page.next = position;
                            return Ok(page);
                        }
                        page.events.push((position, run.take(&path, &mut recent_type)?));
                        (position, offset) = (position.next(), offset.next());
                    }
                }
                position = segment_end;
                page.next = page.next.max(position);
            }
        }
        Ok(page)
    }

    /// The position of a recorded event; `None` if there is no such event.
    ///
    /// # Errors
    /// As [`Store::stream`].
    pub fn position(&self, path: &StreamPath, offset: Offset) -> Result<Option<Position>, StoreError> {
        let snapshot = self.snapshot()?;
        let Some(StreamRow { id, .. }) = snapshot.stream(path)? else { return Ok(None) };
        let Some(run) = snapshot.run(id, offset)? else { return Ok(None) };
        let mut position = run.commit();
        let at = |malformed: Malformed| malformed.at(&COMMITS, format_args!("position {}", run.commit()));
        let row = snapshot.transaction.open_table(COMMITS)?.get(position.get())?.ok_or_else(|| at(Malformed("missing")))?;
        let commit = CommitRow::decode(row.value()).map_err(at)?;
        let end = position.get().checked_add(commit.count().map_err(at)?);
        end.ok_or_else(|| at(Malformed("position out of range")))?;
        for segment in commit.segments {
            if segment.stream == id && (segment.first..segment.first.plus(segment.count)).contains(&offset) {
                return Ok(Some(position.plus(offset.get() - segment.first.get())));
            }
            position = position.plus(segment.count);
        }
        Err(at(Malformed("does not speak of an event that it recorded")))
    }

    /// The streams directly below, in the order of their paths.
    ///
    /// # Errors
    /// As [`Store::stream`].
    pub fn children(&self, path: &StreamPath) -> Result<Vec<StreamPath>, StoreError> {
        let snapshot = self.snapshot()?;
        let streams = snapshot.transaction.open_table(STREAMS)?;
        let (prefix, end) = below(path);
        let mut children = Vec::new();
        let mut from = Bound::Excluded(prefix.clone());
        while let Some(row) = streams.range::<&[u8]>((from.as_ref().map(Vec::as_slice), Bound::Excluded(end.as_slice())))?.next() {
            let (key, _) = row?;
            let key = key.value();
            let segment = key[prefix.len()..].split(|&byte| byte == b'/').next().unwrap_or_default();
            let child = &key[..prefix.len() + segment.len()];
            if child.len() == key.len() {
                children.push(decode_path(key).map_err(|malformed| malformed.at(&STREAMS, String::from_utf8_lossy(key)))?);
                from = Bound::Excluded(key.to_vec());
            } else {
                // Everything below one child lies together, and is passed over in one step.
                from = Bound::Included([child, &[AFTER_SLASH]].concat());
            }
        }
        Ok(children)
    }

    /// The stream and all below it with the time they were created, in the order of their paths.
    ///
    /// # Errors
    /// As [`Store::stream`].
    pub fn descendants(&self, path: &StreamPath) -> Result<Vec<(StreamPath, Timestamp)>, StoreError> {
        let found = streams_from(&self.snapshot()?, path)?;
        Ok(found.into_iter().map(|(path, row)| (path, row.created_at)).collect())
    }

    /// `None` if none is stored.
    ///
    /// # Errors
    /// As [`Store::stream`].
    pub fn checkpoint(&self, path: &StreamPath, consumer: &Consumer) -> Result<Option<Checkpoint>, StoreError> {
        let snapshot = self.snapshot()?;
        let key = checkpoint_key(path, consumer);
        let Some(cursors) = snapshot.cursor(&key)? else { return Ok(None) };
        let at = |malformed: Malformed| malformed.at(&STATES, format_args!("{path} {consumer}"));
        let state = snapshot.transaction.open_table(STATES)?.get(key.as_slice())?.ok_or_else(|| at(Malformed("missing")))?;
        Ok(Some(Checkpoint {
            configured_offset: cursors.configured_offset,
            reduced: cursors.reduced,
            acknowledged: cursors.acknowledged,
            state: decode_state(state.value()).map_err(at)?,
            state_digest: cursors.state_digest,
            revision: cursors.revision,
        }))
    }

    /// The bytes of a component; `None` if it was never stored.
    ///
    /// # Errors
    /// As [`Store::stream`].
    pub fn component(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let snapshot = self.snapshot()?;
        let Some(size) = snapshot.component_size(digest.as_bytes())? else { return Ok(None) };
        let mut bytes = Vec::new();
        for row in snapshot.transaction.open_table(COMPONENT_CHUNKS)?.range((digest.as_bytes(), 0)..=(digest.as_bytes(), u32::MAX))? {
            bytes.extend_from_slice(row?.1.value());
        }
        if bytes.len() as u64 != size {
            return Err(Malformed("chunks do not add up to the component's size").at(&COMPONENT_CHUNKS, digest));
        }
        Ok(Some(bytes))
    }

    /// Bytes of a component; `None` if it was never stored.
    ///
    /// # Errors
    /// As [`Store::stream`].
    pub fn component_size(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        self.snapshot()?.component_size(digest.as_bytes())
    }

    /// Every stream that has a control state of its own, in the order of their paths.
    ///
    /// # Errors
    /// As [`Store::stream`].
    pub fn controls(&self) -> Result<Vec<(StreamPath, Arc<StreamControl>)>, StoreError> {
        let snapshot = self.snapshot()?;
        let mut streams = Vec::new();
        for row in snapshot.transaction.open_table(CONTROLS)?.range::<u64>(..)? {
            let stream = row?.0.value();
            if let Some(path) = snapshot.path(stream)? {
                streams.push((path, snapshot.control(stream)?));
            }
        }
        streams.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(streams)
    }

    /// What was sealed under a name.
    ///
    /// # Errors
    /// As [`Store::stream`].
    pub fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self.snapshot()?.transaction.open_table(SECRETS)?.get(name.as_bytes())?;
        Ok(row.map(|row| row.value().to_vec()))
    }

    /// All secrets with their names, in the order of these.
    ///
    /// # Errors
    /// As [`Store::stream`].
    pub fn secrets(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let mut secrets = Vec::new();
        for row in self.snapshot()?.transaction.open_table(SECRETS)?.range::<&[u8]>(..)? {
            let (name, sealed) = row?;
            let name = String::from_utf8(name.value().to_vec())
                .map_err(|_| Malformed("a name that is not UTF-8").at(&SECRETS, String::from_utf8_lossy(name.value())))?;
            secrets.push((name, sealed.value().to_vec()));
        }
        Ok(secrets)
    }

    /// What the file takes up.
    ///
    /// # Errors
    /// As [`Store::stream`].
    pub fn file_bytes(&self) -> Result<u64, StoreError> {
        let path = &self.shared.path;
        let metadata = std::fs::metadata(path);
        metadata.map(|metadata| metadata.len()).map_err(|source| StoreError::Io { action: "measure", path: path.clone(), source })
    }

    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Snapshot::new(&self.shared.db)
    }
}

const AFTER_SLASH: u8 = b'/' + 1;

/// The keys of all streams below a path: after the first, before the second.
fn below(path: &StreamPath) -> (Vec<u8>, Vec<u8>) {
    let path = path.as_str().trim_end_matches('/').as_bytes();
    ([path, b"/"].concat(), [path, &[AFTER_SLASH]].concat())
}

/// A stream and all below it, in the order of their paths.
pub(crate) fn streams_from(snapshot: &Snapshot, path: &StreamPath) -> Result<Vec<(StreamPath, StreamRow)>, StoreError> {
    let streams = snapshot.transaction.open_table(STREAMS)?;
    let mut found: Vec<_> = snapshot.stream(path)?.map(|row| (path.clone(), row)).into_iter().collect();
    let (prefix, end) = below(path);
    for row in streams.range::<&[u8]>((Bound::Excluded(prefix.as_slice()), Bound::Excluded(end.as_slice())))? {
        let (key, row) = row?;
        let at = |malformed: Malformed| malformed.at(&STREAMS, String::from_utf8_lossy(key.value()));
        found.push((decode_path(key.value()).map_err(at)?, StreamRow::decode(row.value()).map_err(at)?));
    }
    Ok(found)
}

/// The path of a stream if it is the root or below it.
fn covered(
    snapshot: &Snapshot,
    known: &mut HashMap<StreamId, Option<StreamPath>>,
    root: &StreamPath,
    stream: StreamId,
) -> Result<Option<StreamPath>, StoreError> {
    if let Some(known) = known.get(&stream) {
        return Ok(known.clone());
    }
    let path = snapshot.path(stream)?.filter(|path| root.covers(path));
    known.insert(stream, path.clone());
    Ok(path)
}

/// What a page has room for.
struct Left(PageLimit);

impl Left {
    /// Takes the room of one event, if there is enough; the first event always fits.
    fn fits(&mut self, is_first: bool, bytes: usize) -> bool {
        let fits = is_first || (self.0.events_max > 0 && bytes <= self.0.bytes_max);
        self.0.events_max = self.0.events_max.saturating_sub(1);
        self.0.bytes_max = self.0.bytes_max.saturating_sub(bytes);
        fits
    }
}
