//! Routes, and what of a request decides where it goes. What a client sees is written down in `docs/http.md`.

mod accept;
mod append;
pub mod body;
mod children;
mod cursor;
mod destroy;
mod openapi;
mod path;
mod precondition;
mod problem;
mod read;
mod secrets;
mod slices;
mod socket;
mod state;
mod watched;
pub mod wire;
pub mod yaml_out;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use pelton_engine::{Engine, Tenant};
use pelton_model::{StreamPath, TenantName};
use tokio::sync::{OwnedSemaphorePermit, watch};

use problem::Problem;

/// What every request may use.
#[derive(Clone)]
pub struct App {
    pub engine: Engine,
    /// Becomes true when the daemon stops; what would stay open for ever ends then.
    pub stopping: watch::Receiver<bool>,
    /// Whose ways it follows where they differ from its own.
    pub compat: Option<Compat>,
    /// How long a body may pause before the request is given up.
    pub body_timeout: Duration,
}

impl App {
    /// Reading begins a stream for clients that rely on that, and for nobody else.
    async fn begin_for_reader(&self, tenant: &Tenant, path: &StreamPath) -> Result<(), Problem> {
        if self.compat.is_some() {
            tenant.begin(path).await?;
        }
        Ok(())
    }
}

/// Another service, for whose clients some answers are as they know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Compat {
    /// events.iterate.com
    Iterate,
}

/// Held for as long as a connection is open, also after it has become a WebSocket.
#[derive(Clone)]
pub struct Connection(#[expect(dead_code, reason = "held, not read")] pub Arc<OwnedSemaphorePermit>);

/// Returns once the daemon stops.
pub async fn stops(stopping: &mut watch::Receiver<bool>) {
    if stopping.wait_for(|stop| *stop).await.is_err() {
        tracing::debug!("the stop signal ended before it was sent");
    }
}

pub fn router(app: App) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/api/openapi.json", get(async || openapi::json()))
        .route("/api/docs", get(async || openapi::html()))
        .method_not_allowed_fallback(async |method: Method| method_not_allowed(&method, "GET"))
        .fallback(route)
        .with_state(app)
}

async fn ready(State(app): State<App>) -> Response {
    if app.engine.is_stopping() {
        return Problem::new("unavailable", "the host is stopping").into_response();
    }
    match app.engine.failure().await {
        Some((tenant, reason)) => Problem::new("unavailable", format!("tenant {tenant} cannot be written: {reason}")).into_response(),
        None => json(StatusCode::OK, r#"{"ready":true}"#.to_owned()),
    }
}

/// Stream paths may hold escaped slashes and empty segments, which a pattern router would take apart, so they are read here.
async fn route(State(app): State<App>, request: Request) -> Response {
    let has_body = !request.body().is_end_stream();
    let compat = app.compat;
    let body_timeout = app.body_timeout;
    let (request, silence) = if has_body { watched::watched(request, body_timeout) } else { (request, watched::Silence::default()) };
    match dispatch(app, request).await.map_err(|problem| problem.for_clients_of(compat)) {
        // Whoever read the body only knows that it ended early.
        Err(_) if silence.was_too_long() => {
            let detail = format!("expected the next part of the body within {} s, found silence", body_timeout.as_secs());
            Problem::new("body-timeout", detail).with_header(header::CONNECTION, "close").into_response()
        }
        Ok(response) => response,
        // What is left of an unread body would be taken for the next request.
        Err(problem) if has_body && !problem.comes_after_the_body() => problem.with_header(header::CONNECTION, "close").into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn dispatch(app: App, request: Request) -> Result<Response, Problem> {
    let of_secrets = request.uri().path().strip_prefix("/api/secrets").filter(|rest| rest.is_empty() || rest.starts_with('/'));
    if let Some(rest) = of_secrets.map(str::to_owned) {
        return secrets::route(&tenant(&app, request.headers()).await?, &rest, request).await;
    }
    let Some(rest) = request.uri().path().strip_prefix("/api/streams/") else {
        return Err(Problem::new("not-found", format!("no such route: {}", request.uri().path())));
    };
    let below = |name: &str| {
        let rest = rest.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
        Some(rest.strip_prefix('/').unwrap_or(rest))
    };
    if let Some(rest) = below("__state") {
        let path = stream_path(rest)?;
        return match *request.method() {
            Method::GET => state::get(&app, &tenant(&app, request.headers()).await?, &path, request.uri(), request.headers()).await,
            _ => Err(method_not_allowed(request.method(), "GET")),
        };
    }
    if let Some(rest) = below("__children") {
        let path = stream_path(rest)?;
        return match *request.method() {
            Method::GET => children::get(&tenant(&app, request.headers()).await?, &path, request.uri()).await,
            _ => Err(method_not_allowed(request.method(), "GET")),
        };
    }
    let path = stream_path(rest)?;
    match *request.method() {
        Method::GET => read::get(&app, tenant(&app, request.headers()).await?, path, request).await,
        Method::POST => append::post(app.compat, tenant(&app, request.headers()).await?, path, request).await,
        Method::DELETE => destroy::delete(&app, &tenant(&app, request.headers()).await?, &path, request.uri()).await,
        _ => Err(method_not_allowed(request.method(), "GET, POST, DELETE")),
    }
}

fn stream_path(raw: &str) -> Result<StreamPath, Problem> {
    path::stream_path(raw).map_err(|detail| Problem::new("bad-path", detail))
}

async fn tenant(app: &App, headers: &HeaderMap) -> Result<Arc<Tenant>, Problem> {
    let mut named = ["x-pelton-tenant", "x-iterate-project"].into_iter().flat_map(|name| headers.get_all(name));
    let (named, another) = (named.next(), named.next());
    if another.is_some_and(|another| Some(another) != named) {
        return Err(Problem::new("bad-tenant", "tenant: expected one, found several"));
    }
    let name = match named {
        Some(value) => {
            let text = value.to_str().map_err(|_| Problem::new("bad-tenant", "tenant: expected visible ASCII characters"))?;
            TenantName::new(text.trim()).map_err(|error| Problem::new("bad-tenant", error.to_string()))?
        }
        None => TenantName::from_checked(if app.compat.is_some() { "public" } else { "default" }),
    };
    Ok(app.engine.tenant(&name).await?)
}

/// For routes that have no query.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NoQuery {}

/// The query as a type that refuses fields it does not know.
fn query<T: serde::de::DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    if percent_encoding::percent_decode_str(uri.query().unwrap_or_default()).decode_utf8().is_err() {
        return Err(Problem::new("bad-query", "expected UTF-8, found other bytes"));
    }
    let query = axum::extract::Query::<T>::try_from_uri(uri);
    query.map(|query| query.0).map_err(|error| Problem::new("bad-query", error.body_text()))
}

fn method_not_allowed(method: &Method, allowed: &'static str) -> Problem {
    Problem::new("method-not-allowed", format!("expected {allowed}, found {method}")).with_header(header::ALLOW, allowed)
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
