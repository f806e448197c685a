//! Transformers: a JSONata expression says which events of a stream become other events of it.
//!
//! One task a transformer. What it appends and its cursor are one commit, so that each event is transformed once.

use std::sync::Arc;
use std::time::Duration;

use pelton_model::{Builtin, Consumer, Digest, Event, Json, NewEvent, Slug, Source, StreamPath, TransformerConfigured, TransformerControl};
use pelton_store::{Append, CheckpointChange, CheckpointWrite, KeyReuse, Refusal, StoreError, Write};
use serde::Serialize;
use tokio::sync::watch;

use crate::feed::Feed;
use crate::push::forget;
use crate::tenant::{Busy, Core, becomes_true};
use crate::{AppendError, EngineError, Proposal};

pub(crate) struct Transformer {
    pub core: Arc<Core>,
    pub stream: StreamPath,
    pub slug: Slug,
    /// Moves when the control state of the stream may have changed.
    pub changed: watch::Receiver<u64>,
    pub stop: watch::Receiver<bool>,
}

/// After a fault of the host's own.
const RETRY_TIME: Duration = Duration::from_secs(1);
/// Cursors that moved over events without a match only are written down this often.
const CURSOR_LAG_MAX: u64 = 1000;

impl Transformer {
    /// Runs until the tenant closes. `starting` is given up once it is clear what there is to do.
    pub async fn run(mut self, starting: Busy) {
        // The task itself keeps the tenant open while it works; a look at the log is all that a closed tenant would miss.
        drop(starting);
        while !*self.stop.borrow() {
            self.changed.borrow_and_update();
            let control = match self.control() {
                Ok(control) => control,
                Err(error) => {
                    self.pause_after(&error).await;
                    continue;
                }
            };
            let Some(control) = control else {
                forget(&self.core, &self.stream, Consumer::Transformer(self.slug.clone())).await;
                self.wait_for_change().await;
                continue;
            };
            let line = Line {
                digest: Digest::of(Json::of(&control.configured).as_str().as_bytes()),
                core: Arc::clone(&self.core),
                stream: self.stream.clone(),
                slug: self.slug.clone(),
                control: control.clone(),
            };
            let mut work = Box::pin(line.run());
            loop {
                tokio::select! {
                    biased;
                    () = becomes_true(&mut self.stop) => return,
                    _ = self.changed.changed() => match self.control() {
                        Ok(Some(now)) if now == control => {}
                        _ => break,
                    },
                    ended = &mut work => {
                        match ended {
                            Ok(()) => self.wait_for_change().await,
                            Err(error) => self.pause_after(&error).await,
                        }
                        break;
                    }
                }
            }
        }
    }

    fn control(&self) -> Result<Option<TransformerControl>, StoreError> {
        let info = self.core.store.stream(&self.stream)?;
        Ok(info.and_then(|info| info.control.transformers.get(&self.slug).cloned()))
    }

    async fn wait_for_change(&mut self) {
        tokio::select! {
            () = becomes_true(&mut self.stop) => {}
            _ = self.changed.changed() => {}
        }
    }

    async fn pause_after(&mut self, error: &(dyn std::fmt::Display + Sync)) {
        tracing::error!(tenant = %self.core.name, stream = %self.stream, slug = %self.slug, %error, "a transformer is taken up again");
        tokio::select! {
            () = tokio::time::sleep(RETRY_TIME) => {}
            () = becomes_true(&mut self.stop) => {}
        }
    }
}

/// A fault of the host's, after which the transformer starts over from what is on disk.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("a task of the host failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// One configuration of a transformer at work.
struct Line {
    core: Arc<Core>,
    stream: StreamPath,
    slug: Slug,
    control: TransformerControl,
    /// Of the configuration; the source of what it appends names it.
    digest: Digest,
}

struct Place {
    cursor: u64,
    revision: u64,
    durable_cursor: u64,
}

/// The record of an event that could not be transformed.
#[derive(Serialize)]
struct Failure<'a> {
    message: String,
    transformer: &'a Slug,
    offset: u64,
}

impl Line {
    /// Returns when its stream has ended.
    async fn run(self) -> Result<(), Fault> {
        let mut place = self.place()?;
        let feed = Feed::new(&self.stream, false);
        let mut tail = feed.tail(&self.core.store, &self.core.tails)?;
        if place.revision == 0 {
            self.write(&mut place, Vec::new()).await?;
        }
        loop {
            let end = tail.next();
            let busy = Busy::begin(&self.core);
            while place.cursor < end {
                let (feed, store, from) = (feed.clone(), self.core.store.clone(), place.cursor);
                let page = tokio::task::spawn_blocking(move || feed.read(&store, from, end)).await??;
                for (offset, event) in page.events {
                    let appends = self.transform(event).await?;
                    place.cursor = offset + 1;
                    if !appends.is_empty() {
                        self.write(&mut place, appends).await?;
                    }
                }
                place.cursor = page.next;
                if place.cursor >= place.durable_cursor + CURSOR_LAG_MAX {
                    self.write(&mut place, Vec::new()).await?;
                }
            }
            drop(busy);
            if !tail.reaches(place.cursor).await {
                return Ok(());
            }
        }
    }

    /// A new configuration begins after the event that brought it: what was there before has been transformed, or was not meant.
    fn place(&self) -> Result<Place, StoreError> {
        let checkpoint = self.core.store.checkpoint(&self.stream, &Consumer::Transformer(self.slug.clone()))?;
        let own = checkpoint.as_ref().filter(|found| found.configured_offset == self.control.configured_offset);
        let cursor = own.map_or(self.control.configured_offset.next().get(), |own| own.acknowledged);
        Ok(Place { cursor, revision: checkpoint.as_ref().map_or(0, |found| found.revision), durable_cursor: cursor })
    }

    async fn transform(&self, event: Event) -> Result<Vec<NewEvent>, Fault> {
        let source = event.source.as_ref();
        if source.is_some_and(|source| source.slug == self.slug && source.digest == self.digest && source.stream_path == self.stream) {
            return Ok(Vec::new());
        }
        let depth = source.map_or(0, |source| source.depth) + 1;
        let own = Source { slug: self.slug.clone(), digest: self.digest, stream_path: self.stream.clone(), offset: event.offset, depth };
        let (depth_max, event_bytes_max) = (self.core.quotas.depth_max, self.core.quotas.event_bytes_max);
        let (courier, configured) = (Arc::clone(&self.core.courier), self.control.configured.clone());
        let rendered = courier.render(&event);
        let turn = self.core.expressions.take().await?;
        let result = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let events = evaluate(&configured, &Json::from_checked(&rendered))?;
            if !events.is_empty() && depth > depth_max {
                return Err(format!("expected a chain of at most {depth_max} answers to answers, found a longer one"));
            }
            match events.iter().map(NewEvent::size_bytes).max() {
                Some(found) if found > event_bytes_max => Err(format!("expected events of at most {event_bytes_max} bytes, found {found}")),
                _ => Ok(events),
            }
        });
        let result = result.await?.and_then(|events| {
            let checked = events.iter().try_for_each(|event| self.core.writer.check(event));
            checked.map(|()| events).map_err(|error| error.to_string())
        });
        let events = match result {
            Ok(events) => events,
            Err(message) => {
                tracing::info!(tenant = %self.core.name, stream = %self.stream, slug = %self.slug, offset = %event.offset, message, "a transformer failed");
                // An error about an error would have no end where two transformers fail.
                if Builtin::of(event.event_type.as_str()) == Some(Builtin::ErrorOccurred) {
                    return Ok(Vec::new());
                }
                return Ok(self.failed(message, Some(own)));
            }
        };
        Ok(events.into_iter().map(|event| NewEvent { source: Some(own.clone()), ..event }).collect())
    }

    /// What is appended in place of what could not be. `source` says on which event.
    fn failed(&self, message: String, source: Option<Source>) -> Vec<NewEvent> {
        let offset = source.as_ref().map_or(0, |source| source.offset.get());
        let failure = NewEvent::builtin(Builtin::ErrorOccurred, &Failure { message, transformer: &self.slug, offset });
        vec![NewEvent { source, ..failure }]
    }

    /// Waits out a pause of the stream.
    async fn write(&self, place: &mut Place, mut events: Vec<NewEvent>) -> Result<(), Fault> {
        let change = CheckpointChange::Put {
            configured_offset: self.control.configured_offset,
            reduced: place.cursor,
            acknowledged: place.cursor,
            state: None,
        };
        loop {
            let mut tail = self.core.tails.stream(&self.core.store, &self.stream)?;
            let consumer = Consumer::Transformer(self.slug.clone());
            let checkpoint = CheckpointWrite { stream: self.stream.clone(), consumer, revision: place.revision, change: change.clone() };
            let appends = events.iter().map(|event| Append { stream: self.stream.clone(), event: event.clone() }).collect();
            let next = tail.next();
            let write = Write { appends, checkpoint: Some(checkpoint), key_reuse: KeyReuse::KeepFirst, ..Write::default() };
            match self.core.writer.write(write).await {
                Ok(_) => break,
                Err(AppendError::Refused(Refusal::Paused { .. })) => {
                    if !tail.reaches(next).await {
                        return Ok(());
                    }
                }
                // Another attempt would end the same way.
                Err(AppendError::Refused(
                    refusal @ (Refusal::OffsetMismatch { .. } | Refusal::TooManyVariables { .. } | Refusal::ControlTooLarge { .. }),
                )) => {
                    events = self.failed(refusal.to_string(), events.into_iter().find_map(|event| event.source));
                }
                Err(error) => return Err(error.into()),
            }
        }
        place.revision += 1;
        place.durable_cursor = place.cursor;
        Ok(())
    }
}

/// What an event becomes: nothing, an event or several.
fn evaluate(configured: &TransformerConfigured, input: &Json) -> Result<Vec<NewEvent>, String> {
    if !configured.matcher.is_truthy(input).map_err(|error| format!("matcher: {error}"))? {
        return Ok(Vec::new());
    }
    let Some(value) = configured.transform.evaluate(input).map_err(|error| format!("transform: {error}"))? else { return Ok(Vec::new()) };
    let values = match value.kind() {
        "array" => value.to::<Vec<Json>>().map_err(|error| format!("transform: {error}"))?,
        _ => vec![value],
    };
    let event = |value: &Json| match Proposal::strict(value) {
        Ok(Proposal { event, component: None, .. }) => Ok(event),
        Ok(_) => Err("transform: expected an event without the bytes of a component".to_owned()),
        Err(issues) => Err(format!("transform: the result is no event: {issues}")),
    };
    values.iter().map(event).collect()
}
