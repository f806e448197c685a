// Runs a processor under Node.js, through the same code as the component. types/testing.d.ts documents it.

import { component } from "./component.js";
import { parseJson } from "./json.js";

export class TestHost {
  /** @type {{ level: string, message: string }[]} */
  log = [];
  #definition;
  #streamPath;
  #component;
  #state;
  #next = 2;
  /** @type {any[]} */
  #appended = [];

  /**
   * @param {any} definition
   * @param {{ config?: object, slug?: string, streamPath?: string, env?: Record<string, string> }} [options]
   */
  constructor(definition, { config = {}, slug = "test", streamPath = "/test", env = {} } = {}) {
    this.#definition = definition;
    this.#streamPath = streamPath;
    const host = {
      config: () => JSON.stringify(config),
      slug: () => slug,
      log: (/** @type {string} */ level, /** @type {string} */ message) => void this.log.push({ level, message }),
      append: (/** @type {string | undefined} */ to, /** @type {any} */ event) => void this.#record(to, event),
      appendNow: (/** @type {string | undefined} */ to, /** @type {any} */ event) => {
        this.#record(to, event, { now: true });
        return { ...event, streamPath: to ?? streamPath, offset: this.#appended.length, createdAt: 0 };
      },
      environment: () => Object.entries(env),
      asOffset: (/** @type {number} */ offset) => offset,
    };
    this.#component = component(definition, host, async (effect) => effect());
    this.#state = JSON.stringify(JSON.parse(this.#component.describe()).initialState);
  }

  /** @param {{ type: string, payload?: object, metadata?: object, idempotencyKey?: string }} event */
  async append({ type, payload = {}, metadata, idempotencyKey }) {
    const { name, consumes = ["*"] } = this.#definition;
    if (!consumes.some((/** @type {string} */ pattern) => matches(pattern, type))) throw new Error(`${name} does not consume ${type}`);
    const record = {
      streamPath: this.#streamPath,
      offset: this.#next,
      eventType: type,
      payload: JSON.stringify(payload),
      metadata: metadata && JSON.stringify(metadata),
      idempotencyKey,
      createdAt: 1_700_000_000_000 + this.#next,
    };
    this.#next += 1;
    try {
      this.#state = this.#component.reduce(this.#state, [record]);
    } catch (error) {
      throw new Error(String(error));
    }
    await this.#component.afterAppend(record, this.#state);
    return this.#appended.splice(0);
  }

  get state() {
    return parseJson(this.#state, { bigints: this.#definition.bigints });
  }

  /**
   * @param {string | undefined} to
   * @param {any} event
   * @param {object} [more]
   */
  #record(to, { eventType, payload, metadata, idempotencyKey, expectedOffset }, more) {
    const appended = {
      to,
      type: eventType,
      payload: JSON.parse(payload),
      metadata: metadata && JSON.parse(metadata),
      idempotencyKey,
      expectedOffset,
      ...more,
    };
    this.#appended.push(Object.fromEntries(Object.entries(appended).filter(([, value]) => value !== undefined)));
  }
}

/**
 * @param {string} pattern
 * @param {string} type
 */
function matches(pattern, type) {
  const literals = pattern.split("*").map((text) => text.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${literals.join("[^]*")}$`).test(type);
}
