//! One consistent view of a file: the look-ups that reading and deciding share.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use pelton_model::{Bucket, Event, EventType, Offset, Position, StreamControl, StreamPath};
use redb::{AccessGuard, Database, ReadOnlyTable, ReadTransaction, ReadableDatabase};

use crate::StoreError;
use crate::codec::{CursorRow, EventBytes, Malformed, RunHeader, StreamId, StreamRow, decode_bucket, decode_control, decode_path};
use crate::keyspace::{BUCKETS, COMPONENT_SIZES, CONTROLS, CURSORS, KEYS, KeyHash, PATHS, RUNS, STREAMS};

/// A redb read transaction.
pub(crate) struct Snapshot {
    pub transaction: ReadTransaction,
    /// Kept open, since a group may ask for many keys and opening a table costs more than a look-up in it.
    keys: OnceCell<ReadOnlyTable<(StreamId, &'static KeyHash), u64>>,
}

impl Snapshot {
    pub(crate) fn new(db: &Database) -> Result<Self, StoreError> {
        Ok(Self { transaction: db.begin_read()?, keys: OnceCell::new() })
    }

    pub(crate) fn stream(&self, path: &StreamPath) -> Result<Option<StreamRow>, StoreError> {
        let row = self.transaction.open_table(STREAMS)?.get(path.as_str().as_bytes())?;
        row.map(|row| StreamRow::decode(row.value()).map_err(|malformed| malformed.at(&STREAMS, path))).transpose()
    }

    /// `None` if the stream has been destroyed.
    pub(crate) fn path(&self, stream: StreamId) -> Result<Option<StreamPath>, StoreError> {
        let at = |malformed: Malformed| malformed.at(&PATHS, format_args!("stream {stream}"));
        let row = self.transaction.open_table(PATHS)?.get(stream)?;
        row.map(|row| decode_path(row.value()).map_err(at)).transpose()
    }

    /// Where the stream's last run ends.
    pub(crate) fn next_offset(&self, stream: StreamId) -> Result<Offset, StoreError> {
        let last = self.transaction.open_table(RUNS)?.range((stream, 0)..=(stream, u64::MAX))?.next_back().transpose()?;
        let (key, row) = last.ok_or_else(|| Malformed("missing").at(&RUNS, format_args!("stream {stream}")))?;
        Run::new(key.value(), row)?.end()
    }

    pub(crate) fn control(&self, stream: StreamId) -> Result<Arc<StreamControl>, StoreError> {
        let at = |malformed: Malformed| malformed.at(&CONTROLS, format_args!("stream {stream}"));
        let row = self.transaction.open_table(CONTROLS)?.get(stream)?;
        row.map_or_else(|| Ok(Arc::default()), |row| decode_control(row.value()).map(Arc::new).map_err(at))
    }

    pub(crate) fn bucket(&self, stream: StreamId) -> Result<Option<Bucket>, StoreError> {
        let at = |malformed: Malformed| malformed.at(&BUCKETS, format_args!("stream {stream}"));
        let row = self.transaction.open_table(BUCKETS)?.get(stream)?;
        row.map(|row| decode_bucket(row.value()).map_err(at)).transpose()
    }

    pub(crate) fn keyed(&self, stream: StreamId, key: &KeyHash) -> Result<Option<Offset>, StoreError> {
        let Some(row) = self.keys()?.get((stream, key))? else { return Ok(None) };
        let offset =
            Offset::new(row.value()).ok_or_else(|| Malformed("an offset out of range").at(&KEYS, format_args!("stream {stream}")))?;
        Ok(Some(offset))
    }

    fn keys(&self) -> Result<&ReadOnlyTable<(StreamId, &'static KeyHash), u64>, StoreError> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let keys = self.transaction.open_table(KEYS)?;
        Ok(self.keys.get_or_init(|| keys))
    }

    pub(crate) fn cursor(&self, key: &[u8]) -> Result<Option<CursorRow>, StoreError> {
        let at = |malformed: Malformed| malformed.at(&CURSORS, String::from_utf8_lossy(key));
        let row = self.transaction.open_table(CURSORS)?.get(key)?;
        row.map(|row| CursorRow::decode(row.value()).map_err(at)).transpose()
    }

    pub(crate) fn component_size(&self, digest: &[u8; 32]) -> Result<Option<u64>, StoreError> {
        Ok(self.transaction.open_table(COMPONENT_SIZES)?.get(digest)?.map(|row| row.value()))
    }

    /// The run that holds the event, and stands before it. `None` if there is no such event.
    pub(crate) fn run(&self, stream: StreamId, offset: Offset) -> Result<Option<Run>, StoreError> {
        let before = self.transaction.open_table(RUNS)?.range((stream, 0)..=(stream, offset.get()))?.next_back().transpose()?;
        let Some((key, row)) = before else { return Ok(None) };
        let mut run = Run::new(key.value(), row)?;
        if offset >= run.end()? {
            return Ok(None);
        }
        run.skip_to(offset)?;
        Ok(Some(run))
    }

    /// An event that another row speaks of.
    pub(crate) fn event(&self, path: &StreamPath, stream: StreamId, offset: Offset) -> Result<Event, StoreError> {
        let missing = || Malformed("missing").at(&RUNS, format_args!("stream {stream} offset {offset}"));
        let mut run = self.run(stream, offset)?.ok_or_else(missing)?;
        run.peek()?.ok_or_else(missing)?;
        run.take(path, &mut None)
    }
}

/// A run being read, event after event.
pub(crate) struct Run {
    row: AccessGuard<'static, &'static [u8]>,
    stream: StreamId,
    first: u64,
    header: RunHeader,
    /// How many events were passed, and where the next one begins in the row.
    passed: u32,
    at: usize,
}

impl Run {
    pub(crate) fn new((stream, first): (StreamId, u64), row: AccessGuard<'static, &'static [u8]>) -> Result<Self, StoreError> {
        let at = |malformed: Malformed| malformed.at(&RUNS, format_args!("stream {stream} offset {first}"));
        let header = RunHeader::decode(row.value()).map_err(at)?;
        if first == 0 || first.checked_add(u64::from(header.count)).is_none() {
            return Err(at(Malformed("offset out of range")));
        }
        Ok(Self { row, stream, first, header, passed: 0, at: RunHeader::BYTES })
    }

    /// The position of the commit's first event.
    pub(crate) fn commit(&self) -> Position {
        self.header.position
    }

    /// The offset after its last event.
    pub(crate) fn end(&self) -> Result<Offset, StoreError> {
        self.offset_at(self.header.count)
    }

    /// The offset of the event it stands before.
    pub(crate) fn offset(&self) -> Result<Offset, StoreError> {
        self.offset_at(self.passed)
    }

    fn offset_at(&self, passed: u32) -> Result<Offset, StoreError> {
        Offset::new(self.first + u64::from(passed)).ok_or_else(|| self.corrupt(Malformed("an offset out of range")))
    }

    pub(crate) fn skip_to(&mut self, offset: Offset) -> Result<(), StoreError> {
        while self.offset()? < offset && self.peek()?.is_some() {
            self.at = self.find()?.1;
            self.passed += 1;
        }
        Ok(())
    }

    /// Bytes of the event it stands before; `None` at the end.
    pub(crate) fn peek(&self) -> Result<Option<usize>, StoreError> {
        if self.passed == self.header.count { Ok(None) } else { Ok(Some(self.find()?.0.len())) }
    }

    /// The event it stands before. [`Run::peek`] tells whether there is one.
    pub(crate) fn take(&mut self, path: &StreamPath, recent_type: &mut Option<EventType>) -> Result<Event, StoreError> {
        let offset = self.offset()?;
        let (bytes, next) = self.find()?;
        let event = bytes.decode(path, offset, self.header.created_at, recent_type).map_err(|malformed| self.corrupt(malformed))?;
        self.at = next;
        self.passed += 1;
        Ok(event)
    }

    fn find(&self) -> Result<(EventBytes<'_>, usize), StoreError> {
        EventBytes::find(self.row.value(), self.at).map_err(|malformed| self.corrupt(malformed))
    }

    fn corrupt(&self, malformed: Malformed) -> StoreError {
        malformed.at(&RUNS, format_args!("stream {} offset {}", self.stream, self.first))
    }
}

/// The runs that one commit wrote, each read on from where the last segment of its stream ended.
pub(crate) struct CommitRuns<'a> {
    snapshot: &'a Snapshot,
    runs: HashMap<StreamId, Run>,
}

impl<'a> CommitRuns<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, runs: HashMap::new() }
    }

    /// The run that stands before the event, which must exist.
    pub(crate) fn at(&mut self, stream: StreamId, offset: Offset) -> Result<&mut Run, StoreError> {
        let here = match self.runs.remove(&stream) {
            Some(run) if run.peek()?.is_some() && run.offset()? == offset => Some(run),
            _ => self.snapshot.run(stream, offset)?,
        };
        let run = here.ok_or_else(|| Malformed("missing").at(&RUNS, format_args!("stream {stream} offset {offset}")))?;
        Ok(self.runs.entry(stream).or_insert(run))
    }
}
