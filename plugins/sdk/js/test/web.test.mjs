import assert from "node:assert/strict";
import { test } from "node:test";

import { here, load } from "./fakes/web.mjs";

/** Runs an async function's text to its end and gives back what it pushed to `out`. */
async function ran(body) {
  const { finish, run, out, world, lines } = await load(`export const out = []; export async function run() { ${body} }`);
  const left = finish(run);
  return { out: here([...out]), left, open: [...world.open].map(({ constructor }) => constructor.name), now: world.now, lines: here([...lines]) };
}

/** The same on the engine's own promises. */
async function native(body) {
  const out = [];
  const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor;
  await new AsyncFunction("out", body)(out);
  return out;
}

const thrown = async (body) => {
  try {
    await ran(body);
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
  return assert.fail("nothing was thrown");
};

test("promises do what the language's do, in the same order", async () => {
  const programs = [
    `for (const n of [1, 2]) Promise.resolve(n).then((v) => out.push(v)); out.push(0); await null; out.push(3);`,
    `const p = new Promise((resolve) => { resolve(1); resolve(2); out.push("made"); }); out.push(await p, await p);`,
    `try { await Promise.reject(new Error("no")); } catch (error) { out.push(error.message); } finally { out.push("finally"); }`,
    `await new Promise((_, reject) => reject(1)).catch((e) => out.push(e)).then(() => { throw 2; }).catch((e) => out.push(e)).finally(() => { out.push("f"); return 9; }).then((v) => out.push(v));`,
    `out.push(await Promise.all([1, Promise.resolve(2), { then: (f) => f(3) }]), await Promise.all([]));`,
    `out.push(await Promise.allSettled([1, Promise.reject(2)]));`,
    `out.push(await Promise.any([Promise.reject(1), 2])); try { await Promise.any([Promise.reject(1)]); } catch (error) { out.push(error.name, error.errors); }`,
    `out.push(await Promise.race([new Promise(() => {}), 1, 2]));`,
    `const thenable = { then(resolve) { out.push("then"); resolve("v"); } }; out.push("a"); const p = (async () => thenable)(); out.push("b"); out.push(await p);`,
    `const p = Promise.resolve(1); out.push(Promise.resolve(p) === p, p instanceof Promise, Object.prototype.toString.call(p), Promise.name);`,
    `queueMicrotask(() => out.push("job")); await null; await null; out.push("after");`,
    `async function* numbers() { yield 1; yield 2; } for await (const n of numbers()) out.push(n); for await (const n of [Promise.resolve(3)]) out.push(n);`,
    `const p = Promise.resolve(); p.then(() => out.push(1)).then(() => out.push(2)); p.then(() => out.push(3)); await p; await null; await null; out.push(4);`,
    `let resolve; const p = new Promise((r) => { resolve = r; }); resolve(p); try { await p; } catch (error) { out.push(error.name); }`,
    `class Late extends Promise {} out.push(await new Late((resolve) => resolve(5)));`,
  ];
  for (const program of programs) assert.deepEqual((await ran(program)).out, await native(program), program);
});

test("withResolvers and try are there", async () => {
  const { out } = await ran(`const { promise, resolve } = Promise.withResolvers(); resolve(1); out.push(await promise, await Promise.try((a) => a + 1, 1));
    await Promise.try(() => { throw new Error("x"); }).catch((error) => out.push(error.message));`);
  assert.deepEqual(out, [1, 2, "x"]);
});

test("an exception after an await is the effect's", async () => {
  assert.equal(await thrown(`await null; throw new RangeError("late");`), "RangeError: late");
});

test("a rejection that nobody handles is an error, one that is handled later is not", async () => {
  assert.equal(await thrown(`Promise.reject(new Error("lost")); await null;`), "Error: a promise was rejected and nothing handled it");
  assert.deepEqual((await ran(`const p = Promise.reject(1); await null; await p.catch((e) => out.push(e));`)).out, [1]);
});

test("a promise that nothing can settle is an error rather than a wait for ever", async () => {
  assert.equal(await thrown(`await new Promise(() => {});`), "Error: afterAppend waits for a promise that nothing is left to settle");
});

test("timers fire in the order of their times and give their handles back", async () => {
  const { out, left, open, now } = await ran(`
    setTimeout((...values) => out.push(...values), 30, "c", "d"); setTimeout(() => out.push("a"), 10); setTimeout(() => out.push("b"), 10);
    clearTimeout(setTimeout(() => out.push("never"), 20)); clearTimeout(undefined); clearTimeout(99);
    await new Promise((resolve) => setTimeout(resolve, 30)); await null;`);
  assert.deepEqual([out, left, open, now], [["a", "b", "c", "d"], 0, [], 30]);
});

test("an interval goes on until it is cleared, from within too", async () => {
  const { out, left, now } = await ran(`let id; await new Promise((resolve) => { id = setInterval(() => { out.push(out.length); if (out.length === 3) { clearInterval(id); resolve(); } }, 5); });`);
  assert.deepEqual([out, left, now], [[0, 1, 2], 0, 15]);
});

test("what is under way when the effect ends is dropped and counted", async () => {
  const { out, left, open } = await ran(`setTimeout(() => out.push("never"), 10); setInterval(() => out.push("never"), 10); fetch("http://a.example/").then(() => out.push("never"));`);
  assert.deepEqual([out, left, open], [[], 3, []]);
});

test("outside afterAppend timers and fetch say that they are for it", async () => {
  const { begin } = await load(`export const begin = () => setTimeout(() => {}, 1);`);
  assert.throws(begin, /setTimeout is for afterAppend/);
  await assert.rejects(load(`setInterval(() => {}, 1);`), /setInterval is for afterAppend/);
});

test("aborting tells listeners once, and a timeout aborts by itself", async () => {
  const { out } = await ran(`
    const controller = new AbortController(); const { signal } = controller;
    signal.addEventListener("abort", ({ type }) => out.push(type)); signal.onabort = () => out.push("on");
    controller.abort(); controller.abort(); out.push(signal.aborted, signal.reason.name);
    const either = AbortSignal.any([AbortSignal.timeout(5), new AbortController().signal]);
    await new Promise((resolve) => either.addEventListener("abort", resolve)); out.push(either.reason.name);
    try { AbortSignal.abort("why").throwIfAborted(); } catch (reason) { out.push(reason); }`);
  assert.deepEqual(out, ["on", "abort", true, "AbortError", "TimeoutError", "why"]);
});

test("console writes to the host's log at its level", async () => {
  const { lines } = await ran(`console.log("a", 1); console.warn("b"); console.error("c"); console.debug("d"); console.assert(false, "e"); globalThis.console.info("f");`);
  assert.deepEqual(lines, [["info", "a 1"], ["warn", "b"], ["error", "c"], ["debug", "d"], ["error", "assertion failed e"], ["info", "f"]]);
});

test("randomness comes from the host", async () => {
  const { out } = await ran(`out.push(Math.random(), crypto.randomUUID(), [...crypto.getRandomValues(new Uint16Array(2))]);`);
  assert.deepEqual(out, [1 - 2 ** -53, "ffffffff-ffff-4fff-bfff-ffffffffffff", [65535, 65535]]);
});

test("URLs and clones are there", async () => {
  const { out } = await ran(`const url = new URL("../b?x=1#h", "https://a.example/c/d"); url.searchParams.append("y", "ä b");
    out.push(url.href, url.host, new URLSearchParams({ q: "1&2" }).toString());
    const value = { m: new Map([[1, new Date(0)]]), self: null }; value.self = value; const copy = structuredClone(value);
    out.push(copy !== value, copy.self === copy, copy.m.get(1).getTime());`);
  assert.deepEqual(out, ["https://a.example/b?x=1&y=%C3%A4+b#h", "a.example", "q=1%262", true, true, 0]);
});
