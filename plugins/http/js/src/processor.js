// The HTTP client in JavaScript; ../../README.md says what it does.

import { defineProcessor } from "@pelton/sdk";

export default defineProcessor({
  name: "http-client",
  version: "1.0.0",
  consumes: ["fetch"],
  emits: ["began", "fetched"],
  initialState: {},

  reduce() {},

  async afterAppend(event, _state, context) {
    const { method, url, headers, body } = event.payload;
    try {
      const response = await fetch(url, { method, headers, body });
      const { status } = response;
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      let text = "";
      for (let { value, done } = await reader.read(); !done; { value, done } = await reader.read()) {
        if (text === "") context.appendNow({ type: "began", payload: { status } });
        text += decoder.decode(value, { stream: true });
      }
      context.append({ type: "fetched", payload: { status, kind: response.headers.get("x-kind"), body: text + decoder.decode() } });
    } catch (error) {
      context.append({ type: "fetched", payload: { error: error.message } });
    }
  },
});
