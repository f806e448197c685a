import { isBuiltin } from "node:module";

import { frames } from "../src/errors.js";

/** What is wrong, in words for the author of the project. */
export class BuildError extends Error {}

/**
 * Progress, one line each, on standard error.
 *
 * @param {string} what
 */
export function say(what) {
  console.error(what);
}

/**
 * What the author should know although the component is built. `pelton plugin build` passes such lines on.
 *
 * @param {string} what
 */
export function warn(what) {
  console.error(`warning: ${what}`);
}

/**
 * What to do about an import that leads nowhere; undefined for a file's, whose name says all.
 *
 * @param {string} path
 */
export function howToImport(path) {
  if (isBuiltin(path)) return `${path} belongs to Node.js; a component has fetch, timers and the other globals that the SDK's README lists`;
  if (/^[./]/.test(path)) return undefined;
  return `the package ${path} is not installed: list it under dependencies of package.json and build again`;
}

/**
 * What a componentizer says about a script that throws while it loads, with the places of the sources.
 *
 * @param {any} error
 * @param {import("../src/places.js").LineMap} map
 */
export function notLoaded(error, map) {
  const text = String(error?.message ?? error);
  // QuickJS's tells first how it got there.
  const reason = text.split("module evaluation: ").at(-1) ?? text;
  const [message, ...stack] = reason.trim().split(/\n(?=\s*at |\s*[^\s(]*@)/);
  return new BuildError([`the processor does not load: ${message}`, ...frames(stack.join("\n"), map)].join("\n"));
}
