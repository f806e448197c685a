// Events, between the contract's records and what a processor sees.

import { parseJson, stringifyJson } from "./json.js";

/**
 * A recorded event. JSON is parsed when it is first looked at, since many processors read the payload of few events.
 */
export class Event {
  #record;
  #bigints;
  /** @type {any} */
  #payload;
  /** @type {any} */
  #metadata;

  /**
   * @param {import("pelton:processor/types@0.1.0").Event} record
   * @param {boolean} bigints
   */
  constructor(record, bigints) {
    this.#record = record;
    this.#bigints = bigints;
  }

  get streamPath() {
    return this.#record.streamPath;
  }

  get offset() {
    return Number(this.#record.offset);
  }

  get type() {
    return this.#record.eventType;
  }

  get payload() {
    return (this.#payload ??= parseJson(this.#record.payload, { bigints: this.#bigints }));
  }

  get payloadJson() {
    return this.#record.payload;
  }

  get metadata() {
    const text = this.metadataJson;
    return text === undefined ? undefined : (this.#metadata ??= parseJson(text, { bigints: this.#bigints }));
  }

  get metadataJson() {
    return this.#record.metadata ?? undefined;
  }

  get idempotencyKey() {
    return this.#record.idempotencyKey ?? undefined;
  }

  get createdAtMs() {
    return Number(this.#record.createdAt);
  }

  get source() {
    const source = this.#record.source;
    if (source == null) return undefined;
    return { slug: source.slug, digest: source.digest, streamPath: source.streamPath, offset: Number(source.offset), depth: source.depth };
  }

  toString() {
    return `\`${this.type}\` at offset ${this.offset} of ${this.streamPath}`;
  }
}

/**
 * A proposed event as the contract's record. What does not fit throws here: a value of the wrong type that reached the host's bindings would
 * end the instance.
 *
 * @param {any} event
 * @param {(offset: number) => number | bigint} asOffset how the engine writes a 64-bit integer
 * @returns {import("pelton:processor/types@0.1.0").NewEvent}
 */
export function proposal(event, asOffset) {
  if (typeof event !== "object" || event === null) throw new TypeError(`an event is an object with a type, not ${typeof event}`);
  const known = ["type", "payload", "payloadJson", "metadata", "metadataJson", "idempotencyKey", "expectedOffset"];
  const unknown = Object.keys(event).find((key) => !known.includes(key));
  if (unknown !== undefined) throw new TypeError(`an event has no field ${JSON.stringify(unknown)}; it has ${known.join(", ")}`);
  const { type, payload, payloadJson, metadata, metadataJson, idempotencyKey, expectedOffset } = event;
  if (expectedOffset != null && (!Number.isSafeInteger(expectedOffset) || expectedOffset < 0)) {
    throw new TypeError(`expectedOffset is an integer from 1, not ${String(expectedOffset)}`);
  }
  return {
    eventType: string("type", type),
    payload: json("payload", payload, payloadJson) ?? "{}",
    metadata: json("metadata", metadata, metadataJson),
    idempotencyKey: idempotencyKey == null ? undefined : string("idempotencyKey", idempotencyKey),
    expectedOffset: expectedOffset == null ? undefined : asOffset(expectedOffset),
  };
}

/**
 * @param {string} field
 * @param {unknown} value
 * @param {unknown} text
 */
function json(field, value, text) {
  if (value != null && text != null) throw new TypeError(`an event has ${field} or ${field}Json, not both`);
  if (text != null) return string(`${field}Json`, text);
  return value == null ? undefined : stringifyJson(value);
}

/**
 * Half of a surrogate pair has no UTF-8.
 *
 * @param {string} field
 * @param {unknown} value
 */
export function string(field, value) {
  if (typeof value !== "string") throw new TypeError(`${field} is a string, not ${value === null ? "null" : typeof value}`);
  return value.toWellFormed();
}
