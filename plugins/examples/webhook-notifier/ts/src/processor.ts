// Tells another service of chosen events, by a POST with a secret in a header.
//
// - config: `{ "url", "types": ["order/placed", …], "secret": <name>, "header"?: "authorization", "dedupeBy"?: "id", "attempts"?: 3 }`
// - the request: JSON `{ "streamPath", "offset", "type", "payload" }`, the header `authorization: Bearer <the secret>` (another header has the
//   secret alone), and an `idempotency-key` that is the same when the same event is tried again
// - an event whose payload has the same `dedupeBy` field as one of the last 1000 of its type is not sent again
// - output: `notified` `{ "to": <offset>, "status" }`, or `notify-failed` `{ "to", "status"?, "reason" }` when no attempt succeeded; a status from
//   400 to 499 other than 429 is not tried again
// - state: `{ "sent", "duplicates", "seen": [<type and field>, …], "send": <offset of the last event, if it is to be sent, or null> }`

import { defineProcessor } from "@pelton/sdk";

interface State {
  sent: number;
  duplicates: number;
  seen: string[];
  send: number | null;
}

interface Emits {
  notified: { to: number; status: number };
  "notify-failed": { to: number; status?: number; reason: string };
}

interface Config {
  url: string;
  types: string[];
  secret: string;
  header?: string;
  dedupeBy?: string;
  attempts?: number;
}

const SEEN_MAX = 1000;
const PAUSE_MS = 200;

export default defineProcessor<State, { "*": { [field: string]: unknown } }, Emits, Config>({
  name: "webhook-notifier",
  version: "0.1.0",
  description: "Tells another service of chosen events, with a secret in a header.",
  emits: ["notified", "notify-failed"],
  initialState: { sent: 0, duplicates: 0, seen: [], send: null },

  reduce(state, event, context) {
    const { types = [], dedupeBy = "id" } = context.config();
    state.send = null;
    if (!types.includes(event.type)) return;
    const field = event.payload[dedupeBy];
    if (field !== undefined) {
      const key = `${event.type} ${JSON.stringify(field)}`;
      if (state.seen.includes(key)) {
        state.duplicates += 1;
        return;
      }
      state.seen = [...state.seen, key].slice(-SEEN_MAX);
    }
    state.sent += 1;
    state.send = event.offset;
  },

  async afterAppend(event, { send }, context) {
    if (send !== event.offset) return;
    const config = context.config();
    const key = `${context.slug}${event.streamPath}@${event.offset}`;
    const request = {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key, ...credentials(config, context.secret(config.secret)) },
      body: `{"streamPath":${JSON.stringify(event.streamPath)},"offset":${event.offset},"type":${JSON.stringify(event.type)},"payload":${event.payloadJson}}`,
    };
    const outcome = await tryAgain(config.attempts ?? 3, () => post(config.url, request));
    if (outcome.ok) context.append({ type: "notified", payload: { to: event.offset, status: outcome.status } });
    else context.append({ type: "notify-failed", payload: { to: event.offset, status: outcome.status, reason: outcome.reason } });
  },
});

type Outcome = { ok: true; status: number } | { ok: false; status?: number; reason: string; final: boolean };

function credentials({ header = "authorization" }: Config, secret: string): Record<string, string> {
  return { [header]: header === "authorization" ? `Bearer ${secret}` : secret };
}

async function post(url: string, request: RequestInit): Promise<Outcome> {
  try {
    const response = await fetch(url, request);
    const { ok, status } = response;
    if (ok) return { ok, status };
    const reason = (await response.text()).slice(0, 200);
    return { ok: false, status, reason, final: status < 500 && status !== 429 };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error), final: false };
  }
}

async function tryAgain(attempts: number, call: () => Promise<Outcome>): Promise<Outcome> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await call();
    if (outcome.ok || outcome.final || attempt >= attempts) return outcome;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * 2 ** (attempt - 1)));
  }
}
