//! Everything a Pelton stream processor in Rust needs.
//!
//! A processor is state and two functions. [`Processor::reduce`] folds each event into the state and does nothing else, so
//! that the host can rebuild, inspect and verify any state. [`Processor::after_append`] acts on each new event: it appends,
//! logs, calls out. [`export!`] turns the type into the component that is uploaded to a stream.
//!
//! # A processor
//!
//! ```
//! use pelton_sdk::{EffectContext, Event, Manifest, NewEvent, Processor, ReduceContext, Result, json};
//! use serde::{Deserialize, Serialize};
//!
//! /// The state, JSON between calls. Its `Default` is the state before the first event.
//! #[derive(Default, Serialize, Deserialize)]
//! struct Orders {
//!     open: u64,
//! }
//!
//! /// The shape of one payload that this processor reads.
//! #[derive(Deserialize)]
//! struct Placed<'a> {
//!     customer: &'a str,
//! }
//!
//! /// The processor's `config`, given when it is attached to a stream.
//! #[derive(Deserialize)]
//! #[serde(default, rename_all = "camelCase")]
//! struct Config {
//!     crowded_from: u64,
//! }
//!
//! impl Default for Config {
//!     fn default() -> Self {
//!         Config { crowded_from: 100 }
//!     }
//! }
//!
//! struct OrderDesk;
//!
//! impl Processor for OrderDesk {
//!     type State = Orders;
//!
//!     fn manifest() -> Manifest {
//!         Manifest::new("order-desk", env!("CARGO_PKG_VERSION"))
//!             .description("Counts open orders and thanks for each.")
//!             .consumes(["order/placed", "order/shipped"])
//!             .emits(["order/thanked"])
//!     }
//!
//!     fn reduce(state: &mut Orders, event: &Event, _context: &ReduceContext) -> Result<()> {
//!         match event.event_type.as_str() {
//!             "order/placed" => state.open += 1,
//!             _ => state.open = state.open.saturating_sub(1),
//!         }
//!         Ok(())
//!     }
//!
//!     fn after_append(event: &Event, state: &Orders, context: &EffectContext) -> Result<()> {
//!         if event.event_type == "order/placed" {
//!             let order: Placed = event.payload()?;
//!             let config: Config = context.config()?;
//!             if state.open >= config.crowded_from {
//!                 context.warn(format_args!("{} orders are open", state.open));
//!             }
//!             context.append(NewEvent::new("order/thanked").payload(json!({ "customer": order.customer })))?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! pelton_sdk::export!(OrderDesk);
//!
//! // `testing::Host` runs it natively, through the same code as the component.
//! let mut host = pelton_sdk::testing::Host::<OrderDesk>::new();
//! let answers = host.append("order/placed", json!({ "customer": "Ada" }))?;
//! assert_eq!(host.state()?.open, 1);
//! assert_eq!(answers[0].payload, json!({ "customer": "Ada" }));
//! # Ok::<(), pelton_sdk::Error>(())
//! ```
//!
//! The crate is a `cdylib` that depends on `pelton-sdk`, `serde` and `serde_json`, built in release for
//! `wasm32-unknown-unknown`; the core module that comes out is then encoded as a component.
//!
//! # What to know
//!
//! - **Nothing lasts in memory.** The host drops instances between any two calls; what must last belongs into the state.
//! - **`reduce` is pure.** The same events and configuration always give the same state: no clock (an event says when it was
//!   recorded), no randomness, and ordered maps rather than hashed ones, so that the JSON text is the same each time too.
//! - **`after_append` may run twice** for one event, after a crash or an error. What it appends with
//!   [`EffectContext::append`] is recorded once all the same.
//! - **The world is behind a gate.** [`EffectContext::fetch`] sends what the operator of the host and the processor's `egress` both allow, and
//!   [`EffectContext::secret`] stands for a value that the host fills in on the way out. A processor that uses neither has no import of WASI.
//! - **Errors carry their reason.** `?` turns every [`std::error::Error`] with all its causes into an [`Error`], which the
//!   host shows when it parks the processor. A panic is logged with its place in the source, then ends the instance.

mod context;
mod error;
mod event;
mod glue;
mod http;
mod manifest;
mod processor;
pub mod testing;

pub use context::{AppendError, EffectContext, Level, ReduceContext};
pub use error::{Error, Result};
pub use event::{Event, NewEvent, Source};
pub use http::{FetchError, Request, Response};
pub use manifest::Manifest;
pub use processor::Processor;

pub use serde_json::{Value, json};

/// For [`export!`] alone.
#[doc(hidden)]
pub mod __private {
    pub use crate::glue::{after_append, describe, reduce};
}

/// What wit-bindgen makes of the contract, alone in its module since none of it is written by hand. Public for [`export!`].
#[doc(hidden)]
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "stream-processor-wasi",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "__export_component",
        default_bindings_module: "pelton_sdk::bindings",
    });
}

/// Makes a [`Processor`] the component's `pelton:processor/processor`. Once in a crate.
#[macro_export]
macro_rules! export {
    ($processor:ty) => {
        const _: () = {
            struct Component;

            impl $crate::bindings::exports::pelton::processor::processor::Guest for Component {
                fn describe() -> ::std::string::String {
                    $crate::__private::describe::<$processor>()
                }

                fn reduce(
                    state: ::std::string::String,
                    events: ::std::vec::Vec<$crate::bindings::pelton::processor::types::Event>,
                ) -> ::core::result::Result<::std::string::String, ::std::string::String> {
                    $crate::__private::reduce::<$processor>(state, events)
                }

                fn after_append(
                    event: $crate::bindings::pelton::processor::types::Event,
                    state: ::std::string::String,
                ) -> ::core::result::Result<(), ::std::string::String> {
                    $crate::__private::after_append::<$processor>(event, state)
                }
            }

    $crate::bindings::__export_component!(Component with_types_in $crate::bindings);
        };
    };
}
