// A host for the web part of the SDK: clocks that jump to the next timer, and a network that a test answers for.

/** @typedef {{ method: string, url: string, headers: Record<string, string>, body: string }} Seen */

export const world = {
  now: 0,
  /** @type {Seen[]} */
  requests: [],
  /** @type {(request: Seen) => any} */
  answer: () => ({ status: 200 }),
  /** Handles that have not been given back. */
  open: new Set(),
};

export function reset(answer) {
  Object.assign(world, { now: 0, requests: [], answer: answer ?? (() => ({ status: 200 })) });
  world.open.clear();
}

class Handle {
  constructor() {
    world.open.add(this);
  }

  [Symbol.dispose]() {
    if (!world.open.delete(this)) throw new Error(`${this.constructor.name} was given back twice, or was not one's own`);
  }
}

class Pollable extends Handle {
  constructor(atMs) {
    super();
    this.atMs = atMs;
  }
}

export function subscribeDuration(nanoseconds) {
  return new Pollable(world.now + nanoseconds / 1e6);
}

export function poll(pollables) {
  if (pollables.length === 0) throw new Error("a host traps when there is nothing to poll");
  world.now = Math.max(world.now, Math.min(...pollables.map(({ atMs }) => atMs)));
  return pollables.flatMap(({ atMs }, index) => (atMs <= world.now ? [index] : []));
}

export function getRandomBytes(count) {
  return new Uint8Array(count).fill(255);
}

export const lines = [];

export function log(level, message) {
  lines.push([level, message]);
}

const failed = (payload) => Object.assign(new Error("the error case of a result"), { payload });
const text = (bytes) => new TextDecoder().decode(bytes);

export class Fields extends Handle {
  constructor(entries = []) {
    super();
    this.list = entries;
  }

  append(name, value) {
    if (["connection", "host", "transfer-encoding"].includes(name)) throw failed({ tag: "forbidden" });
    this.list.push([name, value]);
  }

  entries() {
    return this.list;
  }
}

class OutputStream extends Handle {
  constructor(body) {
    super();
    this.body = body;
  }

  blockingWriteAndFlush(bytes) {
    if (bytes.length > 4096) throw new Error("a host traps at more than 4096 bytes");
    this.body.pieces.push(...bytes);
  }
}

export class OutgoingBody extends Handle {
  pieces = [];

  write() {
    return new OutputStream(this);
  }

  static finish(body) {
    body[Symbol.dispose]();
    body.finished = true;
  }
}

export class OutgoingRequest extends Handle {
  constructor(fields) {
    super();
    fields[Symbol.dispose]();
    this.fields = fields;
  }

  setMethod({ tag, val }) {
    this.method = val ?? tag.toUpperCase();
  }

  setScheme({ tag }) {
    this.scheme = tag.toLowerCase();
  }

  setAuthority(authority) {
    this.authority = authority;
  }

  setPathWithQuery(path) {
    this.path = path;
  }

  body() {
    return (this.outgoing = new OutgoingBody());
  }
}

export function handle(request) {
  request[Symbol.dispose]();
  return new FutureIncomingResponse(request);
}

class FutureIncomingResponse extends Handle {
  constructor(request) {
    super();
    this.request = request;
  }

  /** What was sent is known once something waits for the answer. */
  subscribe() {
    const { method, scheme, authority, path, fields, outgoing } = this.request;
    const headers = Object.fromEntries(fields.list.map(([name, value]) => [name, text(value)]));
    const seen = { method, url: `${scheme}://${authority}${path}`, headers, body: text(Uint8Array.from(outgoing.pieces)) };
    world.requests.push(seen);
    this.answer = world.answer(seen);
    return new Pollable(world.now + (this.answer.afterMs ?? 0));
  }

  get() {
    const { error } = this.answer;
    return { tag: "ok", val: error ? { tag: "err", val: error } : { tag: "ok", val: new IncomingResponse(this.answer) } };
  }
}

class IncomingResponse extends Handle {
  constructor(answer) {
    super();
    this.answer = answer;
  }

  status() {
    return this.answer.status ?? 200;
  }

  headers() {
    const entries = Object.entries(this.answer.headers ?? {}).flatMap(([name, values]) => [values].flat().map((value) => [name, new TextEncoder().encode(value)]));
    return new Fields(entries);
  }

  consume() {
    return new IncomingBody(this.answer);
  }
}

class IncomingBody extends Handle {
  constructor(answer) {
    super();
    this.answer = answer;
  }

  stream() {
    return new InputStream(this.answer);
  }
}

class InputStream extends Handle {
  constructor({ pieces = [], breaks = false }) {
    super();
    this.pieces = pieces.map((piece) => (typeof piece === "string" ? new TextEncoder().encode(piece) : piece));
    this.breaks = breaks;
  }

  subscribe() {
    return new Pollable(world.now + 10);
  }

  read() {
    const piece = this.pieces.shift();
    if (piece === undefined) throw failed(this.breaks ? { tag: "last-operation-failed" } : { tag: "closed" });
    return piece;
  }
}
