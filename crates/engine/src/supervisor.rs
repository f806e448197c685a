//! One task a tenant: sees to it that every processor the log knows has its actor, and the tenant its scheduler.

use std::collections::HashMap;
use std::sync::Arc;

use pelton_model::{Slug, StreamPath};
use pelton_store::{ControlChange, StoreError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::actor::Actor;
use crate::scheduler::Scheduler;
use crate::tenant::{Busy, Core, becomes_true};

pub(crate) struct Supervisor {
    pub core: Arc<Core>,
    /// Streams whose control state changed, from the writer.
    pub changed: mpsc::UnboundedReceiver<ControlChange>,
    pub stop: watch::Receiver<bool>,
}

impl Supervisor {
    /// Runs until the tenant closes and every actor has come to rest. `starting` keeps the tenant open until every actor had a look at what
    /// there is to do.
    pub async fn run(mut self, starting: Busy) {
        let mut actors = Actors::default();
        let streams = self.core.store.controls().unwrap_or_else(|error| {
            tracing::error!(tenant = %self.core.name, %error, "what the streams of this tenant have to do could not be read");
            Vec::new()
        });
        streams.iter().filter(|(_, control)| !control.processors.is_empty()).for_each(|(stream, _)| self.attend(stream, &mut actors));
        let (schedules, schedules_changed) = mpsc::unbounded_channel();
        let scheduler = Scheduler::new(&self.core, schedules_changed, self.stop.clone());
        actors.tasks.spawn(scheduler.run(streams, Busy::begin(&self.core)));
        drop(starting);
        loop {
            tokio::select! {
                () = becomes_true(&mut self.stop) => break,
                change = self.changed.recv() => match change {
                    Some(ControlChange { stream, processors, schedules: ticks, .. }) => {
                        if processors {
                            self.attend(&stream, &mut actors);
                        }
                        if ticks && schedules.send(stream).is_err() {
                            tracing::debug!(tenant = %self.core.name, "the scheduler has ended");
                        }
                    }
                    None => break,
                },
                Some(ended) = actors.tasks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(tenant = %self.core.name, %error, "a task of this tenant failed");
                    }
                }
            }
        }
        while actors.tasks.join_next().await.is_some() {}
    }

    fn attend(&self, stream: &StreamPath, actors: &mut Actors) {
        if let Err(error) = self.try_attend(stream, actors) {
            tracing::error!(tenant = %self.core.name, %stream, %error, "the processors of this stream could not be read");
        }
    }

    fn try_attend(&self, stream: &StreamPath, actors: &mut Actors) -> Result<(), StoreError> {
        let of_stream = actors.by_stream.entry(stream.clone()).or_default();
        let info = self.core.store.stream(stream)?;
        for slug in info.iter().flat_map(|info| info.control.processors.keys()) {
            of_stream.entry(slug.clone()).or_insert_with(|| {
                let (notify, changed) = watch::channel(0);
                let actor =
                    Actor { core: Arc::clone(&self.core), stream: stream.clone(), slug: slug.clone(), changed, stop: self.stop.clone() };
                actors.tasks.spawn(actor.run(Busy::begin(&self.core)));
                notify
            });
        }
        of_stream.values().for_each(|notify| notify.send_modify(|changes| *changes += 1));
        Ok(())
    }
}

#[derive(Default)]
struct Actors {
    by_stream: HashMap<StreamPath, HashMap<Slug, watch::Sender<u64>>>,
    tasks: JoinSet<()>,
}
