// Cancelling: `AbortController` and `AbortSignal`, with as much of `EventTarget` as they need.

import { setTimeout } from "./timers.js";

export class AbortSignal {
  aborted = false;
  /** @type {any} */
  reason = undefined;
  /** @type {((event: { type: "abort", target: AbortSignal }) => void) | null} */
  onabort = null;
  /** @type {Map<any, { once: boolean }>} */
  #listeners = new Map();

  throwIfAborted() {
    if (this.aborted) throw this.reason;
  }

  /**
   * @param {string} type
   * @param {any} listener
   * @param {boolean | { once?: boolean }} [options]
   */
  addEventListener(type, listener, options) {
    if (type === "abort" && listener) this.#listeners.set(listener, { once: typeof options === "object" && options.once === true });
  }

  /**
   * @param {string} type
   * @param {any} listener
   */
  removeEventListener(type, listener) {
    if (type === "abort") this.#listeners.delete(listener);
  }

  /**
   * For AbortController alone.
   *
   * @param {unknown} reason
   */
  _abort(reason = new DOMException("the operation was aborted", "AbortError")) {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    const event = { type: /** @type {const} */ ("abort"), target: this };
    this.onabort?.(event);
    for (const [listener, { once }] of [...this.#listeners]) {
      if (once) this.#listeners.delete(listener);
      if (typeof listener === "function") listener.call(this, event);
      else listener.handleEvent(event);
    }
  }

  /** @param {unknown} [reason] */
  static abort(reason) {
    const signal = new AbortSignal();
    signal._abort(reason);
    return signal;
  }

  /** @param {number} delayMs */
  static timeout(delayMs) {
    const signal = new AbortSignal();
    setTimeout(() => signal._abort(new DOMException(`nothing came within ${delayMs} ms`, "TimeoutError")), delayMs);
    return signal;
  }

  /** @param {Iterable<AbortSignal>} signals */
  static any(signals) {
    const signal = new AbortSignal();
    for (const one of signals) {
      if (one.aborted) signal._abort(one.reason);
      else one.addEventListener("abort", () => signal._abort(one.reason), { once: true });
    }
    return signal;
  }
}

export class AbortController {
  signal = new AbortSignal();

  /** @param {unknown} [reason] */
  abort(reason) {
    this.signal._abort(reason);
  }
}

