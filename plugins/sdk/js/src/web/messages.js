// `Request` and `Response`.

import { Body, ByteStream, encodeBody, sourceOf } from "./body.js";
import { Headers } from "./headers.js";

const REDIRECTS = [301, 302, 303, 307, 308];

export class Request extends Body {
  /** @type {Uint8Array | null} */
  #bytes;

  /**
   * @param {any} input a URL or a Request
   * @param {any} [init]
   */
  constructor(input, init = {}) {
    /** @type {Request | undefined} */
    const like = input instanceof Request ? input : undefined;
    const { bytes, type } = init.body === undefined && like ? { bytes: like.#bytes, type: null } : encodeBody(init.body);
    super(bytes === null ? null : new ByteStream(sourceOf(bytes)));
    this.#bytes = bytes;
    /** @type {string} */
    this.url = like ? like.url : String(input);
    this.method = methodOf(init.method ?? like?.method ?? "GET");
    if (bytes !== null && (this.method === "GET" || this.method === "HEAD")) throw new TypeError(`a ${this.method} has no body`);
    this.headers = new Headers(init.headers ?? like?.headers);
    if (type !== null && !this.headers.has("content-type")) this.headers.set("content-type", type);
    /** @type {"follow" | "manual" | "error"} */
    this.redirect = init.redirect ?? like?.redirect ?? "follow";
    /** @type {import("./abort.js").AbortSignal | null} */
    this.signal = init.signal ?? like?.signal ?? null;
  }

  /** The bytes to be sent, for `fetch` alone. */
  get _bytes() {
    return this.#bytes;
  }

  clone() {
    return new Request(this);
  }
}

/** @param {unknown} method */
function methodOf(method) {
  const text = String(method);
  const upper = text.toUpperCase();
  return ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH"].includes(upper) ? upper : text;
}

export class Response extends Body {
  /**
   * @param {any} [body]
   * @param {any} [init]
   */
  constructor(body = null, init = {}) {
    const { bytes, type } = body instanceof ByteStream ? { bytes: null, type: null } : encodeBody(body);
    super(body instanceof ByteStream ? body : bytes === null ? null : new ByteStream(sourceOf(bytes)));
    this.status = init.status ?? 200;
    this.statusText = init.statusText ?? "";
    this.headers = new Headers(init.headers);
    if (type !== null && !this.headers.has("content-type")) this.headers.set("content-type", type);
    this.url = "";
    this.redirected = false;
    this.type = "default";
  }

  get ok() {
    return this.status >= 200 && this.status < 300;
  }

  /** Where a redirect leads, for `fetch` alone. */
  get _location() {
    return REDIRECTS.includes(this.status) ? this.headers.get("location") : null;
  }

  clone() {
    throw new TypeError("a response cannot be cloned here: read its body once and keep what was read");
  }

  /**
   * @param {unknown} value
   * @param {any} [init]
   */
  static json(value, init = {}) {
    const headers = new Headers(init.headers);
    if (!headers.has("content-type")) headers.set("content-type", "application/json");
    return new Response(JSON.stringify(value), { ...init, headers });
  }
}
