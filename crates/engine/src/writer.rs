//! The one thread of a tenant that commits, and the queue in front of it.

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use pelton_model::{StreamPath, TenantName, Timestamp};
use pelton_store::{Refusal, Write, Writer, Written};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::AppendError;
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
}

#[expect(clippy::large_enum_variant, reason = "all messages but the last are jobs")]
enum Message {
    Job(Job),
    Close,
}

struct Job {
    write: Write,
    bytes: usize,
    answer: oneshot::Sender<Result<Written, AppendError>>,
    room: OwnedSemaphorePermit,
}

impl WriterQueue {
    /// Starts the thread. `processors_changed` is told the streams whose processors need attention.
    pub fn start(
        tenant: &TenantName,
        writer: Writer,
        tails: Arc<Tails>,
        processors_changed: mpsc::UnboundedSender<StreamPath>,
        queue_bytes_max: usize,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let room_bytes = queue_bytes_max.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let (jobs, waiting) = mpsc::unbounded_channel();
        let failed = Arc::new(OnceLock::new());
        let thread = WriterThread { tenant: tenant.clone(), writer, tails, processors_changed, failed: Arc::clone(&failed) };
        let handle = std::thread::Builder::new().name(format!("writer-{tenant}")).spawn(move || thread.run(waiting))?;
        Ok((Self { jobs, room: Arc::new(Semaphore::new(room_bytes)), room_bytes, failed }, handle))
    }

    /// Returns when the write is on disk and visible, or refused.
    pub async fn write(&self, write: Write) -> Result<Written, AppendError> {
        let bytes = size_bytes(&write).clamp(1, self.room_bytes);
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(|_| self.unavailable())?;
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Message::Job(Job { write, bytes, answer, room })).map_err(|_| self.unavailable())?;
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
    processors_changed: mpsc::UnboundedSender<StreamPath>,
    failed: Arc<OnceLock<String>>,
}

impl WriterThread {
    fn run(mut self, mut waiting: mpsc::UnboundedReceiver<Message>) {
        let mut open = true;
        while open {
            let Some(Message::Job(first)) = waiting.blocking_recv() else { break };
            let mut bytes = first.bytes;
            let mut group = vec![first];
            while bytes < GROUP_BYTES_MAX {
                match waiting.try_recv() {
                    Ok(Message::Job(job)) => {
                        bytes += job.bytes;
                        group.push(job);
                    }
                    Ok(Message::Close) => {
                        open = false;
                        break;
                    }
                    Err(_) => break,
                }
            }
            self.commit(group);
        }
    }

    fn commit(&mut self, group: Vec<Job>) {
        let (writes, answers): (Vec<_>, Vec<_>) = group.into_iter().map(|job| (job.write, (job.answer, job.room))).unzip();
        match self.writer.commit(writes, now()) {
            Ok(committed) => {
                self.tails.publish(&committed.moved, committed.head);
                for stream in committed.processors_changed {
                    if self.processors_changed.send(stream).is_err() {
                        tracing::debug!(tenant = %self.tenant, "the supervisor has ended; the next opening reads its streams again");
                    }
                }
                for ((answer, room), result) in answers.into_iter().zip(committed.answers) {
                    reply(answer, result.map_err(|refusal: Refusal| AppendError::Refused(refusal)));
                    drop(room);
                }
            }
            Err(error) => {
                let reason = error.to_string();
                tracing::error!(tenant = %self.tenant, error = reason, "a commit failed; the tenant takes no more appends");
                for (answer, _room) in answers {
                    reply(answer, Err(AppendError::Unavailable(reason.clone())));
                }
                self.failed.get_or_init(|| reason);
            }
        }
    }
}

/// A caller that went away meanwhile misses only the answer; its write stands.
fn reply(answer: oneshot::Sender<Result<Written, AppendError>>, result: Result<Written, AppendError>) {
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
