"""Events as a processor sees them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any, Type, TypeVar

from . import shapes
from .errors import ShapeError

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass
class Source:
    """Which processor appended an event, as stamped by the host."""

    #: Slug of that processor.
    slug: str
    #: Digest of its component: `sha256:` and 64 hexadecimal digits.
    digest: str
    #: Stream of the event it was handling.
    stream_path: str
    #: Offset of the event it was handling.
    offset: int
    #: 1 for an answer to an event from outside, 2 for an answer to such an answer, and so on.
    depth: int


@dataclass
class Event:
    """A recorded event. It never changes; what a processor does to these fields reaches nobody."""

    #: Its type, such as `order/placed`.
    type: str
    #: The payload's JSON text, an object, as it was recorded.
    payload_json: str
    #: Its place in its stream: 1, 2, 3 and so on; 1 is the stream's own `stream/initialized`.
    offset: int
    #: Path of the stream it is in: `/` or `/segment/segment`.
    stream_path: str
    #: When the host recorded it, in milliseconds since the Unix epoch, UTC.
    created_at_ms: int
    #: The metadata's JSON text, an object; `None` where the event has none.
    metadata_json: str | None = None
    #: The key under which a repeated append finds this event.
    idempotency_key: str | None = None
    #: Who appended it; `None` for an event from outside.
    source: Source | None = None

    @cached_property
    def payload(self) -> dict[str, Any]:
        """The payload. Integers are exact; other numbers are floats."""
        payload: dict[str, Any] = shapes.loads(self.payload_json)
        return payload

    @cached_property
    def metadata(self) -> dict[str, Any] | None:
        """The metadata, or `None` where the event has none."""
        return None if self.metadata_json is None else shapes.loads(self.metadata_json)

    @cached_property
    def created_at(self) -> datetime:
        """When the host recorded it: an aware `datetime` in UTC, exact to the millisecond."""
        return _EPOCH + timedelta(milliseconds=self.created_at_ms)

    def payload_as(self, shape: Type[T]) -> T:
        """The payload as a dataclass, or as another shape of `pelton.shapes`. Fails with `ShapeError`, which names event, field and what was there."""
        return self._decode("payload", self.payload, shape)

    def metadata_as(self, shape: Type[T]) -> T | None:
        """The metadata as a shape, or `None` where the event has none. Fails as `payload_as` does."""
        return None if self.metadata_json is None else self._decode("metadata", self.metadata, shape)

    def _decode(self, part: str, value: Any, shape: Type[T]) -> T:
        try:
            return shapes.decoder(shape)(value)
        except ShapeError as error:
            raise error.inside(f"{part} of {self}: {part}" if error.path else f"{part} of {self}")

    def __str__(self) -> str:
        """Type, offset and stream, as in "`ping` at offset 7 of /games"."""
        return f"`{self.type}` at offset {self.offset} of {self.stream_path}"
