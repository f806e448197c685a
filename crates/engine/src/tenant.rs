//! One tenant, open: append, read, follow, and what its processors are doing.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pelton_model::{
    Bucket, Builtin, Consumer, Digest, Event, Incarnation, JsonObject, Offset, Position, ProcessorConfigured, ProcessorControl, Quotas,
    Slug, StreamControl, StreamPath, SubscriptionControl, TenantName, Timestamp, TransformerControl,
};
use pelton_store::{Append, Component, Condition, KeyReuse, OpenOptions, Page, PageLimit, Store, StoreError, TreePage, Write, Written};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::components::Components;
use crate::feed::Feed;
use crate::javascript::{JavaScript, TenantJavaScript};
use crate::push::{Attempts, Courier};
use crate::secrets::{self, NewSecret, Secret, SecretError, Vault};
use crate::supervisor::Supervisor;
use crate::tails::{Tail, Tails};
use crate::turns::{Places, Turns};
use crate::writer::WriterQueue;
use crate::{AppendError, EngineError, Proposal};

/// An open tenant. It stays open as long as somebody holds it.
pub struct Tenant {
    core: Arc<Core>,
    stop: watch::Sender<bool>,
    /// Taken by whoever closes the tenant.
    tasks: Mutex<Option<Tasks>>,
}

struct Tasks {
    supervisor: tokio::task::JoinHandle<()>,
    writer: std::thread::JoinHandle<()>,
}

/// What the parts of a tenant share.
pub(crate) struct Core {
    pub name: TenantName,
    pub store: Store,
    pub writer: WriterQueue,
    pub tails: Arc<Tails>,
    pub quotas: Arc<Quotas>,
    pub components: Arc<Components>,
    pub vault: Arc<Vault>,
    pub courier: Arc<dyn Courier>,
    /// What blocks a thread for as long as a tenant's code likes: steps of processors, deployments, and JSONata.
    pub steps: Turns,
    pub deployments: Turns,
    pub expressions: Turns,
    /// Connections that the requests of processors have open at the same time.
    pub connections: Arc<Semaphore>,
    busy: AtomicUsize,
    /// When something has to be done without anybody asking for it, by who has to do it.
    due: Mutex<HashMap<String, Timestamp>>,
    progress: Mutex<HashMap<(StreamPath, Slug), Progress>>,
    progress_moves: watch::Sender<u64>,
}

/// Where a processor is, which may be ahead of what its checkpoint says by events that it does not want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    pub reduced: u64,
    pub acknowledged: u64,
}

/// So many processors of one tenant work at once; the others wait their turn.
const STEPS_MAX: usize = 32;
const DEPLOYMENTS_MAX: usize = 8;
const EXPRESSIONS_MAX: usize = 8;

/// What all tenants of a host have in common.
pub(crate) struct Shared {
    pub quotas: Arc<Quotas>,
    pub components: Arc<Components>,
    pub vault: Arc<Vault>,
    pub courier: Arc<dyn Courier>,
    pub javascript: Option<JavaScript>,
    pub steps: Arc<Places>,
    pub deployments: Arc<Places>,
    pub expressions: Arc<Places>,
}

/// Under which conditions events are appended.
#[derive(Debug, Clone, Default)]
pub struct AppendOptions {
    pub key_reuse: KeyReuse,
    pub conditions: Vec<Condition>,
}

/// What became of an upload.
#[derive(Debug)]
pub enum Outcome {
    /// The `stream/processor/activated` or `stream/processor/rejected`.
    Decided(Box<Event>),
    /// The same is running already, or something newer was configured meanwhile.
    NothingToDo,
    /// Not yet, within the time that the caller gave.
    Pending,
}

/// What a stream and its processors know.
#[derive(Debug)]
pub struct StreamView {
    /// `None` while the stream does not exist.
    pub incarnation: Option<Incarnation>,
    pub event_count: u64,
    pub created_at: Option<Timestamp>,
    pub children: Vec<StreamPath>,
    pub control: Arc<StreamControl>,
    /// What its circuit breaker has counted.
    pub bucket: Option<Bucket>,
    pub processors: Vec<ProcessorView>,
    pub subscriptions: Vec<SubscriptionView>,
    /// Each with its next offset.
    pub transformers: Vec<(Slug, TransformerControl, Option<u64>)>,
}

#[derive(Debug)]
pub struct SubscriptionView {
    pub slug: Slug,
    pub control: SubscriptionControl,
    /// The next offset to be delivered.
    pub cursor: Option<u64>,
    pub attempts: Option<Attempts>,
}

#[derive(Debug)]
pub struct ProcessorView {
    pub slug: Slug,
    pub control: ProcessorControl,
    /// The next cursors to be reduced and acknowledged.
    pub cursors: Option<(u64, u64)>,
    pub state: Option<(pelton_model::Json, Digest)>,
}

impl Tenant {
    pub(crate) fn open(path: &Path, options: &OpenOptions, shared: Shared) -> Result<Self, EngineError> {
        let Shared { quotas, components, vault, courier, javascript, steps, deployments, expressions } = shared;
        let name = &options.tenant;
        let fault = |source| EngineError::Store { tenant: name.clone(), source };
        let (store, writer) = Store::open(path, options).map_err(fault)?;
        let tails = Arc::new(Tails::new(store.head()));
        let (notify, changed) = mpsc::unbounded_channel();
        let javascript = TenantJavaScript::new(javascript);
        let (writer, writer_thread) = WriterQueue::start(name, writer, Arc::clone(&tails), notify, quotas.queue_bytes_max, javascript)
            .map_err(|source| EngineError::DataFolder { path: path.to_owned(), source })?;
        let connections = Arc::new(Semaphore::new(quotas.http_connections_max.min(Semaphore::MAX_PERMITS)));
        let core = Arc::new(Core {
            name: name.clone(),
            store,
            writer,
            tails,
            quotas,
            components,
            vault,
            courier,
            steps: Turns::new(STEPS_MAX, steps),
            deployments: Turns::new(DEPLOYMENTS_MAX, deployments),
            expressions: Turns::new(EXPRESSIONS_MAX, expressions),
            connections,
            busy: AtomicUsize::new(0),
            due: Mutex::default(),
            progress: Mutex::default(),
            progress_moves: watch::Sender::new(0),
        });
        let (stop, stopped) = watch::channel(false);
        let starting = Busy::begin(&core);
        let supervisor = tokio::spawn(Supervisor { core: Arc::clone(&core), changed, stop: stopped }.run(starting));
        Ok(Self { core, stop, tasks: Mutex::new(Some(Tasks { supervisor, writer: writer_thread })) })
    }

    #[must_use]
    pub fn name(&self) -> &TenantName {
        &self.core.name
    }

    #[must_use]
    pub fn quotas(&self) -> &Quotas {
        &self.core.quotas
    }

    /// Appends all or nothing. Returns when the events are on disk and visible to every later read.
    ///
    /// # Errors
    /// [`AppendError`]; then nothing was recorded.
    pub async fn append(&self, stream: &StreamPath, proposals: Vec<Proposal>, options: AppendOptions) -> Result<Written, AppendError> {
        self.core.append(stream, proposals, options).await
    }

    /// Begins a stream that does not exist, without an event of anybody's.
    ///
    /// # Errors
    /// [`AppendError`]; then nothing was recorded.
    pub async fn begin(&self, stream: &StreamPath) -> Result<(), AppendError> {
        let max = self.core.quotas.path_depth_max;
        if stream.depth() > max {
            return Err(AppendError::PathTooDeep { found: stream.depth(), max });
        }
        if self.core.store.stream(stream).is_ok_and(|info| info.is_some()) {
            return Ok(());
        }
        self.core.writer.write(Write { begin: Some(stream.clone()), ..Write::default() }).await.map(drop)
    }

    /// Removes a stream, and if asked for all below it, with everything that belongs to them. What each was in the moment before, in the order of
    /// their paths; nothing where none of them exists.
    ///
    /// # Errors
    /// [`AppendError::Unavailable`]; then it is unknown what is left.
    pub async fn destroy(&self, stream: &StreamPath, with_children: bool) -> Result<Vec<(StreamPath, StreamView)>, AppendError> {
        let (answer, views) = oneshot::channel();
        let (core, root) = (Arc::clone(&self.core), stream.clone());
        let before = move || {
            let found = || {
                let streams = if with_children { core.store.descendants(&root)? } else { Vec::new() };
                let streams = if with_children { streams.into_iter().map(|(path, _)| path).collect() } else { vec![root] };
                streams.into_iter().map(|path| Ok((core.view(&path)?, path))).collect::<Result<Vec<_>, StoreError>>()
            };
            if answer.send(found()).is_err() {
                tracing::debug!("nobody waits for the last state of a stream any more");
            }
        };
        self.core.writer.destroy(stream.clone(), with_children, Box::new(before)).await?;
        let unavailable = |error: &dyn std::fmt::Display| AppendError::Unavailable(error.to_string());
        let views = views.await.map_err(|error| unavailable(&error))?.map_err(|error| unavailable(&error))?;
        let existed = views.into_iter().filter(|(view, _)| view.incarnation.is_some());
        Ok(existed.map(|(view, path)| (path, view)).collect())
    }

    /// The stream and all below it, each with the time it was created, in the order of their paths.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn descendants(&self, stream: &StreamPath) -> Result<Vec<(StreamPath, Timestamp)>, StoreError> {
        self.core.store.descendants(stream)
    }

    /// Which stream it is that has this path now.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn incarnation(&self, stream: &StreamPath) -> Result<Option<Incarnation>, StoreError> {
        Ok(self.core.store.stream(stream)?.map(|info| info.incarnation))
    }

    /// Keeps a secret, or replaces the one of that name. Whether it is a new one.
    ///
    /// # Errors
    /// [`SecretError`]; then nothing changed.
    pub async fn set_secret(&self, new: NewSecret) -> Result<(Secret, bool), SecretError> {
        let core = &self.core;
        core.vault.set(&core.store, &core.writer, &core.name, new).await
    }

    /// All secrets without their values, in the order of their names.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn secrets(&self) -> Result<Vec<Secret>, StoreError> {
        secrets::list(&self.core.store)
    }

    /// Deletes the secret with this id or name. Whether there was one.
    ///
    /// # Errors
    /// [`SecretError`]
    pub async fn delete_secret(&self, id: &str) -> Result<bool, SecretError> {
        secrets::delete(&self.core.store, &self.core.writer, id).await
    }

    /// One page of a stream, from `from` on. Blocking.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn read(&self, stream: &StreamPath, range: std::ops::Range<Offset>, limit: PageLimit) -> Result<Page, StoreError> {
        self.core.store.read_stream(stream, range, limit)
    }

    /// One page of a stream and all below it in the tenant's commit order, from `from` on. Blocking.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn read_tree(&self, root: &StreamPath, from: Position, limit: PageLimit) -> Result<TreePage, StoreError> {
        self.core.store.read_tree(root, from, limit)
    }

    /// The next position of the tenant, and a way to wait for it to move.
    #[must_use]
    pub fn head(&self) -> Tail {
        self.core.tails.tenant()
    }

    /// The next offset of a stream, and a way to wait for it to move. A stream nobody has appended to has tail 1.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn tail(&self, stream: &StreamPath) -> Result<Tail, StoreError> {
        self.core.tails.stream(&self.core.store, stream)
    }

    /// Why nothing can be written any more, where that is so.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.core.writer.failure()
    }

    /// What became of the upload recorded at `configured`.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn outcome(&self, stream: &StreamPath, slug: &Slug, configured: Offset, wait: Duration) -> Result<Outcome, StoreError> {
        let mut tail = self.tail(stream)?;
        let mut from = configured.next();
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let info = self.core.store.stream(stream)?;
            // As far as the state says, not the tail: that moves a moment after the commit which decides.
            let until = info.as_ref().map_or(from, |info| info.next_offset).max(from);
            while from < until {
                let page = self.read(stream, from..until, PageLimit::default())?;
                if let Some(event) = page.events.into_iter().find(|event| decides(event, slug, configured)) {
                    return Ok(Outcome::Decided(Box::new(event)));
                }
                from = page.next;
            }
            // If it is not pending, its decision would have been among the events that this state is the fold of.
            let pending = info.and_then(|info| info.control.processors.get(slug)?.pending.clone());
            if pending.is_none_or(|version| version.configured_offset != configured) {
                return Ok(Outcome::NothingToDo);
            }
            match tokio::time::timeout_at(deadline, tail.reaches(from.get())).await {
                Ok(true) => {}
                Ok(false) | Err(_) => return Ok(Outcome::Pending),
            }
        }
    }

    /// What the stream and its processors know.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn view(&self, stream: &StreamPath) -> Result<StreamView, StoreError> {
        self.core.view(stream)
    }

    /// As [`Tenant::view`], once every active processor of the stream has handled `offset`, or after `wait`.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn view_once_handled(&self, stream: &StreamPath, offset: Offset, wait: Duration) -> Result<StreamView, StoreError> {
        let mut commits = self.core.tails.commits();
        let mut moves = self.core.progress_moves.subscribe();
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            commits.borrow_and_update();
            moves.borrow_and_update();
            let view = self.view(stream)?;
            if self.has_handled(stream, &view, offset)? {
                return Ok(view);
            }
            let either = async {
                tokio::select! { result = commits.changed() => result, result = moves.changed() => result }
            };
            if !matches!(tokio::time::timeout_at(deadline, either).await, Ok(Ok(()))) {
                return self.view(stream);
            }
        }
    }

    fn has_handled(&self, stream: &StreamPath, view: &StreamView, offset: Offset) -> Result<bool, StoreError> {
        for processor in &view.processors {
            let Some(confirmed) = &processor.control.confirmed else {
                if processor.control.pending.is_some() {
                    return Ok(false);
                }
                continue;
            };
            if processor.control.parked.is_some() {
                continue;
            }
            let feed = Feed::new(stream, confirmed.configured.include_children);
            let cursor = feed.cursor_of(&self.core.store, stream, offset)?;
            if processor.cursors.is_none_or(|(reduced, acknowledged)| reduced.min(acknowledged) <= cursor) {
                return Ok(false);
            }
        }
        Ok(view.event_count >= offset.get())
    }

    /// When it must be open though nobody uses it: for a schedule, or for another attempt at a delivery.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.core.lock_due().values().min().copied()
    }

    /// Whether closing it now would interrupt something.
    pub(crate) fn is_busy(&self) -> bool {
        self.core.busy.load(Ordering::Acquire) > 0
    }

    /// Lets processors come to rest and writes what waits. The file is closed when nobody holds the tenant any more.
    pub(crate) async fn close(&self) {
        self.stop.send_replace(true);
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(tasks) = tasks else { return };
        if let Err(error) = tasks.supervisor.await {
            tracing::error!(tenant = %self.core.name, %error, "the supervisor failed");
        }
        self.core.writer.close();
        let joined = tokio::task::spawn_blocking(move || tasks.writer.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!(tenant = %self.core.name, "the writer thread failed");
        }
    }
}

impl Core {
    pub async fn append(&self, stream: &StreamPath, proposals: Vec<Proposal>, options: AppendOptions) -> Result<Written, AppendError> {
        let quotas = &self.quotas;
        if proposals.len() > quotas.batch_events_max {
            return Err(AppendError::BatchTooLarge { found: proposals.len(), max: quotas.batch_events_max });
        }
        if stream.depth() > quotas.path_depth_max {
            return Err(AppendError::PathTooDeep { found: stream.depth(), max: quotas.path_depth_max });
        }
        let mut write = Write { key_reuse: options.key_reuse, conditions: options.conditions, ..Write::default() };
        for Proposal { mut event, component, .. } in proposals {
            if event.size_bytes() > quotas.event_bytes_max {
                return Err(AppendError::EventTooLarge { found: event.size_bytes(), max: quotas.event_bytes_max });
            }
            if let Some(bytes) = component {
                // One that is too large is not stored; its deployment says why it was rejected.
                if bytes.len() <= quotas.component_bytes_max {
                    let component = Component { digest: Digest::of(&bytes), bytes };
                    self.writer.write(Write { component: Some(component), ..Write::default() }).await?;
                }
            } else {
                self.fill_in_size(&mut event)?;
            }
            write.appends.push(Append { stream: stream.clone(), event });
        }
        self.writer.write(write).await
    }

    pub fn view(&self, stream: &StreamPath) -> Result<StreamView, StoreError> {
        let store = &self.store;
        let Some(info) = store.stream(stream)? else {
            return Ok(StreamView {
                incarnation: None,
                event_count: 0,
                created_at: None,
                children: Vec::new(),
                control: Arc::default(),
                bucket: None,
                processors: Vec::new(),
                subscriptions: Vec::new(),
                transformers: Vec::new(),
            });
        };
        let processor = |(slug, control): (&Slug, &ProcessorControl)| {
            let checkpoint = store.checkpoint(stream, &Consumer::Processor(slug.clone()))?;
            let progress = self.progress(stream, slug);
            let cursors =
                progress.or(checkpoint.as_ref().map(|found| Progress { reduced: found.reduced, acknowledged: found.acknowledged }));
            Ok(ProcessorView {
                slug: slug.clone(),
                control: control.clone(),
                cursors: cursors.map(|progress| (progress.reduced, progress.acknowledged)),
                state: checkpoint.map(|found| (found.state, found.state_digest)),
            })
        };
        let processors = info.control.processors.iter().map(processor).collect::<Result<_, StoreError>>()?;
        let subscription = |(slug, control): (&Slug, &SubscriptionControl)| {
            let checkpoint = store.checkpoint(stream, &Consumer::Subscription(slug.clone()))?;
            Ok(SubscriptionView {
                slug: slug.clone(),
                control: control.clone(),
                cursor: checkpoint.as_ref().map(|found| found.acknowledged),
                attempts: checkpoint.and_then(|found| found.state.to().ok()),
            })
        };
        let subscriptions = info.control.subscriptions.iter().map(subscription).collect::<Result<_, StoreError>>()?;
        let transformer = |(slug, control): (&Slug, &TransformerControl)| {
            let checkpoint = store.checkpoint(stream, &Consumer::Transformer(slug.clone()))?;
            Ok((slug.clone(), control.clone(), checkpoint.map(|found| found.acknowledged)))
        };
        let transformers = info.control.transformers.iter().map(transformer).collect::<Result<_, StoreError>>()?;
        Ok(StreamView {
            subscriptions,
            transformers,
            incarnation: Some(info.incarnation),
            event_count: info.next_offset.get() - 1,
            created_at: Some(info.created_at),
            children: store.children(stream)?,
            control: info.control,
            bucket: info.bucket,
            processors,
        })
    }

    /// The log keeps digest and size, also where only the digest was given.
    pub fn fill_in_size(&self, event: &mut pelton_model::NewEvent) -> Result<(), AppendError> {
        if Builtin::of(event.event_type.as_str()) != Some(Builtin::ProcessorConfigured) {
            return Ok(());
        }
        let Ok(mut configured) = event.payload.to::<ProcessorConfigured>() else { return Ok(()) };
        let size = self.store.component_size(&configured.component.digest).map_err(|error| AppendError::Unavailable(error.to_string()))?;
        configured.component.size = size.or(configured.component.size);
        event.payload = JsonObject::of(&configured);
        Ok(())
    }

    /// Notes when `who` has something to do, or that nothing is to come.
    pub fn set_due(&self, who: &str, at: Option<Timestamp>) {
        let mut due = self.lock_due();
        match at {
            Some(at) => drop(due.insert(who.to_owned(), at)),
            None => drop(due.remove(who)),
        }
    }

    /// A panic elsewhere leaves at worst a time that is corrected when its owner next looks.
    fn lock_due(&self) -> std::sync::MutexGuard<'_, HashMap<String, Timestamp>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn publish_progress(&self, stream: &StreamPath, slug: &Slug, progress: Progress) {
        self.lock_progress().insert((stream.clone(), slug.clone()), progress);
        self.progress_moves.send_modify(|moves| *moves += 1);
    }

    pub fn forget_progress(&self, stream: &StreamPath, slug: &Slug) {
        self.lock_progress().remove(&(stream.clone(), slug.clone()));
    }

    fn progress(&self, stream: &StreamPath, slug: &Slug) -> Option<Progress> {
        self.lock_progress().get(&(stream.clone(), slug.clone())).copied()
    }

    /// A panic elsewhere leaves at worst a cursor that the next step corrects.
    fn lock_progress(&self) -> std::sync::MutexGuard<'_, HashMap<(StreamPath, Slug), Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns once the value is true, or its sender is gone.
pub(crate) async fn becomes_true(value: &mut watch::Receiver<bool>) {
    if value.wait_for(|value| *value).await.is_err() {
        tracing::trace!("a sender ended before it sent");
    }
}

/// While it lives the tenant has something under way and is not closed for idleness.
pub(crate) struct Busy(Arc<Core>);

impl Busy {
    pub fn begin(core: &Arc<Core>) -> Self {
        core.busy.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(core))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether this event answers the upload recorded at `configured`.
fn decides(event: &Event, slug: &Slug, configured: Offset) -> bool {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        slug: Slug,
        configured_offset: Offset,
    }
    matches!(Builtin::of(event.event_type.as_str()), Some(Builtin::ProcessorActivated | Builtin::ProcessorRejected))
        && event.payload.to::<Answer>().is_ok_and(|answer| answer.slug == *slug && answer.configured_offset == configured)
}
