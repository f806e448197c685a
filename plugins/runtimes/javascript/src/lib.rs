//! Stream processors as JavaScript text: the component behind `stream/dynamic-worker/configured`.
//!
//! It is a processor like any other, whose configuration holds a program: `{ "script": "…" }`, or `{ "modules": { "processor.ts": "…" } }`. So a
//! deploy compiles no WebAssembly, and what holds for processors holds for programs: a reducer without a world, effects through the gate of
//! the host, fuel, memory and deadlines.
//!
//! Boa interprets, with an event loop of this crate's own ([`turns`]) on top of WASI's clocks and HTTP. An instance keeps its program loaded
//! from call to call: to load it for each event would cost many times what a reducer costs. Hence a variable of a module outlives an event, as
//! memory does in every language, and a reducer that counts in one is not pure.

#![cfg_attr(not(any(test, target_arch = "wasm32")), allow(dead_code, reason = "elsewhere there is no host to call it"))]

#[cfg(target_arch = "wasm32")]
mod component;
mod events;
mod failure;
#[cfg(target_arch = "wasm32")]
mod host;
mod json;
mod natives;
mod program;
mod runtime;
#[cfg(test)]
mod tests;
mod turns;
mod types;
mod world;

/// What wit-bindgen makes of the contract.
#[cfg(target_arch = "wasm32")]
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "stream-processor-wasi", generate_all });
}
