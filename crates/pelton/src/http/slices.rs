//! What a stream's built-in processors know, as clients of events.iterate.com read it from `processors` of a state.

use std::collections::BTreeMap;

use pelton_engine::StreamView;
use pelton_model::{
    Breaker, Json, JsonObject, ProcessorControl, Schedule, ScheduleControl, Shelf, Slug, SubscriptionConfigured, TransformerConfigured,
};
use serde::Serialize;

use super::wire;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Slices<'a> {
    circuit_breaker: CircuitBreaker<'a>,
    external_subscriber: ExternalSubscriber<'a>,
    dynamic_worker: DynamicWorker<'a>,
    jsonata_transformer: JsonataTransformer<'a>,
    scheduler: BTreeMap<&'a Slug, Scheduled<'a>>,
}

/// Names that a processor of the stream cannot be shown under beside these.
pub const NAMES: &[&str] = &["circuit-breaker", "external-subscriber", "dynamic-worker", "jsonata-transformer", "scheduler"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CircuitBreaker<'a> {
    paused: bool,
    pause_reason: Option<&'a str>,
    paused_at: Option<String>,
    config: Breaker,
    available_tokens: i64,
    last_refill_at_ms: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalSubscriber<'a> {
    subscribers_by_slug: BTreeMap<&'a Slug, &'a SubscriptionConfigured>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DynamicWorker<'a> {
    env_vars_by_key: &'a Shelf<String, String>,
    /// The programs, as the runtime gets them.
    workers_by_slug: BTreeMap<&'a Slug, &'a JsonObject>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonataTransformer<'a> {
    transformers_by_slug: BTreeMap<&'a Slug, &'a TransformerConfigured>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Scheduled<'a> {
    callback: &'static str,
    /// The event that is appended, as JSON text.
    payload_json: &'a str,
    schedule: &'a Schedule,
    /// In seconds.
    next_run_at: u64,
    /// A tick is one write, so that nobody finds one half way.
    running: bool,
    execution_started_at: Option<u64>,
    created_at: String,
    execution_count: u64,
}

impl<'a> Slices<'a> {
    pub fn of(view: &'a StreamView) -> Self {
        Self {
            circuit_breaker: CircuitBreaker::of(view),
            external_subscriber: ExternalSubscriber {
                subscribers_by_slug: view.subscriptions.iter().map(|view| (&view.slug, &view.control.configured)).collect(),
            },
            dynamic_worker: DynamicWorker::of(view),
            jsonata_transformer: JsonataTransformer {
                transformers_by_slug: view.transformers.iter().map(|(slug, control, _)| (slug, &control.configured)).collect(),
            },
            scheduler: view.control.schedules.iter().map(|(slug, schedule)| (slug, Scheduled::of(schedule))).collect(),
        }
    }
}

impl<'a> CircuitBreaker<'a> {
    fn of(view: &'a StreamView) -> Self {
        let pause = view.control.paused.as_ref();
        let config = view.control.breaker.unwrap_or(Breaker::DEFAULT);
        Self {
            paused: pause.is_some(),
            pause_reason: pause.and_then(|pause| pause.reason.as_deref()),
            paused_at: pause.map(|pause| wire::time(pause.at)),
            config,
            available_tokens: view.bucket.map_or_else(|| i64::from(config.burst_capacity.get()), |bucket| bucket.events_left()),
            last_refill_at_ms: view.bucket.map(|bucket| bucket.at.as_millis()),
        }
    }
}

impl<'a> DynamicWorker<'a> {
    fn of(view: &'a StreamView) -> Self {
        let program = |(slug, control): (&'a Slug, &'a ProcessorControl)| {
            let version = control.confirmed.as_ref().or(control.pending.as_ref())?;
            let config = version.configured.config.as_ref()?;
            version.is_program.unwrap_or_else(|| looks_like_program(config)).then_some((slug, config))
        };
        Self { env_vars_by_key: &view.control.env, workers_by_slug: view.control.processors.iter().filter_map(program).collect() }
    }
}

/// Of what was stored before it was noted.
fn looks_like_program(config: &JsonObject) -> bool {
    let fields: BTreeMap<String, Json> = config.to().unwrap_or_default();
    fields.contains_key("script") || fields.contains_key("modules")
}

impl<'a> Scheduled<'a> {
    fn of(control: &'a ScheduleControl) -> Self {
        Self {
            callback: "append",
            payload_json: Json::as_str(&control.configured.append),
            schedule: &control.configured.schedule,
            next_run_at: control.next_run_at.as_millis() / 1000,
            running: false,
            execution_started_at: None,
            created_at: wire::time(control.configured_at),
            execution_count: control.runs,
        }
    }
}
