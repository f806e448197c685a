//! The one thread of a tenant that commits, and the queue in front of it.

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use pelton_model::{Incarnation, NewEvent, StreamPath, TenantName, Timestamp};
use pelton_store::{ControlChange, Refusal, StoreError, Write, Writer, Written};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::AppendError;
use crate::javascript::TenantJavaScript;
use crate::tails::Tails;

/// Bytes that one commit takes at most before the rest waits for the next. Large enough that the fsync is a small part of it.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// Hands writes to the writer thread. Everything that waits when a commit ends goes into the next one together.
pub(crate) struct WriterQueue {
    jobs: mpsc::UnboundedSender<Message>,
    /// Bytes that may still enter. Whoever finds none waits before the queue, not in it.
    room: Arc<Semaphore>,
    room_bytes: usize,
    failed: Arc<OnceLock<String>>,
    javascript: TenantJavaScript,
}

#[expect(clippy::large_enum_variant, reason = "all messages but the last are jobs")]
enum Message {
    Job(Job),
    Destroy(Destruction),
    Close,
}

/// Streams to be removed. It is a commit of its own.
struct Destruction {
    stream: StreamPath,
    with_children: bool,
    /// Called when everything before it is committed and nothing after.
    before: Box<dyn FnOnce() + Send>,
    answer: oneshot::Sender<Result<Vec<(StreamPath, Incarnation)>, AppendError>>,
}

struct Job {
    write: Write,
    bytes: usize,
    answer: oneshot::Sender<Result<Written, AppendError>>,
    room: OwnedSemaphorePermit,
}

impl WriterQueue {
    /// Starts the thread. `controls_changed` is told the streams on which somebody has something to do.
    pub fn start(
        tenant: &TenantName,
        writer: Writer,
        tails: Arc<Tails>,
        controls_changed: mpsc::UnboundedSender<ControlChange>,
        queue_bytes_max: usize,
        javascript: TenantJavaScript,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let room_bytes = queue_bytes_max.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let (jobs, waiting) = mpsc::unbounded_channel();
        let failed = Arc::new(OnceLock::new());
        let thread = WriterThread { tenant: tenant.clone(), writer, tails, controls_changed, failed: Arc::clone(&failed) };
        let handle = std::thread::Builder::new().name(format!("writer-{tenant}")).spawn(move || thread.run(waiting))?;
        Ok((Self { jobs, room: Arc::new(Semaphore::new(room_bytes)), room_bytes, failed, javascript }, handle))
    }

    /// Returns when the write is on disk and visible, or refused.
    pub async fn write(&self, mut write: Write) -> Result<Written, AppendError> {
        self.javascript.attach(&mut write, async |runtime| self.queue(runtime).await.map(drop)).await?;
        self.queue(write).await
    }

    async fn queue(&self, write: Write) -> Result<Written, AppendError> {
        let bytes = size_bytes(&write).clamp(1, self.room_bytes);
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(|_| self.unavailable())?;
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Message::Job(Job { write, bytes, answer, room })).map_err(|_| self.unavailable())?;
        answered.await.map_err(|_| self.unavailable())?
    }

    /// Why the event could not be written whenever it is tried.
    ///
    /// # Errors
    /// [`AppendError::NoJavaScriptRuntime`]
    pub fn check(&self, event: &NewEvent) -> Result<(), AppendError> {
        self.javascript.check(event)
    }

    /// Removes a stream, and if asked for all below it. Returns when that is on disk; `before` is called in the moment before.
    pub async fn destroy(
        &self,
        stream: StreamPath,
        with_children: bool,
        before: Box<dyn FnOnce() + Send>,
    ) -> Result<Vec<(StreamPath, Incarnation)>, AppendError> {
        let (answer, answered) = oneshot::channel();
        let destruction = Destruction { stream, with_children, before, answer };
        self.jobs.send(Message::Destroy(destruction)).map_err(|_| self.unavailable())?;
        answered.await.map_err(|_| self.unavailable())?
    }

    /// What waits is still written; what comes later is refused.
    pub fn close(&self) {
        self.room.close();
        if self.jobs.send(Message::Close).is_err() {
            tracing::debug!("the writer ended before it was closed");
        }
    }

    /// Why nothing can be written any more, where that is so.
    pub fn failure(&self) -> Option<&str> {
        self.failed.get().map(String::as_str)
    }

    fn unavailable(&self) -> AppendError {
        AppendError::Unavailable(self.failure().unwrap_or("it is closing").to_owned())
    }
}

struct WriterThread {
    tenant: TenantName,
    writer: Writer,
    tails: Arc<Tails>,
    controls_changed: mpsc::UnboundedSender<ControlChange>,
    failed: Arc<OnceLock<String>>,
}

impl WriterThread {
    fn run(mut self, mut waiting: mpsc::UnboundedReceiver<Message>) {
        let mut open = true;
        while open {
            let first = match waiting.blocking_recv() {
                Some(Message::Job(first)) => first,
                Some(Message::Destroy(destruction)) => {
                    self.destroy(destruction);
                    continue;
                }
                Some(Message::Close) | None => break,
            };
            let (mut bytes, mut destruction) = (first.bytes, None);
            let mut group = vec![first];
            while bytes < GROUP_BYTES_MAX {
                match waiting.try_recv() {
                    Ok(Message::Job(job)) => {
                        bytes += job.bytes;
                        group.push(job);
                    }
                    Ok(Message::Destroy(next)) => {
                        destruction = Some(next);
                        break;
                    }
                    Ok(Message::Close) => {
                        open = false;
                        break;
                    }
                    Err(_) => break,
                }
            }
            self.commit(group);
            if let Some(destruction) = destruction {
                self.destroy(destruction);
            }
        }
    }

    fn commit(&mut self, group: Vec<Job>) {
        let (writes, answers): (Vec<_>, Vec<_>) = group.into_iter().map(|job| (job.write, (job.answer, job.room))).unzip();
        match self.writer.commit(writes, now()) {
            Ok(committed) => {
                self.tails.publish(&committed.moved, committed.head);
                committed.controls_changed.into_iter().for_each(|change| self.tell(change));
                for ((answer, room), result) in answers.into_iter().zip(committed.answers) {
                    reply(answer, result.map_err(|refusal: Refusal| AppendError::Refused(refusal)));
                    drop(room);
                }
            }
            Err(error) => {
                let reason = self.fail(&error);
                for (answer, _room) in answers {
                    reply(answer, Err(AppendError::Unavailable(reason.clone())));
                }
            }
        }
    }

    fn destroy(&mut self, destruction: Destruction) {
        let Destruction { stream, with_children, before, answer } = destruction;
        before();
        let result = match self.writer.destroy(&stream, with_children) {
            Ok(destroyed) => {
                self.tails.destroyed(destroyed.iter().map(|(path, _)| path));
                for (stream, _) in &destroyed {
                    self.tell(ControlChange { stream: stream.clone(), processors: true, pushes: true, schedules: true });
                }
                Ok(destroyed)
            }
            Err(error) => Err(AppendError::Unavailable(self.fail(&error))),
        };
        reply(answer, result);
    }

    fn tell(&self, change: ControlChange) {
        if self.controls_changed.send(change).is_err() {
            tracing::debug!(tenant = %self.tenant, "the supervisor has ended; the next opening reads its streams again");
        }
    }

    fn fail(&self, error: &StoreError) -> String {
        let reason = error.to_string();
        tracing::error!(tenant = %self.tenant, error = reason, "a commit failed; the tenant takes no more appends");
        self.failed.get_or_init(|| reason.clone());
        reason
    }
}

/// A caller that went away meanwhile misses only the answer; its write stands.
fn reply<T>(answer: oneshot::Sender<Result<T, AppendError>>, result: Result<T, AppendError>) {
    if answer.send(result).is_err() {
        tracing::trace!("nobody waits for this answer any more");
    }
}

pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

fn size_bytes(write: &Write) -> usize {
    let events: usize = write.appends.iter().map(|append| append.event.size_bytes() + append.stream.as_str().len()).sum();
    let component = write.component.as_ref().map_or(0, |component| component.bytes.len());
    let state = write.checkpoint.as_ref().map_or(0, |checkpoint| match &checkpoint.change {
        pelton_store::CheckpointChange::Put { state: Some(state), .. } => state.as_str().len(),
        _ => 0,
    });
    events + component + state
}
