"""The conformance processor in Python; ../../README.md says what it does."""

import os
from dataclasses import dataclass
from typing import Any, Optional

import pelton
from pelton import AppendError, EffectContext, Event, Level, Processor, Raw, ReduceContext


@dataclass
class Folded:
    count: int = 0
    sum: str = "0"
    last: float | None = None
    total: float = 0.0
    text: str = ""
    chars: int = 0
    kept: Any = None
    echo: str = ""
    seen: Any = None


class Conformance(Processor[Optional[Folded]]):
    name = "conformance"
    version = "1.0.0"
    description = "Does what events tell it to, the same in every language."
    consumes = ["do/*"]
    emits = ["did/*"]
    state_version = 2

    def initial_state(self) -> None:
        return None

    def reduce(self, state: Folded | None, event: Event, context: ReduceContext) -> Folded | None:
        folded = state or Folded()
        folded.count += 1
        payload = event.payload
        match event.type:
            case "do/add":
                folded.sum = str(int(folded.sum) + int(payload["amount"]))
            case "do/measure":
                folded.last = float(payload["value"])
                folded.total += folded.last
            case "do/text":
                folded.text = payload["value"]
                folded.chars = len(folded.text)
            case "do/keep":
                folded.kept = payload["value"]
            case "do/echo":
                folded.echo = event.payload_json
            case "do/show":
                folded.seen = details(event, context)
            case "do/log":
                log(event, context, "reduce")
            case "do/forget":
                return None
            case "do/reject":
                raise pelton.Error(payload["message"])
            case "do/throw" | "do/trap":
                end(event, "reduce")
            case "do/spin":
                while True:
                    pass
            case "do/hoard":
                hoard()
        return folded

    def after_append(self, event: Event, state: Folded | None, context: EffectContext) -> None:
        if state is None:
            return
        match event.type:
            case "do/text":
                context.append("did/text", {"value": state.text, "chars": state.chars})
            case "do/keep":
                context.append("did/keep", {"value": state.kept})
            case "do/echo":
                context.append("did/echo", Raw(event.payload_json))
            case "do/show":
                context.append("did/show", details(event, context))
            case "do/log":
                log(event, context, "after-append")
            case "do/append":
                for proposal in event.payload["appends"]:
                    append(proposal, context)
            case "do/fail":
                context.append("did/fail")
                raise pelton.Error(event.payload["message"])
            case "do/throw" | "do/trap":
                end(event, "after-append")


def details(event: Event, context: ReduceContext) -> dict[str, Any]:
    source = event.source and {
        "slug": event.source.slug,
        "digest": event.source.digest,
        "streamPath": event.source.stream_path,
        "offset": event.source.offset,
        "depth": event.source.depth,
    }
    return {
        "streamPath": event.stream_path,
        "offset": event.offset,
        "type": event.type,
        "payload": event.payload,
        "metadata": event.metadata,
        "idempotencyKey": event.idempotency_key,
        "createdAt": event.created_at_ms,
        "source": source,
        "slug": context.slug,
        "config": context.config,
    }


def log(event: Event, context: ReduceContext, phase: str) -> None:
    context.log(Level[event.payload["level"].upper()], f"{phase}: {event.payload['message']}")


def append(proposal: dict[str, Any], context: EffectContext) -> None:
    more = {
        "metadata": proposal.get("metadata"),
        "idempotency_key": proposal.get("idempotencyKey"),
        "expected_offset": proposal.get("expectedOffset"),
    }
    type, payload, to = proposal["type"], proposal.get("payload"), proposal.get("to")
    try:
        if proposal.get("now"):
            recorded = context.append_now(type, payload, to=to, **more)
        elif to is not None:
            return context.append_to(to, type, payload, **more)
        else:
            return context.append(type, payload, **more)
    except AppendError as error:
        return context.append("did/refuse", {"case": error.case})
    context.append(
        "did/record",
        {
            "streamPath": recorded.stream_path,
            "type": recorded.type,
            "payload": recorded.payload,
            "metadata": recorded.metadata,
            "idempotencyKey": recorded.idempotency_key,
        },
    )


def end(event: Event, phase: str) -> None:
    if event.payload["in"] != phase:
        return
    if event.type == "do/trap":
        os.abort()
    raise RuntimeError(event.payload["message"])


def hoard() -> None:
    hoarded = []
    while True:
        hoarded.append(bytearray(1 << 20))
