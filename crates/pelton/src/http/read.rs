//! `GET /api/streams/{path}`: history, then live, as Server-Sent Events; or one page of JSON.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use pelton_engine::{PageLimit, StoreError, Tail, Tenant};
use pelton_model::{Offset, StreamPath};
use serde::Deserialize;
use tokio::sync::watch;

use super::problem::Problem;
use super::{App, Compat, json, query, wire};

/// A comment is sent after this much silence, so that proxies keep the connection and dead ones are noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// What one read of an SSE connection holds in memory at most.
const SSE_PAGE: PageLimit = PageLimit { events_max: 256, bytes_max: 256 << 10 };
const JSON_EVENTS_MAX: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReadQuery {
    after_offset: Option<String>,
    before_offset: Option<String>,
    limit: Option<usize>,
}

pub async fn get(app: &App, tenant: Arc<Tenant>, path: StreamPath, uri: &Uri, headers: &HeaderMap) -> Result<Response, Problem> {
    let format = Format::wanted(headers)?;
    let query: ReadQuery = query(uri)?;
    let tail = tenant.tail(&path)?;
    let next = tail.next();
    let after = match &query.after_offset {
        Some(text) => Some(bound("afterOffset", text, next)?),
        None => last_event_id(headers)?,
    };
    let from = after.and_then(Offset::new).map_or(Offset::FIRST, Offset::next);
    let before = query.before_offset.as_deref().map(|text| bound("beforeOffset", text, next)).transpose()?.map(|before| before.min(next));
    match format {
        Format::Json => page(app, tenant, &path, from, before.unwrap_or(next), query.limit).await,
        Format::Events if query.limit.is_some() => Err(Problem::new("bad-query", "limit: only a page of JSON has one")),
        Format::Events => {
            Ok(events(Reader { tenant, path, from, before, tail, stopping: app.stopping.clone(), compat: app.compat, greeted: false }))
        }
    }
}

enum Format {
    Events,
    Json,
}

impl Format {
    /// The first media type in `Accept` that can be served; events where there is none.
    fn wanted(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(accept) = headers.get(header::ACCEPT) else { return Ok(Self::Events) };
        let accept = accept.to_str().map_err(|_| Problem::new("bad-header", "Accept: expected visible ASCII characters"))?;
        let formats = accept.split(',').map(|part| part.split(';').next().unwrap_or_default().trim());
        let mut served = formats.filter_map(|media_type| match media_type {
            "application/json" => Some(Self::Json),
            "text/event-stream" | "*/*" | "text/*" => Some(Self::Events),
            _ => None,
        });
        let expected = "expected text/event-stream or application/json";
        served.next().ok_or_else(|| Problem::new("not-acceptable", format!("Accept: {expected}, found {accept}")))
    }
}

fn bound(name: &str, text: &str, next: u64) -> Result<u64, Problem> {
    match text {
        "start" => Ok(0),
        // `after` the end means after the last event, `before` the end up to and including it.
        "end" if name == "afterOffset" => Ok(next - 1),
        "end" => Ok(next),
        digits => {
            let offset = digits.parse().ok().filter(is_countable);
            offset.ok_or_else(|| Problem::new("bad-query", format!("{name}: expected an offset, `start` or `end`, found {text:?}")))
        }
    }
}

/// 0 means before the first event; beyond the largest offset nothing can be counted.
fn is_countable(offset: &u64) -> bool {
    *offset == 0 || Offset::new(*offset).is_some()
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| text.trim().parse().ok()).filter(is_countable);
    id.map(Some).ok_or_else(|| Problem::new("bad-header", format!("Last-Event-ID: expected an offset, found {value:?}")))
}

async fn page(
    app: &App,
    tenant: Arc<Tenant>,
    path: &StreamPath,
    from: Offset,
    before: u64,
    limit: Option<usize>,
) -> Result<Response, Problem> {
    let limit = limit.unwrap_or(JSON_EVENTS_MAX);
    if !(1..=JSON_EVENTS_MAX).contains(&limit) {
        return Err(Problem::new("bad-query", format!("limit: expected 1 to {JSON_EVENTS_MAX}, found {limit}")));
    }
    let page_limit = PageLimit { events_max: limit, ..PageLimit::default() };
    let range = from..Offset::new(before).unwrap_or(Offset::FIRST).max(from);
    let stream = path.clone();
    let page = tokio::task::spawn_blocking(move || tenant.read(&stream, range, page_limit)).await??;
    let mut body = format!(r#"{{"streamPath":"{path}","events":["#);
    wire::write_events(&mut body, &page.events, app.compat);
    body.push_str("],\"next\":");
    if page.next.get() < before {
        let escaped = path.as_str().trim_start_matches('/');
        body.push_str(&format!(r#""/api/streams/{escaped}?afterOffset={}&beforeOffset={before}&limit={limit}""#, page.next.get() - 1));
    } else {
        body.push_str("null");
    }
    body.push_str("}\n");
    Ok(json(StatusCode::OK, body))
}

fn events(reader: Reader) -> Response {
    let stream = futures_util::stream::unfold(reader, |mut reader| async move {
        let chunk = reader.next().await?;
        Some((chunk, reader))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(stream)).into_response()
}

/// One SSE connection: a cursor that reads pages and waits at the tail. A slow client makes it read later, nothing else.
struct Reader {
    tenant: Arc<Tenant>,
    path: StreamPath,
    from: Offset,
    /// Where to stop; nowhere for a reader that goes on live.
    before: Option<u64>,
    tail: Tail,
    stopping: watch::Receiver<bool>,
    compat: Option<Compat>,
    greeted: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<Result<Bytes, StoreError>> {
        if !self.greeted {
            // Headers and this comment tell the client at once that it is connected.
            self.greeted = true;
            return Some(Ok(Bytes::from_static(b":\n\n")));
        }
        loop {
            let before = self.before.unwrap_or_else(|| self.tail.next());
            if self.from.get() < before {
                return Some(self.page(before).await);
            }
            if self.before.is_some() || *self.stopping.borrow() {
                return None;
            }
            tokio::select! {
                open = self.tail.reaches(self.from.get()) => if !open { return None },
                _ = self.stopping.changed() => {}
                () = tokio::time::sleep(KEEP_ALIVE) => return Some(Ok(Bytes::from_static(b":\n\n"))),
            }
        }
    }

    async fn page(&mut self, before: u64) -> Result<Bytes, StoreError> {
        let (tenant, path) = (Arc::clone(&self.tenant), self.path.clone());
        let range = self.from..Offset::new(before).unwrap_or(self.from);
        let page = tokio::task::spawn_blocking(move || tenant.read(&path, range, SSE_PAGE)).await;
        let page = page.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())).inspect_err(|error| {
            tracing::error!(%error, stream = %self.path, "a reader's page could not be read");
        })?;
        let mut text = String::new();
        for event in &page.events {
            text.push_str("id: ");
            text.push_str(itoa::Buffer::new().format(event.offset.get()));
            text.push_str("\nevent: message\ndata: ");
            wire::write_event(&mut text, event, self.compat);
            text.push_str("\n\n");
        }
        self.from = page.next;
        Ok(Bytes::from(text))
    }
}
