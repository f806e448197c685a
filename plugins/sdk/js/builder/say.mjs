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
