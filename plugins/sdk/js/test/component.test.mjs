import assert from "node:assert/strict";
import { test } from "node:test";

import { component } from "../src/component.js";
import { AppendError, defineProcessor, ProcessorError, secret } from "../src/index.js";
import { TestHost } from "../src/testing.js";

const counter = (more) => defineProcessor({ name: "counter", initialState: { count: 0 }, reduce: ({ count }) => ({ count: count + 1 }), ...more });

function record(payload, more) {
  return { streamPath: "/a", offset: 7, eventType: "ping", payload: JSON.stringify(payload), metadata: null, idempotencyKey: null, createdAt: 5, source: null, ...more };
}

/** A host that keeps what is asked of it. */
function fake(more) {
  const asked = [];
  const host = {
    config: () => '{"limit":9007199254740993}',
    slug: () => "s",
    log: (level, message) => asked.push([level, message]),
    append: (to, event) => asked.push([to, event]),
    appendNow: (to, event) => ({ ...event, streamPath: to, offset: 9n, createdAt: 3n }),
    environment: () => [["KEY", "value"]],
    asOffset: BigInt,
    ...more,
  };
  return { host, asked };
}

const thrown = (call) => {
  try {
    call();
  } catch (error) {
    return error;
  }
  return assert.fail("nothing was thrown");
};

test("describe says what the definition does", () => {
  const { host } = fake();
  assert.equal(component(counter({ consumes: ["a*"], initialState: null }), host).describe(), '{"name":"counter","consumes":["a*"],"stateVersion":1,"initialState":null}');
});

test("a definition that does not fit is named", () => {
  const { host } = fake();
  for (const [definition, message] of [
    [undefined, /it is undefined/],
    [{ ...counter(), reduce: undefined }, /reduce is no function/],
    [{ ...counter(), afterappend() {} }, /no field "afterappend"/],
    [{ ...counter(), initialState: undefined }, /initialState is missing/],
    [{ ...counter(), name: " " }, /name is missing/],
    [{ ...counter(), consumes: "ping" }, /consumes is no list of event types/],
    [{ ...counter(), emits: [1] }, /emits is no list of event types/],
  ]) {
    assert.throws(() => component(definition, host), message);
  }
});

test("reduce folds many events as it does one after the other", () => {
  const { host } = fake();
  const { reduce } = component(counter(), host);
  assert.equal(reduce('{"count":1}', [record({}), record({})]), '{"count":3}');
});

test("a state that is changed in place need not be returned, and null is a state", () => {
  const { host } = fake();
  const changing = counter({ reduce: (state) => void (state.count += 2) });
  assert.equal(component(changing, host).reduce('{"count":1}', [record({})]), '{"count":3}');
  assert.equal(component(counter({ reduce: () => null }), host).reduce('{"count":1}', [record({})]), "null");
});

test("an exception says what and where; a ProcessorError what it was told to", () => {
  const { host } = fake();
  const failing = (error) => component(counter({ reduce: () => { throw error; } }), host).reduce("{}", [record({})]);
  const cause = new RangeError("too far", { cause: "the map" });
  assert.match(thrown(() => failing(cause)), /^RangeError: too far\n    at [^]*component\.test\.mjs[^]*\ncaused by thrown: the map$/);
  assert.equal(thrown(() => failing(new ProcessorError("not today"))), "not today");
  assert.equal(thrown(() => failing(undefined)), "an exception without a reason (undefined was thrown)");
  assert.match(thrown(() => failing({ a: 1 })), /thrown: \{"a":1\}$/);
});

test("a promise is no state", () => {
  const { host } = fake();
  assert.match(thrown(() => component(counter({ reduce: async () => ({}) }), host).reduce("{}", [record({})])), /reduce returned a promise/);
});

test("an event is what the contract's record says, on either engine", () => {
  const { host } = fake();
  let seen;
  const watching = counter({ bigints: true, reduce: (state, event) => void (seen = event) });
  const source = { slug: "x", digest: "sha256:0", streamPath: "/b", offset: 3n, depth: 2 };
  component(watching, host).reduce("{}", [record({ n: 1 }, { offset: 7n, createdAt: 1700000000000n, metadata: '{"m":1}', idempotencyKey: "k", source, payload: '{"n":1.10,"big":18446744073709551615}' })]);
  const { streamPath, offset, type, payload, payloadJson, metadata, idempotencyKey, createdAtMs } = seen;
  assert.deepEqual(
    { streamPath, offset, type, payload, payloadJson, metadata, idempotencyKey, createdAtMs, source: seen.source },
    {
      streamPath: "/a", offset: 7, type: "ping", payload: { n: 1.1, big: 18446744073709551615n }, payloadJson: '{"n":1.10,"big":18446744073709551615}', metadata: { m: 1 },
      idempotencyKey: "k", createdAtMs: 1700000000000, source: { slug: "x", digest: "sha256:0", streamPath: "/b", offset: 3, depth: 2 },
    },
  );
  component(watching, host).reduce("{}", [record({})]);
  assert.deepEqual([seen.metadata, seen.metadataJson, seen.idempotencyKey, seen.source], [undefined, undefined, undefined, undefined]);
});

/** What `afterAppend` asked the host for. */
function acted(afterAppend, more) {
  const { host, asked } = fake(more);
  component(counter({ afterAppend }), host, (effect) => effect()).afterAppend(record({}), "{}");
  return asked;
}

test("what is appended is put as the contract has it", () => {
  const asked = acted((event, state, context) => {
    context.append({ type: "a" });
    context.append({ type: "b", payload: { n: 2n ** 64n }, metadata: { m: 1 }, idempotencyKey: "k", expectedOffset: 9 });
    context.appendTo("./below", { type: "c", payloadJson: '{"n":1.10}' });
  });
  const none = { metadata: undefined, idempotencyKey: undefined, expectedOffset: undefined };
  assert.deepEqual(asked, [
    [undefined, { eventType: "a", payload: "{}", ...none }],
    [undefined, { eventType: "b", payload: '{"n":18446744073709551616}', metadata: '{"m":1}', idempotencyKey: "k", expectedOffset: 9n }],
    ["./below", { eventType: "c", payload: '{"n":1.10}', ...none }],
  ]);
});

test("what is no event never reaches the host's bindings", () => {
  for (const [event, message] of [
    [undefined, /an object with a type/],
    [{ payload: {} }, /type is a string, not undefined/],
    [{ type: "a", idempotencyKey: 7 }, /idempotencyKey is a string/],
    [{ type: "a", expectedOffset: 1.5 }, /expectedOffset is an integer/],
    [{ type: "a", payload: {}, payloadJson: "{}" }, /not both/],
    [{ type: "a", Payload: {} }, /no field "Payload"/],
    [{ type: "a", payload: () => 1 }, /is no JSON/],
  ]) {
    assert.throws(() => acted((_event, _state, context) => context.append(event)), { name: "TypeError", message });
  }
  assert.throws(() => acted((_event, _state, context) => context.appendTo(undefined, { type: "a" })), /the path to append to is a string/);
});

test("half a surrogate pair becomes U+FFFD where text is no JSON", () => {
  const asked = acted((event, state, context) => {
    context.append({ type: "a\ud800", payload: { text: "\ud800" } });
    context.log.info("\udc00");
  });
  assert.equal(asked[0][1].eventType, "a\ufffd");
  assert.equal(asked[0][1].payload, '{"text":"\\ud800"}');
  assert.deepEqual(asked[1], ["info", "\ufffd"]);
});

test("a refused append is an AppendError with its code", () => {
  const refuse = () => {
    throw Object.assign(new Error("x"), { payload: { tag: "conflict", val: "not 9" } });
  };
  const error = thrown(() => acted((event, state, context) => context.append({ type: "a" }), { append: refuse }));
  assert.ok(error instanceof AppendError);
  assert.deepEqual([error.code, error.message], ["conflict", "append refused as conflict: not 9"]);
});

test("an event appended at once comes back", () => {
  let event;
  acted((_event, _state, context) => void (event = context.appendNowTo("/b", { type: "now", payload: { a: 1 } })));
  assert.deepEqual([event.streamPath, event.offset, event.type, event.payload, event.createdAtMs], ["/b", 9, "now", { a: 1 }, 3]);
});

test("the context knows slug, configuration, environment and secrets' placeholders", () => {
  acted((event, state, context) => {
    assert.equal(context.slug, "s");
    assert.equal(context.configJson(), '{"limit":9007199254740993}');
    assert.deepEqual([context.env("KEY"), context.env("OTHER")], ["value", undefined]);
    assert.equal(context.secret("name"), "{{secret:name}}");
  });
  assert.throws(() => secret("a}}"), TypeError);
  assert.throws(() => secret(""), TypeError);
});

test("log lines read as one would write the values down", () => {
  const circle = { name: "c" };
  circle.self = circle;
  const lines = acted((event, state, { log }) => {
    log.info("%s is %d of %o%%", "x", 7, { a: [1, "b"] }, "more");
    log.warn(new Map([["k", new Set([1])]]), undefined, 1n, circle, new Uint8Array(2), new Date(0));
    log.error(new RangeError("far"));
    log.debug("100%", null);
  });
  assert.deepEqual(lines.slice(0, 2), [
    ["info", 'x is 7 of { a: [1, "b"] }% more'],
    ["warn", 'Map { "k" => Set [1] } undefined 1n { name: "c", self: [circular] } Uint8Array [0, 0] 1970-01-01T00:00:00.000Z'],
  ]);
  assert.match(lines[2][1], /^RangeError: far\n    at /);
  assert.deepEqual(lines[3], ["debug", "100% null"]);
});

test("a test host runs a processor event by event", async () => {
  const pong = counter({
    consumes: ["ping", "order/*"],
    async afterAppend(event, state, context) {
      if (event.payload.fail) throw new ProcessorError("as told");
      context.append({ type: "pong", payload: { count: state.count, config: context.config() } });
      context.appendNow({ type: "at-once" });
    },
  });
  const host = new TestHost(pong, { config: { a: 1 } });
  assert.deepEqual(await host.append({ type: "order/placed" }), [
    { type: "pong", payload: { count: 1, config: { a: 1 } } },
    { type: "at-once", payload: {}, now: true },
  ]);
  await assert.rejects(host.append({ type: "ping", payload: { fail: true } }), /as told/);
  await assert.rejects(host.append({ type: "other" }), /counter does not consume other/);
  assert.deepEqual(host.state, { count: 2 });
});
