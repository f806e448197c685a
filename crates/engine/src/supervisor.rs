//! One task a tenant: sees to it that all that the log asks for has its task: processors, subscriptions and transformers one each, schedules one
//! together.

use std::collections::HashMap;
use std::sync::Arc;

use pelton_model::{Consumer, StreamPath};
use pelton_store::{ControlChange, StoreError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::actor::Actor;
use crate::push::Subscriber;
use crate::scheduler::Scheduler;
use crate::tenant::{Busy, Core, becomes_true};
use crate::transformer::Transformer;

pub(crate) struct Supervisor {
    pub core: Arc<Core>,
    /// Streams whose control state changed, from the writer.
    pub changed: mpsc::UnboundedReceiver<ControlChange>,
    pub stop: watch::Receiver<bool>,
}

impl Supervisor {
    /// Runs until the tenant closes and every task has come to rest. `starting` keeps the tenant open until each had a look at what there is to do.
    pub async fn run(mut self, starting: Busy) {
        let mut tasks = Tasks::default();
        let streams = self.core.store.controls().unwrap_or_else(|error| {
            tracing::error!(tenant = %self.core.name, %error, "what the streams of this tenant have to do could not be read");
            Vec::new()
        });
        streams.iter().for_each(|(stream, _)| self.attend(stream, &mut tasks));
        let (schedules, schedules_changed) = mpsc::unbounded_channel();
        let scheduler = Scheduler::new(&self.core, schedules_changed, self.stop.clone());
        tasks.running.spawn(scheduler.run(streams, Busy::begin(&self.core)));
        drop(starting);
        loop {
            tokio::select! {
                () = becomes_true(&mut self.stop) => break,
                change = self.changed.recv() => match change {
                    Some(change) => {
                        if change.processors || change.pushes {
                            self.attend(&change.stream, &mut tasks);
                        }
                        if change.schedules && schedules.send(change.stream).is_err() {
                            tracing::debug!(tenant = %self.core.name, "the scheduler has ended");
                        }
                    }
                    None => break,
                },
                Some(ended) = tasks.running.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(tenant = %self.core.name, %error, "a task of this tenant failed");
                    }
                }
            }
        }
        while tasks.running.join_next().await.is_some() {}
    }

    fn attend(&self, stream: &StreamPath, tasks: &mut Tasks) {
        if let Err(error) = self.try_attend(stream, tasks) {
            tracing::error!(tenant = %self.core.name, %stream, %error, "what this stream has to do could not be read");
        }
    }

    fn try_attend(&self, stream: &StreamPath, tasks: &mut Tasks) -> Result<(), StoreError> {
        let control = self.core.store.stream(stream)?.map(|info| info.control).unwrap_or_default();
        let processors = control.processors.keys().cloned().map(Consumer::Processor);
        let subscriptions = control.subscriptions.keys().cloned().map(Consumer::Subscription);
        let transformers = control.transformers.keys().cloned().map(Consumer::Transformer);
        let wanted: Vec<_> = processors.chain(subscriptions).chain(transformers).collect();
        if wanted.is_empty() && !tasks.by_stream.contains_key(stream) {
            return Ok(());
        }
        let of_stream = tasks.by_stream.entry(stream.clone()).or_default();
        for consumer in wanted {
            of_stream.entry(consumer.clone()).or_insert_with(|| {
                let (notify, changed) = watch::channel(0);
                let (core, stream, stop) = (Arc::clone(&self.core), stream.clone(), self.stop.clone());
                let busy = Busy::begin(&self.core);
                match consumer {
                    Consumer::Processor(slug) => tasks.running.spawn(Actor { core, stream, slug, changed, stop }.run(busy)),
                    Consumer::Subscription(slug) => tasks.running.spawn(Subscriber { core, stream, slug, changed, stop }.run(busy)),
                    Consumer::Transformer(slug) => tasks.running.spawn(Transformer { core, stream, slug, changed, stop }.run(busy)),
                };
                notify
            });
        }
        of_stream.values().for_each(|notify| notify.send_modify(|changes| *changes += 1));
        Ok(())
    }
}

#[derive(Default)]
struct Tasks {
    by_stream: HashMap<StreamPath, HashMap<Consumer, watch::Sender<u64>>>,
    running: JoinSet<()>,
}
