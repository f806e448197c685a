//! Who runs when: writers, processors, their lifecycle, tenants and shutdown.
//!
//! An [`Engine`] serves the tenants of one data folder. A [`Tenant`] is appended to and read from; what its log says about processors is
//! made true by the engine itself, in the background. The log is the queue: after a commit the tenant's writer publishes how far each
//! stream now goes, and everything that follows a stream is a cursor that reads pages from disk until it meets the tail and
//! then waits for the tail to move.
//!
//! No HTTP in here; where to look:
//!
//! - `writer`: the one thread of a tenant that commits, and the queue in front of it
//! - `tails`: how far each stream goes, for those who wait
//! - `actor`: the life of one processor: deploy, run, park, replace, remove
//! - `deploy`: from a configured version to one that may run
//! - `runner`: reduce and after-append, page by page, and the commit of what they did
//! - `scheduler`: what is appended at its time
//! - `push` and `transformer`: what follows a stream to send its events away, or to make others of them
//! - `javascript`: the component behind processors that come as text
//! - `secrets`: values that are sealed on disk

mod actor;
mod components;
mod deploy;
mod engine;
mod error;
mod feed;
mod javascript;
mod proposal;
mod push;
mod runner;
mod scheduler;
mod secrets;
mod signing;
mod supervisor;
mod tails;
mod tenant;
mod transformer;
mod turns;
mod writer;

pub use engine::{Engine, EngineOptions};
pub use error::{AppendError, EngineError};
pub use pelton_store::{Condition, KeyReuse, Page, PageLimit, Refusal, StoreError, TreePage, Written};
pub use pelton_wasm::{Gate, HttpBody, HttpError, HttpRequest, HttpResponse};
pub use proposal::Proposal;
pub use push::{Attempts, BoxFuture, Courier, Delivery, Errand, Socket, Webhook};
pub use secrets::{MasterKeyError, NewSecret, Reveal, Revealed, Secret, SecretError};
pub use tails::Tail;
pub use tenant::{AppendOptions, Outcome, ProcessorView, StreamView, SubscriptionView, Tenant};
