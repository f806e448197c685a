// What an exception says to whoever reads why a processor was parked.

import { sourceOf } from "./places.js";

/** An error whose message is all there is to say: it reaches the host without name and stack. */
export class ProcessorError extends Error {
  get name() {
    return "ProcessorError";
  }
}

/**
 * Name and message, where it happened, and its causes likewise.
 *
 * @param {unknown} error
 * @returns {string}
 */
export function explain(error) {
  if (error instanceof ProcessorError) return error.message;
  const parts = [];
  for (let depth = 0; error != null && depth < 8; depth += 1) {
    parts.push((depth === 0 ? "" : "caused by ") + one(error));
    error = error instanceof Error ? error.cause : undefined;
  }
  return parts.length === 0 ? "an exception without a reason (undefined was thrown)" : parts.join("\n");
}

/** @param {unknown} error */
function one(error) {
  if (!(error instanceof Error)) return `thrown: ${shown(error)}`;
  const head = error.message === "" ? error.name : `${error.name}: ${error.message}`;
  return [head, ...frames(error.stack ?? "")].join("\n");
}

/** @param {unknown} value */
function shown(value) {
  if (typeof value === "string") return value;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

// Engines write `    at name (file:line:column)` or `name@file:line:column`.
const FRAME = /^\s*(?:at\s+)?(?:(?<name>[^@(]*?)\s*[@(])?(?<file>[^@()]*?):(?<line>\d+)(?::(?<column>\d+))?\)?\s*$/;

/**
 * The frames of the author's own files, as in the sources; where the bundle has no map, all frames as they are.
 *
 * @param {string} stack
 * @param {import("./places.js").LineMap} [map]
 */
export function frames(stack, map) {
  const found = [];
  for (const line of stack.split("\n")) {
    const { name, line: number } = FRAME.exec(line)?.groups ?? {};
    if (number === undefined) continue;
    const source = sourceOf(Number(number), map);
    if (source === undefined) {
      found.push(`    at ${line.trim().replace(/^at /, "")}`);
    } else if (source !== null) {
      found.push(`    at ${name && name !== "<anonymous>" ? `${name} (${source})` : source}`);
    }
    if (found.length === 10) break;
  }
  return found;
}
