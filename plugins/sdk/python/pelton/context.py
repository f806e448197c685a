"""What a processor may reach while it handles an event."""

from __future__ import annotations

import enum
from functools import cached_property
from typing import Any, NamedTuple, Protocol, TypeVar

from . import shapes
from .errors import ShapeError
from .event import Event

T = TypeVar("T")


class Level(enum.IntEnum):
    """How serious a log line is."""

    DEBUG = 0
    INFO = 1
    WARN = 2
    ERROR = 3


class NewEvent(NamedTuple):
    """A proposed event, its JSON as text; the contexts make them."""

    type: str
    payload_json: str
    metadata_json: str | None
    idempotency_key: str | None
    expected_offset: int | None


class Host(Protocol):
    """The other side of a context: the component's imports, or `pelton.testing.Host`."""

    def config(self) -> str: ...
    def slug(self) -> str: ...
    def log(self, level: Level, message: str) -> None: ...
    def append(self, to: str | None, event: NewEvent) -> None: ...
    def append_now(self, to: str | None, event: NewEvent) -> Event: ...


def secret(name: str) -> str:
    """A placeholder for the tenant's secret of that name, to be put into the value of a header of an HTTP request.

    The host replaces it on the way out, only for hosts that the secret lists; the request fails otherwise. The value never reaches the
    processor. A header may hold more than it: `f"Bearer {secret('api-key')}"`.
    """
    return "{{secret:" + name + "}}"


class ReduceContext:
    """What `reduce` may reach: the configuration and the log. There is no way to append from here."""

    def __init__(self, host: Host) -> None:
        self._host = host

    @cached_property
    def config(self) -> Any:
        """The `config` of the processor's configuration, usually a dict; `{}` where none was given. The same for as long as this version is configured."""
        return shapes.loads(self.config_json)

    @property
    def config_json(self) -> str:
        """The configuration's JSON text."""
        return self._host.config()

    def config_as(self, shape: type[T]) -> T:
        """The configuration as a dataclass, or as another shape of `pelton.shapes`. Fails with `ShapeError`."""
        try:
            return shapes.decoder(shape)(self.config)
        except ShapeError as error:
            raise error.inside("config")

    @property
    def slug(self) -> str:
        """The slug under which this processor is configured."""
        return self._host.slug()

    def log(self, level: Level, message: object) -> None:
        """Writes one line to the host's log, with tenant, stream, slug and offset added.

        The host cuts long lines, and drops those past its limit for one call. `print` and `logging` end up there as well.
        """
        self._host.log(level, str(message))

    def debug(self, message: object) -> None:
        """`log` at this level."""
        self.log(Level.DEBUG, message)

    def info(self, message: object) -> None:
        """`log` at this level."""
        self.log(Level.INFO, message)

    def warn(self, message: object) -> None:
        """`log` at this level."""
        self.log(Level.WARN, message)

    def error(self, message: object) -> None:
        """`log` at this level."""
        self.log(Level.ERROR, message)


class EffectContext(ReduceContext):
    """What `after_append` may reach: all of `ReduceContext`, appending, and HTTP by Python's own means.

    - `payload` and `metadata`: a dict, a dataclass, a mapping, or `Raw` JSON text; a JSON object. Absent payload means `{}`.
    - `to`: an absolute path (`/orders`), or one relative to the stream of the event being handled (`./below`, `../beside`).
    - `idempotency_key`: with a key that the stream has seen, nothing is recorded and the event recorded then is what the append gives.
    - `expected_offset`: refuse the append as a conflict unless the event gets this offset.
    """

    def append(
        self,
        type: str,
        payload: object = None,
        *,
        metadata: object = None,
        idempotency_key: str | None = None,
        expected_offset: int | None = None,
    ) -> None:
        """Appends to the stream of the event being handled: recorded when `after_append` returns, exactly once, and not at all when it raises.

        Returning means well formed and kept for the commit. `AppendInvalid` and `AppendDenied` are raised at once; a refusal that only
        the commit can show (an expected offset, a paused stream) fails the whole call, which the host then repeats.
        """
        self._host.append(None, _new_event(type, payload, metadata, idempotency_key, expected_offset))

    def append_to(
        self,
        to: str,
        type: str,
        payload: object = None,
        *,
        metadata: object = None,
        idempotency_key: str | None = None,
        expected_offset: int | None = None,
    ) -> None:
        """`append` to another stream."""
        self._host.append(to, _new_event(type, payload, metadata, idempotency_key, expected_offset))

    def append_now(
        self,
        type: str,
        payload: object = None,
        *,
        to: str | None = None,
        metadata: object = None,
        idempotency_key: str | None = None,
        expected_offset: int | None = None,
    ) -> Event:
        """Records an event at once, whatever comes of this call, and returns it. For what cannot wait, such as streamed output.

        Without an idempotency key the host derives one from the slug, the offset being handled and the number of this append in the
        call, so that a repeated call finds what it recorded before. Every `AppendError` is possible.
        """
        return self._host.append_now(to, _new_event(type, payload, metadata, idempotency_key, expected_offset))

    def secret(self, name: str) -> str:
        """`pelton.secret`: a placeholder for the value of a header."""
        return secret(name)


def _new_event(type: str, payload: object, metadata: object, idempotency_key: str | None, expected_offset: int | None) -> NewEvent:
    payload_json = "{}" if payload is None else shapes.dumps(payload)
    metadata_json = None if metadata is None else shapes.dumps(metadata)
    return NewEvent(type, payload_json, metadata_json, idempotency_key, expected_offset)
