//! Between the exports, which speak JSON text, and [`Processor`], which speaks types.

use std::sync::Once;

use serde::Serialize;

use crate::bindings::pelton::processor::types;
use crate::context::{Host, Imports};
use crate::{EffectContext, Event, Level, Manifest, Processor, ReduceContext, Result};

/// `describe` of the component.
pub fn describe<P: Processor>() -> String {
    log_panics();
    describe_as_json::<P>()
}

/// `reduce` of the component.
pub fn reduce<P: Processor>(state: String, events: Vec<types::Event>) -> Result<String, String> {
    log_panics();
    reduce_with::<P>(&Imports, &state, events.into_iter().map(Event::from)).map_err(|error| error.to_string())
}

/// `after-append` of the component.
pub fn after_append<P: Processor>(event: types::Event, state: String) -> Result<(), String> {
    log_panics();
    after_append_with::<P>(&Imports, &event.into(), &state).map_err(|error| error.to_string())
}

pub(crate) fn describe_as_json<P: Processor>() -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Description<S> {
        #[serde(flatten)]
        manifest: Manifest,
        initial_state: S,
    }
    serde_json::to_string(&Description { manifest: P::manifest(), initial_state: P::State::default() })
        .expect("the default of the state serialises to JSON")
}

pub(crate) fn reduce_with<P: Processor>(host: &dyn Host, state: &str, events: impl Iterator<Item = Event>) -> Result<String> {
    let context = ReduceContext::new(host);
    let mut state = decode_state::<P>(state)?;
    for event in events {
        P::reduce(&mut state, &event, &context)?;
    }
    Ok(serde_json::to_string(&state)?)
}

pub(crate) fn after_append_with<P: Processor>(host: &dyn Host, event: &Event, state: &str) -> Result<()> {
    P::after_append(event, &decode_state::<P>(state)?, &EffectContext::new(host))
}

pub(crate) fn decode_state<P: Processor>(state: &str) -> Result<P::State> {
    serde_json::from_str(state).map_err(|error| crate::Error::from(error).during("state"))
}

/// A panic ends in a trap that tells the host nothing; its message and place go to the log before.
fn log_panics() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| std::panic::set_hook(Box::new(|panic| Imports.log(Level::Error, &panic.to_string()))));
}
