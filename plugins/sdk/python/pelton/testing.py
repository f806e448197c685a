"""Runs a processor in plain Python, in a unit test, through the same code as the component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import shapes
from .context import Level, NewEvent
from .errors import AppendInvalid
from .event import Event, Source
from .glue import Glue
from .processor import Processor, manifest


@dataclass
class Appended:
    """An event that the processor appended."""

    #: Its type.
    type: str
    #: Its payload.
    payload: Any
    #: Its metadata.
    metadata: Any = None
    #: The path it was appended to, as the processor wrote it; `None` for the stream of the event being handled.
    to: str | None = None
    #: Its idempotency key.
    idempotency_key: str | None = None
    #: The offset it was expected to get.
    expected_offset: int | None = None
    #: Whether it was recorded at once, rather than with the outbox.
    at_once: bool = False


class Host:
    """A stream `/test` with one processor attached, in memory; the next event gets offset 2.

    It does what the host does for one event after the other: `reduce`, then `after_append`, once. What the processor appends is
    returned, and neither fed back to it nor put to the limits of a real host. Exceptions of the processor pass through.

        host = Host(PingPong())
        assert host.append("ping", {"message": "hi"})[0].payload == {"to": 2, "count": 1, "message": "hi"}
    """

    def __init__(self, processor: Processor[Any], *, config: object = None, slug: str = "test") -> None:
        self._imports = _Recorder(shapes.dumps({} if config is None else config), slug)
        self._glue = Glue(processor, self._imports)
        #: What the processor says about itself, with its initial state.
        self.manifest: dict[str, Any] = shapes.loads(self._glue.describe())
        #: The state after the events so far, as JSON text.
        self.state_json: str = shapes.dumps(self.manifest["initialState"])
        self._next_offset = 2
        self._consumes = manifest(processor).get("consumes")

    @property
    def state(self) -> Any:
        """The state after the events so far, as the processor gets it."""
        return self._glue.state(self.state_json)

    def append(
        self,
        type: str,
        payload: object = None,
        *,
        metadata: object = None,
        idempotency_key: str | None = None,
        created_at_ms: int | None = None,
        source: Source | None = None,
    ) -> list[Appended]:
        """Appends an event and returns what the processor appended in answer.

        Fails with `ValueError` when the processor does not consume this type of event. Without `created_at_ms` events are a millisecond apart.
        """
        if self._consumes is not None and not any(_matches(pattern, type) for pattern in self._consumes):
            raise ValueError(f"the manifest does not consume `{type}`")
        offset, self._next_offset = self._next_offset, self._next_offset + 1
        event = Event(
            type,
            shapes.dumps({} if payload is None else payload),
            offset,
            "/test",
            1_700_000_000_000 + offset if created_at_ms is None else created_at_ms,
            None if metadata is None else shapes.dumps(metadata),
            idempotency_key,
            source,
        )
        self.state_json = self._glue.reduce(self.state_json, [event])
        self._imports.appended = []
        self._glue.after_append(event, self.state_json)
        return self._imports.appended

    def take_log(self) -> list[tuple[Level, str]]:
        """The lines logged since this was asked last."""
        lines, self._imports.lines = self._imports.lines, []
        return lines


class _Recorder:
    def __init__(self, config: str, slug: str) -> None:
        self._config = config
        self._slug = slug
        self.appended: list[Appended] = []
        self.lines: list[tuple[Level, str]] = []

    def config(self) -> str:
        return self._config

    def slug(self) -> str:
        return self._slug

    def log(self, level: Level, message: str) -> None:
        self.lines.append((level, message))

    def append(self, to: str | None, event: NewEvent) -> None:
        self._record(to, event, at_once=False)

    def append_now(self, to: str | None, event: NewEvent) -> Event:
        self._record(to, event, at_once=True)
        stream_path, offset = to or "/test", len(self.appended)
        return Event(event.type, event.payload_json, offset, stream_path, 1_700_000_000_000, event.metadata_json, event.idempotency_key)

    def _record(self, to: str | None, event: NewEvent, at_once: bool) -> None:
        payload = _object(event.payload_json)
        metadata = None if event.metadata_json is None else _object(event.metadata_json)
        self.appended.append(Appended(event.type, payload, metadata, to, event.idempotency_key, event.expected_offset, at_once))


def _object(text: str) -> Any:
    value = shapes.loads(text)
    if not isinstance(value, dict):
        raise AppendInvalid(f"not a JSON object: {text}")
    return value


def _matches(pattern: str, text: str) -> bool:
    start, star, rest = pattern.partition("*")
    if not star:
        return pattern == text
    return text.startswith(start) and any(_matches(rest, text[at:]) for at in range(len(start), len(text) + 1))
