//! One codec for each kind of record. Numbers are LEB128 varints where they tend to be small and little-endian where they are not.

use pelton_model::{
    Bucket, Digest, Event, EventType, IdempotencyKey, Json, JsonObject, Offset, Position, Slug, Source, StreamControl, StreamPath,
    Timestamp,
};

use crate::StoreError;

/// The number that stands for a path within one file, given out from 1.
pub(crate) type StreamId = u64;

/// Bytes that are not the record they should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub &'static str);

impl Malformed {
    /// Names the row that holds the bytes.
    pub(crate) fn at(self, table: &impl redb::TableHandle, row: impl std::fmt::Display) -> StoreError {
        StoreError::Corrupt { table: table.name().to_owned(), row: row.to_string(), what: self.0 }
    }
}

/// A run: the consecutive events that one stream got in one commit, or a part of them.
///
/// `count u32 · first position of the commit u64 · created_at u64`, then for each event `flags u8 · lengths` of type, payload, metadata?,
/// key?, source? `· their bytes`. All lengths come first, so that an event can be passed over without being read.
pub(crate) struct RunBuilder {
    pub first: Offset,
    count: u32,
    bytes: Vec<u8>,
}

const HAS_METADATA: u8 = 1;
const HAS_KEY: u8 = 2;
const HAS_SOURCE: u8 = 4;

impl RunBuilder {
    pub(crate) fn new(first: Offset, position: Position, created_at: Timestamp) -> Self {
        let mut bytes = Vec::with_capacity(1024);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&position.get().to_le_bytes());
        bytes.extend_from_slice(&created_at.as_millis().to_le_bytes());
        Self { first, count: 0, bytes }
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds the next event. What all events of a run have in common, and its offset, are not written again.
    pub(crate) fn push(&mut self, event: &Event) {
        let source = event.source.as_ref().map(encode_source);
        let metadata = event.metadata.as_ref().map(|metadata| metadata.as_str().as_bytes());
        let key = event.idempotency_key.as_ref().map(|key| key.as_str().as_bytes());
        let optional = [(HAS_METADATA, metadata), (HAS_KEY, key), (HAS_SOURCE, source.as_deref())];
        let present = || optional.iter().filter_map(|&(flag, bytes)| bytes.map(|bytes| (flag, bytes)));
        let (event_type, payload) = (event.event_type.as_str().as_bytes(), event.payload.as_str().as_bytes());

        self.bytes.push(present().fold(0, |flags, (flag, _)| flags | flag));
        put_varint(&mut self.bytes, event_type.len() as u64);
        put_varint(&mut self.bytes, payload.len() as u64);
        present().for_each(|(_, bytes)| put_varint(&mut self.bytes, bytes.len() as u64));
        self.bytes.extend_from_slice(event_type);
        self.bytes.extend_from_slice(payload);
        present().for_each(|(_, bytes)| self.bytes.extend_from_slice(bytes));
        self.count += 1;
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes[..4].copy_from_slice(&self.count.to_le_bytes());
        self.bytes
    }
}

/// What all events of a run have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunHeader {
    pub count: u32,
    pub position: Position,
    pub created_at: Timestamp,
}

impl RunHeader {
    pub(crate) const BYTES: usize = 20;

    pub(crate) fn decode(run: &[u8]) -> Result<Self, Malformed> {
        let mut input = Input(run);
        let count = u32::from_le_bytes(input.array()?);
        let position = Position::new(input.u64()?).ok_or(Malformed("a position out of range"))?;
        let created_at = Timestamp::from_millis(input.u64()?);
        if count == 0 {
            return Err(Malformed("a run without events"));
        }
        Ok(Self { count, position, created_at })
    }
}

/// The bytes of one event in a run.
pub(crate) struct EventBytes<'a> {
    event_type: &'a [u8],
    payload: &'a [u8],
    metadata: Option<&'a [u8]>,
    key: Option<&'a [u8]>,
    source: Option<&'a [u8]>,
}

impl<'a> EventBytes<'a> {
    /// Finds the event that begins at `at`, and where the next one begins.
    pub(crate) fn find(run: &'a [u8], at: usize) -> Result<(Self, usize), Malformed> {
        let mut input = Input(run.get(at..).ok_or(Malformed("fewer events than announced"))?);
        let flags = input.u8()?;
        if flags & !(HAS_METADATA | HAS_KEY | HAS_SOURCE) != 0 {
            return Err(Malformed("unknown flags of an event"));
        }
        let (event_type, payload) = (input.length()?, input.length()?);
        let mut optional = |flag| if flags & flag == 0 { Ok(None) } else { input.length().map(Some) };
        let (metadata, key, source) = (optional(HAS_METADATA)?, optional(HAS_KEY)?, optional(HAS_SOURCE)?);
        let (event_type, payload) = (input.bytes(event_type)?, input.bytes(payload)?);
        let mut optional = |length: Option<usize>| length.map(|length| input.bytes(length)).transpose();
        let (metadata, key, source) = (optional(metadata)?, optional(key)?, optional(source)?);
        Ok((Self { event_type, payload, metadata, key, source }, run.len() - input.0.len()))
    }

    /// Bytes that count against the limit of a page.
    pub(crate) fn len(&self) -> usize {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        self.event_type.len() + self.payload.len() + length(self.metadata) + length(self.key) + length(self.source)
    }

    /// `recent_type` is the type of the event before: neighbours often share it, and then share its memory.
    pub(crate) fn decode(
        &self,
        stream_path: &StreamPath,
        offset: Offset,
        created_at: Timestamp,
        recent_type: &mut Option<EventType>,
    ) -> Result<Event, Malformed> {
        let event_type = match recent_type {
            Some(recent) if recent.as_str().as_bytes() == self.event_type => recent.clone(),
            _ => recent_type.insert(EventType::from_checked(text(self.event_type)?)).clone(),
        };
        Ok(Event {
            stream_path: stream_path.clone(),
            offset,
            event_type,
            payload: JsonObject::from_checked(text(self.payload)?),
            metadata: self.metadata.map(|bytes| text(bytes).map(JsonObject::from_checked)).transpose()?,
            idempotency_key: self.key.map(|bytes| text(bytes).map(IdempotencyKey::from_checked)).transpose()?,
            created_at,
            source: self.source.map(decode_source).transpose()?,
        })
    }
}

/// `slug · digest · path · offset · depth`
fn encode_source(source: &Source) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64 + source.slug.as_str().len() + source.stream_path.as_str().len());
    put_text(&mut bytes, source.slug.as_str());
    bytes.extend_from_slice(source.digest.as_bytes());
    put_text(&mut bytes, source.stream_path.as_str());
    put_varint(&mut bytes, source.offset.get());
    put_varint(&mut bytes, u64::from(source.depth));
    bytes
}

fn decode_source(bytes: &[u8]) -> Result<Source, Malformed> {
    let mut input = Input(bytes);
    let source = Source {
        slug: Slug::from_checked(input.text()?),
        digest: Digest::from_bytes(input.array()?),
        stream_path: StreamPath::from_checked(input.text()?),
        offset: input.offset()?,
        depth: u32::try_from(input.varint()?).map_err(|_| Malformed("depth out of range"))?,
    };
    input.end()?;
    Ok(source)
}

/// The events of one commit, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommitRow {
    pub created_at: Timestamp,
    pub segments: Vec<Segment>,
}

/// Consecutive events of one stream within a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub stream: StreamId,
    pub first: Offset,
    pub count: u64,
}

impl CommitRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + 6 * self.segments.len());
        bytes.extend_from_slice(&self.created_at.as_millis().to_le_bytes());
        for segment in &self.segments {
            put_varint(&mut bytes, segment.stream);
            put_varint(&mut bytes, segment.first.get());
            put_varint(&mut bytes, segment.count);
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Input(bytes);
        let created_at = Timestamp::from_millis(input.u64()?);
        let mut segments = Vec::new();
        while !input.0.is_empty() {
            let segment = Segment { stream: input.varint()?, first: input.offset()?, count: input.varint()? };
            if segment.count == 0 || segment.first.get().checked_add(segment.count).is_none() {
                return Err(Malformed("events out of range"));
            }
            segments.push(segment);
        }
        Ok(Self { created_at, segments })
    }

    /// How many events the commit recorded.
    pub(crate) fn count(&self) -> Result<u64, Malformed> {
        let count = self.segments.iter().try_fold(0_u64, |sum, segment| sum.checked_add(segment.count));
        count.ok_or(Malformed("events out of range"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamRow {
    pub id: StreamId,
    pub created_at: Timestamp,
}

impl StreamRow {
    pub(crate) fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.id.to_le_bytes());
        bytes[8..].copy_from_slice(&self.created_at.as_millis().to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Input(bytes);
        let row = Self { id: input.u64()?, created_at: Timestamp::from_millis(input.u64()?) };
        input.end()?;
        Ok(row)
    }
}

/// A checkpoint without its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CursorRow {
    pub configured_offset: Offset,
    pub reduced: u64,
    pub acknowledged: u64,
    pub revision: u64,
    pub state_digest: Digest,
}

impl CursorRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        for number in [self.configured_offset.get(), self.reduced, self.acknowledged, self.revision] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(self.state_digest.as_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Input(bytes);
        let row = Self {
            configured_offset: Offset::new(input.u64()?).ok_or(Malformed("an offset out of range"))?,
            reduced: input.u64()?,
            acknowledged: input.u64()?,
            revision: input.u64()?,
            state_digest: Digest::from_bytes(input.array()?),
        };
        input.end()?;
        Ok(row)
    }
}

/// `level i64 · at u64`
pub(crate) fn encode_bucket(bucket: Bucket) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&bucket.level.to_le_bytes());
    bytes[8..].copy_from_slice(&bucket.at.as_millis().to_le_bytes());
    bytes
}

pub(crate) fn decode_bucket(bytes: &[u8]) -> Result<Bucket, Malformed> {
    let mut input = Input(bytes);
    let bucket = Bucket { level: i64::from_le_bytes(input.array()?), at: Timestamp::from_millis(input.u64()?) };
    input.end()?;
    Ok(bucket)
}

pub(crate) fn encode_control(control: &StreamControl) -> Vec<u8> {
    serde_json::to_vec(control).expect("it has string keys and no failing serialisers")
}

pub(crate) fn decode_control(bytes: &[u8]) -> Result<StreamControl, Malformed> {
    serde_json::from_slice(bytes).map_err(|_| Malformed("not the control state of a stream"))
}

pub(crate) fn decode_path(bytes: &[u8]) -> Result<StreamPath, Malformed> {
    StreamPath::new(text(bytes)?).map_err(|_| Malformed("not a stream path"))
}

pub(crate) fn decode_state(bytes: &[u8]) -> Result<Json, Malformed> {
    text(bytes).map(Json::from_checked)
}

pub(crate) fn decode_number(bytes: &[u8]) -> Result<u64, Malformed> {
    let mut input = Input(bytes);
    let number = input.u64()?;
    input.end()?;
    Ok(number)
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return bytes.push(low & 0x7f);
        }
        bytes.push(low | 0x80);
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_varint(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed("not UTF-8"))
}

/// Bytes still to be decoded.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed("shorter than announced"))?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed("too short"))?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("number out of range"))
    }

    fn length(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.varint()?).map_err(|_| Malformed("length out of range"))
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.length()?;
        text(self.bytes(length)?)
    }

    fn offset(&mut self) -> Result<Offset, Malformed> {
        Offset::new(self.varint()?).ok_or(Malformed("an offset out of range"))
    }

    fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("longer than it should be")) }
    }
}

#[cfg(test)]
mod tests;
