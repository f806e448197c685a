// Answers each `ping` with a `pong`: the smallest processor that does everything.
//
// - state: `{ "count": <pings so far>, "last": <the last ping's message, or null> }`
// - a ping's payload: `{ "message"?: any JSON }`
// - a pong's payload: `{ "to": <offset of the ping>, "count": <pings up to that one>, "message"?: <the ping's> }`

import { defineProcessor } from "@pelton/sdk";

export default defineProcessor({
  name: "ping-pong",
  version: "0.1.0",
  description: "Answers each ping with a pong, and counts them.",
  consumes: ["ping"],
  emits: ["pong"],
  initialState: { count: 0, last: null },
  // A message may hold an integer of any size.
  bigints: true,

  reduce({ count }, { payload }) {
    return { count: count + 1, last: payload.message ?? null };
  },

  afterAppend({ offset, payload: { message } }, { count }, context) {
    // What is undefined is left out of the JSON, what is null is not.
    context.append({ type: "pong", payload: { to: offset, count, message: message ?? undefined } });
  },
});
