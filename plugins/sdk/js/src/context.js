// What `reduce` and `afterAppend` may reach.

import { Event, proposal, string } from "./event.js";
import { format } from "./format.js";
import { parseJson } from "./json.js";
import { secret } from "./secret.js";

/** Why the host refused an append; decide by `code`. */
export class AppendError extends Error {
  /**
   * @param {string} code
   * @param {string} text
   */
  constructor(code, text) {
    super(`append refused as ${code}: ${text}`);
    this.code = code;
  }

  get name() {
    return "AppendError";
  }
}

/**
 * @typedef {object} Host The imports of a component, or a stand-in for tests.
 * @property {() => string} config
 * @property {() => string} slug
 * @property {(level: "debug" | "info" | "warn" | "error", message: string) => void} log
 * @property {(to: string | undefined, event: import("pelton:processor/types@0.1.0").NewEvent) => void} append
 * @property {(to: string | undefined, event: import("pelton:processor/types@0.1.0").NewEvent) => import("pelton:processor/types@0.1.0").Event} appendNow
 * @property {() => [string, string][]} environment
 * @property {(offset: number) => number | bigint} asOffset
 */

export class ReduceContext {
  /** @type {Host} */
  #host;
  #bigints;
  #log;

  /**
   * @param {Host} host
   * @param {boolean} bigints
   */
  constructor(host, bigints) {
    this.#host = host;
    this.#bigints = bigints;
    this.#log = logger(host);
  }

  get slug() {
    return this.#host.slug();
  }

  config() {
    return parseJson(this.#host.config(), { bigints: this.#bigints });
  }

  configJson() {
    return this.#host.config();
  }

  get log() {
    return this.#log;
  }
}

export class EffectContext extends ReduceContext {
  /** @type {Host} */
  #host;
  #bigints;

  /**
   * @param {Host} host
   * @param {boolean} bigints
   */
  constructor(host, bigints) {
    super(host, bigints);
    this.#host = host;
    this.#bigints = bigints;
  }

  /** @param {any} event */
  append(event) {
    this.#append(undefined, event);
  }

  /**
   * @param {string} to
   * @param {any} event
   */
  appendTo(to, event) {
    this.#append(string("the path to append to", to), event);
  }

  /** @param {any} event */
  appendNow(event) {
    return this.#appendNow(undefined, event);
  }

  /**
   * @param {string} to
   * @param {any} event
   */
  appendNowTo(to, event) {
    return this.#appendNow(string("the path to append to", to), event);
  }

  /** @param {string} name */
  env(name) {
    return this.#host.environment().find(([key]) => key === name)?.[1];
  }

  /** @param {string} name */
  secret(name) {
    return secret(name);
  }

  /**
   * @param {string | undefined} to
   * @param {any} event
   */
  #append(to, event) {
    const proposed = proposal(event, this.#host.asOffset);
    refusable(() => this.#host.append(to, proposed));
  }

  /**
   * @param {string | undefined} to
   * @param {any} event
   */
  #appendNow(to, event) {
    const proposed = proposal(event, this.#host.asOffset);
    return new Event(
      refusable(() => this.#host.appendNow(to, proposed)),
      this.#bigints,
    );
  }
}

/**
 * The bindings throw the error case of a result as something with a `payload`.
 *
 * @template T
 * @param {() => T} append
 * @returns {T}
 */
function refusable(append) {
  try {
    return append();
  } catch (/** @type {any} */ error) {
    const { tag, val } = error?.payload ?? {};
    throw typeof tag === "string" ? new AppendError(tag, String(val)) : error;
  }
}

/** @param {Host} host */
export function logger(host) {
  const at =
    (/** @type {"debug" | "info" | "warn" | "error"} */ level) =>
    (/** @type {unknown[]} */ ...values) =>
      host.log(level, format(values).toWellFormed());
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
