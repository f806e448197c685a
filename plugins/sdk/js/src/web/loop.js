// The event loop of `afterAppend`: jobs of promises first, then whatever the host says is ready.

/** @type {(() => void)[]} */
let jobs = [];
/** @type {Set<Wait>} */
const waits = new Set();
/** @type {Map<object, unknown>} Promises that were rejected and that nobody has asked, with the reason. */
const unhandled = new Map();
/** @type {Set<() => void>} What has to be given back to the host, whatever happens. */
const closers = new Set();
let acting = false;

/**
 * @typedef {object} Wait
 * @property {{ [Symbol.dispose](): void }} pollable
 * @property {(pollables: any[]) => number[] | Uint32Array} poll
 * @property {() => void} ready
 */

/** @param {() => void} job */
export function enqueue(job) {
  jobs.push(job);
}

/**
 * Calls `ready` once the pollable is; the pollable is then the loop's to dispose of. Returns a function that calls it off.
 *
 * @param {Wait["pollable"]} pollable
 * @param {Wait["poll"]} poll
 * @param {() => void} ready
 */
export function wait(pollable, poll, ready) {
  const entry = { pollable, poll, ready };
  waits.add(entry);
  return () => {
    if (waits.delete(entry)) pollable[Symbol.dispose]();
  };
}

/**
 * Calls `close` when the effect ends, unless the function that this returns is called before.
 *
 * @param {() => void} close
 */
export function atEnd(close) {
  closers.add(close);
  return () => closers.delete(close);
}

/**
 * The world is within reach in `afterAppend` alone.
 *
 * @param {string} what
 */
export function onlyWhenActing(what) {
  if (!acting) throw new Error(`${what} is for afterAppend: nothing can be waited for while a module loads or in reduce`);
}

/**
 * @param {object} promise
 * @param {unknown} reason
 */
export function rejectedUnheard(promise, reason) {
  unhandled.set(promise, reason);
}

/** @param {object} promise */
export function heard(promise) {
  unhandled.delete(promise);
}

/**
 * Runs an effect until what it returns is settled. Returns how much of what it began was still under way then, and drops that: an instance
 * that goes on with another event must not find the leavings of this one.
 *
 * @param {() => unknown} effect
 * @returns {number}
 */
export function finish(effect) {
  acting = true;
  try {
    const outcome = settled(effect());
    runJobs();
    if (outcome.failed) throw outcome.reason;
    for (const reason of unhandled.values()) throw new Error("a promise was rejected and nothing handled it", { cause: reason });
    return waits.size;
  } finally {
    acting = false;
    jobs = [];
    unhandled.clear();
    for (const { pollable } of waits) pollable[Symbol.dispose]();
    waits.clear();
    for (const close of [...closers]) close();
    closers.clear();
  }
}

/**
 * @param {any} value
 * @returns {{ failed: boolean, reason?: unknown }}
 */
function settled(value) {
  /** @type {{ failed: boolean, reason?: unknown } | undefined} */
  let outcome;
  if (typeof value?.then !== "function") return { failed: false };
  value.then(
    () => (outcome = { failed: false }),
    (/** @type {unknown} */ reason) => (outcome = { failed: true, reason }),
  );
  for (;;) {
    runJobs();
    if (outcome !== undefined) return outcome;
    if (waits.size === 0) throw new Error("afterAppend waits for a promise that nothing is left to settle");
    waitForAny();
  }
}

function runJobs() {
  while (jobs.length > 0) {
    const due = jobs;
    jobs = [];
    for (const job of due) job();
  }
}

function waitForAny() {
  const waiting = [...waits];
  for (const index of waiting[0].poll(waiting.map(({ pollable }) => pollable))) {
    const entry = waiting[index];
    // One that was ready may have called off another.
    if (!waits.delete(entry)) continue;
    entry.pollable[Symbol.dispose]();
    entry.ready();
    runJobs();
  }
}
