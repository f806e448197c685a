//! One tenant in one redb file: append, read, checkpoints and components. The only crate that knows redb.
//!
//! A tenant's file is opened once and gives a [`Store`], which reads from any thread, and a [`Writer`], the only one that can
//! commit. A commit takes a group of [`Write`]s, decides on each (idempotency key, then expected offset, then pause), gives out
//! offsets and positions, and puts everything that was not refused into one durable redb transaction.
//!
//! **The commit rule:** what [`Writer::commit`] answers is on disk and visible to every later read; after an error nothing more is
//! written until the file has been opened again.
//!
//! This crate knows nothing of WebAssembly, HTTP or async. The keyspace is on one page, `keyspace.rs`. A commit has two steps that
//! meet in one function: `decide.rs` comes to rows in memory, `rows.rs` writes and syncs them. `destroy.rs` is the one thing that removes
//! what was recorded.
//!
//! ```
//! use pelton_model::{EventType, JsonObject, NewEvent, Offset, StreamPath, TenantName, Timestamp};
//! use pelton_store::{Append, OpenOptions, PageLimit, Store, Write};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let tenant = TenantName::new("default")?;
//! let options = OpenOptions { tenant, cache_bytes: 16 << 20, breaker_counts_all: false, control_bytes_max: 8 << 20 };
//! let (store, mut writer) = Store::open(&directory.path().join("default.redb"), &options)?;
//!
//! let stream = StreamPath::new("/orders")?;
//! let event = NewEvent::new(EventType::new("placed")?, JsonObject::parse(r#"{ "item": "turbine" }"#)?);
//! let unit = Write { appends: vec![Append { stream: stream.clone(), event }], ..Write::default() };
//! let committed = writer.commit(vec![unit], Timestamp::from_millis(1_700_000_000_000))?;
//! assert_eq!(committed.answers[0].as_ref().unwrap().events[0].offset.get(), 2); // 1 is the stream's own
//!
//! let all = Offset::FIRST..store.stream(&stream)?.unwrap().next_offset;
//! assert_eq!(store.read_stream(&stream, all, PageLimit::default())?.events.len(), 2);
//! # Ok(())
//! # }
//! ```

mod cache;
mod codec;
mod decide;
mod destroy;
mod error;
mod keyspace;
mod open;
mod read;
mod rows;
mod snapshot;
mod write;

#[cfg(test)]
mod tests;

pub use error::StoreError;
pub use open::OpenOptions;
pub use read::{Checkpoint, Page, PageLimit, Store, StreamInfo, TreePage};
pub use write::{
    Append, CheckpointChange, CheckpointWrite, Committed, Component, Condition, ControlChange, KeyReuse, Refusal, SecretWrite, Write,
    Writer, Written,
};
