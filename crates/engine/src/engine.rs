//! The tenants of one data folder: opened when asked for, closed when idle, with one bounded cache for all of them.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pelton_model::{Quotas, TenantName, Timestamp};
use pelton_store::OpenOptions;
use pelton_wasm::{Sandbox, SandboxOptions};
use tokio::sync::Mutex as AsyncMutex;

use crate::components::Components;
use crate::javascript::JavaScript;
use crate::push::Courier;
use crate::secrets::Vault;
use crate::tenant::Shared;
use crate::turns::Places;
use crate::writer::now;
use crate::{EngineError, Tenant};

/// How an [`Engine`] is set up.
#[derive(Clone)]
pub struct EngineOptions {
    pub data_dir: PathBuf,
    /// Folder for compiled code, which other hosts may share. Whoever can write to it can run machine code as the host.
    pub compile_cache: PathBuf,
    pub quotas: Quotas,
    /// Holds the key that secrets are sealed with; made on the first start.
    pub master_key_file: PathBuf,
    /// Carries webhooks and WebSocket frames out of the host.
    pub courier: Arc<dyn Courier>,
    /// The component that runs programs in JavaScript. Without one, events that configure such programs are refused.
    pub javascript_runtime: Option<Arc<[u8]>>,
    /// Whether the circuit breaker of a stream counts every append, also where it is not configured.
    pub breaker_counts_all: bool,
    /// Steps of processors of all tenants that run at the same time, each on a thread of the runtime's that may block. There must be many more of those.
    pub effects_max: usize,
    /// Page cache of all open tenants together, in bytes.
    pub cache_bytes_max: usize,
    /// Tenants open at the same time. Beyond it the least recently used one that is idle is closed first; if none is, one more is opened
    /// nevertheless.
    pub tenants_open_max: usize,
    /// A tenant that nobody used for this long, and that has nothing under way, is closed.
    pub idle_time: Duration,
}

/// All tenants of one data folder. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    options: EngineOptions,
    quotas: Arc<Quotas>,
    components: Arc<Components>,
    javascript: Option<JavaScript>,
    vault: Arc<Vault>,
    steps: Arc<Places>,
    deployments: Arc<Places>,
    expressions: Arc<Places>,
    slots: Mutex<HashMap<TenantName, Arc<Slot>>>,
    caches: Mutex<usize>,
    stopping: AtomicBool,
    /// Held for as long as the process serves this folder.
    _lock: File,
}

/// Opening and closing of one tenant take turns here, so that its file is never open twice.
#[derive(Default)]
struct Slot {
    opened: AsyncMutex<Option<Opened>>,
    /// When a closed tenant has something to do of its own, in milliseconds since 1970; 0 if never.
    wake_at: AtomicU64,
}

struct Opened {
    tenant: Arc<Tenant>,
    cache_bytes: usize,
    used: Instant,
}

impl Opened {
    /// Nobody holds it, nothing is under way, and it does not have to be kept as a witness of a failure.
    fn is_idle(&self) -> bool {
        let is_due_soon = || self.tenant.next_due().is_some_and(|due| due.as_millis() < now().as_millis() + DUE_SOON_MILLIS);
        Arc::strong_count(&self.tenant) == 1 && !self.tenant.is_busy() && self.tenant.failure().is_none() && !is_due_soon()
    }
}

/// What a tenant gets when the others have taken the rest. Enough for the upper pages of its trees.
const CACHE_BYTES_MIN: usize = 1 << 20;
const REAP_INTERVAL: Duration = Duration::from_secs(5);
/// A tenant that has something to do this soon is not worth closing.
const DUE_SOON_MILLIS: u64 = 60_000;
/// A tenant is opened this long before it has something to do, for it may take a while and is looked for only now and then.
const WAKE_EARLY_MILLIS: u64 = 10_000;
/// So long after its start does the daemon compile what it may need.
const COMPILE_JAVASCRIPT_AFTER: Duration = Duration::from_secs(2);
/// More than the second for which the allocator keeps memory that nobody uses.
const FREED_AFTER: Duration = Duration::from_secs(3);
/// Versions of processors of all tenants that are compiled and asked what they are, or fold their history, at the same time.
const DEPLOYMENTS_MAX: usize = 64;
/// Expressions of transformers and subscriptions of all tenants that are evaluated at the same time.
const EXPRESSIONS_MAX: usize = 64;
/// So many tenants are opened at once when the host starts, to take up what they left unfinished.
const START_PARALLEL: usize = 4;

impl Engine {
    /// Prepares the data folder and takes up, in the background, what the tenants in it left unfinished.
    ///
    /// # Errors
    /// Where the folder cannot be used or the sandbox not be set up.
    pub fn start(options: EngineOptions) -> Result<Self, EngineError> {
        let lock = lock(&options.data_dir)?;
        let vault = Arc::new(Vault::open(&options.master_key_file)?);
        let sandbox = Sandbox::new(&SandboxOptions { compile_cache: Some(options.compile_cache.clone()) })?;
        let engine = Self(Arc::new(Inner {
            quotas: Arc::new(options.quotas.clone()),
            components: Arc::new(Components::new(sandbox)),
            javascript: options.javascript_runtime.clone().map(JavaScript::new),
            vault,
            steps: Arc::new(Places::new(options.effects_max)),
            deployments: Arc::new(Places::new(DEPLOYMENTS_MAX)),
            expressions: Arc::new(Places::new(EXPRESSIONS_MAX)),
            slots: Mutex::default(),
            caches: Mutex::new(0),
            stopping: AtomicBool::new(false),
            _lock: lock,
            options,
        }));
        tokio::spawn(engine.clone().take_up());
        engine.compile_javascript().map_err(|source| EngineError::DataFolder { path: engine.0.options.data_dir.clone(), source })?;
        let inner = Arc::downgrade(&engine.0);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(REAP_INTERVAL).await;
                let Some(inner) = inner.upgrade() else { break };
                let engine = Self(inner);
                engine.close_idle().await;
                engine.wake_due().await;
            }
        });
        Ok(engine)
    }

    /// The tenant, opened if need be.
    ///
    /// # Errors
    /// Where its file cannot be opened, or the host is stopping.
    pub async fn tenant(&self, name: &TenantName) -> Result<Arc<Tenant>, EngineError> {
        let slot = self.slot(name);
        let mut opened = slot.opened.lock().await;
        if self.0.stopping.load(Ordering::Acquire) {
            return Err(EngineError::Stopping);
        }
        if let Some(opened) = &mut *opened {
            opened.used = Instant::now();
            return Ok(Arc::clone(&opened.tenant));
        }
        self.make_room().await;
        let cache_bytes = self.take_cache();
        let (engine, path) = (Arc::clone(&self.0), self.path(name));
        let open = OpenOptions {
            tenant: name.clone(),
            cache_bytes,
            breaker_counts_all: self.0.options.breaker_counts_all,
            control_bytes_max: self.0.quotas.control_bytes_max,
        };
        let result = tokio::task::spawn_blocking(move || {
            let shared = Shared {
                quotas: Arc::clone(&engine.quotas),
                components: Arc::clone(&engine.components),
                vault: Arc::clone(&engine.vault),
                courier: Arc::clone(&engine.options.courier),
                javascript: engine.javascript.clone(),
                steps: Arc::clone(&engine.steps),
                deployments: Arc::clone(&engine.deployments),
                expressions: Arc::clone(&engine.expressions),
            };
            Tenant::open(&path, &open, shared)
        })
        .await?;
        match result {
            Ok(tenant) => {
                slot.wake_at.store(0, Ordering::Release);
                let tenant = Arc::new(tenant);
                *opened = Some(Opened { tenant: Arc::clone(&tenant), cache_bytes, used: Instant::now() });
                Ok(tenant)
            }
            Err(error) => {
                self.give_back_cache(cache_bytes);
                Err(error)
            }
        }
    }

    /// On a thread of its own, for which nothing waits, and only after a while, since a daemon that has just started has better things to do.
    fn compile_javascript(&self) -> std::io::Result<()> {
        let Some(javascript) = self.0.javascript.clone() else { return Ok(()) };
        let (components, quotas) = (Arc::clone(&self.0.components), Arc::clone(&self.0.quotas));
        let compile = move || {
            step_back();
            match components.prepare(&javascript.component().digest, javascript.bytes(), &quotas) {
                Ok(()) => tracing::debug!("the JavaScript runtime is compiled"),
                Err(reason) => tracing::error!(reason = reason.message, "the JavaScript runtime cannot be used"),
            }
        };
        let run = move || {
            std::thread::sleep(COMPILE_JAVASCRIPT_AFTER);
            // With a thread end its heaps, and what they held is free a while later. The allocator then gives it back at the next occasion, such as the
            // end of another thread: of this one.
            if std::thread::spawn(compile).join().is_err() {
                tracing::error!("compiling the JavaScript runtime has panicked");
            }
            std::thread::sleep(FREED_AFTER);
        };
        std::thread::Builder::new().name("pelton-javascript".to_owned()).spawn(run).map(drop)
    }

    /// Why some tenant cannot be written, where that is so.
    pub async fn failure(&self) -> Option<(TenantName, String)> {
        for (name, slot) in self.slots() {
            if let Ok(opened) = slot.opened.try_lock()
                && let Some(reason) = opened.as_ref().and_then(|opened| opened.tenant.failure())
            {
                return Some((name, reason.to_owned()));
            }
        }
        None
    }

    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Acquire)
    }

    /// From here on nothing is opened; what is open comes to rest, and what was accepted is written.
    pub async fn shutdown(&self) {
        self.0.stopping.store(true, Ordering::Release);
        let mut closing = tokio::task::JoinSet::new();
        for (name, slot) in self.slots() {
            let engine = self.clone();
            closing.spawn(async move {
                let opened = slot.opened.lock().await.take();
                if let Some(opened) = opened {
                    engine.close(&name, opened).await;
                }
            });
        }
        while closing.join_next().await.is_some() {}
    }

    async fn close(&self, name: &TenantName, opened: Opened) {
        opened.tenant.close().await;
        self.give_back_cache(opened.cache_bytes);
        tracing::debug!(tenant = %name, "closed");
    }

    async fn close_idle(&self) {
        for (name, slot) in self.slots() {
            self.close_if(&name, &slot, |opened| opened.is_idle() && opened.used.elapsed() >= self.0.options.idle_time).await;
        }
    }

    /// Opens the tenants that have something to do of their own.
    async fn wake_due(&self) {
        let horizon = now().as_millis() + WAKE_EARLY_MILLIS;
        for (name, slot) in self.slots() {
            if (1..=horizon).contains(&slot.wake_at.load(Ordering::Acquire)) {
                match self.tenant(&name).await {
                    Ok(_) | Err(EngineError::Stopping) => {}
                    Err(error) => tracing::error!(tenant = %name, %error, "could not be opened for what it has to do"),
                }
            }
        }
    }

    /// Closes the least recently used idle tenants until one more may be open.
    async fn make_room(&self) {
        let open = |(name, slot): (TenantName, Arc<Slot>)| {
            let used = slot.opened.try_lock().ok()?.as_ref()?.used;
            Some((used, name, slot))
        };
        let mut candidates: Vec<_> = self.slots().into_iter().filter_map(open).collect();
        candidates.sort_by_key(|(used, ..)| *used);
        let mut surplus = (candidates.len() + 1).saturating_sub(self.0.options.tenants_open_max);
        for (_, name, slot) in candidates {
            if surplus == 0 {
                return;
            }
            surplus -= usize::from(self.close_if(&name, &slot, Opened::is_idle).await);
        }
        if surplus > 0 {
            tracing::warn!(max = self.0.options.tenants_open_max, "all open tenants are in use; one more is opened");
        }
    }

    /// A slot that is locked is being opened or closed, hence left alone. Returns whether it was closed.
    async fn close_if(&self, name: &TenantName, slot: &Slot, condition: impl Fn(&Opened) -> bool) -> bool {
        let Ok(mut guard) = slot.opened.try_lock() else { return false };
        match guard.take_if(|opened| condition(opened)) {
            Some(opened) => {
                let due = opened.tenant.next_due();
                self.close(name, opened).await;
                slot.wake_at.store(due.map_or(0, Timestamp::as_millis), Ordering::Release);
                true
            }
            None => false,
        }
    }

    /// Processors go on after a restart without anybody asking for their tenant.
    async fn take_up(self) {
        let names = match self.names() {
            Ok(names) => names,
            Err(error) => {
                tracing::error!(%error, "the tenants on disk could not be listed; each is taken up when it is first used");
                return;
            }
        };
        let mut opening = tokio::task::JoinSet::new();
        for name in names {
            while opening.len() >= START_PARALLEL {
                opening.join_next().await;
            }
            let engine = self.clone();
            opening.spawn(async move {
                match engine.tenant(&name).await {
                    Ok(_) | Err(EngineError::Stopping) => {}
                    Err(error) => tracing::error!(tenant = %name, %error, "could not be taken up"),
                }
            });
        }
        while opening.join_next().await.is_some() {}
    }

    fn names(&self) -> std::io::Result<Vec<TenantName>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.0.options.data_dir.join("tenants"))? {
            let file = entry?.file_name();
            let name = file.to_str().and_then(|file| file.strip_suffix(".redb")).and_then(|name| TenantName::new(name).ok());
            names.extend(name);
        }
        names.sort();
        Ok(names)
    }

    fn path(&self, name: &TenantName) -> PathBuf {
        self.0.options.data_dir.join("tenants").join(format!("{name}.redb"))
    }

    fn slot(&self, name: &TenantName) -> Arc<Slot> {
        let mut slots = self.0.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(name.clone()).or_default())
    }

    fn slots(&self) -> Vec<(TenantName, Arc<Slot>)> {
        let slots = self.0.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.iter().map(|(name, slot)| (name.clone(), Arc::clone(slot))).collect()
    }

    /// Half of what is left: the first tenant is served well, and no number of them takes more than all.
    fn take_cache(&self) -> usize {
        let mut taken = self.0.caches.lock().unwrap_or_else(PoisonError::into_inner);
        let share = (self.0.options.cache_bytes_max.saturating_sub(*taken) / 2).max(CACHE_BYTES_MIN);
        *taken += share;
        share
    }

    fn give_back_cache(&self, share: usize) {
        let mut taken = self.0.caches.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = taken.saturating_sub(share);
    }
}

/// Leaves the processor to the other threads that want it, to one that is asked for the same component above all.
#[cfg(target_os = "linux")]
fn step_back() {
    // A tenth of what a thread that asks for it too gets: on a machine that is never idle the end comes late, but it comes.
    const NICENESS: i32 = 10;
    // On Linux each thread has a niceness of its own.
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "a thread keeps its priority");
    }
}

#[cfg(not(target_os = "linux"))]
fn step_back() {}

/// Makes the folder ready and this process the only one that serves it.
fn lock(data_dir: &Path) -> Result<File, EngineError> {
    let fault = |source| EngineError::DataFolder { path: data_dir.to_owned(), source };
    std::fs::create_dir_all(data_dir.join("tenants")).map_err(fault)?;
    let file = File::create(data_dir.join("lock")).map_err(fault)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EngineError::DataFolderInUse { path: data_dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(fault(source)),
    }
}
