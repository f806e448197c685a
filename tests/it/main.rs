//! Black-box tests: the real binary, real HTTP, real plugins. Each test names a promise and starts a server of its own.
//!
//! The plugins are those of `plugins/`, as `cargo xtask plugins` builds them.

#![allow(clippy::unwrap_used, reason = "in a test an unwrap is an assertion")]

mod remote;
mod support;

mod append;
mod append_formats;
mod bad_input;
mod breaker;
mod cli;
mod cloudevents;
mod compat;
mod configured;
mod control_state;
mod destroy;
mod durability;
mod dynamic_workers;
mod effects;
mod egress;
mod errors;
mod fairness;
mod fixtures;
mod github_triage;
mod guide;
mod http_clients;
mod idempotency;
mod openapi;
mod parked;
mod plugin_build;
mod plugin_go_c;
mod plugin_languages;
mod plugin_run;
mod plugin_test;
mod polyglot;
mod read;
mod read_formats;
mod read_tree;
mod rejected;
mod replaced;
mod schedules;
mod secrets;
mod slow_clients;
mod tolerance;
mod transformers;
mod webhooks;
mod websocket;
mod websocket_subscriptions;
