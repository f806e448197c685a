//! `GET /api/streams/{path}`: history, then live, as Server-Sent Events or over a WebSocket; or what is there now as JSON, NDJSON or YAML.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts as _, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use pelton_engine::{PageLimit, Tenant};
use pelton_model::{Offset, StreamPath, TypePatterns};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::sync::watch;

use super::accept::{Offer, choose};
use super::cursor::{Batch, Cursor, Placed, ReadError, Ready, Scope};
use super::problem::Problem;
use super::{App, Compat, query, socket, stops, wire, yaml_out};

/// A comment is sent after this much silence, so that proxies keep the connection and dead ones are noticed.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// What one read of a connection holds in memory at most.
pub const STREAMED_PAGE: PageLimit = PageLimit { events_max: 256, bytes_max: 256 << 10 };
pub const PAGE_EVENTS_MAX: usize = 1000;
/// How many events a page looks at before it says where to go on, however few of them it was asked for.
const PAGE_LOOKS_MAX: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReadQuery {
    after_offset: Option<String>,
    before_offset: Option<String>,
    after_position: Option<String>,
    before_position: Option<String>,
    #[serde(default)]
    include_children: bool,
    types: Option<String>,
    incarnation: Option<u64>,
    limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Events,
    Json,
    Ndjson,
    Yaml,
}

const FORMATS: &[Offer<Format>] = &[
    (Format::Events, &["text/event-stream"]),
    (Format::Json, &["application/json"]),
    (Format::Ndjson, &["application/x-ndjson", "application/ndjson", "application/jsonl"]),
    (Format::Yaml, yaml_out::MEDIA_TYPES),
];

pub async fn get(app: &App, tenant: Arc<Tenant>, path: StreamPath, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let wants_socket = parts.headers.get(header::UPGRADE).is_some_and(|wanted| wanted.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let format = if wants_socket { Format::Events } else { choose(&parts.headers, FORMATS)? };
    let query: ReadQuery = query(&parts.uri)?;
    if format == Format::Events && query.limit.is_some() {
        return Err(Problem::new("bad-query", "limit: only a page of JSON, NDJSON or YAML has one"));
    }
    let limit = query.limit.unwrap_or(PAGE_EVENTS_MAX);
    if !(1..=PAGE_EVENTS_MAX).contains(&limit) {
        return Err(Problem::new("bad-query", format!("limit: expected 1 to {PAGE_EVENTS_MAX}, found {limit}")));
    }
    let upgrade = if wants_socket {
        let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
        Some(upgrade.map_err(|error| Problem::new("bad-header", format!("WebSocket: {}", error.body_text())))?)
    } else {
        None
    };
    let cursor = || query.cursor(Arc::clone(&tenant), path.clone(), &parts.headers);
    if app.compat.is_some() {
        // A request that is refused begins nothing.
        cursor()?;
        app.begin_for_reader(&tenant, &path).await?;
    }
    let cursor = Cursor { compat: app.compat, ..cursor()? };
    if let Some(upgrade) = upgrade {
        return Ok(socket::answer(upgrade, cursor, app.stopping.clone(), &parts.extensions));
    }
    let incarnation = cursor.incarnation;
    let mut response = match (format, query.limit) {
        (Format::Events, _) => events(Reader { cursor, stopping: app.stopping.clone(), greeted: false, ended: false }),
        (Format::Ndjson | Format::Yaml, None) => everything(cursor, format),
        (Format::Json | Format::Ndjson | Format::Yaml, _) => page(cursor, format, &query, limit).await?,
    };
    if let Some(incarnation) = incarnation {
        response.headers_mut().insert("pelton-incarnation", HeaderValue::from(incarnation.get()));
    }
    Ok(response)
}

impl ReadQuery {
    fn cursor(&self, tenant: Arc<Tenant>, path: StreamPath, headers: &HeaderMap) -> Result<Cursor, Problem> {
        let scope = if self.include_children { Scope::Tree } else { Scope::Stream };
        let tail = match scope {
            Scope::Stream => tenant.tail(&path)?,
            Scope::Tree => tenant.head(),
        };
        let incarnation = tenant.incarnation(&path)?;
        if let Some(wanted) = self.incarnation
            && incarnation.is_none_or(|found| found.get() != wanted)
        {
            return Err(Problem::other_incarnation(wanted, incarnation));
        }
        let next = tail.next();
        let (after, before) = self.bounds()?;
        let after = match after {
            Some((name, text)) => Some(bound(name, text, next)?),
            None => last_event_id(headers)?,
        };
        let before = before.map(|(name, text)| bound(name, text, next)).transpose()?.map(|before| before.min(next));
        // The next after the largest place is no place, but nothing is there either.
        let from = after.map_or(1, |after| after + 1).min(Offset::MAX.get());
        let types = self.types.as_deref().map(patterns).transpose()?;
        Ok(Cursor { tenant, path, scope, types: types.map(Arc::new), incarnation, from, before, tail, compat: None })
    }

    /// The bounds by their names, which must be those of the scope: a position taken for an offset would silently read something else.
    fn bounds(&self) -> Result<(Option<Named<'_>>, Option<Named<'_>>), Problem> {
        let offsets = [("afterOffset", &self.after_offset), ("beforeOffset", &self.before_offset)];
        let positions = [("afterPosition", &self.after_position), ("beforePosition", &self.before_position)];
        let (right, wrong, when) = match self.include_children {
            false => (offsets, positions, "without `includeChildren=true`"),
            true => (positions, offsets, "with `includeChildren=true`"),
        };
        if let Some(nth) = wrong.iter().position(|(_, text)| text.is_some()) {
            let (expected, found) = (right[nth].0, wrong[nth].0);
            return Err(Problem::new("bad-query", format!("{found}: expected `{expected}` {when}")));
        }
        let [after, before] = right.map(|(name, text)| Some((name, text.as_deref()?)));
        Ok((after, before))
    }
}

type Named<'a> = (&'static str, &'a str);

fn bound(name: &str, text: &str, next: u64) -> Result<u64, Problem> {
    match text {
        "start" => Ok(0),
        // `after` the end means after the last event, `before` the end up to and including it.
        "end" if name.starts_with("after") => Ok(next - 1),
        "end" => Ok(next),
        digits => {
            let what = if name.ends_with("Offset") { "an offset" } else { "a position" };
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            let place = digits.parse().ok().filter(|place| is_number && is_countable(place));
            place.ok_or_else(|| Problem::new("bad-query", format!("{name}: expected {what}, `start` or `end`, found {text:?}")))
        }
    }
}

/// 0 means before the first event; beyond the largest place nothing can be counted.
fn is_countable(place: &u64) -> bool {
    *place == 0 || Offset::new(*place).is_some()
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| text.trim().parse().ok()).filter(is_countable);
    id.map(Some).ok_or_else(|| Problem::new("bad-header", format!("Last-Event-ID: expected the id of an event, found {value:?}")))
}

fn patterns(text: &str) -> Result<TypePatterns, Problem> {
    let patterns: Vec<_> = text.split(',').map(|pattern| pattern.trim().to_owned()).collect();
    if patterns.iter().any(String::is_empty) {
        return Err(Problem::new("bad-query", format!("types: expected event types separated by commas, `*` for any run, found {text:?}")));
    }
    Ok(TypePatterns::new(patterns))
}

/// One page with where to go on.
async fn page(mut cursor: Cursor, format: Format, query: &ReadQuery, limit: usize) -> Result<Response, Problem> {
    let before = cursor.end();
    cursor.before = Some(before);
    let mut body = String::new();
    if format == Format::Json {
        write!(body, r#"{{"streamPath":"{}""#, cursor.path).map_err(|error| Problem::internal(&error))?;
        if let Some(incarnation) = cursor.incarnation {
            write!(body, r#","incarnation":{incarnation}"#).map_err(|error| Problem::internal(&error))?;
        }
        body.push_str(r#","events":["#);
    }
    let (mut found, mut looked_at) = (0, 0);
    while cursor.from < before && found < limit && looked_at < PAGE_LOOKS_MAX && body.len() < PageLimit::default().bytes_max {
        // With a filter more has to be looked at than is wanted; what is found beyond that is left to the next page.
        let events_max = if cursor.types.is_some() { PAGE_EVENTS_MAX } else { limit - found };
        let batch = cursor.read(PageLimit { events_max, ..PageLimit::default() }).await?;
        looked_at += batch.looked_at.max(1);
        if let Some(beyond) = batch.events.get(limit - found) {
            cursor.from = beyond.id;
        }
        for placed in batch.events.iter().take(limit - found) {
            if format == Format::Json && found > 0 {
                body.push(',');
            }
            found += 1;
            write_one(&mut body, placed, format, cursor.compat);
        }
    }
    let next = (cursor.from < before).then(|| next_target(&cursor, query, before, limit));
    if format == Format::Json {
        body.push_str(r#"],"next":"#);
        match &next {
            Some(target) => body.extend(["\"", target, "\""]),
            None => body.push_str("null"),
        }
        body.push_str("}\n");
    }
    let mut response = (StatusCode::OK, [(header::CONTENT_TYPE, content_type(format))], body).into_response();
    let headers = response.headers_mut();
    if let Some(link) = next.and_then(|target| HeaderValue::try_from(format!(r#"<{target}>; rel="next""#)).ok()) {
        headers.insert(header::LINK, link);
    }
    if format == Format::Json && cursor.scope == Scope::Stream {
        let (incarnation, last) = (cursor.incarnation.map_or(0, |incarnation| incarnation.get()), cursor.tail.next() - 1);
        let tag = HeaderValue::try_from(format!(r#""{incarnation}-{last}""#)).map_err(|error| Problem::internal(&error))?;
        headers.insert(header::ETAG, tag);
    }
    Ok(response)
}

/// The target of the next page. It names the stream by its incarnation, so that no reader goes on in another one unawares.
fn next_target(cursor: &Cursor, query: &ReadQuery, before: u64, limit: usize) -> String {
    let path = cursor.path.as_str().trim_start_matches('/');
    let places = if cursor.scope == Scope::Tree { "Position" } else { "Offset" };
    let mut target = format!("/api/streams/{path}?after{places}={}&before{places}={before}&limit={limit}", cursor.from - 1);
    if cursor.scope == Scope::Tree {
        target.push_str("&includeChildren=true");
    }
    if let Some(types) = &query.types {
        target.extend(["&types=".to_owned(), utf8_percent_encode(types, NON_ALPHANUMERIC).to_string()]);
    }
    let incarnation = if cursor.scope == Scope::Stream { cursor.incarnation.map(|found| found.get()) } else { query.incarnation };
    if let Some(incarnation) = incarnation {
        target.push_str(&format!("&incarnation={incarnation}"));
    }
    target
}

/// All there is now, page after page, so that a long history needs no more memory than a short one.
fn everything(mut cursor: Cursor, format: Format) -> Response {
    cursor.before = Some(cursor.end());
    let stream = futures_util::stream::try_unfold(cursor, move |mut cursor| async move {
        while matches!(cursor.ready().await, Ready::Readable) {
            let batch = cursor.read(STREAMED_PAGE).await?;
            if !batch.events.is_empty() {
                let mut text = String::new();
                batch.events.iter().for_each(|placed| write_one(&mut text, placed, format, cursor.compat));
                return Ok::<_, ReadError>(Some((Bytes::from(text), cursor)));
            }
        }
        Ok(None)
    });
    let headers = [(header::CONTENT_TYPE, content_type(format)), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(stream)).into_response()
}

fn content_type(format: Format) -> &'static str {
    match format {
        Format::Events => "text/event-stream",
        Format::Json => "application/json",
        Format::Ndjson => "application/x-ndjson",
        Format::Yaml => yaml_out::MEDIA_TYPES[0],
    }
}

fn write_one(out: &mut String, placed: &Placed, format: Format, compat: Option<Compat>) {
    match format {
        Format::Events | Format::Json => wire::write_event_at(out, &placed.event, placed.position, compat),
        Format::Ndjson => {
            wire::write_event_at(out, &placed.event, placed.position, compat);
            out.push('\n');
        }
        Format::Yaml => {
            let mut text = String::new();
            wire::write_event_at(&mut text, &placed.event, placed.position, compat);
            out.push_str("---\n");
            yaml_out::write(out, &text);
        }
    }
}

fn events(reader: Reader) -> Response {
    let stream = futures_util::stream::unfold(reader, |mut reader| async move {
        let chunk = reader.next().await?;
        Some((chunk, reader))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(stream)).into_response()
}

/// One SSE connection.
struct Reader {
    cursor: Cursor,
    stopping: watch::Receiver<bool>,
    greeted: bool,
    ended: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<Result<Bytes, ReadError>> {
        if !self.greeted {
            // Headers and this comment tell the client at once that it is connected.
            self.greeted = true;
            return Some(Ok(Bytes::from_static(b":\n\n")));
        }
        loop {
            if self.ended {
                return None;
            }
            let ready = tokio::select! {
                biased;
                ready = self.cursor.ready() => ready,
                () = stops(&mut self.stopping) => return None,
                () = tokio::time::sleep(KEEP_ALIVE) => return Some(Ok(Bytes::from_static(b":\n\n"))),
            };
            match ready {
                Ready::Finished => return None,
                Ready::Gone if self.cursor.is_destroyed() => return Some(Ok(self.end())),
                Ready::Gone => return None,
                Ready::Readable => match self.cursor.read(STREAMED_PAGE).await {
                    Ok(batch) => {
                        let text = self.frames(&batch);
                        if !text.is_empty() {
                            return Some(Ok(Bytes::from(text)));
                        }
                    }
                    Err(ReadError::Destroyed) => return Some(Ok(self.end())),
                    Err(error) => return Some(Err(error)),
                },
            }
        }
    }

    fn frames(&self, batch: &Batch) -> String {
        let mut text = String::new();
        for placed in &batch.events {
            text.push_str("id: ");
            text.push_str(itoa::Buffer::new().format(placed.id));
            text.push_str("\nevent: message\ndata: ");
            wire::write_event_at(&mut text, &placed.event, placed.position, self.cursor.compat);
            text.push_str("\n\n");
        }
        if batch.skipped_last {
            // Moves the client's last event id without an event, so that it does not begin again before what does not concern it.
            text.push_str("id: ");
            text.push_str(itoa::Buffer::new().format(self.cursor.from - 1));
            text.push_str("\n\n");
        }
        text
    }

    fn end(&mut self) -> Bytes {
        self.ended = true;
        Bytes::from(format!("event: destroyed\ndata: {{{}}}\n\n", self.cursor.obituary()))
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Destroyed => Self::destroyed_meanwhile(&error),
        }
    }
}
