//! `GET /api/streams/__state/{path}`: what the stream and its processors know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use pelton_engine::{ProcessorView, StreamView, SubscriptionView, Tenant};
use pelton_model::{
    Breaker, Digest, EgressRules, ExecutionFinished, Incarnation, Json, JsonObject, Missed, Offset, Parked, Reason, Rejected, Schedule,
    ScheduleConfigured, ScheduleControl, Shelf, Slug, StreamPath, SubscriptionConfigured, SubscriptionParked, TenantName,
    TransformerConfigured, TransformerControl, Version,
};
use serde::{Deserialize, Serialize};

use super::accept::{Offer, choose};
use super::problem::Problem;
use super::slices::{self, Slices};
use super::{App, Compat, json, query, wire, yaml_out};

/// Nobody needs to hold a connection for longer to learn a state.
pub const WAIT_SECONDS_MAX: u64 = 60;
const WAIT_SECONDS_DEFAULT: u64 = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateQuery {
    handled: Option<Offset>,
    wait: Option<u64>,
}

pub async fn get(app: &App, tenant: &Arc<Tenant>, path: &StreamPath, uri: &Uri, headers: &HeaderMap) -> Result<Response, Problem> {
    let StateQuery { handled, wait } = query(uri)?;
    let wait = waiting(wait)?;
    app.begin_for_reader(tenant, path).await?;
    let view = match handled {
        Some(offset) => tenant.view_once_handled(path, offset, wait).await?,
        None => {
            let (tenant, path) = (Arc::clone(tenant), path.clone());
            tokio::task::spawn_blocking(move || tenant.view(&path)).await??
        }
    };
    let body = serde_json::to_string(&StateBody::of(tenant.name(), path, &view, app.compat));
    let body = body.map_err(|error| Problem::new("internal", error.to_string()))?;
    // Whoever wants neither gets JSON, for it is what programs expect.
    match choose(headers, FORMATS).unwrap_or(Format::Json) {
        Format::Json => Ok(json(StatusCode::OK, body + "\n")),
        Format::Yaml => {
            let mut text = String::new();
            yaml_out::write(&mut text, &body);
            Ok((StatusCode::OK, [(header::CONTENT_TYPE, yaml_out::MEDIA_TYPES[0])], text).into_response())
        }
    }
}

#[derive(Clone, Copy)]
enum Format {
    Json,
    Yaml,
}

const FORMATS: &[Offer<Format>] = &[(Format::Json, &["application/json"]), (Format::Yaml, yaml_out::MEDIA_TYPES)];

/// How long a request may be kept waiting that says `wait`, or nothing.
pub fn waiting(seconds: Option<u64>) -> Result<Duration, Problem> {
    let seconds = seconds.unwrap_or(WAIT_SECONDS_DEFAULT);
    if seconds > WAIT_SECONDS_MAX {
        return Err(Problem::new("bad-query", format!("wait: expected at most {WAIT_SECONDS_MAX} seconds, found {seconds}")));
    }
    Ok(Duration::from_secs(seconds))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateBody<'a> {
    project_slug: &'a TenantName,
    path: &'a StreamPath,
    #[serde(skip_serializing_if = "Option::is_none")]
    incarnation: Option<Incarnation>,
    event_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    child_paths: &'a [StreamPath],
    metadata: JsonObject,
    paused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pause_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused_at: Option<String>,
    circuit_breaker: BreakerBody,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    schedules: BTreeMap<&'a Slug, ScheduleBody<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    subscriptions: BTreeMap<&'a Slug, SubscriptionBody<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    transformers: BTreeMap<&'a Slug, TransformerBody<'a>>,
    #[serde(skip_serializing_if = "Shelf::is_empty")]
    env: &'a Shelf<String, String>,
    processors: Processors<'a>,
}

#[derive(Serialize)]
struct Processors<'a> {
    #[serde(flatten)]
    built_in: Option<Slices<'a>>,
    #[serde(flatten)]
    by_slug: BTreeMap<&'a Slug, ProcessorBody<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BreakerBody {
    #[serde(flatten)]
    breaker: Breaker,
    /// Whether the stream says so itself; if not, only what processors append is counted.
    configured: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScheduleBody<'a> {
    append: &'a Json,
    schedule: &'a Schedule,
    missed: Missed,
    configured_offset: Offset,
    next_run_at: String,
    runs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<&'a ExecutionFinished>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionBody<'a> {
    status: &'static str,
    #[serde(flatten)]
    configured: &'a SubscriptionConfigured,
    configured_offset: Offset,
    /// The next offset to be delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<u64>,
    /// At the event of the cursor, since it was last delivered, resumed or configured.
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<&'a Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parked: Option<&'a SubscriptionParked>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransformerBody<'a> {
    #[serde(flatten)]
    configured: &'a TransformerConfigured,
    configured_offset: Offset,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessorBody<'a> {
    status: &'static str,
    digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configured_offset: Option<Offset>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<&'a JsonObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    egress: Option<&'a EgressRules>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursors: Option<Cursors>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<Pending>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parked: Option<&'a Parked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<&'a Rejected>,
}

#[derive(Serialize)]
struct Cursors {
    reduced: u64,
    acknowledged: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pending {
    digest: Digest,
    configured_offset: Offset,
}

impl<'a> StateBody<'a> {
    pub fn of(tenant: &'a TenantName, path: &'a StreamPath, view: &'a StreamView, compat: Option<Compat>) -> Self {
        let pause = view.control.paused.as_ref();
        Self {
            project_slug: tenant,
            path,
            incarnation: view.incarnation,
            event_count: view.event_count,
            created_at: view.created_at.map(wire::time),
            child_paths: &view.children,
            metadata: view.control.metadata.as_deref().cloned().unwrap_or_else(JsonObject::empty),
            paused: pause.is_some(),
            pause_reason: pause.and_then(|pause| pause.reason.as_deref()),
            paused_at: pause.map(|pause| wire::time(pause.at)),
            circuit_breaker: BreakerBody {
                breaker: view.control.breaker.unwrap_or(Breaker::DEFAULT),
                configured: view.control.breaker.is_some(),
            },
            schedules: view.control.schedules.iter().map(|(slug, schedule)| (slug, ScheduleBody::of(schedule))).collect(),
            subscriptions: view.subscriptions.iter().map(|subscription| (&subscription.slug, SubscriptionBody::of(subscription))).collect(),
            transformers: view.transformers.iter().map(|(slug, control, cursor)| (slug, TransformerBody::of(control, *cursor))).collect(),
            env: &view.control.env,
            processors: Processors::of(view, compat),
        }
    }
}

impl<'a> Processors<'a> {
    fn of(view: &'a StreamView, compat: Option<Compat>) -> Self {
        let built_in = compat.map(|Compat::Iterate| Slices::of(view));
        let is_shown = |slug: &Slug| built_in.is_none() || !slices::NAMES.contains(&slug.as_str());
        let shown = view.processors.iter().filter(|processor| is_shown(&processor.slug));
        let by_slug = shown.map(|processor| (&processor.slug, ProcessorBody::of(processor))).collect();
        Self { built_in, by_slug }
    }
}

impl<'a> ScheduleBody<'a> {
    fn of(control: &'a ScheduleControl) -> Self {
        let ScheduleConfigured { append, schedule, missed, .. } = &control.configured;
        Self {
            append,
            schedule,
            missed: *missed,
            configured_offset: control.configured_offset,
            next_run_at: wire::time(control.next_run_at),
            runs: control.runs,
            last: control.last.as_ref(),
        }
    }
}

impl<'a> SubscriptionBody<'a> {
    fn of(view: &'a SubscriptionView) -> Self {
        let attempts = view.attempts.as_ref();
        Self {
            status: if view.control.parked.is_some() { "parked" } else { "active" },
            configured: &view.control.configured,
            configured_offset: view.control.configured_offset,
            cursor: view.cursor,
            attempts: attempts.map_or(0, |attempts| attempts.attempts),
            next_attempt_at: attempts.and_then(|attempts| attempts.next_attempt_at).map(wire::time),
            last_error: attempts.and_then(|attempts| attempts.last_error.as_ref()),
            parked: view.control.parked.as_ref(),
        }
    }
}

impl<'a> TransformerBody<'a> {
    fn of(control: &'a TransformerControl, cursor: Option<u64>) -> Self {
        Self { configured: &control.configured, configured_offset: control.configured_offset, cursor }
    }
}

impl<'a> ProcessorBody<'a> {
    fn of(view: &'a ProcessorView) -> Self {
        let control = &view.control;
        let shown: Option<&Version> = control.confirmed.as_ref();
        Self {
            status: control.status(),
            digest: control.digest(),
            configured_offset: shown.or(control.pending.as_ref()).map(|version| version.configured_offset),
            manifest: shown.and_then(|version| version.manifest.as_ref()),
            egress: shown.map(|version| &version.configured.egress).filter(|rules| !rules.is_empty()),
            cursors: view.cursors.map(|(reduced, acknowledged)| Cursors { reduced, acknowledged }),
            state: view.state.as_ref().map(|(state, _)| state),
            state_digest: view.state.as_ref().map(|(_, digest)| *digest),
            pending: control
                .pending
                .as_ref()
                .map(|version| Pending { digest: version.configured.component.digest, configured_offset: version.configured_offset }),
            parked: control.parked.as_ref(),
            rejected: control.rejected.as_ref(),
        }
    }
}
