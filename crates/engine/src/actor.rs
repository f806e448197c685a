//! The life of one processor: deploy, run, park, replace, remove.
//!
//! One task a processor. It looks at what the log says (the stream's control state) and makes that true; whenever that changes it
//! looks again. So a restart is the ordinary case, and no order of events can leave it in a state of its own.

use std::sync::Arc;
use std::time::Duration;

use pelton_model::{Consumer, ProcessorControl, Reason, Slug, StreamPath, Version};
use pelton_store::{CheckpointChange, CheckpointWrite, Refusal, StoreError, Write};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::deploy::{self, NotPrepared, Prepared};
use crate::runner::{Next, Runner};
use crate::tenant::{Busy, Core, becomes_true};
use crate::{AppendError, EngineError};

pub(crate) struct Actor {
    pub core: Arc<Core>,
    pub stream: StreamPath,
    pub slug: Slug,
    /// Moves when the control state of the stream may have changed.
    pub changed: watch::Receiver<u64>,
    /// Becomes true when the tenant closes.
    pub stop: watch::Receiver<bool>,
}

/// Instances of a processor that had nothing to do for this long are dropped.
const WARM_TIME: Duration = Duration::from_secs(60);
/// After a fault of the host's own.
const RETRY_TIME: Duration = Duration::from_secs(1);

impl Actor {
    /// Runs until the tenant closes. `starting` is given up once it is clear what there is to do.
    pub async fn run(mut self, starting: Busy) {
        let mut running: Option<Running> = None;
        let mut deploying: Option<Deploying> = None;
        let mut starting = Some(starting);
        while !*self.stop.borrow() {
            let Err(error) = self.advance(&mut running, &mut deploying, &mut starting).await else { continue };
            if matches!(error, Fault::Ended) {
                // The control state says the same, or will in a moment; this stream's successor is looked at afresh.
                halt(&mut running).await;
            } else {
                tracing::error!(tenant = %self.core.name, stream = %self.stream, slug = %self.slug, %error, "a processor is taken up again");
                halt(&mut running).await;
                tokio::select! {
                    () = tokio::time::sleep(RETRY_TIME) => {}
                    () = becomes_true(&mut self.stop) => {}
                }
            }
        }
        halt(&mut running).await;
    }

    /// Compares what should be with what is, takes what can be done at once, and waits for the first thing to happen.
    async fn advance(
        &mut self,
        running: &mut Option<Running>,
        deploying: &mut Option<Deploying>,
        starting: &mut Option<Busy>,
    ) -> Result<(), Fault> {
        self.changed.borrow_and_update();
        let info = self.core.store.stream(&self.stream)?;
        let Some(control) = info.and_then(|info| info.control.processors.get(&self.slug).cloned()) else {
            halt(running).await;
            *deploying = None;
            self.forget().await?;
            *starting = None;
            self.wait_for_change().await;
            return Ok(());
        };
        self.align_running(&control, running).await?;
        self.align_deploying(&control, deploying);
        *starting = None;

        tokio::select! {
            biased;
            () = becomes_true(&mut self.stop) => {}
            _ = self.changed.changed() => {}
            prepared = Deploying::finished(deploying) => self.finish(prepared, &control, running, deploying).await?,
            result = Running::moves(running) => {
                if let Err(fault) = result {
                    *running = None;
                    return Err(fault);
                }
            }
        }
        Ok(())
    }

    async fn wait_for_change(&mut self) {
        tokio::select! {
            () = becomes_true(&mut self.stop) => {}
            _ = self.changed.changed() => {}
        }
    }

    /// The confirmed version runs, unless it is parked.
    async fn align_running(&self, control: &ProcessorControl, running: &mut Option<Running>) -> Result<(), Fault> {
        let wanted = control.confirmed.as_ref().filter(|_| control.parked.is_none());
        let runs = running.as_ref().map(|running| &running.version);
        if runs == wanted {
            return Ok(());
        }
        halt(running).await;
        if let Some(version) = wanted {
            let (halt, halted) = watch::channel(false);
            let runner = Runner::load(Arc::clone(&self.core), &self.stream, version, halted)?;
            *running = Some(Running {
                version: version.clone(),
                halt,
                phase: Phase::Resting(Box::new(runner)),
                busy: Some(Busy::begin(&self.core)),
            });
        }
        Ok(())
    }

    /// The pending version is being deployed; a deployment of any other is dropped.
    fn align_deploying(&self, control: &ProcessorControl, deploying: &mut Option<Deploying>) {
        if deploying.as_ref().map(|deploying| &deploying.version) == control.pending.as_ref() {
            return;
        }
        *deploying = control.pending.clone().map(|version| {
            let (core, stream, confirmed) = (Arc::clone(&self.core), self.stream.clone(), control.confirmed.clone());
            let pending = version.clone();
            let task = tokio::spawn(async move {
                let turn = core.deployments.take().await.map_err(|error| NotPrepared::HostFault(error.to_string()))?;
                let prepare = move || deploy::prepare(&core, &stream, pending, confirmed.as_ref(), turn);
                tokio::task::spawn_blocking(prepare).await.unwrap_or_else(|error| Err(deploy::task_failed(&error)))
            });
            Deploying { version, task, _busy: Busy::begin(&self.core) }
        });
    }

    /// The swap. The running version is at rest from here on, and either the new one takes over or it goes on.
    async fn finish(
        &self,
        prepared: Result<Prepared, NotPrepared>,
        control: &ProcessorControl,
        running: &mut Option<Running>,
        deploying: &mut Option<Deploying>,
    ) -> Result<(), Fault> {
        let Some(deploying) = deploying.take() else { return Ok(()) };
        let activation = match prepared {
            Ok(prepared) => {
                halt(running).await;
                let (core, stream) = (Arc::clone(&self.core), self.stream.clone());
                let activation = tokio::task::spawn_blocking(move || prepared.activation(&core, &stream)).await;
                activation.unwrap_or_else(|error| Err(deploy::task_failed(&error)))
            }
            Err(error) => Err(error),
        };
        match activation {
            Ok(write) => match self.core.writer.write(write).await {
                Ok(_) => {}
                // What it says of itself is too much for what the stream has configured already.
                Err(AppendError::Refused(refusal @ Refusal::ControlTooLarge { .. })) => {
                    self.reject(deploying, deploy::no_room(&refusal), control).await?;
                }
                Err(error) => return Err(error.into()),
            },
            Err(NotPrepared::Rejected(reason)) => self.reject(deploying, reason, control).await?,
            Err(NotPrepared::HostFault(error)) => return Err(Fault::Deploy(error)),
        }
        Ok(())
    }

    async fn reject(&self, deploying: Deploying, reason: Reason, control: &ProcessorControl) -> Result<(), AppendError> {
        deploy::reject(&self.core, &self.stream, &deploying.version, reason, control.confirmed.is_some()).await
    }

    /// What a removed processor leaves behind is deleted; the log keeps what it did.
    async fn forget(&self) -> Result<(), Fault> {
        self.core.forget_progress(&self.stream, &self.slug);
        let consumer = Consumer::Processor(self.slug.clone());
        if let Some(checkpoint) = self.core.store.checkpoint(&self.stream, &consumer)? {
            let change = CheckpointChange::Delete;
            let checkpoint = CheckpointWrite { stream: self.stream.clone(), consumer, revision: checkpoint.revision, change };
            self.core.writer.write(Write { checkpoint: Some(checkpoint), ..Write::default() }).await?;
        }
        Ok(())
    }
}

/// A fault of the host's, after which the actor starts over from what is on disk.
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
    #[error("the deployment could not be finished: {0}")]
    Deploy(String),
    #[error("the stream was destroyed, or the tenant closes")]
    Ended,
    #[error("the checkpoint on disk is not the one in memory")]
    Reload,
}

struct Deploying {
    version: Version,
    task: JoinHandle<Result<Prepared, NotPrepared>>,
    _busy: Busy,
}

/// One that still waits for its turn gives it up.
impl Drop for Deploying {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Deploying {
    /// Never, where nothing is being deployed. The task is left in place, so that a dropped wait loses nothing.
    async fn finished(deploying: &mut Option<Self>) -> Result<Prepared, NotPrepared> {
        match deploying {
            Some(deploying) => (&mut deploying.task).await.unwrap_or_else(|error| Err(deploy::task_failed(&error))),
            None => std::future::pending().await,
        }
    }
}

struct Running {
    version: Version,
    halt: watch::Sender<bool>,
    phase: Phase,
    busy: Option<Busy>,
}

enum Phase {
    Resting(Box<Runner>),
    BackingOff(Box<Runner>, Instant),
    Working(JoinHandle<Result<(Runner, Next), EngineError>>),
    /// Parked in the log; the control state will say so in a moment.
    Parked,
}

impl Running {
    /// One move: from rest to work when the tail moves, from work to what comes of it. Never, where nothing runs. What is awaited stays in
    /// place, so that a dropped wait loses nothing.
    async fn moves(running: &mut Option<Self>) -> Result<(), Fault> {
        let Some(running) = running else { return std::future::pending().await };
        match &mut running.phase {
            Phase::Resting(runner) => {
                if runner.is_at_tail() {
                    running.busy = None;
                    match tokio::time::timeout(WARM_TIME, runner.tail_moves()).await {
                        Ok(true) => {}
                        Ok(false) => return Err(Fault::Ended),
                        Err(_elapsed) => {
                            runner.cool_down();
                            if !runner.tail_moves().await {
                                return Err(Fault::Ended);
                            }
                        }
                    }
                }
                running.work();
                Ok(())
            }
            Phase::BackingOff(_, until) => {
                tokio::time::sleep_until(*until).await;
                running.work();
                Ok(())
            }
            Phase::Working(task) => {
                let (runner, next) = task.await??;
                running.phase = match next {
                    Next::AwaitTail | Next::Halted => Phase::Resting(Box::new(runner)),
                    Next::Backoff(time) => Phase::BackingOff(Box::new(runner), Instant::now() + time),
                    Next::Parked => Phase::Parked,
                    Next::Reload => return Err(Fault::Reload),
                };
                Ok(())
            }
            Phase::Parked => std::future::pending().await,
        }
    }

    fn work(&mut self) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Parked) {
            Phase::Resting(runner) | Phase::BackingOff(runner, _) => {
                self.busy.get_or_insert_with(|| Busy::begin(runner.core()));
                Phase::Working(tokio::spawn(runner.step()))
            }
            working_or_parked => working_or_parked,
        };
    }
}

/// Lets a step that is under way come to its commit, and stops there.
async fn halt(running: &mut Option<Running>) {
    let Some(running) = running.take() else { return };
    running.halt.send_replace(true);
    if let Phase::Working(task) = running.phase
        && let Err(error) = task.await
    {
        tracing::error!(%error, "a processor's task failed while it was stopped");
    }
}
