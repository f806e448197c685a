// The conformance processor as a program that the host's JavaScript runtime is configured with; ../README.md says what it does.

const FIRST = { count: 0, sum: "0", last: null, total: 0, text: "", chars: 0, kept: null, echo: "", seen: null };

export default {
  name: "conformance",
  version: "1.0.0",
  description: "Does what events tell it to, the same in every language.",
  consumes: ["do/*"],
  emits: ["did/*"],
  initialState: null,
  stateVersion: 2,

  reduce({ state, event, logger, slug, config }) {
    const folded = { ...(state ?? FIRST) };
    folded.count += 1;
    const { payload } = event;
    switch (event.type) {
      case "do/add":
        folded.sum = String(BigInt(folded.sum) + BigInt(payload.amount));
        break;
      case "do/measure":
        folded.last = payload.value;
        folded.total += payload.value;
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
        folded.seen = details(event, slug, config);
        break;
      case "do/log":
        logger[payload.level](`reduce: ${payload.message}`);
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

  async afterAppend({ event, state, append, appendNow, logger, slug, config }) {
    const { payload } = event;
    switch (event.type) {
      case "do/text":
        await append({ type: "did/text", payload: { value: state.text, chars: state.chars } });
        break;
      case "do/keep":
        await append({ type: "did/keep", payload: { value: state.kept } });
        break;
      case "do/echo":
        await append({ type: "did/echo", payloadJson: event.payloadJson });
        break;
      case "do/show":
        await append({ type: "did/show", payload: details(event, slug, config) });
        break;
      case "do/log":
        logger[payload.level](`after-append: ${payload.message}`);
        break;
      case "do/append":
        for (const proposal of payload.appends) await perform(proposal, append, appendNow);
        break;
      case "do/fail":
        await append({ type: "did/fail" });
        throw new ProcessorError(payload.message);
      case "do/throw":
      case "do/trap":
        end(payload, "after-append");
    }
  },
};

function details({ streamPath, offset, type, payload, metadata = null, idempotencyKey = null, createdAt, source = null }, slug, config) {
  return { streamPath, offset, type, payload, metadata, idempotencyKey, createdAt: Date.parse(createdAt), source, slug, config };
}

async function perform({ to, now = false, expectedOffset, ...event }, append, appendNow) {
  try {
    const recorded = await (now ? appendNow : append)({ path: to, event: { ...event, offset: expectedOffset } });
    if (!now) return;
    const { streamPath, type, payload, metadata = null, idempotencyKey = null } = recorded;
    await append({ type: "did/record", payload: { streamPath, type, payload, metadata, idempotencyKey } });
  } catch (error) {
    // What is no event at all is refused before the host has seen it.
    await append({ type: "did/refuse", payload: { case: error.code ?? "invalid" } });
  }
}

function end(payload, phase) {
  if (payload.in === phase) throw new Error(payload.message ?? "told to end");
}

function hoard() {
  const hoarded = [];
  // The engine has to clear it, and so takes it; to fill it here would cost all fuel first.
  for (;;) hoarded.push(new Uint8Array(1 << 20));
}
