// The conformance processor in JavaScript; ../../README.md says what it does.

import { AppendError, defineProcessor, ProcessorError } from "@pelton/sdk";

const FIRST = { count: 0, sum: "0", last: null, total: 0, text: "", chars: 0, kept: null, echo: "", seen: null };

export default defineProcessor({
  name: "conformance",
  version: "1.0.0",
  description: "Does what events tell it to, the same in every language.",
  consumes: ["do/*"],
  emits: ["did/*"],
  initialState: null,
  stateVersion: 2,
  // What is kept may be an integer of any size.
  bigints: true,

  reduce(state, event, context) {
    const folded = state ?? { ...FIRST };
    folded.count += 1;
    const { payload } = event;
    switch (event.type) {
      case "do/add":
        folded.sum = String(BigInt(folded.sum) + BigInt(payload.amount));
        break;
      case "do/measure":
        folded.last = Number(payload.value);
        folded.total += folded.last;
        break;
      case "do/text":
        folded.text = payload.value;
        folded.chars = [...payload.value].length;
        break;
      case "do/keep":
        folded.kept = payload.value;
        break;
      case "do/echo":
        folded.echo = event.payloadJson;
        break;
      case "do/show":
        folded.seen = details(event, context);
        break;
      case "do/log":
        context.log[payload.level](`reduce: ${payload.message}`);
        break;
      case "do/forget":
        return null;
      case "do/reject":
        throw new ProcessorError(payload.message);
      case "do/throw":
      case "do/trap":
        end(payload, "reduce");
        break;
      case "do/spin":
        for (;;);
      case "do/hoard":
        hoard();
    }
    return folded;
  },

  afterAppend(event, state, context) {
    const { payload } = event;
    switch (event.type) {
      case "do/text":
        context.append({ type: "did/text", payload: { value: state.text, chars: state.chars } });
        break;
      case "do/keep":
        context.append({ type: "did/keep", payload: { value: state.kept } });
        break;
      case "do/echo":
        context.append({ type: "did/echo", payloadJson: event.payloadJson });
        break;
      case "do/show":
        context.append({ type: "did/show", payload: details(event, context) });
        break;
      case "do/log":
        context.log[payload.level](`after-append: ${payload.message}`);
        break;
      case "do/append":
        for (const proposal of payload.appends) append(proposal, context);
        break;
      case "do/fail":
        context.append({ type: "did/fail" });
        throw new ProcessorError(payload.message);
      case "do/throw":
      case "do/trap":
        end(payload, "after-append");
    }
  },
});

function details(event, context) {
  const { streamPath, offset, type, payload, metadata = null, idempotencyKey = null, createdAtMs: createdAt, source = null } = event;
  return { streamPath, offset, type, payload, metadata, idempotencyKey, createdAt, source, slug: context.slug, config: context.config() };
}

function append({ to, now = false, ...event }, context) {
  try {
    if (!now) return to === undefined ? context.append(event) : context.appendTo(to, event);
    const { streamPath, type, payload, metadata = null, idempotencyKey = null } = to === undefined ? context.appendNow(event) : context.appendNowTo(to, event);
    context.append({ type: "did/record", payload: { streamPath, type, payload, metadata, idempotencyKey } });
  } catch (error) {
    if (!(error instanceof AppendError)) throw error;
    context.append({ type: "did/refuse", payload: { case: error.code } });
  }
}

/** JavaScript has no way to end without a word. */
function end(payload, phase) {
  if (payload.in === phase) throw new Error(payload.message ?? "told to end");
}

function hoard() {
  const hoarded = [];
  for (;;) hoarded.push(new Uint8Array(1 << 20).fill(1));
}
