//! Reading and appending over a WebSocket. It reads the log as every reader does, so a slow client is served later and nothing is kept for it.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{Extensions, HeaderValue};
use axum::response::Response;
use pelton_engine::{AppendOptions, Proposal};
use pelton_model::Json;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::cursor::{Cursor, ReadError, Ready};
use super::problem::Problem;
use super::read::{KEEP_ALIVE, STREAMED_PAGE};
use super::{Connection, stops, wire};

/// What a frame has around its event.
const ENVELOPE_BYTES: usize = 64 << 10;
/// Whoever has not even answered a ping for this long is not there any more.
const DEAF_TIME: Duration = Duration::from_secs(60);

pub fn answer(upgrade: WebSocketUpgrade, cursor: Cursor, stopping: watch::Receiver<bool>, extensions: &Extensions) -> Response {
    let frame_bytes_max = cursor.tenant.quotas().event_bytes_max + ENVELOPE_BYTES;
    let incarnation = cursor.incarnation;
    let connection = extensions.get::<Connection>().cloned();
    // Small buffers: most sockets are idle most of the time.
    let upgrade = upgrade.max_message_size(frame_bytes_max).max_frame_size(frame_bytes_max).read_buffer_size(4 << 10).write_buffer_size(0);
    let mut response = upgrade.on_upgrade(async move |socket| {
        Session { socket, cursor, stopping, heard: Instant::now() }.run().await;
        drop(connection);
    });
    if let Some(incarnation) = incarnation {
        response.headers_mut().insert("pelton-incarnation", HeaderValue::from(incarnation.get()));
    }
    response
}

struct Session {
    socket: WebSocket,
    cursor: Cursor,
    stopping: watch::Receiver<bool>,
    heard: Instant,
}

/// The socket is closed, with this code where the other side is still there to be told.
struct Closed(Option<(u16, &'static str)>);

enum Woken {
    Log(Ready),
    Client(Option<Result<Message, axum::Error>>),
    Silence,
}

impl Session {
    async fn run(mut self) {
        let Closed(reason) = loop {
            if let Err(closed) = self.step().await {
                break closed;
            }
        };
        if let Some((code, reason)) = reason {
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
            if let Err(error) = self.socket.send(Message::Close(Some(frame))).await {
                tracing::debug!(%error, "a socket was gone before it was closed");
                return;
            }
            self.part().await;
        }
    }

    /// Waits for the other side to close too, so that what was sent last is not lost with a reset.
    async fn part(&mut self) {
        let gone = async { while let Some(Ok(_)) = self.socket.recv().await {} };
        if tokio::time::timeout(Duration::from_secs(1), gone).await.is_err() {
            tracing::debug!("a socket did not answer its close frame");
        }
    }

    async fn step(&mut self) -> Result<(), Closed> {
        const STOPPING: Closed = Closed(Some((close_code::AWAY, "the host is stopping")));
        let woken = tokio::select! {
            ready = self.cursor.ready() => Woken::Log(ready),
            message = self.socket.recv() => Woken::Client(message),
            () = stops(&mut self.stopping) => return Err(STOPPING),
            () = tokio::time::sleep(KEEP_ALIVE) => Woken::Silence,
        };
        match woken {
            Woken::Log(Ready::Readable) => self.send_page().await,
            Woken::Log(Ready::Finished) => Err(Closed(Some((close_code::NORMAL, "")))),
            Woken::Log(Ready::Gone) if self.cursor.is_destroyed() => self.send_destroyed().await,
            Woken::Log(Ready::Gone) => Err(STOPPING),
            Woken::Client(message) => {
                self.heard = Instant::now();
                self.receive(message).await
            }
            Woken::Silence if self.heard.elapsed() > DEAF_TIME => Err(Closed(None)),
            Woken::Silence => self.send(Message::Ping(Bytes::new())).await,
        }
    }

    async fn send_page(&mut self) -> Result<(), Closed> {
        let batch = match self.cursor.read(STREAMED_PAGE).await {
            Ok(batch) => batch,
            Err(ReadError::Destroyed) => return self.send_destroyed().await,
            Err(ReadError::Store(_)) => return Err(Closed(Some((close_code::ERROR, "the log could not be read")))),
        };
        for placed in &batch.events {
            let mut text = String::from(r#"{"type":"event","event":"#);
            wire::write_event_at(&mut text, &placed.event, placed.position, self.cursor.compat);
            text.push_str(&format!(r#","cursor":{}}}"#, placed.id));
            self.send(Message::text(text)).await?;
        }
        Ok(())
    }

    async fn send_destroyed(&mut self) -> Result<(), Closed> {
        let text = format!(r#"{{"type":"destroyed",{}}}"#, self.cursor.obituary());
        self.send(Message::text(text)).await?;
        Err(Closed(Some((close_code::NORMAL, "destroyed"))))
    }

    async fn receive(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), Closed> {
        match message {
            Some(Ok(Message::Text(text))) => {
                let answer = append(&self.cursor, &text).await;
                self.send(Message::text(answer)).await
            }
            Some(Ok(Message::Binary(_))) => {
                let problem = Problem::new("bad-frame", "expected a text frame, found a binary one");
                self.send(Message::text(refusal(&problem, None))).await
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
            // The library has answered the close frame, or nobody is there to be told.
            Some(Ok(Message::Close(_))) | None => Err(Closed(None)),
            Some(Err(error)) => {
                let text = error.to_string();
                tracing::debug!(error = text, "a socket is closed");
                let is_too_long = error
                    .into_inner()
                    .downcast_ref::<tokio_tungstenite::tungstenite::Error>()
                    .is_some_and(|error| matches!(error, tokio_tungstenite::tungstenite::Error::Capacity(_)));
                Err(Closed(is_too_long.then_some((close_code::SIZE, "the frame is too large"))))
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), Closed> {
        self.socket.send(message).await.map_err(|error| {
            tracing::debug!(%error, "a socket is closed");
            Closed(None)
        })
    }
}

/// The answer to one text frame.
async fn append(cursor: &Cursor, text: &str) -> String {
    let frame = match Frame::parse(text) {
        Ok(frame) => frame,
        Err(problem) => return refusal(&problem, None),
    };
    let written = match Proposal::tolerant(&Json::from_checked(frame.event.get()), None, || None) {
        Ok(proposal) => cursor.tenant.append(&cursor.path, vec![proposal], AppendOptions::default()).await,
        Err(refused) => Err(refused),
    };
    let event = match written.map(|written| written.events.into_iter().next()) {
        Ok(Some(event)) => event,
        Ok(None) => return refusal(&Problem::internal(&"nothing was recorded"), frame.reference.as_deref()),
        Err(error) => return refusal(&error.into(), frame.reference.as_deref()),
    };
    let mut answer = String::from(r#"{"type":"appended","event":"#);
    wire::write_event(&mut answer, &event, cursor.compat);
    with_reference(answer, frame.reference.as_deref())
}

/// `{"type":"append","event":…,"ref"?:…}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame {
    #[serde(rename = "type")]
    kind: String,
    event: Box<RawValue>,
    /// Whatever the client wants to know the answer by.
    #[serde(rename = "ref")]
    reference: Option<Box<RawValue>>,
}

impl Frame {
    fn parse(text: &str) -> Result<Self, Problem> {
        let bad = |problem: &dyn std::fmt::Display| {
            Problem::new("bad-frame", format!(r#"expected {{"type":"append","event":…,"ref"?:…}}: {problem}"#))
        };
        let frame: Self = Json::parse(text).map_err(|error| bad(&error))?.to().map_err(|error| bad(&error))?;
        if frame.kind != "append" {
            return Err(bad(&format_args!("found the type {:?}", frame.kind)));
        }
        Ok(frame)
    }
}

fn refusal(problem: &Problem, reference: Option<&RawValue>) -> String {
    let answer = format!(r#"{{"type":"error","code":"{}","message":{}"#, problem.code(), Value::from(problem.detail()));
    with_reference(answer, reference)
}

fn with_reference(mut answer: String, reference: Option<&RawValue>) -> String {
    if let Some(reference) = reference {
        answer.extend([r#","ref":"#, reference.get()]);
    }
    answer.push('}');
    answer
}
