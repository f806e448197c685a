// The conformance processor in TypeScript; ../../README.md says what it does.

import { AppendError, defineProcessor, type EffectContext, type Event, type Json, type Log, ProcessorError, type ReduceContext } from "@pelton/sdk";

interface Folded {
  count: number;
  sum: string;
  last: number | null;
  total: number;
  text: string;
  chars: number;
  kept: Json;
  echo: string;
  seen: Details | null;
}

/** What a processor can know about an event and about itself. */
interface Details {
  streamPath: string;
  offset: number;
  type: string;
  payload: Json;
  metadata: Json;
  idempotencyKey: string | null;
  createdAt: number;
  source: object | null;
  slug: string;
  config: Json;
}

interface Consumes {
  "do/add": { amount: string };
  "do/measure": { value: number | bigint };
  "do/text": { value: string };
  "do/keep": { value: Json };
  "do/echo": Free;
  "do/show": Free;
  "do/log": { level: keyof Log; message: string };
  "do/append": { appends: Proposal[] };
  "do/forget": Free;
  "do/reject": { message: string };
  "do/fail": { message: string };
  "do/throw": Ending;
  "do/trap": Ending;
  "do/spin": Free;
  "do/hoard": Free;
}

interface Emits {
  "did/text": { value: string; chars: number };
  "did/keep": { value: Json };
  "did/echo": Free;
  "did/show": Details;
  "did/fail": Free;
  "did/record": { streamPath: string; type: string; payload: Json; metadata: Json; idempotencyKey: string | null };
  "did/refuse": { case: AppendError["code"] };
  /** What `do/append` says is of any type. */
  "*": Json;
}

type Free = { [name: string]: Json };

type Phase = "reduce" | "after-append";

interface Ending {
  in: Phase;
  message?: string;
}

interface Proposal {
  type: string;
  payload?: Json;
  metadata?: Free;
  idempotencyKey?: string;
  expectedOffset?: number;
  to?: string;
  now?: boolean;
}

type Config = Free;
type Effects = EffectContext<Emits, Config>;

const FIRST: Folded = { count: 0, sum: "0", last: null, total: 0, text: "", chars: 0, kept: null, echo: "", seen: null };

export default defineProcessor<Folded | null, Consumes, Emits, Config>({
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
    switch (event.type) {
      case "do/add":
        folded.sum = String(BigInt(folded.sum) + BigInt(event.payload.amount));
        break;
      case "do/measure":
        folded.last = Number(event.payload.value);
        folded.total += folded.last;
        break;
      case "do/text":
        folded.text = event.payload.value;
        folded.chars = [...event.payload.value].length;
        break;
      case "do/keep":
        folded.kept = event.payload.value;
        break;
      case "do/echo":
        folded.echo = event.payloadJson;
        break;
      case "do/show":
        folded.seen = details(event, context);
        break;
      case "do/log":
        context.log[event.payload.level](`reduce: ${event.payload.message}`);
        break;
      case "do/forget":
        return null;
      case "do/reject":
        throw new ProcessorError(event.payload.message);
      case "do/throw":
      case "do/trap":
        end(event.payload, "reduce");
        break;
      case "do/spin":
        for (;;);
      case "do/hoard":
        hoard();
    }
    return folded;
  },

  afterAppend(event, state, context) {
    switch (event.type) {
      case "do/text":
        if (state !== null) context.append({ type: "did/text", payload: { value: state.text, chars: state.chars } });
        break;
      case "do/keep":
        if (state !== null) context.append({ type: "did/keep", payload: { value: state.kept } });
        break;
      case "do/echo":
        context.append({ type: "did/echo", payloadJson: event.payloadJson });
        break;
      case "do/show":
        context.append({ type: "did/show", payload: details(event, context) });
        break;
      case "do/log":
        context.log[event.payload.level](`after-append: ${event.payload.message}`);
        break;
      case "do/append":
        for (const proposal of event.payload.appends) append(proposal, context);
        break;
      case "do/fail":
        context.append({ type: "did/fail" });
        throw new ProcessorError(event.payload.message);
      case "do/throw":
      case "do/trap":
        end(event.payload, "after-append");
    }
  },
});

function details(event: Event<string, Json>, context: ReduceContext<Config>): Details {
  const { streamPath, offset, type, payload, metadata = null, idempotencyKey = null, createdAtMs: createdAt, source = null } = event;
  return { streamPath, offset, type, payload, metadata, idempotencyKey, createdAt, source, slug: context.slug, config: context.config() };
}

function append({ to, now = false, ...event }: Proposal, context: Effects): void {
  try {
    if (now) record(to === undefined ? context.appendNow(event) : context.appendNowTo(to, event), context);
    else if (to === undefined) context.append(event);
    else context.appendTo(to, event);
  } catch (error) {
    if (!(error instanceof AppendError)) throw error;
    context.append({ type: "did/refuse", payload: { case: error.code } });
  }
}

function record(event: Event, context: Effects): void {
  const { streamPath, type, payload, metadata = null, idempotencyKey = null } = event;
  context.append({ type: "did/record", payload: { streamPath, type, payload, metadata, idempotencyKey } });
}

/** JavaScript has no way to end without a word. */
function end(ending: Ending, phase: Phase): void {
  if (ending.in === phase) throw new Error(ending.message ?? "told to end");
}

function hoard(): never {
  const hoarded: Uint8Array[] = [];
  for (;;) hoarded.push(new Uint8Array(1 << 20).fill(1));
}
