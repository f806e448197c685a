import assert from "node:assert/strict";
import { test } from "node:test";

import { parseJson, stringifyJson } from "../src/json.js";

const exact = (text) => parseJson(text, { bigints: true });

test("an integer that a number cannot hold is exact when asked for", () => {
  assert.deepEqual(exact('{"a":9007199254740993,"b":[-12345678901234567890,1]}'), { a: 9007199254740993n, b: [-12345678901234567890n, 1] });
  assert.deepEqual(parseJson('{"a":9007199254740993}'), { a: 9007199254740992 });
});

test("what a number holds stays a number", () => {
  const text = "[9007199254740991,1234567890123456.5,1e20,12345678901234567890e1,0.30000000000000004,1e-0000000000000000007,-0]";
  assert.deepEqual(exact(text), JSON.parse(text));
});

test("digits in strings and names are left alone", () => {
  const text = '{"12345678901234567890":"12345678901234567890","b":"\\\\\\"98765432109876543210","c":98765432109876543210}';
  assert.deepEqual(exact(text), { "12345678901234567890": "12345678901234567890", b: '\\"98765432109876543210', c: 98765432109876543210n });
});

test("strings of any length and with any escapes stand beside an exact integer", () => {
  const strings = ["", "\\", "\\\\", '"', '\\"', '"\\', "a\\", ', "b": 98765432109876543210', "\u2028\u0001", "é🦀", "x".repeat(4_000_000), "\\".repeat(9_999)];
  for (const text of strings) {
    const value = { [text]: text, list: [text, text] };
    assert.deepEqual(exact(`{"n":98765432109876543210,"v":${JSON.stringify(value)}}`), { n: 98765432109876543210n, v: value });
  }
});

test("a BigInt is written as an integer, and comes back as it was", () => {
  const value = { a: 1n, b: [-(2n ** 70n)], c: '"\\u0001pelton-integer:7"', d: "\u0001x" };
  assert.equal(stringifyJson(value), `{"a":1,"b":[-${2n ** 70n}],"c":${JSON.stringify(value.c)},"d":"\\u0001x"}`);
  assert.deepEqual(exact(stringifyJson({ a: 2n ** 64n })), { a: 2n ** 64n });
});

test("a string is the same JSON, however long it is and wherever its pieces end", () => {
  const strings = ["x".repeat(200_000), "é🦀".repeat(70_000), `${"x".repeat(65_535)}🦀${"\ud83e".repeat(65_537)}\udd80`, '"\\\n'.repeat(50_000)];
  for (const text of strings) {
    const value = { text, list: [text, { "": text }] };
    // The BigInt has the value written as one that does not fit at once.
    assert.equal(stringifyJson({ n: 1n, ...value }), `{"n":1,${JSON.stringify(value).slice(1)}`);
  }
});

test("what is no JSON is refused", () => {
  assert.throws(() => stringifyJson(undefined), TypeError);
  assert.throws(() => stringifyJson(() => 1), TypeError);
  for (const text of ["{", '{"n":98765432109876543210', '[98765432109876543210,"a', '[98765432109876543210,"a\\', "98765432109876543210x"]) {
    assert.throws(() => exact(text), SyntaxError, text);
  }
});
