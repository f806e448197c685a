//! How the host records an event that a guest appends at once.

use std::pin::Pin;

use pelton_model::{Event, NewEvent, StreamPath};

/// Records events for `appender.append`. The event comes checked and stamped.
pub trait Appender: Send + Sync {
    fn append(&self, stream: StreamPath, event: NewEvent) -> Pin<Box<dyn Future<Output = Result<Event, AppendError>> + Send + '_>>;
}

/// Why an append was refused, with a text for people; the cases of the contract's `append-error`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error("paused: {0}")]
    Paused(String),
    #[error("conflict: {0}")]
    Conflict(String),
    #[error("denied: {0}")]
    Denied(String),
    #[error("invalid: {0}")]
    Invalid(String),
    #[error("unavailable: {0}")]
    Unavailable(String),
}
