//! The second step of a commit: rows that were decided on become one durable transaction.

use pelton_model::{Bucket, Offset, Position, StreamControl, StreamPath};
use redb::Database;
use std::sync::Arc;

use crate::StoreError;
use crate::codec::{CommitRow, CursorRow, RunBuilder, StreamId, StreamRow, encode_bucket, encode_control};
use crate::keyspace::{
    BUCKETS, COMMITS, COMPONENT_CHUNK_BYTES_MAX, COMPONENT_CHUNKS, COMPONENT_SIZES, CONTROLS, CURSORS, KEYS, KeyHash, PATHS, RUNS, SECRETS,
    STATES, STREAMS,
};
use crate::write::{Component, SecretWrite};

/// Everything that one commit changes.
#[derive(Default)]
pub(crate) struct Rows {
    pub commit: Option<(Position, CommitRow)>,
    pub runs: Vec<(StreamId, RunBuilder)>,
    pub streams: Vec<(StreamPath, StreamRow)>,
    pub keys: Vec<(StreamId, KeyHash, Offset)>,
    pub controls: Vec<(StreamId, Arc<StreamControl>)>,
    pub buckets: Vec<(StreamId, Option<Bucket>)>,
    pub checkpoints: Vec<(Vec<u8>, CheckpointRows)>,
    pub components: Vec<Component>,
    pub secrets: Vec<SecretWrite>,
}

/// What becomes of the two rows of one checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CheckpointRows {
    /// A state of `None` stays as it is on disk.
    Put(CursorRow, Option<pelton_model::Json>),
    Delete,
}

impl Rows {
    fn is_empty(&self) -> bool {
        let Self { commit, runs, streams, keys, controls, buckets, checkpoints, components, secrets } = self;
        commit.is_none()
            && runs.is_empty()
            && streams.is_empty()
            && keys.is_empty()
            && controls.is_empty()
            && buckets.is_empty()
            && checkpoints.is_empty()
            && components.is_empty()
            && secrets.is_empty()
    }
}

/// One transaction, synced when this returns. Nothing to write is nothing to sync: what such a group was answered with is on disk.
pub(crate) fn apply(db: &Database, rows: Rows) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let transaction = db.begin_write()?;
    events(&transaction, rows.commit, rows.runs)?;
    if !rows.streams.is_empty() {
        let (mut streams, mut paths) = (transaction.open_table(STREAMS)?, transaction.open_table(PATHS)?);
        for (path, row) in rows.streams {
            streams.insert(path.as_str().as_bytes(), row.encode().as_slice())?;
            paths.insert(row.id, path.as_str().as_bytes())?;
        }
    }
    if !rows.keys.is_empty() {
        let mut keys = transaction.open_table(KEYS)?;
        for (stream, key, offset) in rows.keys {
            keys.insert((stream, &key), offset.get())?;
        }
    }
    if !rows.controls.is_empty() {
        let mut controls = transaction.open_table(CONTROLS)?;
        for (stream, control) in rows.controls {
            if *control == StreamControl::default() {
                controls.remove(stream)?;
            } else {
                controls.insert(stream, encode_control(&control).as_slice())?;
            }
        }
    }
    if !rows.buckets.is_empty() {
        let mut buckets = transaction.open_table(BUCKETS)?;
        for (stream, bucket) in rows.buckets {
            match bucket {
                Some(bucket) => buckets.insert(stream, encode_bucket(bucket).as_slice())?,
                None => buckets.remove(stream)?,
            };
        }
    }
    checkpoints(&transaction, rows.checkpoints)?;
    components(&transaction, rows.components)?;
    if !rows.secrets.is_empty() {
        let mut secrets = transaction.open_table(SECRETS)?;
        for secret in rows.secrets {
            match secret {
                SecretWrite::Put { name, sealed } => secrets.insert(name.as_bytes(), sealed.as_slice())?,
                SecretWrite::Delete { name } => secrets.remove(name.as_bytes())?,
            };
        }
    }
    transaction.commit()?;
    Ok(())
}

fn events(
    transaction: &redb::WriteTransaction,
    commit: Option<(Position, CommitRow)>,
    runs: Vec<(StreamId, RunBuilder)>,
) -> Result<(), StoreError> {
    let Some((position, commit)) = commit else { return Ok(()) };
    transaction.open_table(COMMITS)?.insert(position.get(), commit.encode().as_slice())?;
    let mut table = transaction.open_table(RUNS)?;
    for (stream, run) in runs {
        table.insert((stream, run.first.get()), run.finish().as_slice())?;
    }
    Ok(())
}

fn checkpoints(transaction: &redb::WriteTransaction, checkpoints: Vec<(Vec<u8>, CheckpointRows)>) -> Result<(), StoreError> {
    if checkpoints.is_empty() {
        return Ok(());
    }
    let (mut cursors, mut states) = (transaction.open_table(CURSORS)?, transaction.open_table(STATES)?);
    for (key, rows) in checkpoints {
        match rows {
            CheckpointRows::Put(cursor, state) => {
                cursors.insert(key.as_slice(), cursor.encode().as_slice())?;
                if let Some(state) = state {
                    states.insert(key.as_slice(), state.as_str().as_bytes())?;
                }
            }
            CheckpointRows::Delete => {
                cursors.remove(key.as_slice())?;
                states.remove(key.as_slice())?;
            }
        }
    }
    Ok(())
}

fn components(transaction: &redb::WriteTransaction, components: Vec<Component>) -> Result<(), StoreError> {
    if components.is_empty() {
        return Ok(());
    }
    let (mut sizes, mut chunks) = (transaction.open_table(COMPONENT_SIZES)?, transaction.open_table(COMPONENT_CHUNKS)?);
    for Component { digest, bytes } in components {
        sizes.insert(digest.as_bytes(), bytes.len() as u64)?;
        for (number, chunk) in (0..).zip(bytes.chunks(COMPONENT_CHUNK_BYTES_MAX)) {
            chunks.insert((digest.as_bytes(), number), chunk)?;
        }
    }
    Ok(())
}
