"""The HTTP client in Python; ../../README.md says what it does."""

import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import requests

import pelton.http
from pelton import EffectContext, Event, Processor


class HttpClient(Processor):
    name = "http-client"
    version = "1.0.0"
    consumes = ["fetch"]
    emits = ["began", "fetched"]

    def after_append(self, event: Event, state: dict[str, Any], context: EffectContext) -> None:
        asked = event.payload
        try:
            answer = CLIENTS[asked["with"]](asked["method"], asked["url"], asked["headers"], asked["body"].encode())
            status, kind = next(answer)
            body = next(answer)
            context.append_now("began", {"status": status})
            body += b"".join(answer)
            context.append("fetched", {"status": status, "kind": kind, "body": body.decode()})
        except OSError as error:
            context.append("fetched", {"error": str(error)})
        except httpx.HTTPError as error:
            context.append("fetched", {"error": str(error)})


#: Status and kind, then the pieces of the body.
Answer = Iterator[Any]


def by_urllib(method: str, url: str, headers: dict[str, str], body: bytes) -> Answer:
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        yield response.status, response.headers.get("X-Kind")
        while piece := response.read1():
            yield piece


def by_requests(method: str, url: str, headers: dict[str, str], body: bytes) -> Answer:
    with requests.request(method, url, headers=headers, data=body, stream=True, timeout=30) as response:
        yield response.status_code, response.headers.get("X-Kind")
        yield next(response.iter_content(1024))
        yield from response.iter_content(None)


def by_session(method: str, url: str, headers: dict[str, str], body: bytes) -> Answer:
    """The whole answer at once; its kind is the cookie that is kept of it."""
    with requests.Session() as session:
        response = session.request(method, url, headers=headers, data=body, timeout=30)
        yield response.status_code, session.cookies.get("kind")
        yield response.content


def by_httpx(method: str, url: str, headers: dict[str, str], body: bytes) -> Answer:
    with (
        httpx.Client(transport=pelton.http.Transport()) as client,
        client.stream(method, url, headers=headers, content=body) as response,
    ):
        yield response.status_code, response.headers.get("X-Kind")
        yield from response.iter_bytes()


CLIENTS: dict[str, Callable[..., Answer]] = {"urllib": by_urllib, "requests": by_requests, "session": by_session, "httpx": by_httpx}
