//! Push subscriptions: what happens to a stream, sent to where somebody wants it.
//!
//! One task a subscription, in order, one delivery under way. Its cursor, how often it has tried and when it tries again are a checkpoint on disk, so that a restart is
//! the ordinary case. What HTTP is, a [`Courier`] knows.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use pelton_model::{
    Builtin, Consumer, DeliverFrom, Digest, EgressRules, Event, Json, NewEvent, Offset, Reason, Slug, StreamPath, SubscriptionConfigured,
    SubscriptionControl, SubscriptionKind, SubscriptionParked, TenantName, Timestamp,
};
use pelton_store::{Append, CheckpointChange, CheckpointWrite, Refusal, StoreError, Write};
use pelton_wasm::Gate;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};

use crate::feed::Feed;
use crate::runner::backoff;
use crate::secrets::Reveal;
use crate::signing::{key_of, sign};
use crate::tails::Tail;
use crate::tenant::{Busy, Core, becomes_true};
use crate::writer::now;
use crate::{AppendError, AppendOptions, EngineError, Proposal};

/// Carries what is to be sent out of the host, as far as the operator allows it.
pub trait Courier: Send + Sync + 'static {
    /// The JSON text of an event as clients see it.
    fn render(&self, event: &Event) -> String;

    /// Sends one webhook.
    fn post<'a>(&'a self, tenant: &'a TenantName, webhook: Webhook) -> BoxFuture<'a, Delivery>;

    /// What the HTTP requests of one processor go through.
    fn gate(&self, errand: Errand) -> Arc<dyn Gate>;

    /// Opens a WebSocket.
    fn connect<'a>(
        &'a self,
        tenant: &'a TenantName,
        url: &'a str,
        headers: &'a BTreeMap<String, String>,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn Socket>, Delivery>>;
}

/// For whom a processor sends requests, and what it may put into them.
pub struct Errand {
    pub tenant: TenantName,
    /// The processor's own rules.
    pub egress: EgressRules,
    pub secrets: Reveal,
    /// Places for the connections of all processors of the tenant.
    pub connections: Arc<Semaphore>,
}

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An open WebSocket. Text frames only.
pub trait Socket: Send {
    fn send(&mut self, text: String) -> BoxFuture<'_, Result<(), String>>;

    /// The next frame; a message of what is wrong with one that is no text; `None` once it is closed. Dropping the future loses nothing.
    fn receive(&mut self) -> BoxFuture<'_, Option<Result<String, String>>>;
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Webhook {
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub timeout: Duration,
}

/// What became of an attempt.
#[derive(Debug)]
pub enum Delivery {
    Delivered,
    /// Worth another attempt, not before `retry_after`.
    Failed {
        code: &'static str,
        message: String,
        retry_after: Option<Duration>,
    },
    /// Another attempt would end the same way.
    Refused {
        code: &'static str,
        message: String,
    },
}

/// What a subscription remembers between attempts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Attempts {
    pub attempts: u32,
    pub next_attempt_at: Option<Timestamp>,
    pub last_error: Option<Reason>,
    /// How often the subscription had been resumed; another run of attempts begins with each resume.
    resumes: u64,
}

/// One subscription of a stream.
pub(crate) struct Subscriber {
    pub core: Arc<Core>,
    pub stream: StreamPath,
    pub slug: Slug,
    /// Moves when the control state of the stream may have changed.
    pub changed: watch::Receiver<u64>,
    pub stop: watch::Receiver<bool>,
}

const BACKOFF_MAX: Duration = Duration::from_secs(600);
/// After a fault of the host's own.
const RETRY_TIME: Duration = Duration::from_secs(1);
/// How long a delivery under way may take to end when its subscription changes or the host stops.
const GRACE: Duration = Duration::from_secs(1);
/// The clock may be set and a machine may sleep: a wait is looked at again after this.
const CLOCK_CHECK: Duration = Duration::from_secs(30);
/// Cursors that moved over unwanted events only are written down this often.
const CURSOR_LAG_MAX: u64 = 1000;

impl Subscriber {
    /// Runs until the tenant closes. `starting` is given up once it is clear what there is to do.
    pub async fn run(mut self, starting: Busy) {
        let mut starting = Some(starting);
        while !*self.stop.borrow() {
            self.changed.borrow_and_update();
            match self.control() {
                Ok(Some(control)) if control.parked.is_none() => self.deliver(control, &mut starting).await,
                Ok(control) => {
                    self.core.set_due(&self.due_key(), None);
                    if control.is_none() {
                        forget(&self.core, &self.stream, Consumer::Subscription(self.slug.clone())).await;
                    }
                    starting = None;
                    tokio::select! {
                        () = becomes_true(&mut self.stop) => {}
                        _ = self.changed.changed() => {}
                    }
                }
                Err(error) => self.pause_after(&error).await,
            }
        }
    }

    fn control(&self) -> Result<Option<SubscriptionControl>, StoreError> {
        let info = self.core.store.stream(&self.stream)?;
        Ok(info.and_then(|info| info.control.subscriptions.get(&self.slug).cloned()))
    }

    /// Delivers until the subscription is another one, or something fails.
    async fn deliver(&mut self, control: SubscriptionControl, starting: &mut Option<Busy>) {
        let (halt, halted) = watch::channel(false);
        let line = Line {
            halted,
            core: Arc::clone(&self.core),
            stream: self.stream.clone(),
            slug: self.slug.clone(),
            control: control.clone(),
            due_key: self.due_key(),
        };
        let mut work = Box::pin(line.run());
        *starting = None;
        loop {
            tokio::select! {
                biased;
                () = becomes_true(&mut self.stop) => break,
                _ = self.changed.changed() => match self.control() {
                    Ok(Some(now)) if now == control => {}
                    _ => break,
                },
                ended = &mut work => {
                    match ended {
                        // The control state says why, or will in a moment.
                        Ok(()) => tokio::select! {
                            () = becomes_true(&mut self.stop) => {}
                            _ = self.changed.changed() => {}
                        },
                        Err(error) => self.pause_after(&error).await,
                    }
                    return;
                }
            }
        }
        // What is just being delivered need not be delivered again.
        halt.send_replace(true);
        if tokio::time::timeout(GRACE, work).await.is_err() {
            tracing::debug!(tenant = %self.core.name, stream = %self.stream, slug = %self.slug, "a delivery under way was cut");
        }
    }

    async fn pause_after(&mut self, error: &(dyn std::fmt::Display + Sync)) {
        tracing::error!(tenant = %self.core.name, stream = %self.stream, slug = %self.slug, %error, "a subscription is taken up again");
        tokio::select! {
            () = tokio::time::sleep(RETRY_TIME) => {}
            () = becomes_true(&mut self.stop) => {}
        }
    }

    fn due_key(&self) -> String {
        format!("subscription {} {}", self.stream, self.slug)
    }
}

/// Deletes the checkpoint of a consumer that is no more.
pub(crate) async fn forget(core: &Core, stream: &StreamPath, consumer: Consumer) {
    // A write of the consumer's last moments may still be on its way.
    while let Ok(Some(checkpoint)) = core.store.checkpoint(stream, &consumer) {
        let (stream, consumer) = (stream.clone(), consumer.clone());
        let write = CheckpointWrite { stream, consumer, revision: checkpoint.revision, change: CheckpointChange::Delete };
        match core.writer.write(Write { checkpoint: Some(write), ..Write::default() }).await {
            Ok(_) => return,
            Err(AppendError::Refused(Refusal::StaleCheckpoint { .. })) => {}
            Err(error) => {
                tracing::debug!(tenant = %core.name, %error, "the checkpoint of a removed consumer was not deleted");
                return;
            }
        }
    }
}

/// A fault of the host's, after which the subscription starts over from what is on disk.
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

/// One configuration of a subscription at work.
struct Line {
    /// Becomes true when it is to come to an end.
    halted: watch::Receiver<bool>,
    core: Arc<Core>,
    stream: StreamPath,
    slug: Slug,
    control: SubscriptionControl,
    due_key: String,
}

/// Where it is, and what of that is on disk.
struct Place {
    cursor: u64,
    attempts: Attempts,
    revision: u64,
    durable_cursor: u64,
}

/// What there is to send for an event.
enum Parcel {
    Nothing,
    Body(String),
    Bad { code: &'static str, message: String },
}

impl Line {
    /// Returns when it is parked, or its stream has ended.
    async fn run(self) -> Result<(), Fault> {
        let mut place = self.place()?;
        let feed = Feed::new(&self.stream, false);
        let mut tail = feed.tail(&self.core.store, &self.core.tails)?;
        let mut socket: Option<Box<dyn Socket>> = None;
        if place.revision == 0 {
            self.write(&mut place, None).await?;
        }
        loop {
            let end = tail.next();
            while place.cursor < end {
                let (feed, store, from) = (feed.clone(), self.core.store.clone(), place.cursor);
                let page = tokio::task::spawn_blocking(move || feed.read(&store, from, end)).await??;
                for (offset, event) in page.events {
                    let parcel = self.parcel(&event).await?;
                    if matches!(parcel, Parcel::Nothing) {
                        place.cursor = offset + 1;
                    } else if !self.send(&event, parcel, &mut place, &mut socket).await? {
                        return Ok(());
                    }
                }
                place.cursor = page.next;
                if place.cursor >= place.durable_cursor + CURSOR_LAG_MAX {
                    self.write(&mut place, None).await?;
                }
            }
            self.core.set_due(&self.due_key, None);
            let mut halted = self.halted.clone();
            if *halted.borrow_and_update() {
                return Ok(());
            }
            let waited = tokio::select! {
                () = becomes_true(&mut halted) => false,
                waited = self.wait(&mut tail, &mut place, &mut socket) => waited?,
            };
            if !waited {
                return Ok(());
            }
        }
    }

    fn place(&self) -> Result<Place, StoreError> {
        let consumer = Consumer::Subscription(self.slug.clone());
        let checkpoint = self.core.store.checkpoint(&self.stream, &consumer)?;
        let own = checkpoint.as_ref().filter(|found| found.configured_offset == self.control.configured_offset);
        let cursor = match (own, self.control.configured.from, &checkpoint) {
            (Some(own), ..) => own.acknowledged,
            (None, Some(DeliverFrom::Start), _) => 1,
            (None, Some(DeliverFrom::Offset(offset)), _) => offset.get(),
            (None, None, Some(predecessor)) => predecessor.acknowledged,
            (None, Some(DeliverFrom::Now), _) | (None, None, None) => self.control.configured_offset.get(),
        };
        let attempts = own.and_then(|own| own.state.to::<Attempts>().ok()).filter(|found| found.resumes == self.control.resumes);
        let skipped = self.control.skip.is_some_and(|skip| skip.get() == cursor);
        Ok(Place {
            cursor: cursor + u64::from(skipped),
            attempts: attempts.unwrap_or(Attempts { resumes: self.control.resumes, ..Attempts::default() }),
            revision: checkpoint.as_ref().map_or(0, |found| found.revision),
            durable_cursor: own.map_or(0, |own| own.acknowledged),
        })
    }

    async fn parcel(&self, event: &Event) -> Result<Parcel, Fault> {
        let configured = &self.control.configured;
        let event_type = event.event_type.as_str();
        if configured.types.as_ref().is_some_and(|types| !types.matches(event_type)) {
            return Ok(Parcel::Nothing);
        }
        // Who asks for everything does not mean the traffic about asking.
        let is_webhook = configured.kind == SubscriptionKind::Webhook;
        if is_webhook && configured.jsonata_filter.is_none() && event_type.starts_with("stream/subscription/") {
            return Ok(Parcel::Nothing);
        }
        let text = self.core.courier.render(event);
        if configured.jsonata_filter.is_none() && configured.jsonata_transform.is_none() {
            return Ok(Parcel::Body(text));
        }
        let (filter, transform) = (configured.jsonata_filter.clone(), configured.jsonata_transform.clone());
        let turn = self.core.expressions.take().await?;
        let parcel = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let input = Json::from_checked(&text);
            match filter.map(|filter| filter.is_truthy(&input)) {
                Some(Ok(false)) => return Parcel::Nothing,
                Some(Err(error)) => return Parcel::Bad { code: "filter-failed", message: format!("jsonataFilter: {error}") },
                Some(Ok(true)) | None => {}
            }
            match transform.map(|transform| transform.evaluate(&input)) {
                None => Parcel::Body(text),
                Some(Ok(Some(value))) => Parcel::Body(value.as_str().to_owned()),
                Some(Ok(None)) => Parcel::Nothing,
                Some(Err(error)) => Parcel::Bad { code: "transform-failed", message: format!("jsonataTransform: {error}") },
            }
        });
        Ok(parcel.await?)
    }

    /// Attempts until the event is delivered or the subscription parked. Whether it was delivered.
    async fn send(&self, event: &Event, parcel: Parcel, place: &mut Place, socket: &mut Option<Box<dyn Socket>>) -> Result<bool, Fault> {
        place.cursor = event.offset.get();
        let mut halted = self.halted.clone();
        loop {
            tokio::select! {
                biased;
                () = becomes_true(&mut halted) => return Ok(false),
                () = self.wait_for_turn(place) => {}
            }
            let busy = Busy::begin(&self.core);
            let outcome = match &parcel {
                Parcel::Body(body) => self.attempt(event, body, socket).await,
                Parcel::Bad { code, message } => Delivery::Refused { code, message: message.clone() },
                Parcel::Nothing => Delivery::Delivered,
            };
            let (code, message, retry_after) = match outcome {
                Delivery::Delivered => {
                    place.cursor = event.offset.get() + 1;
                    place.attempts = Attempts { resumes: self.control.resumes, ..Attempts::default() };
                    self.write(place, None).await?;
                    return Ok(true);
                }
                Delivery::Failed { code, message, retry_after } => (code, message, Some(retry_after)),
                Delivery::Refused { code, message } => (code, message, None),
            };
            place.attempts.attempts += 1;
            let attempts = place.attempts.attempts;
            tracing::info!(tenant = %self.core.name, stream = %self.stream, slug = %self.slug, offset = %event.offset, attempts, code, reason = message,
                "an event was not delivered");
            let reason = Reason { code: code.to_owned(), message, expected: None, found: None, location: None };
            place.attempts.last_error = Some(reason.clone());
            let attempts_max = self.control.configured.attempts_max.unwrap_or(SubscriptionConfigured::ATTEMPTS_MAX_DEFAULT);
            match retry_after.filter(|_| attempts < attempts_max) {
                None => {
                    place.attempts.next_attempt_at = None;
                    self.write(place, Some(self.parked(event.offset, attempts, reason))).await?;
                    self.core.set_due(&self.due_key, None);
                    return Ok(false);
                }
                Some(asked) => {
                    let wait = backoff(attempts, BACKOFF_MAX).max(asked.unwrap_or_default().min(BACKOFF_MAX));
                    let at = now().as_millis() + u64::try_from(wait.as_millis()).unwrap_or(u64::MAX / 2);
                    place.attempts.next_attempt_at = Some(Timestamp::from_millis(at));
                    self.write(place, None).await?;
                }
            }
            drop(busy);
        }
    }

    async fn wait_for_turn(&self, place: &Place) {
        let Some(at) = place.attempts.next_attempt_at else { return };
        self.core.set_due(&self.due_key, Some(at));
        while let Some(left) = at.as_millis().checked_sub(now().as_millis()).filter(|left| *left > 0) {
            tokio::time::sleep(Duration::from_millis(left).min(CLOCK_CHECK)).await;
        }
    }

    async fn attempt(&self, event: &Event, body: &str, socket: &mut Option<Box<dyn Socket>>) -> Delivery {
        let configured = &self.control.configured;
        let timeout = Duration::from_millis(configured.timeout_millis.unwrap_or(SubscriptionConfigured::TIMEOUT_MILLIS_DEFAULT));
        if configured.kind == SubscriptionKind::Webhook {
            return match self.webhook(event, body, timeout) {
                Ok(webhook) => self.core.courier.post(&self.core.name, webhook).await,
                Err(refused) => refused,
            };
        }
        let open = match socket.take() {
            Some(open) => open,
            None => match self.core.courier.connect(&self.core.name, &configured.callback_url, &configured.headers, timeout).await {
                Ok(open) => open,
                Err(failed) => return failed,
            },
        };
        let open = socket.insert(open);
        let failed = match tokio::time::timeout(timeout, open.send(format!(r#"{{"type":"event","event":{body}}}"#))).await {
            Ok(Ok(())) => return Delivery::Delivered,
            Ok(Err(error)) => error,
            Err(_) => format!("the receiver took nothing for {} ms", timeout.as_millis()),
        };
        *socket = None;
        Delivery::Failed { code: "connection-lost", message: failed, retry_after: None }
    }

    /// The request as Standard Webhooks has it. Its id is the same in every attempt, and another for every event, stream and subscription.
    fn webhook(&self, event: &Event, body: &str, timeout: Duration) -> Result<Webhook, Delivery> {
        let configured = &self.control.configured;
        let identity = format!("{}\0{}\0{}\0{}\0{}", self.core.name, self.stream, self.slug, self.control.configured_offset, event.offset);
        let digest = Digest::of(format!("{identity}\0{}", event.created_at.as_millis()).as_bytes()).to_string();
        let id: String = "msg_".chars().chain(digest.trim_start_matches("sha256:").chars().take(32)).collect();
        let timestamp = now().as_millis() / 1000;
        let mut headers: Vec<_> = configured.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
        headers.push(("webhook-id".to_owned(), id.clone()));
        headers.push(("webhook-timestamp".to_owned(), timestamp.to_string()));
        if let Some(name) = &configured.signing_secret {
            let unusable = |message: String| Delivery::Failed { code: "no-signing-secret", message, retry_after: None };
            let slug = Slug::new(name).map_err(|error| unusable(error.to_string()))?;
            let secret = self.core.vault.reveal(&self.core.store, &self.core.name, &slug).map_err(|error| unusable(error.to_string()))?;
            let secret = secret.ok_or_else(|| unusable(format!("expected a secret named {name:?}, found none")))?;
            headers.push(("webhook-signature".to_owned(), sign(&key_of(&secret.value), &id, timestamp, body)));
        }
        Ok(Webhook { url: configured.callback_url.clone(), headers, body: body.to_owned(), timeout })
    }

    fn parked(&self, at_offset: Offset, attempts: u32, reason: Reason) -> NewEvent {
        tracing::warn!(tenant = %self.core.name, stream = %self.stream, slug = %self.slug, offset = %at_offset, code = reason.code,
            reason = reason.message, "a subscription is parked");
        let (slug, configured_offset) = (self.slug.clone(), self.control.configured_offset);
        NewEvent::builtin(Builtin::SubscriptionParked, &SubscriptionParked { slug, configured_offset, at_offset, attempts, reason })
    }

    /// The checkpoint, and in the same commit what the log is told.
    async fn write(&self, place: &mut Place, event: Option<NewEvent>) -> Result<(), Fault> {
        let change = CheckpointChange::Put {
            configured_offset: self.control.configured_offset,
            reduced: place.cursor,
            acknowledged: place.cursor,
            state: Some(Json::of(&place.attempts)),
        };
        let consumer = Consumer::Subscription(self.slug.clone());
        let checkpoint = CheckpointWrite { stream: self.stream.clone(), consumer, revision: place.revision, change };
        let appends = event.map(|event| Append { stream: self.stream.clone(), event }).into_iter().collect();
        self.core.writer.write(Write { appends, checkpoint: Some(checkpoint), ..Write::default() }).await?;
        place.revision += 1;
        place.durable_cursor = place.cursor;
        Ok(())
    }

    /// Waits for the tail to move; a WebSocket is kept open and heard meanwhile. `false` where the stream has ended.
    async fn wait(&self, tail: &mut Tail, place: &mut Place, socket: &mut Option<Box<dyn Socket>>) -> Result<bool, Fault> {
        if self.control.configured.kind == SubscriptionKind::Webhook {
            return Ok(tail.reaches(place.cursor).await);
        }
        // What the far side sends has nobody else to take it.
        let _busy = Busy::begin(&self.core);
        let mut failures = 0;
        loop {
            let Some(open) = socket else {
                let configured = &self.control.configured;
                let timeout = Duration::from_millis(configured.timeout_millis.unwrap_or(SubscriptionConfigured::TIMEOUT_MILLIS_DEFAULT));
                let connected = self.core.courier.connect(&self.core.name, &configured.callback_url, &configured.headers, timeout);
                // Not given up when an event comes meanwhile: it will want the connection.
                match connected.await {
                    Ok(open) => {
                        *socket = Some(open);
                        failures = 0;
                    }
                    // Nothing is to be delivered, so nothing has failed; the next event makes it an attempt.
                    Err(_) => failures += 1,
                }
                if socket.is_none() {
                    tokio::select! {
                        moved = tail.reaches(place.cursor) => return Ok(moved),
                        () = tokio::time::sleep(backoff(failures, BACKOFF_MAX)) => {}
                    }
                }
                continue;
            };
            tokio::select! {
                moved = tail.reaches(place.cursor) => return Ok(moved),
                frame = open.receive() => match frame {
                    Some(frame) => if let Some(answer) = self.hear(frame).await
                        && open.send(answer).await.is_err()
                    {
                        *socket = None;
                    },
                    None => *socket = None,
                },
            }
        }
    }

    /// A frame from the far side; what is to be said to it, if anything.
    async fn hear(&self, frame: Result<String, String>) -> Option<String> {
        #[derive(Deserialize)]
        struct Frame {
            #[serde(rename = "type")]
            kind: String,
            event: Option<Json>,
            message: Option<String>,
        }
        let wrong = |message: &str| Some(Json::of(&serde_json::json!({ "type": "error", "message": message })).as_str().to_owned());
        let text = match frame {
            Ok(text) => text,
            Err(problem) => return wrong(&problem),
        };
        let frame = match Json::parse(&text).map_err(|error| error.to_string()).map(|json| json.to::<Frame>()) {
            Ok(Ok(frame)) => frame,
            Ok(Err(_)) => return None,
            Err(problem) => return wrong(&problem),
        };
        match (frame.kind.as_str(), frame.event) {
            ("append", Some(event)) => {
                let appended = match Proposal::tolerant(&event, None, || None) {
                    Ok(proposal) => self.core.append(&self.stream, vec![proposal], AppendOptions::default()).await,
                    Err(refused) => Err(refused),
                };
                appended.err().and_then(|error| wrong(&error.to_string()))
            }
            ("append", None) => wrong("append: expected an event, found nothing"),
            ("error", _) => {
                tracing::info!(tenant = %self.core.name, stream = %self.stream, slug = %self.slug, message = frame.message, "the far side of a subscription reports an error");
                None
            }
            _ => None,
        }
    }
}
