//! Errors as a client sees them: RFC 9457, with a code for programs. The only place that knows status codes of errors.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pelton_engine::{AppendError, EngineError, Refusal, StoreError};
use pelton_model::{Event, Incarnation};
use serde_json::Value;

use super::{Compat, wire};

/// An error answer. `code` is one of the documented set; everything else is for people.
#[derive(Debug)]
pub struct Problem {
    code: &'static str,
    /// Where it is not the one that the code has elsewhere.
    status: Option<StatusCode>,
    detail: String,
    /// Members of its own, as JSON text.
    more: Vec<(&'static str, String)>,
    events: Vec<(&'static str, Event)>,
    compat: Option<Compat>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

pub const CODES: &[(&str, StatusCode, &str)] = &[
    ("bad-path", StatusCode::BAD_REQUEST, "Malformed stream path"),
    ("path-too-deep", StatusCode::BAD_REQUEST, "Stream path too deep"),
    ("bad-tenant", StatusCode::BAD_REQUEST, "Malformed tenant name"),
    ("bad-query", StatusCode::BAD_REQUEST, "Malformed query"),
    ("bad-header", StatusCode::BAD_REQUEST, "Malformed header"),
    ("bad-body", StatusCode::BAD_REQUEST, "Malformed body"),
    ("already-initialized", StatusCode::BAD_REQUEST, "Stream already initialized"),
    ("unsupported-encoding", StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported content encoding"),
    ("bad-frame", StatusCode::BAD_REQUEST, "Malformed WebSocket frame"),
    ("body-timeout", StatusCode::REQUEST_TIMEOUT, "Body too slow"),
    ("not-found", StatusCode::NOT_FOUND, "Not found"),
    ("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
    ("not-acceptable", StatusCode::NOT_ACCEPTABLE, "Not acceptable"),
    ("key-reused", StatusCode::CONFLICT, "Idempotency key used for another event"),
    ("offset-mismatch", StatusCode::PRECONDITION_FAILED, "Not the next offset"),
    ("stream-paused", StatusCode::PRECONDITION_FAILED, "Stream paused"),
    ("incarnation-changed", StatusCode::PRECONDITION_FAILED, "Stream destroyed and begun again"),
    ("no-such-stream", StatusCode::PRECONDITION_FAILED, "No such stream"),
    ("stream-exists", StatusCode::PRECONDITION_FAILED, "Stream exists"),
    ("too-many-secrets", StatusCode::CONFLICT, "Too many secrets"),
    ("too-many-variables", StatusCode::CONFLICT, "Too many environment variables"),
    ("control-state-too-large", StatusCode::CONFLICT, "Too much configured on one stream"),
    ("checkpoint-conflict", StatusCode::CONFLICT, "Checkpoint conflict"),
    ("body-too-large", StatusCode::PAYLOAD_TOO_LARGE, "Body too large"),
    ("event-too-large", StatusCode::PAYLOAD_TOO_LARGE, "Event too large"),
    ("batch-too-large", StatusCode::PAYLOAD_TOO_LARGE, "Batch too large"),
    ("component-rejected", StatusCode::UNPROCESSABLE_ENTITY, "Component rejected"),
    ("no-javascript-runtime", StatusCode::NOT_IMPLEMENTED, "No JavaScript runtime"),
    ("internal", StatusCode::INTERNAL_SERVER_ERROR, "Internal error"),
    ("unavailable", StatusCode::SERVICE_UNAVAILABLE, "Unavailable"),
];

impl Problem {
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, status: None, detail: detail.into(), more: Vec::new(), events: Vec::new(), compat: None, headers: Vec::new() }
    }

    /// A reader asked for a stream that is no longer, or not yet, the one at this path. Nothing failed that it required of an append, hence
    /// a conflict.
    pub fn other_incarnation(wanted: u64, found: Option<Incarnation>) -> Self {
        let seen = found.map_or_else(|| "no stream".to_owned(), |found| found.to_string());
        let problem = Self::new("incarnation-changed", format!("incarnation: expected {wanted}, found {seen}"));
        Self { status: Some(StatusCode::CONFLICT), ..problem }.with("found", found.map(Incarnation::get))
    }

    /// The stream that a page was read of is gone before the page was complete.
    pub fn destroyed_meanwhile(error: &dyn std::fmt::Display) -> Self {
        Self { status: Some(StatusCode::CONFLICT), ..Self::new("incarnation-changed", error.to_string()) }.with("found", Value::Null)
    }

    pub fn code(&self) -> &'static str {
        self.code
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Adds a member of its own to the answer.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.more.push((name, value.into().to_string()));
        self
    }

    /// Adds an event, as every other answer would show it.
    pub fn with_event(mut self, name: &'static str, event: &Event) -> Self {
        self.events.push((name, event.clone()));
        self
    }

    /// Shows its events as such clients know them.
    pub fn for_clients_of(self, compat: Option<Compat>) -> Self {
        Self { compat, ..self }
    }

    pub fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// Whether it can only be said of a request whose body has been read.
    pub fn comes_after_the_body(&self) -> bool {
        const AFTER: &[&str] = &[
            "already-initialized",
            "key-reused",
            "offset-mismatch",
            "stream-paused",
            "incarnation-changed",
            "no-such-stream",
            "stream-exists",
            "too-many-secrets",
            "too-many-variables",
            "control-state-too-large",
            "path-too-deep",
            "event-too-large",
            "batch-too-large",
            "component-rejected",
            "no-javascript-runtime",
        ];
        AFTER.contains(&self.code)
    }

    /// A fault of the host's: the client learns that, the log learns what.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new("internal", "the host failed; its log says why")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let known = CODES.iter().find(|(code, ..)| *code == self.code);
        let (status, title) = known.map_or((StatusCode::INTERNAL_SERVER_ERROR, "Error"), |(_, status, title)| (*status, *title));
        let status = self.status.unwrap_or(status);
        let mut body = format!(
            r#"{{"type":"urn:pelton:problem:{code}","title":{},"status":{},"code":"{code}","detail":{}"#,
            Value::from(title),
            status.as_u16(),
            Value::from(self.detail),
            code = self.code,
        );
        for (name, json) in self.more {
            body.push_str(&format!(r#","{name}":{json}"#));
        }
        for (name, event) in &self.events {
            body.push_str(&format!(r#","{name}":"#));
            wire::write_event(&mut body, event, self.compat);
        }
        body.push_str("}\n");
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        let detail = error.to_string();
        match error {
            AppendError::Refused(Refusal::Paused { reason, .. }) => {
                let reason = reason.unwrap_or_else(|| "no reason given".to_owned());
                Self::new("stream-paused", format!("stream is paused: {reason}"))
            }
            AppendError::Refused(Refusal::OffsetMismatch { expected, next, .. }) => {
                Self::new("offset-mismatch", detail).with("expected", expected.get()).with("next", next.get())
            }
            AppendError::Refused(Refusal::KeyReused { stored }) => Self::new("key-reused", detail).with_event("event", &stored),
            AppendError::Refused(Refusal::IncarnationMismatch { found, .. }) => {
                Self::new("incarnation-changed", detail).with("found", found.map(pelton_model::Incarnation::get))
            }
            AppendError::Refused(Refusal::NoSuchStream { .. }) => Self::new("no-such-stream", detail),
            AppendError::Refused(Refusal::StreamExists { found, .. }) => Self::new("stream-exists", detail).with("found", found.get()),
            AppendError::Refused(Refusal::TooManyVariables { max, .. }) => Self::new("too-many-variables", detail).with("max", max),
            AppendError::Refused(Refusal::ControlTooLarge { max, found, .. }) => {
                Self::new("control-state-too-large", detail).with("max", max).with("found", found)
            }
            AppendError::Refused(Refusal::StaleCheckpoint { .. } | Refusal::ScheduleChanged { .. }) => {
                Self::new("checkpoint-conflict", detail)
            }
            AppendError::EventTooLarge { max, .. } => Self::new("event-too-large", detail).with("max", max),
            AppendError::BatchTooLarge { max, .. } => Self::new("batch-too-large", detail).with("max", max),
            AppendError::PathTooDeep { max, .. } => Self::new("path-too-deep", detail).with("max", max),
            AppendError::NoJavaScriptRuntime => Self::new(
                "no-javascript-runtime",
                format!(
                    "{detail}; start it with `pelton serve --javascript-runtime FILE`, where FILE is what `cargo xtask plugins javascript` \
                     builds to target/plugins/javascript.wasm, or build the daemon after that command, which puts the runtime into it"
                ),
            ),
            AppendError::AlreadyInitialized => Self::new("already-initialized", detail),
            AppendError::Unavailable(_) => Self::new("unavailable", detail),
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Stopping => Self::new("unavailable", error.to_string()),
            other => Self::internal(&other),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<tokio::task::JoinError> for Problem {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::internal(&error)
    }
}
