//! Folding events into state.

use std::sync::Arc;

use pelton_model::{Event, Json};

use crate::error::clamp;
use crate::host::Context;
use crate::instance::Instance;
use crate::lower::Digests;
use crate::{CallError, Component};

/// Events that go into one call at most. The cost of a call is spread over them, and more would not make it less.
const PAGE_EVENTS_MAX: usize = 256;

/// Bytes of text that go into one call, unless one event alone has more.
const PAGE_BYTES_MAX: usize = 256 << 10;

/// Calls `reduce`; keeps a warm instance and replaces it when needed.
///
/// How the events are split into calls does not show. A page gets the fuel of one event, and if anything goes wrong with it, it is done again
/// event by event; an event that fails alone is tried once more on a fresh instance, so that neither its neighbours nor what
/// earlier calls left in memory decide its fate. One thing is left: a page's states in between are the guest's own, so only the last of them
/// is checked for its size and for being JSON.
pub struct Reducer {
    component: Component,
    context: Arc<Context>,
    warm: Option<Instance>,
}

/// The state after all events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduced {
    pub state: Json,
    /// What the guest used, for metrics. It depends on how the events were split into calls.
    pub fuel: u64,
}

/// The event that could not be folded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {index}: {error}")]
pub struct ReduceFailed {
    /// The state after `events[..index]`.
    pub state: Json,
    pub index: usize,
    #[source]
    pub error: CallError,
}

impl Reducer {
    pub(crate) fn new(component: Component, context: Context) -> Self {
        Self { component, context: Arc::new(context), warm: None }
    }

    /// Folds all events, in order. Blocking; it needs no runtime.
    ///
    /// # Errors
    /// [`ReduceFailed`] says which event failed, with the state before it.
    pub fn reduce(&mut self, mut state: Json, events: &[Event]) -> Result<Reduced, ReduceFailed> {
        let mut fuel = 0;
        let mut index = 0;
        while index < events.len() {
            let page = &events[index..index + page_len(&events[index..])];
            // Why a page failed is found out by its events, each alone.
            let whole = if page.len() > 1 { self.reduce_page(&state, page).ok() } else { None };
            if let Some(folded) = whole {
                state = folded.state;
                fuel += folded.fuel;
                index += page.len();
                continue;
            }
            for event in page {
                match self.reduce_one(&state, event) {
                    Ok(folded) => {
                        state = folded.state;
                        fuel += folded.fuel;
                        index += 1;
                    }
                    Err(error) => return Err(ReduceFailed { state, index, error }),
                }
            }
        }
        Ok(Reduced { state, fuel })
    }

    fn reduce_one(&mut self, state: &Json, event: &Event) -> Result<Reduced, CallError> {
        let event = std::slice::from_ref(event);
        let was_fresh = self.warm.as_ref().is_none_or(Instance::is_fresh);
        match self.reduce_page(state, event) {
            Err(_) if !was_fresh => self.reduce_page(state, event),
            result => result,
        }
    }

    /// A fresh instance that has described itself, with the fuel for that: what a language does once, such as loading the program that it
    /// interprets, must not count as part of the first event.
    fn started(&self) -> Result<Instance, CallError> {
        let fuel_max = self.context.quotas.describe_fuel_max;
        let mut instance = Instance::pure(self.component.pure(), &self.context, "reduce", fuel_max)?;
        instance.begin_pure_call(fuel_max, None)?;
        let result = instance.guest.pelton_processor_processor().call_describe(&mut instance.store);
        instance.end_call(result, fuel_max)?;
        Ok(instance)
    }

    /// Calls the guest once. The instance is kept only if all went well.
    fn reduce_page(&mut self, state: &Json, events: &[Event]) -> Result<Reduced, CallError> {
        let quotas = &self.context.quotas;
        let fuel_max = quotas.reduce_fuel_max;
        let mut instance = match self.warm.take().filter(|instance| !instance.is_spent(quotas)) {
            Some(instance) => instance,
            None => self.started()?,
        };
        instance.begin_pure_call(fuel_max, events.first().map(|event| event.offset))?;
        let digests = Digests::of(events);
        let lowered: Vec<_> = events.iter().map(|event| digests.lower(event)).collect();
        let guest = instance.guest.pelton_processor_processor();
        let result = guest.call_reduce(&mut instance.store, state.as_str(), &lowered);
        let (returned, fuel) = instance.end_call(result, fuel_max)?;
        let text = returned.map_err(|message| CallError::guest(&message))?;
        let state = checked_state(&text, quotas.state_bytes_max)?;
        self.warm = Some(instance);
        Ok(Reduced { state, fuel })
    }
}

fn checked_state(text: &str, max: usize) -> Result<Json, CallError> {
    if text.len() > max {
        return Err(CallError::StateTooLarge { max, found: text.len() });
    }
    Json::parse(text).map_err(|error| CallError::BadState { message: clamp(&error.to_string(), 500), found: clamp(text, 200) })
}

/// How many of the events go into the next call: at least one.
fn page_len(events: &[Event]) -> usize {
    let mut bytes = 0;
    let fitting = events.iter().take(PAGE_EVENTS_MAX).take_while(|event| {
        bytes += event.payload.as_str().len() + event.metadata.as_ref().map_or(0, |metadata| metadata.as_str().len());
        bytes <= PAGE_BYTES_MAX
    });
    fitting.count().max(1)
}
