// What is particular to StarlingMonkey: promises and web APIs that are the engine's own, integers of 64 bits as BigInt.

import { defineProcessor } from "@pelton/sdk";

interface Consumes {
  get: { url: string };
  expect: { offset: number };
  fail: { message: string };
}

interface Emits {
  got: { status: number; text: string; at: number };
  expected: object;
}

export default defineProcessor<{ count: number; last: number }, Consumes, Emits>({
  name: "starlingmonkey",
  version: "0.1.0",
  consumes: ["get", "expect", "fail"],
  emits: ["got", "expected"],
  initialState: { count: 0, last: 0 },

  reduce({ count }, event) {
    return { count: count + 1, last: event.offset };
  },

  async afterAppend(event, state, context) {
    switch (event.type) {
      case "get": {
        const response = await fetch(event.payload.url);
        context.append({ type: "got", payload: { status: response.status, text: await response.text(), at: state.last } });
        break;
      }
      case "expect":
        context.append({ type: "expected", expectedOffset: event.payload.offset });
        break;
      case "fail":
        await new Promise((resolve) => setTimeout(resolve, 1));
        throw new RangeError(event.payload.message);
    }
  },
});
