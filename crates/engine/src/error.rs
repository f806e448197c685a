//! What can go wrong between a caller and the log.

use pelton_model::TenantName;
use pelton_store::{Refusal, StoreError};

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The log's own conditions: key, offset, pause.
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("expected an event of at most {max} bytes, found {found} bytes")]
    EventTooLarge { found: usize, max: usize },
    #[error("expected at most {max} events in a batch, found {found}")]
    BatchTooLarge { found: usize, max: usize },
    #[error("a stream is initialized once, by the host, when it begins")]
    AlreadyInitialized,
    #[error("expected a stream path of at most {max} segments, found {found}")]
    PathTooDeep { found: usize, max: usize },
    /// The event configures a program, and there is nothing to run it.
    #[error("this host has no JavaScript runtime")]
    NoJavaScriptRuntime,
    /// The tenant is closing, or its writer has failed and says nothing is safe on disk any more.
    #[error("the tenant cannot be written: {0}")]
    Unavailable(String),
}

/// Why the engine, or one tenant of it, cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("tenant {tenant}: {source}")]
    Store {
        tenant: TenantName,
        #[source]
        source: StoreError,
    },
    #[error("data folder {path}: {source}")]
    DataFolder {
        path: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("data folder {path}: another process uses it")]
    DataFolderInUse { path: std::path::PathBuf },
    #[error(transparent)]
    MasterKey(#[from] crate::MasterKeyError),
    #[error(transparent)]
    Sandbox(#[from] pelton_wasm::SandboxError),
    #[error("the host is stopping")]
    Stopping,
    #[error("a task of the host failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}
