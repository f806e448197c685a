"""What this processor is for.

- state: `{"count": <pings so far>}`
- a ping's payload: `{"message"?: any JSON}`
- a pong's payload: `{"to": <offset of the ping>, "count": <pings up to that one>, "message"?: <the ping's>}`
"""

from dataclasses import dataclass

from pelton import EffectContext, Event, Processor, ReduceContext


@dataclass
class State:
    count: int = 0


class PluginName(Processor[State]):
    name = "plugin-name"
    version = "0.1.0"
    description = "Answers each ping with a pong, and counts them."
    consumes = ["ping"]
    emits = ["pong"]

    def reduce(self, state: State, event: Event, context: ReduceContext) -> None:
        state.count += 1

    def after_append(self, event: Event, state: State, context: EffectContext) -> None:
        pong = {"to": event.offset, "count": state.count}
        if "message" in event.payload:
            pong["message"] = event.payload["message"]
        context.append("pong", pong)
