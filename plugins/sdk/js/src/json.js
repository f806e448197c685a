// JSON in which integers can be exact. Numbers of JSON have no bounds, those of JavaScript are exact up to 2^53 only.

const INTEGER = /^-?\d+$/;
/** A string or a number. Strings are matched so that digits inside them are passed over. */
const TOKEN = /"(?:[^"\\]+|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
/** Within a JSON text a control character is always escaped, so no string of a payload is mistaken for this. */
const MARK = "\u0001pelton-integer:";
const MARKED = /"\\u0001pelton-integer:(-?\d+)"/g;
/** Whether a reviver gets to see how a number is written. */
const TELLS_SOURCE = "rawJSON" in JSON;

/**
 * `JSON.parse`; with `bigints`, an integer that a number cannot hold becomes a BigInt.
 *
 * @param {string} text
 * @param {{ bigints?: boolean }} [options]
 * @returns {any}
 */
export function parseJson(text, options) {
  if (!options?.bigints) return JSON.parse(text);
  return TELLS_SOURCE ? parseBySource(text) : parseByToken(text);
}

/** @param {string} text */
function parseBySource(text) {
  const exact = (/** @type {string} */ _key, /** @type {unknown} */ value, /** @type {{ source: string }} */ { source }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && INTEGER.test(source) ? BigInt(source) : value;
  return JSON.parse(text, /** @type {any} */ (exact));
}

/** @param {string} text */
function parseByToken(text) {
  const isLong = (/** @type {string} */ token) => INTEGER.test(token) && !Number.isSafeInteger(Number(token));
  const marked = text.replace(TOKEN, (token) => (isLong(token) ? JSON.stringify(MARK + token) : token));
  return JSON.parse(marked, (_key, value) => (typeof value === "string" && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value));
}

/**
 * `JSON.stringify`; a BigInt is written as an integer. `undefined` and functions, which are no JSON, are a TypeError.
 *
 * @param {unknown} value
 * @returns {string}
 */
export function stringifyJson(value) {
  const text = plain(value) ?? marked(value);
  if (text === undefined) throw new TypeError(`${typeof value} is no JSON`);
  return text;
}

/**
 * What has no BigInt in it needs no second look.
 *
 * @param {unknown} value
 */
function plain(value) {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

/**
 * @param {unknown} value
 * @returns {string | undefined}
 */
function marked(value) {
  const text = JSON.stringify(value, (_key, part) => (typeof part === "bigint" ? MARK + part : part));
  return text?.replace(MARKED, "$1");
}
