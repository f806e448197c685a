use std::path::PathBuf;

/// Why a file cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An earlier commit failed. Whether it is on disk is unknown, so this writer writes nothing more.
    #[error("an earlier commit to this file failed; nothing more is written until it has been opened again")]
    Poisoned,
    /// Held by another `Store` or `Writer`, here or in another process.
    #[error("{} is already open, here or in another process", .path.display())]
    AlreadyOpen { path: PathBuf },
    #[error("{}: expected a Pelton file, found {found}", .path.display())]
    NotPelton { path: PathBuf, found: String },
    #[error("{}: expected file format {expected} or older, found {found}; a newer version of Pelton wrote it", .path.display())]
    FormatTooNew { path: PathBuf, expected: u64, found: u64 },
    /// A row does not hold what its table promises.
    #[error("corrupt row in table `{table}`, {row}: {what}")]
    Corrupt { table: String, row: String, what: &'static str },
    /// redb or the file below it failed.
    #[error("storage failed: {0}")]
    Redb(#[source] Box<redb::Error>),
    #[error("cannot {action} {}: {source}", .path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
}

macro_rules! from_redb {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for StoreError {
            fn from(error: redb::$error) -> Self {
                Self::Redb(Box::new(error.into()))
            }
        })*
    };
}

from_redb!(StorageError, TableError, TransactionError, CommitError, DatabaseError);
