"""What componentize-py generates, as far as the SDK uses it, with a host behind it that remembers and a server that is told what to answer."""

from __future__ import annotations

import enum
import sys
import types
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Ok:
    value: Any


@dataclass(frozen=True)
class Err(Exception):
    value: Any


class Level(enum.Enum):
    DEBUG = 0
    INFO = 1
    WARN = 2
    ERROR = 3


@dataclass
class WitEvent:
    stream_path: str
    offset: int
    event_type: str
    payload: str
    metadata: str | None = None
    idempotency_key: str | None = None
    created_at: int = 1_700_000_000_000
    source: Any = None


@dataclass
class WitNewEvent:
    event_type: str
    payload: str
    metadata: str | None
    idempotency_key: str | None
    expected_offset: int | None


@dataclass
class FakeHost:
    """One for all tests; `reset` begins anew."""

    config: str = "{}"
    appended: list[tuple[str | None, WitNewEvent]] = field(default_factory=list)
    lines: list[tuple[Level, str]] = field(default_factory=list)
    environment: list[tuple[str, str]] = field(default_factory=list)
    refusal: Any = None
    #: What the server answers: status, headers, body in pieces. An exception is what the body ends with, a code of an error comes in its place.
    answer: Any = None
    requests: list[dict[str, Any]] = field(default_factory=list)
    #: Resources that are not dropped yet.
    alive: int = 0

    def reset(self) -> None:
        self.__init__()  # type: ignore[misc]


HOST = FakeHost()


class Resource:
    def __init__(self) -> None:
        HOST.alive += 1

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        HOST.alive -= 1


class Fields(Resource):
    entries_: list[tuple[str, bytes]]

    @classmethod
    def from_list(cls, entries: list[tuple[str, bytes]]) -> Fields:
        if any(b"\n" in value for _, value in entries):
            raise Err(HeaderError_InvalidSyntax())
        fields = cls()
        fields.entries_ = entries
        return fields

    def entries(self) -> list[tuple[str, bytes]]:
        return self.entries_


class OutputStream(Resource):
    def __init__(self, request: dict[str, Any]) -> None:
        super().__init__()
        self._request = request

    def blocking_write_and_flush(self, chunk: bytes) -> None:
        assert len(chunk) <= 4096
        self._request["body"] += chunk


class OutgoingBody(Resource):
    def __init__(self, request: dict[str, Any]) -> None:
        super().__init__()
        self._request = request
        request["body"] = b""

    def write(self) -> OutputStream:
        return OutputStream(self._request)

    @staticmethod
    def finish(body: OutgoingBody, trailers: None) -> None:
        HOST.alive -= 1


class OutgoingRequest(Resource):
    def __init__(self, headers: Fields) -> None:
        super().__init__()
        HOST.alive -= 1
        self.parts: dict[str, Any] = {"headers": {name: value.decode("latin-1") for name, value in headers.entries()}}

    def set_method(self, method: Any) -> None:
        self.parts["method"] = getattr(method, "value", type(method).__name__.removeprefix("Method_").upper())

    def set_scheme(self, scheme: Any) -> None:
        self.parts["scheme"] = type(scheme).__name__

    def set_authority(self, authority: str) -> None:
        self.parts["authority"] = authority

    def set_path_with_query(self, path: str) -> None:
        self.parts["path"] = path

    def body(self) -> OutgoingBody:
        return OutgoingBody(self.parts)


class RequestOptions:
    def __init__(self) -> None:
        self.first_byte: int | None = None

    def set_connect_timeout(self, duration: int) -> None:
        raise Err(None)

    def set_first_byte_timeout(self, duration: int) -> None:
        self.first_byte = duration

    def set_between_bytes_timeout(self, duration: int) -> None:
        pass


class Pollable(Resource):
    def block(self) -> None:
        pass


class StreamError_Closed:
    pass


@dataclass
class StreamError_LastOperationFailed:
    value: Any


class InputStream(Resource):
    def __init__(self, pieces: list[Any]) -> None:
        super().__init__()
        self._pieces = pieces

    def blocking_read(self, count: int) -> bytes:
        if not self._pieces:
            raise Err(StreamError_Closed())
        piece = self._pieces.pop(0)
        if not isinstance(piece, bytes):
            raise Err(StreamError_LastOperationFailed(piece))
        if len(piece) > count:
            self._pieces.insert(0, piece[count:])
        return piece[:count]


class IoError(Resource):
    def to_debug_string(self) -> str:
        return "the connection broke"


class IncomingBody(Resource):
    def stream(self) -> InputStream:
        return InputStream(HOST.answer[2])


class IncomingResponse(Resource):
    def status(self) -> int:
        return HOST.answer[0]

    def headers(self) -> Fields:
        return Fields.from_list([(name, value.encode("latin-1")) for name, value in HOST.answer[1]])

    def consume(self) -> IncomingBody:
        return IncomingBody()


class FutureIncomingResponse(Resource):
    def subscribe(self) -> Pollable:
        return Pollable()

    def get(self) -> Any:
        return Ok(Ok(IncomingResponse()) if isinstance(HOST.answer, tuple) else Err(HOST.answer))


class HeaderError_InvalidSyntax:
    pass


class ErrorCode_HttpRequestDenied:
    pass


class ErrorCode_ConnectionReadTimeout:
    pass


@dataclass
class DnsErrorPayload:
    rcode: str | None
    info_code: int | None


@dataclass
class ErrorCode_DnsError:
    value: DnsErrorPayload


@dataclass
class Refusal:
    value: str


class AppendError_Paused(Refusal):
    pass


class AppendError_Conflict(Refusal):
    pass


class AppendError_Denied(Refusal):
    pass


class AppendError_Invalid(Refusal):
    pass


class AppendError_Unavailable(Refusal):
    pass


def _append(to: str | None, event: WitNewEvent) -> None:
    if HOST.refusal is not None:
        raise Err(HOST.refusal)
    HOST.appended.append((to, event))


def _append_now(to: str | None, event: WitNewEvent) -> WitEvent:
    _append(to, event)
    return WitEvent(to or "/games", 9, event.event_type, event.payload, event.metadata, "derived")


def _handle(request: OutgoingRequest, options: RequestOptions | None) -> FutureIncomingResponse:
    HOST.alive -= 1
    request.parts["timeout"] = options and options.first_byte
    HOST.requests.append(request.parts)
    if isinstance(HOST.answer, ErrorCode_HttpRequestDenied):
        raise Err(HOST.answer)
    return FutureIncomingResponse()


def install() -> None:
    """Puts the modules where `pelton.component` and `pelton.wasi` import them from."""
    methods = {f"Method_{name}": type(f"Method_{name}", (), {}) for name in "Get Head Post Put Delete Connect Options Trace Patch".split()}
    other = dataclass(type("Method_Other", (), {"__annotations__": {"value": str}}))
    this = globals()
    imports = {
        "appender": {"append": _append_now},
        "outbox": {"append": _append},
        "context": {"config": lambda: HOST.config, "slug": lambda: "a-slug", "log": lambda *line: HOST.lines.append(line), "Level": Level},
        "environment": {"get_environment": lambda: HOST.environment},
        "outgoing_handler": {"handle": _handle},
        "streams": {"StreamError_Closed": StreamError_Closed, "InputStream": InputStream, "OutputStream": OutputStream},
        "pelton_processor_types": {"Event": WitEvent, "NewEvent": WitNewEvent, "AppendError": Refusal},
        "wasi_http_types": {
            **methods,
            "Method_Other": other,
            "Scheme_Http": type("http", (), {}),
            "Scheme_Https": type("https", (), {}),
            "http_error_code": lambda error: None,
            **{name: this[name] for name in ("Fields", "OutgoingRequest", "OutgoingBody", "RequestOptions", "IncomingResponse")},
        },
    }
    _module("componentize_py_types", Ok=Ok, Err=Err)
    world = _module("wit_world", exports=_module("wit_world.exports", Processor=object))
    world.imports = _module("wit_world.imports", **{name: _module(f"wit_world.imports.{name}", **items) for name, items in imports.items()})


def _module(name: str, **items: Any) -> Any:
    module = sys.modules[name] = types.ModuleType(name)
    vars(module).update(items)
    return module
