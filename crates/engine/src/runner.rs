//! Reduce and after-append, page by page, and the commit of what they did.
//!
//! A step reads one page, reduces what lies before the acknowledged cursor in large calls, and from there on goes event by event:
//! reduce it, act on it with the state that includes it. What it did is committed in one write: outbox, state, both cursors.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pelton_model::{Builtin, CatchUp, Consumer, Event, Json, NewEvent, Parked, Phase, Reason, Slug, StreamPath, Version};
use pelton_store::{Append, CheckpointChange, CheckpointWrite, KeyReuse, Refusal, StoreError, StreamInfo, Write};
use pelton_wasm::{CallError, Effector, Gate, Identity, Reducer};
use tokio::sync::watch;

use crate::AppendError;
use crate::components::{HOST_ERROR, host_fault};
use crate::deploy::{Wants, manifest};
use crate::feed::{Feed, FeedPage, ReadAhead};
use crate::push::Errand;
use crate::tails::Tail;
use crate::tenant::{Core, Progress, becomes_true};
use crate::writer::now;

/// One version of a processor at work. Everything but the cursors and the state can be dropped and made again.
pub(crate) struct Runner {
    core: Arc<Core>,
    stream: StreamPath,
    slug: Slug,
    version: Version,
    feed: Feed,
    wants: Wants,
    skip_effect: HashSet<u64>,
    tail: Tail,
    /// Set by the actor when it wants the runner back.
    halt: watch::Receiver<bool>,
    instances: Option<Instances>,
    /// What its requests go through.
    gate: Arc<dyn Gate>,
    /// The variables of the stream, as they were when it was last changed.
    environment: BTreeMap<String, String>,
    /// What the next step starts from, and what of it is on disk.
    reduced: u64,
    acknowledged: u64,
    state: Json,
    revision: u64,
    durable_cursor: u64,
    /// Whether the checkpoint on disk holds a state of this version.
    state_is_durable: bool,
    /// Events that were there when this run began, for the policy that acts on the last of them only.
    backlog: Option<Backlog>,
    attempts: u32,
    /// After a refusal at the commit the events are tried one by one, so that the culprit shows.
    one_by_one: bool,
}

struct Instances {
    reducer: Reducer,
    effector: Effector,
}

struct Backlog {
    end: u64,
    latest: Option<u64>,
}

/// What the actor has to do next.
pub(crate) enum Next {
    /// Wait until the tail is past the cursor.
    AwaitTail,
    /// Try again after this time.
    Backoff(Duration),
    /// The processor is parked, and the log says so.
    Parked,
    /// What is in memory is not what is on disk: load again.
    Reload,
    Halted,
}

/// What one step did, before it is committed.
struct Staged {
    outbox: Vec<Append>,
    outbox_bytes: usize,
    reduced: u64,
    acknowledged: u64,
    state: Option<Json>,
    handled: usize,
    acted: bool,
    /// Which event a refused outbox belongs to; known only where events go one by one.
    acted_alone: Option<(u64, Event)>,
    failed: Option<Box<Failed>>,
}

struct Failed {
    phase: Phase,
    cursor: u64,
    event: Event,
    reason: Reason,
}

enum NotWritten {
    /// The log's conditions do not hold for something in the outbox.
    Refused(String),
    Next(Next),
}

/// How long a step goes on acting on events before it commits what it has.
const STEP_TIME: Duration = Duration::from_millis(50);
/// The same while it only folds.
const FOLD_TIME: Duration = Duration::from_secs(1);
const OUTBOX_BYTES_MAX: usize = 1 << 20;
/// Cursors that moved over unwanted events only are written down this often.
const CURSOR_LAG_MAX: u64 = 1000;
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

impl Runner {
    /// Takes up a confirmed version where its checkpoint left it. A checkpoint of another version lends only its acknowledged cursor: the
    /// state is rebuilt by `reduce`, and no effect fires again.
    pub fn load(core: Arc<Core>, stream: &StreamPath, version: &Version, halt: watch::Receiver<bool>) -> Result<Self, StoreError> {
        let configured = &version.configured;
        let feed = Feed::new(stream, configured.include_children);
        let checkpoint = core.store.checkpoint(stream, &Consumer::Processor(configured.slug.clone()))?;
        let initial_state = manifest(version, &core).map_or_else(|| Json::from_checked("{}"), |manifest| manifest.initial_state);
        let state_is_durable = checkpoint.as_ref().is_some_and(|found| found.configured_offset == version.configured_offset);
        let (reduced, acknowledged, state, revision) = match checkpoint {
            Some(found) if state_is_durable => (found.reduced, found.acknowledged, found.state, found.revision),
            Some(other) => (1, other.acknowledged, initial_state, other.revision),
            None => (1, feed.cursor_of(&core.store, stream, version.configured_offset)?, initial_state, 0),
        };
        Ok(Self {
            stream: stream.clone(),
            slug: configured.slug.clone(),
            wants: Wants::of(version, &core),
            skip_effect: version.skipped.iter().filter(|skip| skip.phase == Phase::AfterAppend).map(|skip| skip.cursor).collect(),
            tail: feed.tail(&core.store, &core.tails)?,
            feed,
            version: version.clone(),
            core: Arc::clone(&core),
            gate: core.courier.gate(errand(&core, version)),
            environment: environment(&core, stream)?,
            halt,
            instances: None,
            reduced,
            acknowledged,
            state,
            revision,
            durable_cursor: reduced.min(acknowledged),
            state_is_durable,
            backlog: None,
            attempts: 0,
            one_by_one: false,
        })
    }

    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Waits until there is something to do. `false` when the tenant closes.
    pub async fn tail_moves(&mut self) -> bool {
        let cursor = self.cursor();
        self.tail.reaches(cursor).await
    }

    pub fn is_at_tail(&self) -> bool {
        self.tail.next() <= self.cursor()
    }

    /// Drops the warm instances; the next step makes new ones.
    pub fn cool_down(&mut self) {
        self.instances = None;
    }

    /// Works off one page and commits. Guest code runs on a thread that may block.
    pub async fn step(mut self) -> Result<(Self, Next), crate::EngineError> {
        let core = Arc::clone(&self.core);
        let turn = tokio::select! {
            biased;
            () = becomes_true(&mut self.halt) => return Ok((self, Next::Halted)),
            turn = core.steps.take() => turn?,
        };
        let (mut runner, staged) = tokio::task::spawn_blocking(move || {
            let staged = self.work();
            drop(turn);
            (self, staged)
        })
        .await?;
        let next = match staged {
            Ok(staged) => runner.commit(staged).await,
            Err(error) => {
                tracing::error!(tenant = %runner.core.name, stream = %runner.stream, slug = %runner.slug, %error, "reading the log failed");
                Next::Backoff(BACKOFF_MAX)
            }
        };
        Ok((runner, next))
    }

    fn cursor(&self) -> u64 {
        self.reduced.min(self.acknowledged)
    }

    /// Works off pages until there is reason to commit.
    fn work(&mut self) -> Result<Staged, StoreError> {
        let began = Instant::now();
        let mut staged = self.nothing_yet();
        self.find_backlog()?;
        let (mut pages, tail) = (ReadAhead::default(), self.tail.next());
        loop {
            let from = staged.reduced.min(staged.acknowledged);
            let page = pages.read(&self.feed, &self.core.store, from, tail)?;
            self.take_environment(&page)?;
            if page.next == from || !self.page(page, began, &mut staged) {
                return Ok(staged);
            }
            // A commit costs a sync: what only folds history can be done again after a crash, and is written down now and then.
            let time = if staged.acted { STEP_TIME } else { FOLD_TIME };
            if began.elapsed() > time || *self.halt.borrow() {
                return Ok(staged);
            }
        }
    }

    /// Takes over variables that were set. Instances hold what was there when they were made.
    fn take_environment(&mut self, page: &FeedPage) -> Result<(), StoreError> {
        let sets = |event: &Event| event.stream_path == self.stream && event.event_type.as_str() == Builtin::EnvVarSet.as_str();
        if page.events.iter().any(|(_, event)| sets(event)) {
            let environment = environment(&self.core, &self.stream)?;
            if environment != self.environment {
                self.environment = environment;
                self.cool_down();
            }
        }
        Ok(())
    }

    /// Whether the whole page was done.
    fn page(&mut self, page: FeedPage, began: Instant, staged: &mut Staged) -> bool {
        let (cursors, wanted): (Vec<u64>, Vec<Event>) =
            page.events.into_iter().filter(|(cursor, event)| self.wants.wants(*cursor, event)).unzip();
        if let (Some(&cursor), true) = (cursors.first(), self.instances.is_none())
            && let Err(reason) = self.instantiate()
        {
            staged.failed = Some(Box::new(Failed { phase: Phase::Reduce, cursor, event: wanted[0].clone(), reason }));
            return false;
        }

        let mut at = 0;
        while at < wanted.len() {
            // Up to and including the next event to act on: its state must include it, and nothing after it.
            let acting = (at..wanted.len()).find(|&nth| self.acts_on(cursors[nth], &wanted[nth], staged));
            let end = acting.map_or(wanted.len(), |nth| nth + 1);
            let already_reduced = (at..end).take_while(|&nth| cursors[nth] < staged.reduced).count();
            let from = at + already_reduced;
            if let Err(failed) = self.reduce(&cursors[from..end], &wanted[from..end], staged) {
                staged.failed = Some(failed);
                return false;
            }
            let (last_cursor, last) = (cursors[end - 1], &wanted[end - 1]);
            if acting.is_some() {
                staged.acknowledged = staged.acknowledged.max(last_cursor);
                if let Err(reason) = self.act(last, staged) {
                    let failed = Failed { phase: Phase::AfterAppend, cursor: last_cursor, event: last.clone(), reason };
                    staged.failed = Some(Box::new(failed));
                    return false;
                }
                staged.acted = true;
                staged.acted_alone = self.one_by_one.then(|| (last_cursor, last.clone()));
            }
            staged.acknowledged = staged.acknowledged.max(last_cursor + 1);
            at = end;
            if acting.is_some() && (self.one_by_one || began.elapsed() > STEP_TIME || staged.outbox_bytes > OUTBOX_BYTES_MAX) {
                return false;
            }
        }
        staged.reduced = staged.reduced.max(page.next);
        staged.acknowledged = staged.acknowledged.max(page.next);
        true
    }

    fn nothing_yet(&self) -> Staged {
        Staged {
            outbox: Vec::new(),
            outbox_bytes: 0,
            reduced: self.reduced,
            acknowledged: self.acknowledged,
            state: None,
            handled: 0,
            acted: false,
            acted_alone: None,
            failed: None,
        }
    }

    fn acts_on(&self, cursor: u64, event: &Event, staged: &Staged) -> bool {
        if cursor < staged.acknowledged || self.skip_effect.contains(&cursor) {
            return false;
        }
        match (&self.version.configured.catch_up, &self.backlog) {
            (CatchUp::MaxAgeSeconds(seconds), _) => {
                now().as_millis().saturating_sub(event.created_at.as_millis()) <= seconds.saturating_mul(1000)
            }
            (CatchUp::Latest, Some(backlog)) => cursor >= backlog.end || backlog.latest == Some(cursor),
            (CatchUp::All | CatchUp::Latest, _) => true,
        }
    }

    /// For `latest`: which of the events that wait at the start of this run is the last one wanted.
    fn find_backlog(&mut self) -> Result<(), StoreError> {
        if self.version.configured.catch_up != CatchUp::Latest || self.backlog.is_some() {
            return Ok(());
        }
        let (mut cursor, end, mut latest) = (self.acknowledged, self.tail.next(), None);
        while cursor < end {
            let page = self.feed.read(&self.core.store, cursor, end)?;
            latest =
                page.events.iter().rev().find(|(cursor, event)| self.wants.wants(*cursor, event)).map(|(cursor, _)| *cursor).or(latest);
            cursor = page.next;
        }
        self.backlog = Some(Backlog { end, latest });
        Ok(())
    }

    fn instantiate(&mut self) -> Result<(), Reason> {
        let configured = &self.version.configured;
        let quotas = self.core.quotas.lowered_by(&configured.limits);
        let component = self.core.components.load(&self.core.store, &configured.component.digest, &quotas)?;
        let config = configured.config.clone().unwrap_or_else(pelton_model::JsonObject::empty);
        self.instances = Some(Instances {
            reducer: component.reducer(self.identity(), config.clone(), quotas.clone()),
            effector: component.effector(self.identity(), config, self.environment.clone().into_iter().collect(), quotas),
        });
        Ok(())
    }

    fn identity(&self) -> Identity {
        identity(&self.core, &self.stream, &self.version)
    }

    fn reduce(&mut self, cursors: &[u64], events: &[Event], staged: &mut Staged) -> Result<(), Box<Failed>> {
        let (Some(instances), Some(&last)) = (&mut self.instances, cursors.last()) else { return Ok(()) };
        let state = staged.state.take().unwrap_or_else(|| self.state.clone());
        match instances.reducer.reduce(state, events) {
            Ok(reduced) => {
                staged.state = Some(reduced.state);
                staged.reduced = last + 1;
                staged.handled += events.len();
                Ok(())
            }
            Err(failed) => {
                staged.state = (failed.index > 0 || staged.handled > 0).then_some(failed.state);
                staged.handled += failed.index;
                // Everything before the culprit is done, and not one event more.
                staged.reduced = staged.reduced.max(cursors[failed.index]);
                staged.acknowledged = staged.acknowledged.max(cursors[failed.index]);
                let event = events[failed.index].clone();
                Err(Box::new(Failed { phase: Phase::Reduce, cursor: cursors[failed.index], event, reason: failed.error.reason() }))
            }
        }
    }

    fn act(&mut self, event: &Event, staged: &mut Staged) -> Result<(), Reason> {
        let Some(instances) = &mut self.instances else { return Ok(()) };
        let state = staged.state.as_ref().unwrap_or(&self.state);
        let appender = Arc::new(AtOnce { core: Arc::clone(&self.core) });
        let gate = Arc::clone(&self.gate);
        let effects = instances.effector.after_append(event, state, appender, gate).map_err(|error: CallError| error.reason())?;
        staged.outbox_bytes += effects.outbox.iter().map(|(_, event)| event.size_bytes()).sum::<usize>();
        staged.outbox.extend(effects.outbox.into_iter().map(|(stream, event)| Append { stream, event }));
        staged.handled += 1;
        Ok(())
    }

    /// One transaction for the outbox, the state and both cursors; and for the park, if it comes to that.
    async fn commit(&mut self, mut staged: Staged) -> Next {
        if staged.acknowledged > self.acknowledged {
            self.attempts = 0;
        }
        let failed = staged.failed.take();
        let mut next = Next::AwaitTail;
        let mut appends = std::mem::take(&mut staged.outbox);
        if let Some(failed) = failed.as_ref().filter(|failed| failed.reason.code == HOST_ERROR) {
            tracing::error!(tenant = %self.core.name, stream = %self.stream, slug = %self.slug, offset = %failed.event.offset,
                reason = failed.reason.message, "the host could not run a processor and tries again");
            next = Next::Backoff(BACKOFF_MAX);
        } else if let Some(failed) = failed {
            self.attempts += 1;
            let attempts_max = self.core.quotas.lowered_by(&self.version.configured.limits).attempts_max;
            // `reduce` is pure and was tried on a fresh instance: another attempt would end the same way.
            if failed.phase == Phase::Reduce || self.attempts >= attempts_max {
                next = Next::Parked;
                appends.push(Append { stream: self.stream.clone(), event: self.parked(*failed) });
            } else {
                tracing::warn!(tenant = %self.core.name, stream = %self.stream, slug = %self.slug, offset = %failed.event.offset,
                    attempt = self.attempts, code = failed.reason.code, reason = failed.reason.message, "after-append failed and is tried again");
                next = Next::Backoff(backoff(self.attempts, BACKOFF_MAX));
            }
        }
        let moved = staged.reduced.min(staged.acknowledged);
        if appends.is_empty() && staged.handled == 0 && moved < self.durable_cursor + CURSOR_LAG_MAX {
            self.take_over(staged);
            return next;
        }
        match self.write(appends, &staged).await {
            Ok(()) => {
                self.revision += 1;
                self.durable_cursor = moved;
                self.state_is_durable = true;
                self.one_by_one = false;
                self.take_over(staged);
                next
            }
            Err(NotWritten::Refused(why)) => self.refused(why, staged.acted_alone).await,
            Err(NotWritten::Next(next)) => next,
        }
    }

    /// A refusal that shows only at the commit counts as a failed attempt at the event, once it is clear at which.
    async fn refused(&mut self, why: String, acted_alone: Option<(u64, Event)>) -> Next {
        let Some((cursor, event)) = acted_alone else {
            tracing::info!(tenant = %self.core.name, stream = %self.stream, slug = %self.slug, why, "an outbox was refused; trying its events one by one");
            self.one_by_one = true;
            return Next::AwaitTail;
        };
        let reason = Reason { code: "outbox-refused".to_owned(), message: why, expected: None, found: None, location: None };
        let mut staged = self.nothing_yet();
        staged.failed = Some(Box::new(Failed { phase: Phase::AfterAppend, cursor, event, reason }));
        Box::pin(self.commit(staged)).await
    }

    fn take_over(&mut self, staged: Staged) {
        self.reduced = staged.reduced;
        self.acknowledged = staged.acknowledged;
        if let Some(state) = staged.state {
            self.state = state;
        }
        self.core.publish_progress(&self.stream, &self.slug, Progress { reduced: self.reduced, acknowledged: self.acknowledged });
    }

    /// Waits out a pause of the streams that the outbox goes to: what the guest did stands, only its record has to wait.
    async fn write(&mut self, appends: Vec<Append>, staged: &Staged) -> Result<(), NotWritten> {
        let targets: HashSet<StreamPath> = appends.iter().map(|append| append.stream.clone()).collect();
        loop {
            let change = CheckpointChange::Put {
                configured_offset: self.version.configured_offset,
                reduced: staged.reduced,
                acknowledged: staged.acknowledged,
                state: if self.state_is_durable {
                    staged.state.clone()
                } else {
                    Some(staged.state.as_ref().unwrap_or(&self.state).clone())
                },
            };
            let consumer = Consumer::Processor(self.slug.clone());
            let checkpoint = CheckpointWrite { stream: self.stream.clone(), consumer, revision: self.revision, change };
            let write =
                Write { appends: appends.clone(), key_reuse: KeyReuse::KeepFirst, checkpoint: Some(checkpoint), ..Write::default() };
            match self.core.writer.write(write).await {
                Ok(_) => return Ok(()),
                Err(AppendError::Refused(Refusal::Paused { stream, reason })) => {
                    tracing::info!(tenant = %self.core.name, stream = %self.stream, slug = %self.slug, paused = %stream, ?reason,
                        "an outbox waits for a paused stream");
                    self.until_moved_or_halted(&targets).await?;
                }
                Err(AppendError::Refused(refusal @ (Refusal::TooManyVariables { .. } | Refusal::ControlTooLarge { .. }))) => {
                    return Err(NotWritten::Refused(refusal.to_string()));
                }
                Err(AppendError::Refused(Refusal::OffsetMismatch { stream, expected, next })) => {
                    return Err(NotWritten::Refused(format!("the outbox expects offset {expected} in {stream}, whose next is {next}")));
                }
                Err(error @ AppendError::NoJavaScriptRuntime) => return Err(NotWritten::Refused(error.to_string())),
                Err(error) => {
                    tracing::warn!(tenant = %self.core.name, stream = %self.stream, slug = %self.slug, %error, "a checkpoint was not written");
                    return Err(NotWritten::Next(Next::Reload));
                }
            }
        }
    }

    async fn until_moved_or_halted(&mut self, streams: &HashSet<StreamPath>) -> Result<(), NotWritten> {
        let mut tails = Vec::new();
        for stream in streams {
            let tail = self.core.tails.stream(&self.core.store, stream).map_err(|_| NotWritten::Next(Next::Reload))?;
            let next = tail.next();
            tails.push((tail, next));
        }
        let moves = tails.iter_mut().map(|(tail, next)| Box::pin(tail.reaches(*next)));
        tokio::select! {
            () = first_of(moves.collect()) => Ok(()),
            () = becomes_true(&mut self.halt) => Err(NotWritten::Next(Next::Halted)),
        }
    }

    fn parked(&self, failed: Failed) -> NewEvent {
        tracing::warn!(tenant = %self.core.name, stream = %self.stream, slug = %self.slug, offset = %failed.event.offset,
            code = failed.reason.code, reason = failed.reason.message, "parked");
        let parked = Parked {
            slug: self.slug.clone(),
            digest: self.version.configured.component.digest,
            configured_offset: self.version.configured_offset,
            phase: failed.phase,
            stream_path: failed.event.stream_path,
            at_offset: failed.event.offset,
            at_cursor: failed.cursor,
            attempts: self.attempts,
            reason: failed.reason,
        };
        NewEvent::builtin(Builtin::ProcessorParked, &parked)
    }
}

pub(crate) fn identity(core: &Core, stream: &StreamPath, version: &Version) -> Identity {
    Identity {
        tenant: core.name.clone(),
        stream: stream.clone(),
        slug: version.configured.slug.clone(),
        digest: version.configured.component.digest,
    }
}

fn environment(core: &Core, stream: &StreamPath) -> Result<BTreeMap<String, String>, StoreError> {
    let variables = |info: StreamInfo| info.control.env.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok(core.store.stream(stream)?.map(variables).unwrap_or_default())
}

fn errand(core: &Arc<Core>, version: &Version) -> Errand {
    let opener = Arc::clone(core);
    Errand {
        tenant: core.name.clone(),
        egress: version.configured.egress.clone(),
        connections: Arc::clone(&core.connections),
        secrets: Arc::new(move |name| opener.vault.reveal(&opener.store, &opener.name, name)),
    }
}

/// Doubles with each attempt; a quarter of it is chance, so that processors that failed together do not return together.
pub(crate) fn backoff(attempts: u32, max: Duration) -> Duration {
    let base = BACKOFF_FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(max);
    let chance = f64::from(u8::try_from(RandomState::new().hash_one(attempts) % 256).unwrap_or(0)) / 256.0;
    base.mul_f64(0.75 + 0.25 * chance)
}

async fn first_of<F: Future<Output = bool> + Unpin>(mut futures: Vec<F>) {
    std::future::poll_fn(|context| {
        let ready = futures.iter_mut().any(|future| std::pin::Pin::new(future).poll(context).is_ready());
        if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// Records what a guest appends at once.
struct AtOnce {
    core: Arc<Core>,
}

impl pelton_wasm::Appender for AtOnce {
    fn append(
        &self,
        stream: StreamPath,
        event: NewEvent,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Event, pelton_wasm::AppendError>> + Send + '_>> {
        Box::pin(async move {
            let write = Write { appends: vec![Append { stream, event }], key_reuse: KeyReuse::KeepFirst, ..Write::default() };
            let refused = |error: AppendError| match error {
                AppendError::Refused(Refusal::Paused { .. }) => pelton_wasm::AppendError::Paused(error.to_string()),
                AppendError::Refused(_) => pelton_wasm::AppendError::Conflict(error.to_string()),
                AppendError::EventTooLarge { .. }
                | AppendError::BatchTooLarge { .. }
                | AppendError::PathTooDeep { .. }
                | AppendError::NoJavaScriptRuntime
                | AppendError::AlreadyInitialized => pelton_wasm::AppendError::Denied(error.to_string()),
                AppendError::Unavailable(_) => pelton_wasm::AppendError::Unavailable(error.to_string()),
            };
            let written = self.core.writer.write(write).await.map_err(refused)?;
            written
                .events
                .into_iter()
                .next()
                .ok_or_else(|| pelton_wasm::AppendError::Unavailable(host_fault(&"nothing was recorded").message))
        })
    }
}
