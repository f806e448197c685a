//! The keyspace: every table of a tenant's file on one page.
//!
//! | table              | key                                | value                                          | mutability |
//! | ------------------ | ---------------------------------- | ---------------------------------------------- | ---------- |
//! | `meta`             | name                               | `magic`: text, `format`: u64                   | written once, when the file is created |
//! |                    | `next_stream`                      | the id after the last one given out            | replaced when streams are destroyed |
//! | `commits`          | first position of a commit         | [`CommitRow`]: time, and which events in order | appended to, a row a commit that records events |
//! | `runs`             | stream id, first offset            | [run]: consecutive events of one commit        | appended to, a row for each stream in a commit |
//! | `streams`          | path                               | [`StreamRow`]: id, time of creation            | written once, when the stream begins |
//! | `paths`            | stream id                          | path                                           | written once, when the stream begins |
//! | `keys`             | stream id, hash of idempotency key | offset                                         | written once, with the event |
//! | `controls`         | stream id                          | [`StreamControl`] as JSON                      | replaced when it changes; no row while it is the default |
//! | `buckets`          | stream id                          | [`Bucket`]: what the circuit breaker lets pass | replaced by what it counts; no row while it is full |
//! | `cursors`          | path, 0, [consumer]                | [`CursorRow`]: cursors, revision, state digest | replaced by every checkpoint |
//! | `states`           | path, 0, [consumer]                | state as JSON                                  | replaced when the state changes, so that moving a cursor does not rewrite it |
//! | `component_sizes`  | digest                             | bytes of the component                         | written once |
//! | `component_chunks` | digest, number of the chunk        | at most [`COMPONENT_CHUNK_BYTES_MAX`] bytes    | written once |
//! | `secrets`          | name                               | what the engine sealed                         | replaced when it is set again, removed when it is deleted |
//!
//! Destroying a stream removes its rows everywhere but in `commits`: an id that `paths` does not know any more is passed over there, and is
//! never given out again.
//!
//! Nothing is stored twice that would have to be rewritten by every commit. The next offset of a stream is where its last run
//! ends, the next position and the time of the last event are in the last commit row, the next stream id follows the last path.
//! So a commit of events to streams that exist changes two trees, `commits` and `runs`, and `keys` if there are keys.
//!
//! Text keys are bytes here, since redb takes text on trust and a malformed file must be an error and no panic.
//!
//! [consumer]: pelton_model::Consumer
//! [`Bucket`]: pelton_model::Bucket
//! [run]: crate::codec::RunBuilder
//! [`CommitRow`]: crate::codec::CommitRow
//! [`StreamRow`]: crate::codec::StreamRow
//! [`CursorRow`]: crate::codec::CursorRow
//! [`StreamControl`]: pelton_model::StreamControl

use pelton_model::{Consumer, Digest, IdempotencyKey, StreamPath};
use redb::TableDefinition;

use crate::codec::StreamId;

pub(crate) const META: TableDefinition<&[u8], &[u8]> = TableDefinition::new("meta");
pub(crate) const COMMITS: TableDefinition<u64, &[u8]> = TableDefinition::new("commits");
pub(crate) const RUNS: TableDefinition<(StreamId, u64), &[u8]> = TableDefinition::new("runs");
pub(crate) const STREAMS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("streams");
pub(crate) const PATHS: TableDefinition<StreamId, &[u8]> = TableDefinition::new("paths");
pub(crate) const KEYS: TableDefinition<(StreamId, &KeyHash), u64> = TableDefinition::new("keys");
pub(crate) const CONTROLS: TableDefinition<StreamId, &[u8]> = TableDefinition::new("controls");
pub(crate) const BUCKETS: TableDefinition<StreamId, &[u8]> = TableDefinition::new("buckets");
pub(crate) const CURSORS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("cursors");
pub(crate) const STATES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("states");
pub(crate) const COMPONENT_SIZES: TableDefinition<&[u8; 32], u64> = TableDefinition::new("component_sizes");
pub(crate) const COMPONENT_CHUNKS: TableDefinition<(&[u8; 32], u32), &[u8]> = TableDefinition::new("component_chunks");
pub(crate) const SECRETS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("secrets");

pub(crate) const MAGIC_KEY: &[u8] = b"magic";
pub(crate) const MAGIC: &[u8] = b"pelton tenant";
pub(crate) const FORMAT_KEY: &[u8] = b"format";
/// 2 added `buckets` and `secrets`.
pub(crate) const FORMAT: u64 = 2;
pub(crate) const NEXT_STREAM_KEY: &[u8] = b"next_stream";

/// redb rounds a large row up to a power of two, so the largest rows stay a little below one.
const ROW_MARGIN_BYTES: usize = 1 << 10;
pub(crate) const COMPONENT_CHUNK_BYTES_MAX: usize = (256 << 10) - ROW_MARGIN_BYTES;
/// A run that would grow past this goes on in another row. One event may be larger than that, and then has a row to itself.
pub(crate) const RUN_BYTES_MAX: usize = (1 << 20) - ROW_MARGIN_BYTES;

/// The first half of the SHA-256 of an idempotency key. Who makes two keys collide, at the price of 2^64 attempts, harms a stream of
/// his own: the later key is answered as if it were the earlier one.
pub(crate) type KeyHash = [u8; 16];

pub(crate) fn key_hash(key: &IdempotencyKey) -> KeyHash {
    let mut hash = [0; 16];
    hash.copy_from_slice(&Digest::of(key.as_str().as_bytes()).as_bytes()[..16]);
    hash
}

/// The key of a checkpoint. A path has no zero byte, so the parts cannot run into each other; a slug begins with a printable character, so
/// that the kinds of consumers cannot either.
pub(crate) fn checkpoint_key(stream: &StreamPath, consumer: &Consumer) -> Vec<u8> {
    let (kind, slug): (&[u8], _) = match consumer {
        Consumer::Processor(slug) => (&[], slug),
        Consumer::Subscription(slug) => (&[1], slug),
        Consumer::Transformer(slug) => (&[2], slug),
    };
    [stream.as_str().as_bytes(), &[0], kind, slug.as_str().as_bytes()].concat()
}

/// The keys of all checkpoints of a stream: from the first, before the second.
pub(crate) fn checkpoint_keys(stream: &StreamPath) -> (Vec<u8>, Vec<u8>) {
    ([stream.as_str().as_bytes(), &[0]].concat(), [stream.as_str().as_bytes(), &[1]].concat())
}
