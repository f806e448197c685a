//! Removing streams, with everything that belongs to them.

use pelton_model::{Incarnation, StreamPath};
use redb::Database;

use crate::StoreError;
use crate::codec::StreamId;
use crate::keyspace::{BUCKETS, CONTROLS, CURSORS, KEYS, META, NEXT_STREAM_KEY, PATHS, RUNS, STATES, STREAMS, checkpoint_keys};
use crate::read::streams_from;
use crate::snapshot::Snapshot;

/// One transaction, synced when this returns. What was the id of a stream stays used: rows of `commits` go on speaking of it.
pub(crate) fn destroy(
    db: &Database,
    path: &StreamPath,
    with_children: bool,
    next_stream: StreamId,
) -> Result<Vec<(StreamPath, Incarnation)>, StoreError> {
    let snapshot = Snapshot::new(db)?;
    let mut doomed = Vec::new();
    if with_children {
        doomed.extend(streams_from(&snapshot, path)?.into_iter().map(|(path, row)| (path, row.id)));
    } else if let Some(row) = snapshot.stream(path)? {
        doomed.push((path.clone(), row.id));
    }
    drop(snapshot);
    if doomed.is_empty() {
        return Ok(Vec::new());
    }
    let transaction = db.begin_write()?;
    transaction.open_table(META)?.insert(NEXT_STREAM_KEY, next_stream.to_le_bytes().as_slice())?;
    {
        let (mut streams, mut paths) = (transaction.open_table(STREAMS)?, transaction.open_table(PATHS)?);
        let (mut runs, mut keys) = (transaction.open_table(RUNS)?, transaction.open_table(KEYS)?);
        let (mut controls, mut buckets) = (transaction.open_table(CONTROLS)?, transaction.open_table(BUCKETS)?);
        let (mut cursors, mut states) = (transaction.open_table(CURSORS)?, transaction.open_table(STATES)?);
        for (path, id) in &doomed {
            streams.remove(path.as_str().as_bytes())?;
            paths.remove(id)?;
            runs.retain_in((*id, 0)..=(*id, u64::MAX), |_, _| false)?;
            keys.retain_in((*id, &[0; 16])..=(*id, &[u8::MAX; 16]), |_, _| false)?;
            controls.remove(id)?;
            buckets.remove(id)?;
            let (from, before) = checkpoint_keys(path);
            cursors.retain_in(from.as_slice()..before.as_slice(), |_, _| false)?;
            states.retain_in(from.as_slice()..before.as_slice(), |_, _| false)?;
        }
    }
    transaction.commit()?;
    Ok(doomed.into_iter().map(|(path, id)| (path, Incarnation::new(id))).collect())
}
