"""Answers each `ping` with a `pong`: the smallest processor that does everything.

- state: `{"count": <pings so far>, "last": <the last ping's message, or null>}`
- a ping's payload: `{"message"?: any JSON}`
- a pong's payload: `{"to": <offset of the ping>, "count": <pings up to that one>, "message"?: <the ping's>}`
"""

from dataclasses import dataclass
from typing import Any

from pelton import EffectContext, Event, Processor, ReduceContext


@dataclass
class Pings:
    count: int = 0
    last: Any = None


class PingPong(Processor[Pings]):
    """Answers each ping with a pong, and counts them."""

    name = "ping-pong"
    version = "0.1.0"
    consumes = ["ping"]
    emits = ["pong"]

    def reduce(self, state: Pings, event: Event, context: ReduceContext) -> None:
        state.count += 1
        state.last = event.payload.get("message")

    def after_append(self, event: Event, state: Pings, context: EffectContext) -> None:
        pong = {"to": event.offset, "count": state.count}
        if state.last is not None:
            pong["message"] = state.last
        context.append("pong", pong)
