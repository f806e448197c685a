use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{EffectContext, Event, Manifest, ReduceContext, Result};

/// A stream processor: a state, how events change it, and what to do about each.
///
/// The functions take no `self`, for nothing may be kept in memory from one call to the next.
pub trait Processor {
    /// What is known after the events so far; JSON between calls.
    ///
    /// `Default` is the state before the first event. A new shape needs a higher [`Manifest::state_version`]. A processor
    /// that remembers nothing says `()`.
    type State: Default + Serialize + DeserializeOwned;

    /// What this processor is and which events it wants. Called once, when the component is uploaded.
    fn manifest() -> Manifest;

    /// Folds one event into the state. Pure, see the [crate's page](crate#what-to-know).
    ///
    /// An error discards the change and parks the processor at this event, with the error's text as the reason. So return one
    /// for what only a new version can mend, and step over what others may send at any time, such as odd payloads from outside.
    fn reduce(state: &mut Self::State, event: &Event, context: &ReduceContext) -> Result<()> {
        let _ = (state, event, context);
        Ok(())
    }

    /// Acts on one event; `state` includes it.
    ///
    /// `Ok` commits what was [appended](EffectContext::append), together with the processor's place in the stream. An error discards
    /// it; the host calls again later with the same event and state, and parks the processor after its last attempt.
    fn after_append(event: &Event, state: &Self::State, context: &EffectContext) -> Result<()> {
        let _ = (event, state, context);
        Ok(())
    }
}
