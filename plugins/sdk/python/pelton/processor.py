"""The class that an author writes."""

from __future__ import annotations

import difflib
import inspect
import sys
import typing
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from .context import EffectContext, ReduceContext
from .event import Event

State = TypeVar("State")


class Processor(Generic[State]):
    """A stream processor: a state, how events change it, and what to do about each.

    The type of the state is the class's argument, `class Shop(Processor[Orders])`: a dataclass, or another shape of `pelton.shapes`.
    Without one it is `dict[str, Any]`.

    There is one instance, made when the component is built. Keep nothing on it: the host drops and repeats what is in memory as it likes.
    """

    #: What it is called; required.
    name: ClassVar[str]
    #: Its own version, such as `1.2.0`.
    version: ClassVar[str | None] = None
    #: One or two sentences for people; the first paragraph of the class's docstring unless given.
    description: ClassVar[str | None] = None
    #: The event types it wants, where `*` matches any run of characters. `None` means all.
    consumes: ClassVar[Sequence[str] | None] = None
    #: The event types it appends, for people and tools; not enforced.
    emits: ClassVar[Sequence[str] | None] = None
    #: Raise it whenever the shape of the state changes: the host then rebuilds the state from the events.
    state_version: ClassVar[int] = 1

    def initial_state(self) -> State:
        """The state before the first event; unless overridden what the state's type gives when called without arguments."""
        shape = state_shape(type(self))
        if shape is Any:
            return {}  # type: ignore[return-value]
        return (typing.get_origin(shape) or shape)()  # type: ignore[no-any-return]

    def reduce(self, state: State, event: Event, context: ReduceContext) -> State | None:
        """Folds one event into the state. Pure: the result depends on the arguments and the configuration alone.

        Change `state` in place or return a new one. `None` means the one that was given, except where the state's type has `None` as a
        value. An exception discards the change and parks the processor at this event, with the exception as the reason.
        """
        return state

    def after_append(self, event: Event, state: State, context: EffectContext) -> None:
        """Acts on one event; `state` includes it.

        Returning commits what was appended, together with the processor's place in the stream. An exception discards it; the host calls
        again later with the same event and state, and parks the processor after its last attempt.
        """


def check_names(cls: type[Processor[Any]]) -> None:
    """Fails with `TypeError` where a class has a name that is likely meant for one of `Processor`'s: the host would never ask for it."""
    for base in cls.__mro__:
        if base is Processor or not issubclass(base, Processor):
            continue
        for name, value in vars(base).items():
            meant = None if name.startswith("_") else _meant(cls, name, _METHODS if inspect.isroutine(value) else _ATTRIBUTES)
            if meant is not None:
                line = getattr(getattr(value, "__code__", None), "co_firstlineno", None)
                place = "" if line is None else f" (line {line})"
                raise TypeError(
                    f"{base.__qualname__}.{name}{place} is not part of a processor; did you mean {meant}? "
                    f"What is the class's own and only sounds like it can be called _{name}"
                )
    for name in _METHODS:
        if not callable(getattr(cls, name)):
            raise TypeError(f"{cls.__qualname__}.{name} is not a method: {getattr(cls, name)!r}")
    if cls.reduce is Processor.reduce and cls.after_append is Processor.after_append:
        raise TypeError(f"{cls.__qualname__} has neither reduce nor after_append, so it would do nothing")


_METHODS = ("reduce", "after_append", "initial_state")
_ATTRIBUTES = ("name", "version", "description", "consumes", "emits", "state_version")


def _meant(cls: type, name: str, known: Sequence[str]) -> str | None:
    """Which of the known names this one looks like, if the class has not got that one itself."""
    if name in _METHODS or name in _ATTRIBUTES:
        return None
    missing = [other for other in known if getattr(cls, other, None) is getattr(Processor, other, None)]
    return next(iter(difflib.get_close_matches(name.lower(), missing, 1, 0.8)), None)


def state_shape(cls: type) -> Any:
    """The argument that a class gives to `Processor`, `dict[str, Any]` where it gives none."""
    for base in cls.__mro__:
        for generic in getattr(base, "__orig_bases__", ()):
            if typing.get_origin(generic) is Processor:
                (shape,) = typing.get_args(generic)
                return _resolved(shape, base)
    return dict[str, Any]


def _resolved(shape: Any, cls: type) -> Any:
    if isinstance(shape, TypeVar):
        return dict[str, Any]
    if isinstance(shape, typing.ForwardRef):
        return eval(shape.__forward_arg__, vars(sys.modules[cls.__module__]))
    return shape


def manifest(processor: Processor[Any]) -> dict[str, Any]:
    """What a processor says about itself, without its initial state. Fails with `TypeError` when an attribute is missing or of another type."""
    cls = type(processor)
    described: dict[str, Any] = {
        "name": getattr(processor, "name", None),
        "version": processor.version,
        "description": processor.description or _first_paragraph(cls),
        "consumes": processor.consumes,
        "emits": processor.emits,
        "stateVersion": processor.state_version,
    }
    if not isinstance(described["name"], str) or not described["name"]:
        raise TypeError(f"{cls.__qualname__}.name is missing; give the processor one: name = \"my-processor\"")
    for key in ("version", "description"):
        if not isinstance(described[key], (str, type(None))):
            raise TypeError(f"{cls.__qualname__}.{key} is not a string: {described[key]!r}")
    for key in ("consumes", "emits"):
        value = described[key]
        if value is None:
            continue
        if isinstance(value, str) or not isinstance(value, Iterable) or not all(isinstance(entry, str) for entry in value):
            raise TypeError(f"{cls.__qualname__}.{key} is not a list of strings: {value!r}")
        described[key] = list(value)
    version = described["stateVersion"]
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise TypeError(f"{cls.__qualname__}.state_version is not an integer from 1: {version!r}")
    return {key: value for key, value in described.items() if value is not None}


def _first_paragraph(cls: type) -> str | None:
    text = inspect.cleandoc(cls.__dict__.get("__doc__") or "")
    return " ".join(text.split("\n\n")[0].split()) or None
