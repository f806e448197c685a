"""Imports the rows of an HTTP feed, each of them once; ../../README.md says what is consumed, kept and appended."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from pelton import EffectContext, Error, Event, Processor, ReduceContext, secret
from pelton.http import HttpError
from pelton.shapes import decoder

ROWS_MAX = 900
TIMEOUT_SECONDS = 20


@dataclass
class Import:
    feed: str
    pages: int = 0
    rows: int = 0
    new: int = 0


@dataclass
class Imports:
    rows: int = 0
    running: dict[int, Import] = field(default_factory=dict)


@dataclass
class Page:
    rows: list[dict[str, Any]]
    next: int | None


class Refused(Exception):
    """The feed will not give this page, and asking again would not help."""


class Importer(Processor[Imports]):
    """Imports the rows of an HTTP feed page by page, each row once."""

    name = "idempotent-importer"
    version = "0.1.0"
    consumes = ["import/*"]
    emits = ["import/row", "import/page-read", "import/finished", "import/failed"]

    def reduce(self, state: Imports, event: Event, context: ReduceContext) -> None:
        match event.type, event.payload:
            case "import/requested", {"feed": str(feed)}:
                state.running[event.offset] = Import(feed)
            case "import/row", {"import": int(number)} if number in state.running:
                state.rows += 1
                state.running[number].new += 1
            case "import/page-read", {"import": int(number), "rows": int(rows)} if number in state.running:
                state.running[number].pages += 1
                state.running[number].rows += rows
            case ("import/finished" | "import/failed"), {"import": int(number)}:
                state.running.pop(number, None)

    def after_append(self, event: Event, state: Imports, context: EffectContext) -> None:
        match event.type, event.payload:
            case "import/requested", {"feed": str(feed)}:
                self.import_page(event.offset, feed, 1, context)
            case "import/page-read", {"import": int(number), "next": int(page)} if number in state.running:
                self.import_page(number, state.running[number].feed, page, context)
            case "import/page-read", {"import": int(number), "next": None} if number in state.running:
                context.append("import/finished", {"import": number, **vars(state.running[number])})

    def import_page(self, number: int, feed: str, page: int, context: EffectContext) -> None:
        try:
            found = read_page(feed, page, context)
        except Refused as refused:
            context.append("import/failed", {"import": number, "feed": feed, "page": page, "reason": str(refused)})
            return
        for row in found.rows:
            context.append("import/row", {"import": number, "id": row["id"], "row": row}, idempotency_key=f"import {feed} {row['id']}")
        context.append("import/page-read", {"import": number, "page": page, "rows": len(found.rows), "next": found.next})


def read_page(feed: str, page: int, context: EffectContext) -> Page:
    request = urllib.request.Request(f"{feed}{'&' if '?' in feed else '?'}page={page}")
    token = context.config.get("secret")
    if token:
        request.add_header("Authorization", f"Bearer {secret(token)}")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            return checked(json.load(response))
    except urllib.error.HTTPError as error:
        if error.code == 429 or error.code >= 500:
            raise Error(f"{feed}, page {page}: status {error.code}") from None
        raise Refused(f"status {error.code}") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, HttpError) and error.reason.code == "HTTP-request-denied":
            raise Refused("denied") from None
        raise Error(f"{feed}, page {page}") from error
    except ValueError as error:
        context.warn(f"{feed}, page {page}: {error}")
        raise Refused("not a page") from None


def checked(answer: Any) -> Page:
    page = decoder(Page)(answer)
    if len(page.rows) > ROWS_MAX:
        raise ValueError(f"more than {ROWS_MAX} rows")
    for row in page.rows:
        if not isinstance(row.get("id"), (str, int)) or isinstance(row["id"], bool):
            raise ValueError(f"a row has no id: {row}")
    return page
