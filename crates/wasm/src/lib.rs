//! One component from bytes to calls: verify, compile, link, limit, call. The only crate that knows wasmtime.
//!
//! A [`Sandbox`] turns bytes into a [`Component`], which says what it is ([`Component::describe`]) and makes two kinds of instances for an
//! [`Identity`]: a [`Reducer`], which folds events into state and has no world, and an [`Effector`], which acts on one event and has
//! what the contract in `wit/processor.wit` grants. The two never share an instance, so nothing that an effect saw can leak into a state.
//! Whatever a guest does ends in a value, a [`LoadError`] or a [`CallError`], never in a panic.
//!
//! ```no_run
//! use pelton_model::{Digest, JsonObject, Quotas, Slug, StreamPath, TenantName};
//! use pelton_wasm::{Identity, Sandbox, SandboxOptions};
//!
//! let bytes = std::fs::read("ping.wasm")?;
//! let quotas = Quotas::default();
//! let component = Sandbox::new(&SandboxOptions::default())?.load(&bytes, &quotas)?;
//! let identity = Identity {
//!     tenant: TenantName::new("default")?,
//!     stream: StreamPath::new("/room")?,
//!     slug: Slug::new("ping")?,
//!     digest: Digest::of(&bytes),
//! };
//! let manifest = component.describe(Some(identity.clone()), JsonObject::empty(), &quotas)?;
//! let reduced = component.reducer(identity, JsonObject::empty(), quotas).reduce(manifest.initial_state, &[])?;
//! assert_eq!(reduced.fuel, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod appender;
mod bindings;
mod effector;
mod error;
mod host;
mod http;
mod instance;
mod limits;
mod log;
mod lower;
mod manifest;
mod pure;
mod reducer;
mod sandbox;
mod ticker;
mod verify;

pub use appender::{AppendError, Appender};
pub use effector::{Effector, Effects};
pub use error::{CallError, LoadError, SandboxError};
pub use http::{Gate, HttpBody, HttpError, HttpRequest, HttpResponse, Shut};
pub use manifest::Manifest;
pub use reducer::{ReduceFailed, Reduced, Reducer};
pub use sandbox::{Component, Identity, Sandbox, SandboxOptions};
pub use verify::{Interfaces, verify};
