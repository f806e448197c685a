// Makes one `debounced` event of a burst of `input` events with the same key.
//
// - an input's payload: `{ "key"?: string, "value"?: any JSON }`; without a key, the key is the empty string
// - a burst ends when `quietSeconds` have passed without an input, and at the latest `maxSeconds` after its first one
// - output: `debounced` `{ "key", "value": <the last input's>, "count", "first": <offset>, "last": <offset> }`
// - config: `{ "quietSeconds"?: 2, "maxSeconds"?: 30 }`, whole numbers
// - state: `{ "open": [{ "key", "value", "count", "first": <offset>, "firstAtMs", "last": <offset> }, …], "closed": <the burst that the last event
//   ended, or null> }`
//
// The timer is the stream's: an `append-scheduled` event has the host append `debounce/elapsed` when it is time, whoever restarted in the
// meantime. Each input puts it off by configuring the same schedule again.

import { defineProcessor, type Json } from "@pelton/sdk";

interface State {
  open: Burst[];
  closed: Burst | null;
}

interface Burst {
  key: string;
  value: Json;
  count: number;
  first: number;
  firstAtMs: number;
  last: number;
}

interface Consumes {
  input: { key?: string; value?: Json };
  "debounce/elapsed": { key: string; last: number };
}

interface Emits {
  debounced: { key: string; value: Json; count: number; first: number; last: number };
  "stream/append-scheduled": { slug: string; append: object; schedule: { kind: "once-at"; at: string } };
}

interface Config {
  quietSeconds?: number;
  maxSeconds?: number;
}

export default defineProcessor<State, Consumes, Emits, Config>({
  name: "debouncer",
  version: "0.1.0",
  description: "Makes one event of a burst of them, with the stream's schedules as its timers.",
  consumes: ["input", "debounce/elapsed"],
  emits: ["debounced", "stream/append-scheduled"],
  initialState: { open: [], closed: null },

  reduce({ open }, event) {
    const { key = "" } = event.payload;
    const burst = open.find((burst) => burst.key === key);
    const others = open.filter((burst) => burst.key !== key);
    if (event.type === "input") {
      const { count, first, firstAtMs } = burst ?? { count: 0, first: event.offset, firstAtMs: event.createdAtMs };
      const grown = { key, value: event.payload.value ?? null, count: count + 1, first, firstAtMs, last: event.offset };
      return { open: [...others, grown], closed: null };
    }
    // A timer that an input has overtaken means nothing any more: that input has set its own.
    return burst?.last === event.payload.last ? { open: others, closed: burst } : { open, closed: null };
  },

  afterAppend(event, { open, closed }, context) {
    if (event.type === "debounce/elapsed") {
      if (closed === null) return;
      const { key, value, count, first, last } = closed;
      context.append({ type: "debounced", payload: { key, value, count, first, last } });
      return;
    }
    // Its input has just put it there.
    const { key, first, firstAtMs, last } = open.at(-1)!;
    const { quietSeconds = 2, maxSeconds = 30 } = context.config();
    const atMs = Math.min(event.createdAtMs + quietSeconds * 1000, firstAtMs + maxSeconds * 1000);
    context.append({
      type: "stream/append-scheduled",
      payload: {
        slug: `${context.slug}-${first}`,
        append: { type: "debounce/elapsed", payload: { key, last } },
        schedule: { kind: "once-at", at: new Date(atMs).toISOString() },
      },
    });
  },
});
