"""HTTP requests from `after_append`, by wasi:http.

Usually there is nothing to call here: `urllib.request.urlopen` works as it is, and `requests` as well where the project requires it.
`httpx` is given this module's transport: `httpx.Client(transport=pelton.http.Transport())`.

A request goes out only if the operator's rules and the processor's own `egress` allow it. One that is denied fails with `HttpError` whose
`code` is `HTTP-request-denied`; urllib wraps it as the `reason` of a `URLError`, httpx as a `ConnectError`. Redirects are requests of their own.
"""

from __future__ import annotations

import http.client
import io
import socket
import urllib.error
import urllib.parse
import urllib.request
import urllib.response
from collections.abc import Iterable, Iterator
from email.message import Message
from typing import Any

try:
    from . import wasi
except ImportError:  # Not in a component: everything but sending works, for the editor and for unit tests.
    wasi = None  # type: ignore[assignment]

from .errors import Error

#: Headers that belong to one connection; the host sets them.
_HOP_BY_HOP = frozenset({"connection", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"})


class HttpError(OSError):
    """No answer came. `code` is wasi:http's, such as `HTTP-request-denied`, `DNS-error`, `connection-refused` or `TLS-certificate-error`."""

    def __init__(self, code: str, detail: str | None = None) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


class HttpTimeout(HttpError, TimeoutError):
    """No answer came in time."""


class Response:
    """An answer: `status`, `headers` as they came, and a `body` to read as a binary file, which arrives while it is read."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: io.RawIOBase) -> None:
        #: Such as 200.
        self.status = status
        #: Names and values in their order; a name can occur more than once.
        self.headers = headers
        #: A buffered binary stream. Close it, or read it to its end, to let go of the connection.
        self.body = io.BufferedReader(body, 64 * 1024)


def send(
    method: str,
    url: str,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | Iterable[bytes] | None = None,
    *,
    timeout: float | None = None,
) -> Response:
    """Sends one request and returns the answer, whatever its status; redirects are not followed.

    `timeout` is in seconds, for connecting, for the first byte and between bytes. Fails with `HttpError` when no answer comes, with
    `ValueError` for what is no HTTP request, and with `pelton.Error` in `reduce`, where there is no HTTP.
    """
    if wasi is None:
        raise Error("HTTP by wasi:http works in a component only")
    if not wasi.effects_allowed():
        raise Error("HTTP is for after_append; reduce must not reach out")
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"not an HTTP URL: {url}")
    target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    authority = parts.netloc.rpartition("@")[2]
    sent = [(name, value.encode("latin-1")) for name, value in headers if name.lower() not in _HOP_BY_HOP]
    chunks = [body] if isinstance(body, (bytes, bytearray)) else body
    return Response(*wasi.exchange(method, parts.scheme, authority, target, sent, chunks, timeout, _failure))


def _failure(code: str, detail: str | None) -> HttpError:
    return (HttpTimeout if "timeout" in code else HttpError)(code, detail)


class Handler(urllib.request.HTTPHandler):
    """What makes `urllib.request` work: a handler for `build_opener`, installed as the default in a component."""

    handler_order = 400  # Before the handlers that would open a socket.

    def http_open(self, request: urllib.request.Request) -> Any:
        headers = {**request.unredirected_hdrs, **{n: v for n, v in request.headers.items() if n not in request.unredirected_hdrs}}
        timeout = request.timeout if isinstance(request.timeout, (int, float)) else None
        try:
            answer = send(request.get_method(), request.full_url, headers.items(), _chunks(request.data), timeout=timeout)
        except HttpError as error:
            raise urllib.error.URLError(error) from error
        response = urllib.response.addinfourl(answer.body, _message(answer.headers), request.full_url, answer.status)
        response.msg = http.client.responses.get(answer.status, "")  # type: ignore[attr-defined]
        return response

    https_open = http_open
    https_request = urllib.request.HTTPHandler.http_request


def _chunks(data: Any) -> bytes | Iterable[bytes] | None:
    if data is None or isinstance(data, (bytes, bytearray, memoryview)):
        return None if data is None else bytes(data)
    if hasattr(data, "read"):
        return iter(lambda: data.read(64 * 1024), b"")
    return data  # type: ignore[no-any-return]


def _message(headers: list[tuple[str, str]]) -> Message:
    message = http.client.HTTPMessage()
    for name, value in headers:
        message[name] = value
    return message


try:
    import httpx
except ImportError:
    pass
else:

    class Transport(httpx.BaseTransport):
        """A transport for `httpx.Client`: `httpx.Client(transport=pelton.http.Transport())`. There is none for `AsyncClient`."""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            timeouts = [limit for limit in request.extensions.get("timeout", {}).values() if limit is not None]
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
            has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
            body = request.stream if has_body and isinstance(request.stream, httpx.SyncByteStream) else None
            try:
                answer = send(request.method, str(request.url), headers, body, timeout=max(timeouts, default=None))
            except HttpTimeout as error:
                raise httpx.ReadTimeout(str(error), request=request) from error
            except HttpError as error:
                raise httpx.ConnectError(str(error), request=request) from error
            return httpx.Response(answer.status, headers=answer.headers, stream=_Stream(answer.body))

    class _Stream(httpx.SyncByteStream):
        def __init__(self, body: io.BufferedReader[Any]) -> None:
            self._body = body

        def __iter__(self) -> Iterator[bytes]:
            while chunk := self._body.read1():
                yield chunk

        def close(self) -> None:
            self._body.close()


try:
    import requests
    import requests.adapters
except ImportError:
    pass
else:

    class Adapter(requests.adapters.HTTPAdapter):
        """An adapter for `requests`; in a component it is what every session uses."""

        def send(
            self,
            request: requests.PreparedRequest,
            stream: bool = False,
            timeout: float | tuple[float | None, float | None] | None = None,
            verify: Any = True,
            cert: Any = None,
            proxies: Any = None,
        ) -> requests.Response:
            if isinstance(timeout, tuple):
                timeout = max((limit for limit in timeout if limit is not None), default=None)
            body = request.body.encode() if isinstance(request.body, str) else _chunks(request.body)
            try:
                answer = send(request.method or "GET", request.url or "", request.headers.items(), body, timeout=timeout)
            except HttpTimeout as error:
                raise requests.exceptions.Timeout(error, request=request) from error
            except HttpError as error:
                raise requests.exceptions.ConnectionError(error, request=request) from error
            return self.build_response(request, _as_urllib3(answer, request.method))

    def _as_urllib3(answer: Response, method: str | None) -> Any:
        import urllib3

        headers = urllib3.HTTPHeaderDict()
        for name, value in answer.headers:
            headers.add(name, value)
        reason = http.client.responses.get(answer.status)
        original = _Original(_message(answer.headers))
        body = _UntilItsEnd(answer.body.detach(), 64 * 1024)
        return urllib3.HTTPResponse(
            body,
            headers,
            answer.status,
            reason=reason,
            preload_content=False,
            decode_content=False,
            original_response=original,
            # The length that an answer to HEAD tells is not that of its body.
            request_method=method,
        )

    class _UntilItsEnd(io.BufferedReader):
        """Closes itself when it has been read to its end, as http.client's bodies do; urllib3 would otherwise go on reading."""

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(-1 if size is None else size)
            if size is None or size < 0 or (size > 0 and not data):
                self.close()
            return data

    class _Original:
        """Where requests looks for cookies: http.client's part of a response."""

        def __init__(self, msg: Message) -> None:
            self.msg = msg

        def isclosed(self) -> bool:
            return False

        def close(self) -> None:
            pass


def _no_sockets(*_: Any, **__: Any) -> Any:
    raise OSError("a processor has no sockets; use urllib.request, requests, or httpx with pelton.http.Transport")


def install() -> None:
    """Makes `urllib.request.urlopen`, and `requests` where it is there, use wasi:http; done when a component is built."""
    # What opens sockets itself would trap at the look-up of a name.
    socket.getaddrinfo = _no_sockets
    urllib.request.install_opener(urllib.request.build_opener(Handler))
    if "Adapter" in globals():
        requests.adapters.HTTPAdapter.send = Adapter.send  # type: ignore[assignment,method-assign]
