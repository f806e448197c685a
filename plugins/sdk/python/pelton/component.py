"""The exports of the component. `pelton plugin build` writes the module that calls `component` with the author's module."""

from __future__ import annotations

import gc
import linecache
import logging
import os
import random
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TypeVar

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import appender, context, environment, outbox
from wit_world.imports import pelton_processor_types as types

from . import http, wasi
from .context import Level, NewEvent
from .errors import APPEND_ERRORS, STANDARD_LIBRARY, AppendError, explain
from .event import Event, Source
from .glue import Glue, find_processor

_T = TypeVar("_T")


def component(module: ModuleType) -> type[exports.Processor]:
    """The class that componentize-py exports, for the processor that this module defines."""
    global _random_is_used
    glue = Glue(find_processor(module), Imports())
    description = glue.describe()
    _keep_sources(module)
    _random_is_used = _uses_random()
    http.install()
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", handlers=[_HostLog()])

    # What is there now stays: the collector need not look at it, which would make every instance's memory its own.
    gc.collect()
    gc.freeze()

    class Component(exports.Processor):
        def describe(self) -> str:
            return description

        def reduce(self, state: str, events: list[types.Event]) -> str:
            # Between events of one call the state stays what it is, between calls it is JSON; that must make no difference.
            return _run(lambda: glue.reduce(state, _without_chance(events), lasting=len(events) > 1))

        def after_append(self, event: types.Event, state: str) -> None:
            _fresh_environment()
            _fresh_chances()
            wasi.allow_effects(True)
            try:
                _run(lambda: glue.after_append(_event(event), state))
            finally:
                wasi.allow_effects(False)

    return Component


class Imports:
    """The host that runs the component."""

    def config(self) -> str:
        return context.config()

    def slug(self) -> str:
        return context.slug()

    def log(self, level: Level, message: str) -> None:
        context.log(_LEVELS[level], message.encode("utf-8", "backslashreplace").decode())

    def append(self, to: str | None, event: NewEvent) -> None:
        try:
            outbox.append(to, types.NewEvent(*event))
        except Err as error:
            raise _append_error(error.value) from None

    def append_now(self, to: str | None, event: NewEvent) -> Event:
        try:
            return _event(appender.append(to, types.NewEvent(*event)))
        except Err as error:
            raise _append_error(error.value) from None


_LEVELS = (context.Level.DEBUG, context.Level.INFO, context.Level.WARN, context.Level.ERROR)


def _run(call: Callable[[], _T]) -> _T:
    """What left uncaught would trap and tell the host nothing becomes the error case."""
    try:
        return call()
    except BaseException as error:
        raise Err(explain(error)) from None
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _event(event: types.Event) -> Event:
    source = event.source
    return Event(
        event.event_type,
        event.payload,
        event.offset,
        event.stream_path,
        event.created_at,
        event.metadata,
        event.idempotency_key,
        None if source is None else Source(source.slug, source.digest, source.stream_path, source.offset, source.depth),
    )


def _append_error(error: types.AppendError) -> AppendError:
    return APPEND_ERRORS[type(error).__name__.rpartition("_")[2].lower()](error.value)


_seen_environment: list[tuple[str, str]] | None = None


def _fresh_environment() -> None:
    """`os.environ` holds what it held when the component was built, or in an earlier call."""
    global _seen_environment
    variables = environment.get_environment()
    if variables != _seen_environment:
        _seen_environment = variables
        os.environ.clear()
        os.environ.update(variables)


_random_is_used = False
_random_is_fresh = False


def _without_chance(events: list[types.Event]) -> Iterator[Event]:
    """The events, `random` being the same before each of them; its state must not show how events are split into calls."""
    global _random_is_fresh
    for event in events:
        if _random_is_used:
            random.seed(0)
            _random_is_fresh = False
        yield _event(event)


def _fresh_chances() -> None:
    """Without this, `random` would give every instance what it was about to give when the component was built."""
    global _random_is_fresh
    if _random_is_used and not _random_is_fresh:
        random.seed()
        _random_is_fresh = True


def _uses_random() -> bool:
    """Whether a module that is not Python's own has the module `random` or one of its functions among its names."""
    others = [module for module in list(sys.modules.values()) if not _is_standard(module) and module.__name__ != __name__]
    values = (value for module in others for value in list(vars(module).values()))
    return any(value is random or getattr(value, "__self__", None) is random._inst for value in values)


def _is_standard(module: ModuleType) -> bool:
    path = getattr(module, "__file__", None)
    return path is None or path.startswith(STANDARD_LIBRARY)


def _keep_sources(module: ModuleType) -> None:
    """The author's sources, so that a traceback shows lines: there are no files when the component runs."""
    folder = os.path.dirname(str(module.__file__)) + os.sep
    for path in {str(getattr(other, "__file__", None)) for other in list(sys.modules.values())}:
        if path.startswith(folder) and (lines := linecache.getlines(path)):
            # Without a time, the entry is taken as it is.
            linecache.cache[path] = (sum(map(len, lines)), None, lines, path)


class _HostLog(logging.Handler):
    """What goes to `logging` is logged by the host."""

    def emit(self, record: logging.LogRecord) -> None:
        level = min(max(record.levelno // 10 - 1, 0), Level.ERROR)
        Imports().log(Level(level), self.format(record))
