// Timers over the host's monotonic clock.

import { subscribeDuration } from "host:clocks/monotonic-clock@0.2.12";
import { poll } from "host:io/poll@0.2.12";

import { onlyWhenActing, wait } from "./loop.js";

const NANOSECONDS = 1_000_000;

/** @type {Map<number, () => void>} */
const running = new Map();
let last = 0;

/**
 * @param {(...values: any[]) => void} callback
 * @param {number} [delayMs]
 * @param {any[]} values
 */
export function setTimeout(callback, delayMs, ...values) {
  onlyWhenActing("setTimeout");
  const id = (last += 1);
  start(id, delayMs, () => {
    running.delete(id);
    callback(...values);
  });
  return id;
}

/**
 * @param {(...values: any[]) => void} callback
 * @param {number} [delayMs]
 * @param {any[]} values
 */
export function setInterval(callback, delayMs, ...values) {
  onlyWhenActing("setInterval");
  const id = (last += 1);
  const tick = () => {
    start(id, delayMs, tick);
    callback(...values);
  };
  start(id, delayMs, tick);
  return id;
}

/** @param {number | undefined} id */
export function clearTimeout(id) {
  const callOff = running.get(id ?? 0);
  running.delete(id ?? 0);
  callOff?.();
}

export { clearTimeout as clearInterval };

/**
 * @param {number} id
 * @param {number | undefined} delayMs
 * @param {() => void} callback
 */
function start(id, delayMs, callback) {
  const nanoseconds = Math.round(Math.max(0, Number(delayMs) || 0) * NANOSECONDS);
  running.set(id, wait(subscribeDuration(nanoseconds), poll, callback));
}
