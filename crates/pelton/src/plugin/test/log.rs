//! What a plugin says while it is tested.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Lines, each with its level.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<(&'static str, String)>>>);

impl Log {
    /// Gathers from now on what plugins of this process say.
    pub fn gather() -> Self {
        let log = Self::default();
        // Fails only where there is a subscriber already, which a command has not.
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(log.clone())).ok();
        log
    }

    pub fn take(&self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "pelton::guest" {
            return;
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => "error",
            tracing::Level::WARN => "warn",
            tracing::Level::INFO => "info",
            _ => "debug",
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((level, message.0));
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
