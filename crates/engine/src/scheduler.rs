//! Ticks: one task a tenant with all its schedules in the order of their time.
//!
//! What is due is known from the control state of the streams; nothing is kept besides. A tick is one write: what it appends and the note that it
//! has, so that a crash leaves both or neither.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use pelton_model::{
    Builtin, ExecutionFinished, ExecutionOutcome, ExecutionStarted, NewEvent, Offset, Schedule, ScheduleControl, Slug, StreamControl,
    StreamPath, Timestamp,
};
use pelton_store::{Append, Condition, KeyReuse, Refusal, StoreError, Write};
use tokio::sync::{mpsc, watch};

use crate::AppendError;
use crate::tenant::{Busy, Core, becomes_true};
use crate::writer::now;

pub(crate) struct Scheduler {
    core: Arc<Core>,
    /// Streams whose schedules changed, or whose pause did.
    changed: mpsc::UnboundedReceiver<StreamPath>,
    stop: watch::Receiver<bool>,
    ticks: BTreeSet<Tick>,
    /// The same by stream, to find what a change replaces.
    by_stream: HashMap<StreamPath, Vec<Tick>>,
}

/// What is to come, the earliest first; of those at one time the schedule that is older.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Tick {
    at: Timestamp,
    configured_at: Timestamp,
    stream: StreamPath,
    configured_offset: Offset,
    slug: Slug,
}

/// Why a tick did not fire.
enum NotFired {
    /// Nothing to do now: a change of the control state brings it back, or has taken it away.
    Waits,
    /// To be tried again.
    Fault(String),
}

/// The clock may be set, and a machine may sleep: what it shows is looked at this often.
const CLOCK_CHECK: Duration = Duration::from_secs(30);
/// After a fault of the host's own.
const RETRY_TIME: Duration = Duration::from_secs(1);

impl Scheduler {
    pub fn new(core: &Arc<Core>, changed: mpsc::UnboundedReceiver<StreamPath>, stop: watch::Receiver<bool>) -> Self {
        Self { core: Arc::clone(core), changed, stop, ticks: BTreeSet::new(), by_stream: HashMap::new() }
    }

    /// Runs until the tenant closes. `streams` are those that have a control state; `starting` is given up once it is clear when the first tick is due.
    pub async fn run(mut self, streams: Vec<(StreamPath, Arc<StreamControl>)>, starting: Busy) {
        for (stream, control) in &streams {
            self.follow(stream, control);
        }
        self.publish_due();
        drop(starting);
        loop {
            let wait = match self.ticks.first() {
                Some(tick) if tick.at <= now() => Duration::ZERO,
                Some(tick) => Duration::from_millis(tick.at.as_millis() - now().as_millis().min(tick.at.as_millis())).min(CLOCK_CHECK),
                None => Duration::MAX,
            };
            tokio::select! {
                biased;
                () = becomes_true(&mut self.stop) => return,
                stream = self.changed.recv() => match stream {
                    Some(stream) => self.look_again(&stream).await,
                    None => return,
                },
                () = sleep(wait) => self.fire_first().await,
            }
            self.publish_due();
        }
    }

    /// When the tenant must be open, though nobody uses it.
    fn publish_due(&self) {
        self.core.set_due("schedules", self.ticks.first().map(|tick| tick.at));
    }

    fn follow(&mut self, stream: &StreamPath, control: &StreamControl) {
        for tick in self.by_stream.remove(stream).unwrap_or_default() {
            self.ticks.remove(&tick);
        }
        // On a paused stream nothing fires; the resume is a change.
        if control.schedules.is_empty() || control.paused.is_some() {
            return;
        }
        let ticks: Vec<_> = control.schedules.iter().map(|(slug, schedule)| Tick::of(stream, slug, schedule)).collect();
        self.ticks.extend(ticks.iter().cloned());
        self.by_stream.insert(stream.clone(), ticks);
    }

    async fn look_again(&mut self, stream: &StreamPath) {
        match self.control(stream) {
            Ok(control) => self.follow(stream, &control),
            Err(error) => {
                tracing::error!(tenant = %self.core.name, %stream, %error, "the schedules of a stream could not be read; trying again");
                tokio::time::sleep(RETRY_TIME).await;
                Box::pin(self.look_again(stream)).await;
            }
        }
    }

    fn control(&self, stream: &StreamPath) -> Result<Arc<StreamControl>, StoreError> {
        Ok(self.core.store.stream(stream)?.map(|info| info.control).unwrap_or_default())
    }

    async fn fire_first(&mut self) {
        if self.ticks.first().is_none_or(|tick| tick.at > now()) {
            return;
        }
        let Some(tick) = self.ticks.pop_first() else { return };
        let _busy = Busy::begin(&self.core);
        match self.fire(&tick).await {
            Ok(()) | Err(NotFired::Waits) => {}
            Err(NotFired::Fault(why)) => {
                tracing::error!(tenant = %self.core.name, stream = %tick.stream, slug = %tick.slug, why, "a tick did not fire; trying again");
                self.ticks.insert(tick);
                tokio::select! {
                    () = tokio::time::sleep(RETRY_TIME) => {}
                    () = becomes_true(&mut self.stop) => {}
                }
            }
        }
    }

    /// Fires what is due of the schedule that a tick belongs to. What comes next follows from the change of the control state that this is.
    async fn fire(&self, tick: &Tick) -> Result<(), NotFired> {
        let control = self.control(&tick.stream).map_err(|error| NotFired::Fault(error.to_string()))?;
        let Some(schedule) = control.schedules.get(&tick.slug).filter(|schedule| Tick::of(&tick.stream, &tick.slug, schedule) == *tick)
        else {
            return Err(NotFired::Waits);
        };
        let Some(due) = schedule.due(now()) else { return Err(NotFired::Fault("the clock was set back".to_owned())) };
        let mut expected = schedule.next_run_at;
        if let Some((at, next)) = due.skip {
            let skipped = tick.finished(ExecutionOutcome::Skipped, at, next, None);
            return self.write(tick, expected, vec![skipped]).await.map(drop);
        }
        for (at, next) in due.fire {
            self.fire_one(tick, schedule, expected, at, next).await?;
            expected = next.unwrap_or(at);
        }
        Ok(())
    }

    async fn fire_one(
        &self,
        tick: &Tick,
        schedule: &ScheduleControl,
        expected: Timestamp,
        at: Timestamp,
        next: Option<Timestamp>,
    ) -> Result<(), NotFired> {
        let target = schedule.target(at).map_err(|issues| issues.to_string()).and_then(|target| self.fits(target));
        let failed = match target {
            Ok(target) => {
                let started = ExecutionStarted { slug: tick.slug.clone(), scheduled_at: at, started_at: now() };
                let is_every = matches!(schedule.configured.schedule, Schedule::Every { .. });
                let started = is_every.then(|| NewEvent::builtin(Builtin::ScheduleExecutionStarted, &started));
                let finished = tick.finished(ExecutionOutcome::Succeeded, at, next, None);
                match self.write(tick, expected, started.into_iter().chain([target, finished]).collect()).await? {
                    Ok(()) => return Ok(()),
                    Err(refused) => refused,
                }
            }
            Err(problem) => problem,
        };
        tracing::warn!(tenant = %self.core.name, stream = %tick.stream, slug = %tick.slug, reason = failed, "what a schedule appends was refused");
        let finished = tick.finished(ExecutionOutcome::Failed, at, next, Some(failed));
        self.write(tick, expected, vec![finished]).await.map(drop)
    }

    fn fits(&self, mut event: NewEvent) -> Result<NewEvent, String> {
        let (found, max) = (event.size_bytes(), self.core.quotas.event_bytes_max);
        if found > max {
            return Err(AppendError::EventTooLarge { found, max }.to_string());
        }
        self.core.fill_in_size(&mut event).map_err(|error| error.to_string())?;
        Ok(event)
    }

    /// The inner error is the log's refusal of what was to be appended.
    async fn write(&self, tick: &Tick, expected: Timestamp, events: Vec<NewEvent>) -> Result<Result<(), String>, NotFired> {
        let (stream, slug) = (tick.stream.clone(), tick.slug.clone());
        let due = Condition::ScheduleDue { stream, slug, configured_offset: tick.configured_offset, at: expected };
        let appends = events.into_iter().map(|event| Append { stream: tick.stream.clone(), event }).collect();
        let write = Write { appends, conditions: vec![due], key_reuse: KeyReuse::KeepFirst, ..Write::default() };
        match self.core.writer.write(write).await {
            Ok(_) => Ok(Ok(())),
            Err(AppendError::Refused(Refusal::Paused { .. } | Refusal::ScheduleChanged { .. })) => Err(NotFired::Waits),
            Err(AppendError::Unavailable(why)) => Err(NotFired::Fault(why)),
            Err(refused) => Ok(Err(refused.to_string())),
        }
    }
}

impl Tick {
    fn of(stream: &StreamPath, slug: &Slug, schedule: &ScheduleControl) -> Self {
        Self {
            at: schedule.next_run_at,
            configured_at: schedule.configured_at,
            stream: stream.clone(),
            configured_offset: schedule.configured_offset,
            slug: slug.clone(),
        }
    }

    fn finished(&self, outcome: ExecutionOutcome, at: Timestamp, next: Option<Timestamp>, reason: Option<String>) -> NewEvent {
        let finished = ExecutionFinished { slug: self.slug.clone(), outcome, scheduled_at: at, next_run_at: next, reason };
        NewEvent::builtin(Builtin::ScheduleExecutionFinished, &finished)
    }
}

/// Never ends for the longest time there is.
async fn sleep(wait: Duration) {
    if wait == Duration::MAX { std::future::pending().await } else { tokio::time::sleep(wait).await }
}
