//! Opening a tenant's file, and making one.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pelton_model::{Position, TenantName, Timestamp};
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableHandle};

use crate::codec::{CommitRow, Malformed, StreamId, decode_number};
use crate::keyspace::{
    BUCKETS, COMMITS, COMPONENT_CHUNKS, COMPONENT_SIZES, CONTROLS, CURSORS, FORMAT, FORMAT_KEY, KEYS, MAGIC, MAGIC_KEY, META,
    NEXT_STREAM_KEY, PATHS, RUNS, SECRETS, STATES, STREAMS,
};
use crate::{Store, StoreError, Writer};

/// How a tenant's file is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Whose file it is; every stream's first event says so.
    pub tenant: TenantName,
    /// Memory that redb may use to cache pages of this file.
    pub cache_bytes: usize,
    /// Whether the circuit breaker counts every append, rather than those of processors and of streams that configure it.
    pub breaker_counts_all: bool,
    /// Bytes that the control state of a stream may grow to by what is configured.
    pub control_bytes_max: usize,
}

/// What the [`Store`]s and the [`Writer`] of one open file have in common.
pub(crate) struct Shared {
    pub db: Database,
    pub path: PathBuf,
    /// The next position, as of the last commit.
    pub head: AtomicU64,
}

/// Where the numbering of positions, streams and time goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counters {
    pub next_position: Position,
    pub next_stream: StreamId,
    pub last_created_at: Timestamp,
}

impl Store {
    /// Opens a tenant's file, or makes it where there is none. A file that was not closed is repaired first, which takes time in
    /// proportion to its size and is logged.
    ///
    /// # Errors
    /// [`StoreError::AlreadyOpen`], [`StoreError::NotPelton`] and [`StoreError::FormatTooNew`] say what they say; other errors are
    /// those of the file.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<(Self, Writer), StoreError> {
        let exists = path.try_exists().map_err(|source| StoreError::Io { action: "look for", path: path.to_owned(), source })?;
        if !exists {
            create(path)?;
        }
        let db = builder(path, options.cache_bytes).create(path).map_err(|error| open_error(path, error))?;
        with_database(db, path, options)
    }

    /// As [`Store::open`], over storage that a test provides.
    #[cfg(test)]
    pub(crate) fn open_with_backend(backend: impl redb::StorageBackend, options: &OpenOptions) -> Result<(Self, Writer), StoreError> {
        let path = Path::new("backend");
        let db = builder(path, options.cache_bytes).create_with_backend(backend).map_err(|error| open_error(path, error))?;
        with_database(db, path, options)
    }
}

fn with_database(db: Database, path: &Path, options: &OpenOptions) -> Result<(Store, Writer), StoreError> {
    check_format(&db, path)?;
    let counters = Counters::read(&db)?;
    let shared = Arc::new(Shared { db, path: path.to_owned(), head: AtomicU64::new(counters.next_position.get()) });
    Ok((Store { shared: Arc::clone(&shared) }, Writer::new(shared, options.clone(), counters)))
}

impl Shared {
    pub(crate) fn head(&self) -> Position {
        Position::new(self.head.load(Ordering::Acquire)).unwrap_or(Position::FIRST)
    }
}

impl Counters {
    fn read(db: &Database) -> Result<Self, StoreError> {
        let transaction = db.begin_read()?;
        let mut counters = Self { next_position: Position::FIRST, next_stream: 1, last_created_at: Timestamp::from_millis(0) };
        if let Some((position, row)) = transaction.open_table(COMMITS)?.last()? {
            let at = |malformed: Malformed| malformed.at(&COMMITS, format_args!("position {}", position.value()));
            let commit = CommitRow::decode(row.value()).map_err(at)?;
            let next = position.value().checked_add(commit.count().map_err(at)?).and_then(Position::new);
            counters.next_position = next.ok_or_else(|| at(Malformed("position out of range")))?;
            counters.last_created_at = commit.created_at;
        }
        if let Some((id, _)) = transaction.open_table(PATHS)?.last()? {
            let next = id.value().checked_add(1);
            counters.next_stream = next.ok_or_else(|| Malformed("stream id out of range").at(&PATHS, id.value()))?;
        }
        if let Some(next) = transaction.open_table(META)?.get(NEXT_STREAM_KEY)? {
            let next = decode_number(next.value()).map_err(|malformed| malformed.at(&META, "next_stream"))?;
            counters.next_stream = counters.next_stream.max(next);
        }
        Ok(counters)
    }
}

/// Makes the file under another name and gives it its own when it is complete: redb does not open a file whose making was
/// interrupted. A hard link, unlike a rename, never replaces what someone else has made meanwhile.
fn create(path: &Path) -> Result<(), StoreError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let failed = |action| move |source| StoreError::Io { action, path: path.to_owned(), source };
    remove_if_there(&unfinished).map_err(failed("clear the way for"))?;
    let db = Database::create(&unfinished).map_err(|error| open_error(path, error))?;
    initialise(&db)?;
    drop(db);
    match fs::hard_link(&unfinished, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed("create")(error)),
        _ => {}
    }
    remove_if_there(&unfinished).map_err(failed("tidy up beside"))?;
    // A file is found after a crash only if its directory is on disk too.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed("sync the directory of"))
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn builder(path: &Path, cache_bytes: usize) -> Builder {
    let mut builder = Database::builder();
    let path = path.to_owned();
    builder.set_cache_size(cache_bytes);
    builder.set_repair_callback(move |repair| {
        tracing::info!(path = %path.display(), progress = repair.progress(), "repairing a file that was not closed");
    });
    builder
}

fn open_error(path: &Path, error: DatabaseError) -> StoreError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::AlreadyOpen { path },
        DatabaseError::UpgradeRequired(version) => StoreError::NotPelton { path, found: format!("a redb file of format {version}") },
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
            StoreError::NotPelton { path, found: error.to_string() }
        }
        DatabaseError::Storage(StorageError::Io(source)) => StoreError::Io { action: "open", path, source },
        other => other.into(),
    }
}

/// A database without any table is new: nothing can have been acknowledged before the transaction that makes the tables.
fn check_format(db: &Database, path: &Path) -> Result<(), StoreError> {
    let not_pelton = |found: String| StoreError::NotPelton { path: path.to_owned(), found };
    let transaction = db.begin_read()?;
    let tables: Vec<String> = transaction.list_tables()?.map(|table| table.name().to_owned()).collect();
    if tables.is_empty() {
        return initialise(db);
    }
    let meta = transaction.open_table(META).map_err(|_| not_pelton(format!("a redb file with the tables {}", tables.join(", "))))?;
    if meta.get(MAGIC_KEY)?.is_none_or(|magic| magic.value() != MAGIC) {
        return Err(not_pelton("a redb file without Pelton's mark".to_owned()));
    }
    let format = meta.get(FORMAT_KEY)?.ok_or_else(|| not_pelton("no format version".to_owned()))?;
    match decode_number(format.value()).map_err(|malformed| malformed.at(&META, "format"))? {
        FORMAT => Ok(()),
        // What an older format lacks is made; what it has means the same.
        1 => {
            drop((meta, transaction));
            initialise(db)
        }
        found if found > FORMAT => Err(StoreError::FormatTooNew { path: path.to_owned(), expected: FORMAT, found }),
        found => Err(not_pelton(format!("format {found}, which was never released"))),
    }
}

/// Makes every table that is not there.
fn initialise(db: &Database) -> Result<(), StoreError> {
    let transaction = db.begin_write()?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert(MAGIC_KEY, MAGIC)?;
        meta.insert(FORMAT_KEY, FORMAT.to_le_bytes().as_slice())?;
    }
    transaction.open_table(COMMITS)?;
    transaction.open_table(RUNS)?;
    transaction.open_table(STREAMS)?;
    transaction.open_table(PATHS)?;
    transaction.open_table(KEYS)?;
    transaction.open_table(CONTROLS)?;
    transaction.open_table(BUCKETS)?;
    transaction.open_table(CURSORS)?;
    transaction.open_table(STATES)?;
    transaction.open_table(COMPONENT_SIZES)?;
    transaction.open_table(COMPONENT_CHUNKS)?;
    transaction.open_table(SECRETS)?;
    transaction.commit()?;
    Ok(())
}
