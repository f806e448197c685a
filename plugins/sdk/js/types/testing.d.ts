import type { Definition, Event, Payloads } from "./index.js";

/**
 * A stream with one processor attached, in memory, for unit tests under Node.js (`node --test`).
 *
 * It does what the host does for one event after the other: `reduce`, then `afterAppend`, once, through the same code as the component. What the
 * processor appends is given back, and neither fed to it nor put to the limits of a real host. `fetch` is Node's own, to be replaced by the test.
 */
export class TestHost<State> {
  constructor(definition: Definition<State, any, any, any>, options?: { config?: object; slug?: string; streamPath?: string; env?: Record<string, string> });
  /**
   * Appends an event from outside, at the next offset (the first is 2), and gives back what the processor appended in answer.
   *
   * Rejects with what the error case of `reduce` or `afterAppend` would say, and when the processor does not consume this type.
   */
  append(event: { type: string; payload?: object; metadata?: object; idempotencyKey?: string }): Promise<Appended[]>;
  /** The state after the events so far. */
  readonly state: State;
  /** The lines logged so far. */
  readonly log: { level: "debug" | "info" | "warn" | "error"; message: string }[];
}

/** An event that the processor appended. */
export interface Appended {
  /** The path it was appended to, as the processor wrote it; absent for the stream of the event being handled. */
  to?: string;
  type: string;
  payload: any;
  metadata?: any;
  idempotencyKey?: string;
  expectedOffset?: number;
  /** Whether it was recorded at once. */
  now?: true;
}
