//! The world as the contract and WASI give it.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::bindings::pelton::processor::types as wit;
use crate::bindings::pelton::processor::{appender, context, outbox};
use crate::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use crate::bindings::wasi::http::types::{
    Fields, FutureIncomingResponse, HeaderError, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use crate::bindings::wasi::http::{outgoing_handler, types::ErrorCode};
use crate::bindings::wasi::io::poll;
use crate::bindings::wasi::io::streams::{InputStream, StreamError};
use crate::bindings::wasi::random::random;
use crate::world::{AppendError, Event, Exchange, Level, NewEvent, Poll, Request, Source, World};

/// What one read of a body takes at most.
const CHUNK_BYTES: u64 = 64 << 10;
/// What `blocking-write-and-flush` takes at most.
const WRITE_BYTES: usize = 4096;

#[derive(Default)]
pub(crate) struct Host {
    exchanges: RefCell<HashMap<Exchange, State>>,
}

enum State {
    Asked(FutureIncomingResponse),
    // In the order in which they have to be dropped.
    Answered(InputStream, (IncomingBody, IncomingResponse)),
    Over,
}

impl World for Host {
    fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Debug => context::Level::Debug,
            Level::Info => context::Level::Info,
            Level::Warn => context::Level::Warn,
            Level::Error => context::Level::Error,
        };
        context::log(level, message);
    }

    fn append(&self, to: Option<&str>, event: NewEvent) -> Result<(), AppendError> {
        outbox::append(to, &event.into()).map_err(AppendError::from)
    }

    fn append_now(&self, to: Option<&str>, event: NewEvent) -> Result<Event, AppendError> {
        appender::append(to, &event.into()).map(Event::from).map_err(AppendError::from)
    }

    fn wall_millis(&self) -> u64 {
        let now = wall_clock::now();
        now.seconds * 1000 + u64::from(now.nanoseconds / 1_000_000)
    }

    fn monotonic_nanos(&self) -> u64 {
        monotonic_clock::now()
    }

    fn random(&self, bytes: usize) -> Vec<u8> {
        random::get_random_bytes(bytes as u64)
    }

    fn send(&self, request: Request) -> Result<Exchange, String> {
        let asked = send(request)?;
        let mut exchanges = self.exchanges.borrow_mut();
        let id = exchanges.keys().max().map_or(0, |last| last + 1);
        exchanges.insert(id, State::Asked(asked));
        Ok(id)
    }

    fn poll(&self, exchange: Exchange) -> Poll {
        let mut exchanges = self.exchanges.borrow_mut();
        let Some(state) = exchanges.get_mut(&exchange) else { return Poll::End };
        let (next, found) = match std::mem::replace(state, State::Over) {
            State::Asked(asked) => answered(asked),
            State::Answered(stream, held) => match stream.read(CHUNK_BYTES) {
                Ok(bytes) if bytes.is_empty() => (State::Answered(stream, held), Poll::Pending),
                Ok(bytes) => (State::Answered(stream, held), Poll::Chunk(bytes)),
                Err(StreamError::Closed) => {
                    drop(stream);
                    (State::Over, Poll::End)
                }
                Err(StreamError::LastOperationFailed(error)) => {
                    let message = error.to_debug_string();
                    drop(stream);
                    (State::Over, Poll::Failed(message))
                }
            },
            State::Over => (State::Over, Poll::End),
        };
        *state = next;
        found
    }

    fn close(&self, exchange: Exchange) {
        self.exchanges.borrow_mut().remove(&exchange);
    }

    fn wait(&self, exchanges: &[Exchange], until: Option<u64>) {
        let states = self.exchanges.borrow();
        let mut pollables: Vec<poll::Pollable> = exchanges
            .iter()
            .filter_map(|exchange| match states.get(exchange)? {
                State::Asked(asked) => Some(asked.subscribe()),
                State::Answered(stream, _) => Some(stream.subscribe()),
                State::Over => None,
            })
            .collect();
        // Something that is over has nothing to wait for.
        if pollables.len() < exchanges.len() {
            return;
        }
        pollables.extend(until.map(monotonic_clock::subscribe_instant));
        if !pollables.is_empty() {
            poll::poll(&pollables.iter().collect::<Vec<_>>());
        }
    }
}

fn send(request: Request) -> Result<FutureIncomingResponse, String> {
    let headers = Fields::new();
    for (name, value) in &request.headers {
        match headers.append(name, value) {
            // What belongs to the connection is the host's.
            Ok(()) | Err(HeaderError::Forbidden) => {}
            Err(error) => return Err(format!("header {name:?}: {error:?}")),
        }
    }
    let outgoing = OutgoingRequest::new(headers);
    let scheme = if request.is_https { Scheme::Https } else { Scheme::Http };
    let fits = outgoing.set_method(&method(&request.method)).is_ok()
        && outgoing.set_scheme(Some(&scheme)).is_ok()
        && outgoing.set_authority(Some(&request.authority)).is_ok()
        && outgoing.set_path_with_query(Some(&request.path_with_query)).is_ok();
    if !fits {
        return Err(format!("{} {}{} is no valid request", request.method, request.authority, request.path_with_query));
    }
    let body = outgoing.body().map_err(|()| "the request has a body already".to_owned())?;
    let asked = outgoing_handler::handle(outgoing, None).map_err(|error| explained(&error))?;
    if let Some(bytes) = request.body {
        let stream = body.write().map_err(|()| "the body of the request cannot be written".to_owned())?;
        for piece in bytes.chunks(WRITE_BYTES) {
            // The answer says why, or comes all the same.
            if stream.blocking_write_and_flush(piece).is_err() {
                return Ok(asked);
            }
        }
    }
    OutgoingBody::finish(body, None).map_err(|error| explained(&error))?;
    Ok(asked)
}

fn answered(asked: FutureIncomingResponse) -> (State, Poll) {
    match asked.get() {
        None => (State::Asked(asked), Poll::Pending),
        Some(Ok(Ok(response))) => {
            let head = Poll::Head { status: response.status(), headers: response.headers().entries() };
            let stream = response.consume().and_then(|body| Ok((body.stream()?, body)));
            match stream {
                Ok((stream, body)) => (State::Answered(stream, (body, response)), head),
                Err(()) => (State::Over, Poll::Failed("the body of the response cannot be read".to_owned())),
            }
        }
        Some(Ok(Err(error))) => (State::Over, Poll::Failed(explained(&error))),
        Some(Err(())) => (State::Over, Poll::End),
    }
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn explained(error: &ErrorCode) -> String {
    match error {
        ErrorCode::HttpRequestDenied => "the host does not allow this request; its log says which rule is missing".to_owned(),
        ErrorCode::InternalError(Some(message)) => message.clone(),
        other => format!("{other:?}"),
    }
}

impl From<NewEvent> for wit::NewEvent {
    fn from(event: NewEvent) -> Self {
        let NewEvent { event_type, payload, metadata, idempotency_key, expected_offset } = event;
        Self { event_type, payload, metadata, idempotency_key, expected_offset }
    }
}

impl From<wit::Event> for Event {
    fn from(event: wit::Event) -> Self {
        let wit::Event { stream_path, offset, event_type, payload, metadata, idempotency_key, created_at, source } = event;
        let source = source.map(|source| Source {
            slug: source.slug,
            digest: source.digest,
            stream_path: source.stream_path,
            offset: source.offset,
            depth: source.depth,
        });
        Self { stream_path, offset, event_type, payload, metadata, idempotency_key, created_at, source }
    }
}

impl From<wit::AppendError> for AppendError {
    fn from(error: wit::AppendError) -> Self {
        let (code, message) = match error {
            wit::AppendError::Paused(message) => ("paused", message),
            wit::AppendError::Conflict(message) => ("conflict", message),
            wit::AppendError::Denied(message) => ("denied", message),
            wit::AppendError::Invalid(message) => ("invalid", message),
            wit::AppendError::Unavailable(message) => ("unavailable", message),
        };
        Self { code, message }
    }
}
