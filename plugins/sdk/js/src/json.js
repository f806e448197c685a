// JSON in which integers can be exact. Numbers of JSON have no bounds, those of JavaScript are exact up to 2^53 only.

// A string, or an integer too long to be surely exact. Strings come first, so that digits inside them are passed over.
const STRING_OR_LONG_INTEGER = /"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g;
// Within a JSON text a control character is always escaped, so no string of a payload can be mistaken for this one once both are escaped.
const MARK = "\u0001pelton-integer:";
const MARKED = new RegExp(`"\\\\u0001pelton-integer:(-?\\d+)"`, "g");

/**
 * `JSON.parse`; with `bigints`, an integer that a number cannot hold becomes a BigInt.
 *
 * @param {string} text
 * @param {{ bigints?: boolean }} [options]
 * @returns {any}
 */
export function parseJson(text, options) {
  if (!options?.bigints || !/\d{16}/.test(text)) return JSON.parse(text);
  let marked = false;
  const mark = (/** @type {string} */ token) => {
    if (token.startsWith('"') || Number.isSafeInteger(Number(token))) return token;
    marked = true;
    return JSON.stringify(MARK + token);
  };
  const exact = text.replace(STRING_OR_LONG_INTEGER, mark);
  if (!marked) return JSON.parse(text);
  return JSON.parse(exact, (_key, value) =>
    typeof value === "string" && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value,
  );
}

/**
 * `JSON.stringify`; a BigInt is written as an integer. `undefined` and functions, which are no JSON, are a TypeError.
 *
 * @param {unknown} value
 * @returns {string}
 */
export function stringifyJson(value) {
  let marked = false;
  const mark = (/** @type {string} */ _key, /** @type {unknown} */ part) => {
    if (typeof part !== "bigint") return part;
    marked = true;
    return MARK + part;
  };
  const text = JSON.stringify(value, mark);
  if (text === undefined) throw new TypeError(`${typeof value} is no JSON`);
  return marked ? text.replace(MARKED, "$1") : text;
}
