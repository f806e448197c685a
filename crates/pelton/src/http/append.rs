//! `POST /api/streams/{path}`: one event, a batch, or a component.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::multipart::MultipartError;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Multipart, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use pelton_engine::{AppendError, AppendOptions, KeyReuse, Outcome, Proposal, Tenant, Written};
use pelton_model::{Builtin, DynamicWorkerConfigured, Event, Json, JsonObject, ProcessorConfigured, Rejected, StreamPath};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::body::{self, BodyError, Candidate, Candidates, Sent};
use super::precondition::Preconditions;
use super::problem::Problem;
use super::{Compat, json as json_response, query, state, wire};

/// Headers that say what a webhook is. None of these is a credential or a signature.
const TELLING_HEADERS: &[&str] = &[
    "content-type",
    "user-agent",
    "webhook-id",
    "webhook-timestamp",
    "x-github-delivery",
    "x-github-event",
    "x-github-hook-id",
    "x-gitlab-event",
    "x-gitlab-event-uuid",
    "x-slack-request-timestamp",
    "x-slack-retry-num",
    "x-slack-retry-reason",
    "x-shopify-topic",
    "x-event-key",
    "ce-id",
    "ce-source",
    "ce-type",
];
/// What an upload as JSON has around its base64.
const ENVELOPE_BYTES: usize = 1 << 20;

/// One stream's door, and what a request asks of it.
struct Door {
    tenant: Arc<Tenant>,
    path: StreamPath,
    preconditions: Preconditions,
    compat: Option<Compat>,
}

pub async fn post(compat: Option<Compat>, tenant: Arc<Tenant>, path: StreamPath, request: Request) -> Result<Response, Problem> {
    check_encoding(request.headers())?;
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let preconditions = Preconditions::of(request.headers(), &path)?;
    let door = Door { tenant, path, preconditions, compat };
    match media_type.as_str() {
        "application/wasm" => post_component(&door, request).await,
        "multipart/form-data" => post_multipart(&door, request).await,
        _ => post_events(&door, request).await,
    }
}

fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let strange = headers.get_all(header::CONTENT_ENCODING).iter().find(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    match strange {
        Some(value) => {
            let found = String::from_utf8_lossy(value.as_bytes());
            Err(Problem::new("unsupported-encoding", format!("Content-Encoding: expected a body that is not compressed, found {found}")))
        }
        None => Ok(()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppendQuery {
    wait: Option<u64>,
}

async fn post_events(door: &Door, request: Request) -> Result<Response, Problem> {
    let AppendQuery { wait } = query(request.uri())?;
    let wait = state::waiting(wait)?;
    let (parts, body) = request.into_parts();
    let quotas = door.tenant.quotas();
    // Base64 takes four bytes for three.
    let bytes = read(body, quotas.component_bytes_max / 3 * 4 + ENVELOPE_BYTES).await?;
    let headers = &parts.headers;
    match candidates(headers, bytes, quotas.batch_events_max).await? {
        Candidates::One(candidate) => append_one(door, propose(candidate, headers)?, wait).await,
        Candidates::Batch(candidates) => {
            let proposals = candidates.into_iter().map(|candidate| propose(candidate, headers)).collect::<Result<_, _>>()?;
            append_batch(door, proposals).await
        }
    }
}

async fn candidates(headers: &HeaderMap, bytes: Bytes, events_max: usize) -> Result<Candidates, Problem> {
    /// Reading a longer body would keep other requests waiting.
    const READ_AT_ONCE_BYTES_MAX: usize = 256 << 10;
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let of_cloudevents = headers.iter().filter(|(name, _)| name.as_str().starts_with("ce-"));
    let ce_headers: Vec<_> = of_cloudevents.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    let is_long = bytes.len() > READ_AT_ONCE_BYTES_MAX;
    let parse = move || {
        let content_type = content_type.as_deref().unwrap_or_default();
        body::parse(&Sent { content_type, ce_headers: &ce_headers, bytes: &bytes, events_max })
    };
    let parsed = if is_long { tokio::task::spawn_blocking(parse).await? } else { parse() };
    parsed.map_err(|error| match error {
        BodyError::EmptyBatch { .. } => Problem::new("bad-body", error.to_string()),
        BodyError::TooManyEvents { found, max } => AppendError::BatchTooLarge { found, max }.into(),
    })
}

async fn append(door: &Door, mut proposals: Vec<Proposal>, is_batch: bool) -> Result<Written, Problem> {
    door.preconditions.apply(&mut proposals, is_batch)?;
    let key_reuse = if door.compat.is_some() { KeyReuse::KeepFirst } else { KeyReuse::Refuse };
    let options = AppendOptions { key_reuse, conditions: door.preconditions.conditions.clone() };
    Ok(door.tenant.append(&door.path, proposals, options).await?)
}

async fn append_batch(door: &Door, proposals: Vec<Proposal>) -> Result<Response, Problem> {
    let written = append(door, proposals, true).await?;
    let mut body = String::from(r#"{"events":["#);
    wire::write_events(&mut body, &written.events, door.compat);
    body.push(']');
    push_incarnation(&mut body, &written);
    body.push_str("}\n");
    Ok(json_response(StatusCode::OK, body))
}

async fn append_one(door: &Door, proposal: Proposal, wait: Duration) -> Result<Response, Problem> {
    let written = append(door, vec![proposal], false).await?;
    let Some(event) = written.events.first() else { return Err(Problem::new("internal", "nothing was recorded")) };
    let configured = match Builtin::of(event.event_type.as_str()) {
        Some(Builtin::ProcessorConfigured) => event.payload.to::<ProcessorConfigured>().ok().map(|configured| configured.slug),
        Some(Builtin::DynamicWorkerConfigured) => event.payload.to::<DynamicWorkerConfigured>().ok().map(|configured| configured.slug),
        _ => None,
    };
    let outcome = match configured {
        Some(slug) => door.tenant.outcome(&door.path, &slug, event.offset, wait).await?,
        None => Outcome::NothingToDo,
    };
    let decision = match outcome {
        Outcome::Decided(decision) if Builtin::of(decision.event_type.as_str()) == Some(Builtin::ProcessorRejected) => {
            return Err(rejected(event, &decision));
        }
        Outcome::Decided(decision) => Some(decision),
        Outcome::NothingToDo | Outcome::Pending => None,
    };
    let mut body = String::from(r#"{"event":"#);
    wire::write_event(&mut body, event, door.compat);
    if let Some(decision) = decision {
        body.push_str(r#","outcome":"#);
        wire::write_event(&mut body, &decision, door.compat);
    }
    push_incarnation(&mut body, &written);
    body.push_str("}\n");
    Ok(json_response(StatusCode::OK, body))
}

fn push_incarnation(body: &mut String, written: &Written) {
    if let Some(incarnation) = written.incarnation {
        body.push_str(r#","incarnation":"#);
        body.push_str(itoa::Buffer::new().format(incarnation.get()));
    }
}

/// The upload is recorded, and so is that it will not run; the uploader hears both.
fn rejected(event: &Event, decision: &Event) -> Problem {
    let reason = decision.payload.to::<Rejected>().map(|rejected| rejected.reason);
    let detail = reason.as_ref().map_or("the component cannot run", |reason| &reason.message).to_owned();
    let problem =
        Problem::new("component-rejected", detail).with("reason", reason.ok().and_then(|reason| serde_json::to_value(reason).ok()));
    problem.with_event("event", event).with_event("outcome", decision)
}

/// What is no event is kept as the record of that. The headers are looked at only then, for most input is valid.
fn propose(candidate: Candidate, headers: &HeaderMap) -> Result<Proposal, Problem> {
    match candidate {
        Candidate::Envelope { envelope, raw } => Ok(Proposal::tolerant(&envelope, raw.as_ref(), || telling_headers(headers))?),
        Candidate::Invalid { raw, error } => Ok(Proposal::invalid(&raw, &error, telling_headers(headers).as_ref())),
    }
}

fn telling_headers(headers: &HeaderMap) -> Option<JsonObject> {
    let told: Map<String, Value> =
        TELLING_HEADERS.iter().filter_map(|name| Some(((*name).to_owned(), Value::from(headers.get(*name)?.to_str().ok()?)))).collect();
    (!told.is_empty()).then(|| JsonObject::of(&json!({ "headers": told })))
}

/// The fields of a configuration that a query can carry.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UploadQuery {
    slug: Option<String>,
    config: Option<String>,
    consumes: Option<String>,
    effects_from: Option<String>,
    catch_up: Option<String>,
    include_children: Option<bool>,
    egress: Option<String>,
    limits: Option<String>,
    wait: Option<u64>,
}

async fn post_component(door: &Door, request: Request) -> Result<Response, Problem> {
    let upload: UploadQuery = query(request.uri())?;
    let wait = state::waiting(upload.wait)?;
    let mut payload = upload.payload()?;
    // Who wrote the field that does not fit is told where to look for it.
    let culprit = if payload.is_empty() && request.headers().contains_key(PROCESSOR_HEADER) { "bad-header" } else { "bad-query" };
    for (name, value) in processor_header(request.headers())? {
        payload.entry(name).or_insert(value);
    }
    let limit = door.tenant.quotas().component_bytes_max;
    let component = read(request.into_body(), limit).await?;
    let event = Json::of(&Configured { event_type: Builtin::ProcessorConfigured.as_str(), payload });
    let proposal = Proposal::upload(&event, component.to_vec()).map_err(|issues| Problem::new(culprit, issues.to_string()))?;
    append_one(door, proposal, wait).await
}

/// Fields of a payload as JSON, their values as they were written.
type Payload = BTreeMap<String, Json>;

const PROCESSOR_HEADER: &str = "x-pelton-processor";

#[derive(Serialize)]
struct Configured {
    #[serde(rename = "type")]
    event_type: &'static str,
    payload: Payload,
}

fn processor_header(headers: &HeaderMap) -> Result<Payload, Problem> {
    let Some(value) = headers.get(PROCESSOR_HEADER) else { return Ok(Payload::new()) };
    let malformed =
        |error: &dyn std::fmt::Display| Problem::new("bad-header", format!("X-Pelton-Processor: expected a JSON object: {error}"));
    Json::from_slice(value.as_bytes()).map_err(|error| malformed(&error))?.to().map_err(|error| malformed(&error))
}

impl UploadQuery {
    fn payload(self) -> Result<Payload, Problem> {
        let parsed = |name: &str, text: &str| {
            Json::parse(text).map_err(|error| Problem::new("bad-query", format!("{name}: expected JSON: {error}")))
        };
        let mut payload = Payload::new();
        let mut put = |name: &str, value: Json| drop(payload.insert(name.to_owned(), value));
        if let Some(slug) = self.slug {
            put("slug", Json::of(&slug));
        }
        if let Some(config) = self.config {
            put("config", parsed("config", &config)?);
        }
        if let Some(consumes) = self.consumes {
            put("consumes", Json::of(&consumes.split(',').map(str::trim).collect::<Vec<_>>()));
        }
        if let Some(from) = self.effects_from {
            put("effectsFrom", from.parse::<u64>().map_or_else(|_| Json::of(&from), |offset| Json::of(&json!({ "offset": offset }))));
        }
        if let Some(catch_up) = self.catch_up {
            let value = catch_up.parse::<u64>();
            put("catchUp", value.map_or_else(|_| Json::of(&catch_up), |seconds| Json::of(&json!({ "maxAgeSeconds": seconds }))));
        }
        if let Some(include_children) = self.include_children {
            put("includeChildren", Json::of(&include_children));
        }
        if let Some(egress) = self.egress {
            put("egress", Json::of(&egress.split(',').map(str::trim).collect::<Vec<_>>()));
        }
        if let Some(limits) = self.limits {
            put("limits", parsed("limits", &limits)?);
        }
        Ok(payload)
    }
}

async fn post_multipart(door: &Door, mut request: Request) -> Result<Response, Problem> {
    let AppendQuery { wait } = query(request.uri())?;
    let wait = state::waiting(wait)?;
    let limit = door.tenant.quotas().component_bytes_max + ENVELOPE_BYTES;
    // Without it, axum ends a multipart body at 2 MB.
    DefaultBodyLimit::max(limit).apply(&mut request);
    let malformed = |detail: String| Problem::new("bad-body", detail);
    let unread = |error: MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(limit),
        _ => malformed(error.body_text()),
    };
    let mut multipart = Multipart::from_request(request, &()).await.map_err(|error| malformed(error.body_text()))?;
    let (mut event, mut component) = (None, None);
    while let Some(part) = multipart.next_field().await.map_err(unread)? {
        let name = part.name().unwrap_or_default().to_owned();
        let bytes = part.bytes().await.map_err(unread)?;
        let part = match name.as_str() {
            "event" => &mut event,
            "component" => &mut component,
            other => return Err(malformed(format!("expected the parts `event` and `component`, found `{other}`"))),
        };
        if part.replace(bytes).is_some() {
            return Err(malformed(format!("expected one part `{name}`, found several")));
        }
    }
    let (Some(event), Some(component)) = (event, component) else {
        return Err(malformed("expected the parts `event` and `component`, found only one of them or none".to_owned()));
    };
    let event = Json::from_slice(&event).map_err(|error| malformed(format!("part `event`: {error}")))?;
    let proposal = Proposal::upload(&event, component.to_vec()).map_err(|issues| malformed(format!("part `event`: {issues}")))?;
    append_one(door, proposal, wait).await
}

pub async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    // Where the length is announced there is no need to read that far.
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Err(error) => Err(Problem::new("bad-body", format!("the body ended early: {error}"))),
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new("body-too-large", format!("expected a body of at most {limit} bytes, found more")).with("max", limit)
}
