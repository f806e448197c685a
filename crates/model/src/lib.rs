//! The vocabulary of Pelton: validated names, events, offsets, the built-in events and what a stream knows from them.
//!
//! Everything here is plain data. Nothing does I/O, nothing is async, and a value that exists is valid: constructors check,
//! the rest of the host relies on it. Text from outside becomes a [`NewEvent`] through [`NewEvent::parse`]; what the store
//! has recorded is an [`Event`]; the fold of a stream's built-in events is its [`StreamControl`].
//!
//! ```
//! use pelton_model::{Json, NewEvent};
//!
//! let body = Json::parse(r#"{ "type": "ping", "payload": { "n": 1.10 } }"#).unwrap();
//! let event = NewEvent::parse(&body).unwrap();
//! assert_eq!(event.event_type.as_str(), "ping");
//! assert_eq!(event.payload.as_str(), r#"{"n":1.10}"#); // numbers stay as they were written
//! ```

mod breaker;
mod builtin;
mod control;
mod dynamic_worker;
mod egress;
mod environment;
mod event;
mod json;
mod jsonata;
mod names;
mod numbers;
mod pattern;
mod push;
mod quotas;
mod schedule;
mod schema;
mod shelf;

pub use breaker::{Breaker, Bucket};
pub use builtin::{
    Activated, Builtin, CatchUp, ChildStreamCreated, ComponentRef, EffectsFrom, Initialized, Parked, Phase, ProcessorConfigured,
    ProcessorLimits, Reason, Rejected, Removed, Resumed, attach_component,
};
pub use control::{Pause, ProcessorControl, Skip, StreamControl, Version};
pub use dynamic_worker::{DynamicWorkerConfigured, WorkerCompat};
pub use egress::{EGRESS_SCHEMES, EgressHost, EgressRequest, EgressRule, EgressRuleError, EgressRules};
pub use environment::{ENV_VARS_MAX, EnvVarSet};
pub use event::{Event, EventIssues, Issue, NewEvent, Source};
pub use json::{Json, JsonError, JsonObject};
pub use jsonata::Jsonata;
pub use names::{Consumer, Digest, EventType, IdempotencyKey, NameError, Slug, StreamPath, TenantName};
pub use numbers::{Incarnation, Offset, Position, Timestamp};
pub use pattern::TypePatterns;
pub use push::{
    DeliverFrom, SubscriptionConfigured, SubscriptionControl, SubscriptionKind, SubscriptionParked, TransformerConfigured,
    TransformerControl,
};
pub use quotas::Quotas;
pub use schedule::{
    AppendScheduled, Due, ExecutionFinished, ExecutionOutcome, ExecutionStarted, Missed, Schedule, ScheduleCancelled, ScheduleConfigured,
    ScheduleControl,
};
pub use shelf::Shelf;
