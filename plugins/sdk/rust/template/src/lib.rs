//! Answers each `ping` with a `pong`, and counts them.

use pelton_sdk::{EffectContext, Event, Manifest, NewEvent, Processor, ReduceContext, Result, json};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct State {
    count: u64,
}

struct PluginName;

impl Processor for PluginName {
    type State = State;

    fn manifest() -> Manifest {
        Manifest::new("plugin-name", env!("CARGO_PKG_VERSION")).consumes(["ping"]).emits(["pong"])
    }

    fn reduce(state: &mut State, _event: &Event, _context: &ReduceContext) -> Result<()> {
        state.count += 1;
        Ok(())
    }

    fn after_append(event: &Event, state: &State, context: &EffectContext) -> Result<()> {
        context.info(format_args!("ping {}", state.count));
        let pong = json!({ "to": event.offset, "count": state.count });
        Ok(context.append(NewEvent::new("pong").payload(pong))?)
    }
}

pelton_sdk::export!(PluginName);
