// What ordinary code expects to find and QuickJS lacks. The build puts these into the place of the names; what is not used is left out.

export { AbortController, AbortController as "globalThis.AbortController" } from "./abort.js";
export { AbortSignal, AbortSignal as "globalThis.AbortSignal" } from "./abort.js";
export { clearInterval, clearInterval as "globalThis.clearInterval" } from "./timers.js";
export { clearTimeout, clearTimeout as "globalThis.clearTimeout" } from "./timers.js";
export { console, console as "globalThis.console" } from "./console.js";
export { crypto, crypto as "globalThis.crypto" } from "./random.js";
export { fetch, fetch as "globalThis.fetch" } from "./fetch.js";
export { Headers, Headers as "globalThis.Headers" } from "./headers.js";
export { random as "Math.random" } from "./random.js";
export { Request, Request as "globalThis.Request" } from "./messages.js";
export { Response, Response as "globalThis.Response" } from "./messages.js";
export { setInterval, setInterval as "globalThis.setInterval" } from "./timers.js";
export { setTimeout, setTimeout as "globalThis.setTimeout" } from "./timers.js";
export { structuredClone, structuredClone as "globalThis.structuredClone" } from "./clone.js";
export { TextDecoder, TextDecoder as "globalThis.TextDecoder" } from "./encoding.js";
export { TextEncoder, TextEncoder as "globalThis.TextEncoder" } from "./encoding.js";
export { URL, URL as "globalThis.URL" } from "./url.js";
export { URLSearchParams, URLSearchParams as "globalThis.URLSearchParams" } from "./url.js";
