// JSON in which integers can be exact. Numbers of JSON have no bounds, those of JavaScript are exact up to 2^53 only.

const INTEGER = /^-?\d+$/;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
/** An integer that a number cannot hold has at least so many digits. */
const DIGITS = 16;
const MANY_DIGITS = /\d{16}/;
/** In a text no longer than this a regular expression finds out soonest, wherever the digits are; in a long string of digits it would take for ever. */
const SHORT = 4096;
/** Within a JSON text a control character is always escaped, so no string of a payload is mistaken for this. */
const MARK = "\u0001pelton-integer:";
const MARKED = /"\\u0001pelton-integer:(-?\d+)"/g;
const LONG = "\u0001pelton-string:";
const MARKED_LONG = /"\\u0001pelton-string:(\d+)"/g;
/** A longer string is written in pieces of so many UTF-16 units. */
const PIECE = 1 << 16;

/**
 * `JSON.parse`; with `bigints`, an integer that a number cannot hold becomes a BigInt.
 *
 * @param {string} text
 * @param {{ bigints?: boolean }} [options]
 * @returns {any}
 */
export function parseJson(text, options) {
  const marked = options?.bigints && (text.length > SHORT || MANY_DIGITS.test(text)) ? withMarks(text) : undefined;
  if (marked === undefined) return JSON.parse(text);
  return JSON.parse(marked, (_key, value) => (typeof value === "string" && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value));
}

/**
 * The text with such integers as strings that begin with the mark; `undefined` where it has none.
 *
 * Strings are passed over by search, not by a regular expression: one that can step back remembers every letter, and runs out of memory at a string of
 * a megabyte.
 *
 * @param {string} text
 */
function withMarks(text) {
  let [marked, done] = ["", 0];
  for (let at = 0; at < text.length; ) {
    const start = indexOr(text, '"', at);
    if (start - at >= DIGITS) {
      const between = text.slice(at, start);
      if (MANY_DIGITS.test(between)) {
        marked += text.slice(done, at) + between.replace(NUMBER, mark);
        done = start;
      }
    }
    at = endOfString(text, start);
  }
  return done === 0 ? undefined : marked + text.slice(done);
}

/** @param {string} token */
function mark(token) {
  return INTEGER.test(token) && !Number.isSafeInteger(Number(token)) ? JSON.stringify(MARK + token) : token;
}

/**
 * @param {string} text
 * @param {number} start where the string begins
 */
function endOfString(text, start) {
  for (let at = start + 1; ; at += 1) {
    at = indexOr(text, '"', at);
    if (at === text.length) return at;
    let before = at;
    while (text[before - 1] === "\\") before -= 1;
    if ((at - before) % 2 === 0) return at + 1;
  }
}

/**
 * @param {string} text
 * @param {string} what
 * @param {number} from
 */
function indexOr(text, what, from) {
  const found = text.indexOf(what, from);
  return found === -1 ? text.length : found;
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
 * What has no BigInt in it needs no second look. An engine may also run out of memory here, which {@link marked} goes about with less.
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
 * BigInts are written as strings first, and long strings piece by piece: SpiderMonkey asks for 128 MiB at once where a text with letters beyond Latin-1 goes
 * on with a string of 700,000.
 *
 * @param {unknown} value
 * @returns {string | undefined}
 */
function marked(value) {
  /** @type {string[]} */
  const long = [];
  const text = JSON.stringify(value, (_key, part) => {
    if (typeof part === "bigint") return MARK + part;
    return typeof part === "string" && part.length > PIECE ? `${LONG}${long.push(part) - 1}` : part;
  });
  return text?.replace(MARKED, "$1").replace(MARKED_LONG, (_all, nth) => quoted(long[nth]));
}

/** @param {string} text */
function quoted(text) {
  const pieces = ['"'];
  for (let at = 0, end; at < text.length; at = end) {
    end = at + PIECE;
    if (isSplitAt(text, end)) end += 1;
    pieces.push(JSON.stringify(text.slice(at, end)).slice(1, -1));
  }
  pieces.push('"');
  return pieces.join("");
}

/**
 * Whether the two halves of one letter lie on either side.
 *
 * @param {string} text
 * @param {number} at
 */
function isSplitAt(text, at) {
  const [before, after] = [text.charCodeAt(at - 1), text.charCodeAt(at)];
  return before >= 0xd800 && before < 0xdc00 && after >= 0xdc00 && after < 0xe000;
}
