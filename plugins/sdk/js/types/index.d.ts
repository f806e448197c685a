/// <reference path="./wit.d.ts" />
/// <reference path="./globals.d.ts" />

/**
 * Stream processors for Pelton.
 *
 * A processor is state and two functions: `reduce` folds each event into the state and does nothing else, `afterAppend` acts on each new
 * event: it appends, logs, calls out. The default export of the file that package.json names is the processor:
 *
 * ```ts
 * import { defineProcessor } from "@pelton/sdk";
 *
 * interface Orders { open: number }
 * interface Placed { customer: string }
 *
 * export default defineProcessor<Orders, { "order/placed": Placed; "order/shipped": {} }, { "order/thanked": { customer: string } }>({
 *   name: "order-desk",
 *   version: "1.0.0",
 *   consumes: ["order/placed", "order/shipped"],
 *   emits: ["order/thanked"],
 *   initialState: { open: 0 },
 *
 *   reduce(state, event) {
 *     state.open += event.type === "order/placed" ? 1 : -1;
 *   },
 *
 *   afterAppend(event, state, context) {
 *     if (event.type !== "order/placed") return;
 *     context.log.info(`${state.open} orders are open`);
 *     context.append({ type: "order/thanked", payload: { customer: event.payload.customer } });
 *   },
 * });
 * ```
 *
 * @packageDocumentation
 */

/** Anything that JSON can say. A `bigint` occurs only in a processor with {@link Definition.bigints}. */
export type Json = null | boolean | number | bigint | string | Json[] | { [name: string]: Json };

/** Event types with the payloads they have. In a type, `*` stands for any run of characters, as in `consumes`. */
export type Payloads = { [type: string]: any };

/**
 * Gives back what it is given. It exists for its types:
 *
 * @typeParam State - the state, as JSON can say it: no `undefined` in arrays, no `Date`, no `Map`, no `NaN`. It is written as JSON after each
 * call and read back before the next.
 * @typeParam Consumes - the payload of each event type that the processor consumes; `event.type` then tells which `event.payload` there is.
 * They are what you expect, not what is checked: an event holds what whoever appended it wrote, and a pattern may bring types that are not among these.
 * @typeParam Emits - the payload of each event type that it appends.
 * @typeParam Config - its configuration.
 */
export function defineProcessor<
  State = Json,
  Consumes extends Payloads = { "*": any },
  Emits extends Payloads = { "*": any },
  Config = { [name: string]: any },
>(definition: Definition<State, Consumes, Emits, Config>): Definition<State, Consumes, Emits, Config>;

/** What a processor is. */
export interface Definition<State, Consumes extends Payloads, Emits extends Payloads, Config> {
  /** 1 to 200 characters. */
  name: string;
  /** For people, such as `"1.0.0"`. */
  version?: string;
  /** One or two sentences for people. */
  description?: string;
  /** The event types it wants, `*` being any run of characters. All of them where it is absent. `order/*` stands for all types of `Consumes` that begin so. */
  consumes?: readonly Listed<keyof Consumes & string>[];
  /** The event types it appends, for people and tools; not enforced. `order/*` stands for all types of `Emits` that begin so. */
  emits?: readonly Listed<keyof Emits & string>[];
  /** The state before the first event. */
  initialState: State;
  /**
   * From 1, which it is where it is absent. Raise it whenever the shape of the state changes: the host then rebuilds the state from the events
   * instead of handing over one of the old shape.
   */
  stateVersion?: number;
  /**
   * Whether an integer that a number cannot hold exactly (beyond 2^53 - 1) becomes a `bigint` wherever the SDK parses JSON. `false` where it is
   * absent: such an integer is then rounded, and only `payloadJson` and the like have it as it was written. A `bigint` is always written as an integer.
   */
  bigints?: boolean;
  /**
   * Folds one event into the state. Changes `state` and returns nothing, or returns the new state.
   *
   * Pure: the result depends on the state, the event and the configuration alone. There is no clock (`event.createdAtMs` says when it was), no
   * randomness, no `fetch`, no timer, no promise. What it throws parks the processor at this event, with the reason.
   */
  reduce(state: State, event: EventOf<Consumes>, context: ReduceContext<Config>): State | void;
  /**
   * Acts on one event, with the state that includes it. May be `async`; the host waits for what it returns, within its limits (30 s by default).
   *
   * It may run twice for one event, after a crash or an error. What it appended with {@link EffectContext.append} is recorded once all the same, when
   * it returned; what it throws, or a promise that nobody handles, discards that, and the host tries again after a pause.
   */
  afterAppend?(event: EventOf<Consumes>, state: State, context: EffectContext<Emits, Config>): void | Promise<void>;
}

/** What may stand in a list for the types of a map: what one of them covers, and a pattern over the part of one before a slash. */
type Listed<Type extends string> = Matching<Type> | Above<Type> | "*";

type Above<Type extends string> = Type extends `${infer Head}/${infer Tail}` ? `${Head}/*` | `${Head}/${Above<Tail>}` : never;

type Matching<Pattern extends string> = Pattern extends `${infer Head}*${infer Tail}` ? `${Head}${string}${Matching<Tail>}` : Pattern;

/** One of the events that the processor consumes; `type` says which. */
export type EventOf<Consumes extends Payloads> = { [Pattern in keyof Consumes & string]: Event<Matching<Pattern>, Consumes[Pattern]> }[keyof Consumes & string];

/** A recorded event. */
export interface Event<Type extends string = string, Payload = any> {
  /** Path of the stream it is in: `/` or `/segment/segment`. */
  readonly streamPath: string;
  /** Its place in that stream: 1, 2, 3 and so on; 1 is the stream's own `stream/initialized`. */
  readonly offset: number;
  /** Its type, such as `order/placed`. */
  readonly type: Type;
  /** Its payload, an object, parsed when it is first looked at. */
  readonly payload: Payload;
  /** The JSON text of the payload, numbers as they were written. */
  readonly payloadJson: string;
  /** Its metadata, an object, or `undefined` where it has none. */
  readonly metadata: { [name: string]: any } | undefined;
  /** The JSON text of the metadata. */
  readonly metadataJson: string | undefined;
  /** The key under which a repeated append finds this event. */
  readonly idempotencyKey: string | undefined;
  /** When the host recorded it, in milliseconds since the Unix epoch; `new Date(event.createdAtMs)` makes a date of it. */
  readonly createdAtMs: number;
  /** The processor that appended it, as the host knows it; `undefined` for an event from outside. */
  readonly source: Source | undefined;
  /** Type, offset and stream, as in "`ping` at offset 7 of /games". */
  toString(): string;
}

/** Who appended an event, as stamped by the host. */
export interface Source {
  /** Slug of the processor that appended the event. */
  readonly slug: string;
  /** Digest of its component: `sha256:` and 64 hexadecimal digits. */
  readonly digest: string;
  /** Stream of the event it was handling. */
  readonly streamPath: string;
  /** Offset of the event it was handling. */
  readonly offset: number;
  /** 1 for an answer to an event from outside, 2 for an answer to such an answer, and so on. */
  readonly depth: number;
}

/** An event to be appended, of one of the types that the processor emits. */
export type NewEvent<Emits extends Payloads = Payloads> = {
  [Pattern in keyof Emits & string]: NewEventOf<Matching<Pattern>, Emits[Pattern]>;
}[keyof Emits & string];

interface NewEventOf<Type extends string, Payload> {
  /** 1 to 2048 characters, without white space at its ends. */
  type: Type;
  /** An object; `{}` where it is absent. */
  payload?: Payload;
  /** The payload as JSON text instead, which goes out unchanged. */
  payloadJson?: string;
  /** An object. */
  metadata?: { [name: string]: unknown };
  /** The metadata as JSON text instead. */
  metadataJson?: string;
  /** With a key that the stream has seen, the append gives back the event recorded then and records nothing. */
  idempotencyKey?: string;
  /** Refuse the append as a conflict unless the event gets this offset. */
  expectedOffset?: number;
}

/** What `reduce` may reach. There is no way to append from here. */
export interface ReduceContext<Config = { [name: string]: any }> {
  /** The slug under which this processor is configured. */
  readonly slug: string;
  /** The processor's configuration; `{}` where none was given. The same for as long as this version of the processor is configured. */
  config(): Config;
  /** The JSON text of the configuration. */
  configJson(): string;
  /** The host's log. */
  readonly log: Log;
}

/**
 * Writes a line to the host's log, with tenant, stream, slug and offset added: strings as they are, other values as one would write them down, `%s` `%d`
 * `%o` and the like filled in as by `console.log`. The host cuts long lines, and drops those past its limit for one call. `console` writes to the same log.
 */
export interface Log {
  debug(...values: unknown[]): void;
  info(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
}

/**
 * What `afterAppend` may reach.
 *
 * `to` in the functions below is an absolute path (`/orders`), or one relative to the stream of the event being handled (`./below`, `../beside`).
 */
export interface EffectContext<Emits extends Payloads = Payloads, Config = { [name: string]: any }> extends ReduceContext<Config> {
  /**
   * Appends to the stream of the event being handled: recorded when `afterAppend` has ended well, exactly once, and not at all when it throws.
   *
   * That it returns means well formed and kept for the commit. A refusal that only the commit can show (an expected offset, a paused stream) fails the whole
   * call, which the host then repeats.
   *
   * @throws {@link AppendError} with `invalid` or `denied`; `TypeError` for what is no event
   */
  append(event: NewEvent<Emits>): void;
  /** {@link append} to another stream. */
  appendTo(to: string, event: NewEvent<Emits>): void;
  /**
   * Records an event at once, whatever comes of this call, and returns it. For what cannot wait, such as streamed output.
   *
   * Without an idempotency key the host derives one from the slug, the offset being handled and the number of this append in the call, so that a repeated
   * call finds what it recorded before.
   *
   * @throws {@link AppendError} with any code; `TypeError` for what is no event
   */
  appendNow(event: NewEvent<Emits>): Event;
  /** {@link appendNow} to another stream. */
  appendNowTo(to: string, event: NewEvent<Emits>): Event;
  /** A variable that events of the stream have set (`stream/dynamic-worker/env-var-set`), or `undefined`. */
  env(name: string): string | undefined;
  /** {@link secret} */
  secret(name: string): string;
}

/** Why the host refused an append. The text is for people; decide by the code. */
export class AppendError extends Error {
  /**
   * - `paused`: the stream is; it may succeed later
   * - `conflict`: the expected offset is not the next one
   * - `denied`: too deep in a chain of answers, or over a quota
   * - `invalid`: the path, the type, the key or one of the JSON texts is malformed
   * - `unavailable`: the host cannot write now; it may succeed later
   */
  readonly code: import("pelton:processor/types@0.1.0").AppendError["tag"];
}

/**
 * An error for whoever reads why the processor was parked. Thrown from `reduce` or `afterAppend`, its message is all that the host gets; of any other exception the
 * host gets name, message, stack and causes as well.
 */
export class ProcessorError extends Error {}

/**
 * A placeholder for a secret of the tenant, to be put into the value of a header. The host replaces it on the way out, provided that the secret lists
 * the host that the request goes to; nothing else ever sees the value.
 *
 * ```ts
 * await fetch(url, { headers: { authorization: `Bearer ${secret("api-key")}` } });
 * ```
 */
export function secret(name: string): string;

/** `JSON.parse`; with `bigints`, an integer beyond 2^53 - 1 becomes a `bigint`. */
export function parseJson(text: string, options?: { bigints?: boolean }): any;

/** `JSON.stringify`, where a `bigint` is written as an integer. What is no JSON at all (`undefined`, a function) is a `TypeError`. */
export function stringifyJson(value: unknown): string;
