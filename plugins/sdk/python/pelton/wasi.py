"""wasi:http as componentize-py binds it. Only a component has these modules; `pelton.http` is what others use."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterable
from typing import Any

from componentize_py_types import Err, Ok
from wit_world.imports import outgoing_handler, streams
from wit_world.imports import wasi_http_types as types

_Failure = Callable[[str, "str | None"], Exception]

_METHODS = {name: getattr(types, f"Method_{name.title()}") for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")}
_effects = False


def effects_allowed() -> bool:
    """Whether this is a call of `after_append`. A call to the outside from any other would trap."""
    return _effects


def allow_effects(allowed: bool) -> None:
    global _effects
    _effects = allowed


def exchange(
    method: str,
    scheme: str,
    authority: str,
    path_with_query: str,
    headers: list[tuple[str, bytes]],
    body: Iterable[bytes] | None,
    timeout: float | None,
    failure: _Failure,
) -> tuple[int, list[tuple[str, str]], io.RawIOBase]:
    """One request and the beginning of its answer: status, headers, body."""
    request = _request(method, scheme, authority, path_with_query, headers)
    upload = request.body() if body is not None else None
    try:
        future = outgoing_handler.handle(request, _options(timeout))
    except Err as error:
        raise _failed(error.value, failure) from None
    with future:
        if upload is not None and body is not None:
            _write(upload, body)
        with future.subscribe() as ready:
            ready.block()
        outcome = future.get()
    # Ready, asked once, so neither `None` nor the outer error.
    if not isinstance(outcome, Ok) or not isinstance(outcome.value, Ok):
        raise _failed(outcome.value.value, failure) if isinstance(outcome, Ok) else failure("internal-error", "no answer")
    answer = outcome.value.value
    with answer.headers() as fields:
        received = [(name, value.decode("latin-1")) for name, value in fields.entries()]
    return answer.status(), received, _Body(answer, failure)


def _request(method: str, scheme: str, authority: str, path_with_query: str, headers: list[tuple[str, bytes]]) -> types.OutgoingRequest:
    try:
        request = types.OutgoingRequest(types.Fields.from_list(headers))
    except Err as error:
        raise ValueError(f"headers that HTTP does not allow ({_case(error.value)}): {', '.join(name for name, _ in headers)}") from None
    try:
        request.set_method(_METHODS[method]() if method in _METHODS else types.Method_Other(method))
        request.set_scheme(types.Scheme_Https() if scheme == "https" else types.Scheme_Http())
        request.set_authority(authority)
        request.set_path_with_query(path_with_query)
    except Err:
        raise ValueError(f"not an HTTP request: {method} {scheme}://{authority}{path_with_query}") from None
    return request


def _options(timeout: float | None) -> types.RequestOptions | None:
    if timeout is None:
        return None
    options = types.RequestOptions()
    nanoseconds = max(int(timeout * 1e9), 1)
    for set_limit in (options.set_connect_timeout, options.set_first_byte_timeout, options.set_between_bytes_timeout):
        try:
            set_limit(nanoseconds)
        except Err:
            pass  # A host may not know this limit; it has its own.
    return options


def _write(upload: types.OutgoingBody, body: Iterable[bytes]) -> None:
    """Sends the body. What fails here shows again, with its reason, where the answer is waited for."""
    try:
        with upload.write() as stream:
            for chunk in body:
                _write_chunk(stream, chunk)
    except Err:
        upload.__exit__(None, None, None)
        return
    try:
        types.OutgoingBody.finish(upload, None)
    except Err:
        pass


def _write_chunk(stream: streams.OutputStream, chunk: bytes) -> None:
    # 4096 bytes is what the interface allows for one such call.
    for start in range(0, len(chunk), 4096):
        stream.blocking_write_and_flush(chunk[start : start + 4096])


class _Body(io.RawIOBase):
    """The body of an answer. Its resources go in the order that the interface asks for, each before what it is part of."""

    def __init__(self, answer: types.IncomingResponse, failure: _Failure) -> None:
        self._answer = answer
        self._body = answer.consume()
        self._stream = self._body.stream()
        self._failure = failure
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._ended:
            return 0
        try:
            chunk = self._stream.blocking_read(len(buffer))
        except Err as error:
            self._ended = True
            if isinstance(error.value, streams.StreamError_Closed):
                return 0
            raise self._broken(error.value.value) from None
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _broken(self, error: Any) -> Exception:
        with error:
            code = types.http_error_code(error)
            return _failed(code, self._failure) if code is not None else self._failure("HTTP-response-incomplete", error.to_debug_string())

    def close(self) -> None:
        if not self.closed:
            for resource in (self._stream, self._body, self._answer):
                resource.__exit__(None, None, None)
        super().close()


def _failed(code: Any, failure: _Failure) -> Exception:
    detail = getattr(code, "value", None)
    if dataclasses.is_dataclass(detail):
        detail = ", ".join(str(part) for part in vars(detail).values() if part is not None)
    return failure(_case(code), str(detail) if detail else None)


#: Words that the standard writes in capitals.
_CAPITALS = {"http": "HTTP", "dns": "DNS", "tls": "TLS", "uri": "URI", "ip": "IP"}


def _case(value: Any) -> str:
    """The case of a variant as the standard writes it: `ErrorCode_HttpRequestDenied` is `HTTP-request-denied`."""
    name = type(value).__name__.rpartition("_")[2]
    words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).strip("-").split("-")
    return "-".join(_CAPITALS.get(word, word) for word in words)
