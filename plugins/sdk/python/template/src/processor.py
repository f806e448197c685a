"""What this processor is for.

- state: `{"count": <pings so far>}`
- a pong's payload: `{"to": <offset of the ping>, "count": <pings up to that one>}`
"""

from dataclasses import dataclass

from pelton import EffectContext, Event, Processor, ReduceContext


@dataclass
class State:
    count: int = 0


class PluginName(Processor[State]):
    """Answers each ping with a pong, and counts them."""

    name = "plugin-name"
    version = "0.1.0"
    consumes = ["ping"]
    emits = ["pong"]

    def reduce(self, state: State, event: Event, context: ReduceContext) -> None:
        state.count += 1

    def after_append(self, event: Event, state: State, context: EffectContext) -> None:
        context.info(f"ping {state.count}")
        context.append("pong", {"to": event.offset, "count": state.count})
