"""Stream processors for Pelton, in Python.

    from dataclasses import dataclass
    from pelton import EffectContext, Event, Processor, ReduceContext


    @dataclass
    class Pings:
        count: int = 0


    class PingPong(Processor[Pings]):
        \"\"\"Answers each ping with a pong, and counts them.\"\"\"

        name = "ping-pong"
        version = "0.1.0"
        consumes = ["ping"]
        emits = ["pong"]

        def reduce(self, state: Pings, event: Event, context: ReduceContext) -> None:
            state.count += 1

        def after_append(self, event: Event, state: Pings, context: EffectContext) -> None:
            context.append("pong", {"to": event.offset, "count": state.count})

`pelton plugin new NAME --lang python` makes a project, `pelton plugin build` a component of it. `pelton.testing` runs a processor in a unit
test, `pelton.http` says how requests go out, `pelton.shapes` which types JSON can have. The README beside this package says what to know.
"""

from .context import EffectContext, Level, ReduceContext, secret
from .errors import (
    AppendConflict,
    AppendDenied,
    AppendError,
    AppendInvalid,
    AppendPaused,
    AppendUnavailable,
    Error,
    ShapeError,
)
from .event import Event, Source
from .processor import Processor
from .shapes import Raw

__all__ = [
    "AppendConflict",
    "AppendDenied",
    "AppendError",
    "AppendInvalid",
    "AppendPaused",
    "AppendUnavailable",
    "EffectContext",
    "Error",
    "Event",
    "Level",
    "Processor",
    "Raw",
    "ReduceContext",
    "ShapeError",
    "Source",
    "secret",
]
