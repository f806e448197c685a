// Answers each `ping` with a `pong`, and counts them.

import { defineProcessor } from "@pelton/sdk";

export default defineProcessor({
  name: "plugin-name",
  version: "0.1.0",
  consumes: ["ping"],
  emits: ["pong"],
  initialState: { count: 0 },

  reduce(state) {
    state.count += 1;
  },

  afterAppend(event, state, context) {
    context.log.info(`ping ${state.count}`);
    context.append({ type: "pong", payload: { to: event.offset, count: state.count } });
  },
});
