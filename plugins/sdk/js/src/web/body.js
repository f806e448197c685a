// Bodies of requests and responses.

import { asBytes, TextDecoder, TextEncoder } from "./encoding.js";

/**
 * What can be sent, as bytes, and the content type it has unless one is given.
 *
 * @param {any} body
 * @returns {{ bytes: Uint8Array | null, type: string | null }}
 */
export function encodeBody(body) {
  if (body == null) return { bytes: null, type: null };
  if (ArrayBuffer.isView(body) || body instanceof ArrayBuffer) return { bytes: asBytes(body).slice(), type: null };
  if (body.constructor?.name === "URLSearchParams") {
    return { bytes: new TextEncoder().encode(String(body)), type: "application/x-www-form-urlencoded;charset=UTF-8" };
  }
  if (typeof body === "object" && String(body) === "[object Object]") {
    throw new TypeError("a body is a string, bytes or URLSearchParams; JSON needs JSON.stringify");
  }
  return { bytes: new TextEncoder().encode(String(body)), type: "text/plain;charset=UTF-8" };
}

/**
 * A body that is read piece by piece, once.
 *
 * @typedef {object} Source
 * @property {() => Promise<Uint8Array | undefined>} next the next piece, undefined after the last
 * @property {() => void} cancel
 */

/** @param {Uint8Array | null} bytes @returns {Source} */
export function sourceOf(bytes) {
  let left = bytes !== null && bytes.length > 0 ? bytes : undefined;
  return {
    async next() {
      const piece = left;
      left = undefined;
      return piece;
    },
    cancel() {
      left = undefined;
    },
  };
}

/** As much of `ReadableStream` as reading takes. */
export class ByteStream {
  #source;
  locked = false;

  /** @param {Source} source */
  constructor(source) {
    this.#source = source;
  }

  getReader() {
    if (this.locked) throw new TypeError("the body is being read already");
    this.locked = true;
    const source = this.#source;
    return {
      async read() {
        const value = await source.next();
        return value === undefined ? { done: true, value: undefined } : { done: false, value };
      },
      async cancel() {
        source.cancel();
      },
      releaseLock: () => {
        this.locked = false;
      },
    };
  }

  async cancel() {
    this.#source.cancel();
  }

  async *[Symbol.asyncIterator]() {
    const reader = this.getReader();
    try {
      for (let piece = await reader.read(); piece.value !== undefined; piece = await reader.read()) yield piece.value;
    } finally {
      await reader.cancel();
    }
  }
}

/** What Request and Response share: a body that can be taken once, in one of several forms. */
export class Body {
  #stream;
  #taken = false;

  /** @param {ByteStream | null} stream */
  constructor(stream) {
    this.#stream = stream;
  }

  get body() {
    return this.#stream;
  }

  get bodyUsed() {
    return this.#taken || (this.#stream?.locked ?? false);
  }

  async bytes() {
    if (this.bodyUsed) throw new TypeError("the body has been read already");
    this.#taken = true;
    const pieces = [];
    if (this.#stream !== null) for await (const piece of this.#stream) pieces.push(piece);
    return joined(pieces);
  }

  async arrayBuffer() {
    return (await this.bytes()).buffer;
  }

  async text() {
    return new TextDecoder().decode(await this.bytes());
  }

  async json() {
    return JSON.parse(await this.text());
  }
}

/** @param {Uint8Array[]} pieces */
function joined(pieces) {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
