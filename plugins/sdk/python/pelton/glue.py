"""Between the exports, which speak JSON text, and `Processor`, which speaks Python."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

from . import shapes
from .context import EffectContext, Host, ReduceContext
from .errors import ShapeError
from .event import Event
from .processor import Processor, check_names, manifest, state_shape


class Glue:
    """One processor behind the three functions of the contract. Exceptions of the processor pass through."""

    def __init__(self, processor: Processor[Any], host: Host) -> None:
        check_names(type(processor))
        self._processor = processor
        self._host = host
        shape = state_shape(type(processor))
        self._decode = shapes.decoder(shape)
        self._none_is_a_state = shapes.admits_none(shape)

    def describe(self) -> str:
        initial = shapes.dumps(self._processor.initial_state())
        self.state(initial)
        described = manifest(self._processor)
        return shapes.dumps({**described, "initialState": shapes.loads(initial)})

    def reduce(self, state_json: str, events: Iterable[Event], *, lasting: bool = True) -> str:
        """`lasting` asks whether the new state is the same after it was JSON, and fails with `TypeError` when it is not."""
        context = ReduceContext(self._host)
        state = self.state(state_json)
        for event in events:
            returned = self._processor.reduce(state, event, context)
            if returned is not None or self._none_is_a_state:
                state = returned
        new_json = shapes.dumps(state)
        if lasting and self.state(new_json) != state:
            raise TypeError(
                "the state is not the same after it was JSON: use strings as keys of a dict, lists instead of tuples, and values of the "
                f"declared types; it became {new_json:.200}"
            )
        return new_json

    def after_append(self, event: Event, state_json: str) -> None:
        self._processor.after_append(event, self.state(state_json), EffectContext(self._host))

    def state(self, state_json: str) -> Any:
        try:
            return self._decode(shapes.loads(state_json))
        except ShapeError as error:
            raise error.inside("state")


def find_processor(module: ModuleType) -> Processor[Any]:
    """The processor that a module defines: its only subclass of `Processor`, or what it calls `processor` where it has several."""
    named = getattr(module, "processor", None)
    if isinstance(named, Processor):
        return named
    if isinstance(named, type) and issubclass(named, Processor):
        return named()
    classes = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Processor)]
    classes = [cls for cls in dict.fromkeys(classes) if cls is not Processor and not _has_subclass(cls, classes)]
    if len(classes) == 1:
        return classes[0]()
    if not classes:
        raise TypeError(f"{module.__name__} defines no processor; write `class MyProcessor(pelton.Processor): ...`")
    names = ", ".join(cls.__name__ for cls in classes)
    raise TypeError(f"{module.__name__} defines several processors ({names}); say which with `processor = {classes[0].__name__}`")


def _has_subclass(cls: type, classes: list[type]) -> bool:
    return any(other is not cls and issubclass(other, cls) for other in classes)
