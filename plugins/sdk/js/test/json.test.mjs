import assert from "node:assert/strict";
import { test } from "node:test";

import { parseJson, stringifyJson } from "../src/json.js";

const exact = (text) => parseJson(text, { bigints: true });

test("an integer that a number cannot hold is exact when asked for", () => {
  assert.deepEqual(exact('{"a":9007199254740993,"b":[-12345678901234567890,1]}'), { a: 9007199254740993n, b: [-12345678901234567890n, 1] });
  assert.deepEqual(parseJson('{"a":9007199254740993}'), { a: 9007199254740992 });
});

test("what a number holds stays a number", () => {
  assert.deepEqual(exact("[9007199254740991,1234567890123456.5,1e20,12345678901234567890e1]"), [9007199254740991, 1234567890123456.5, 1e20, 12345678901234567890e1]);
});

test("digits in strings and names are left alone", () => {
  const text = '{"12345678901234567890":"12345678901234567890","b":"\\\\\\"98765432109876543210","c":98765432109876543210}';
  assert.deepEqual(exact(text), { "12345678901234567890": "12345678901234567890", b: '\\"98765432109876543210', c: 98765432109876543210n });
});

test("a BigInt is written as an integer, and comes back as it was", () => {
  const value = { a: 1n, b: [-(2n ** 70n)], c: '"\\u0001pelton-integer:7"', d: "\u0001x" };
  assert.equal(stringifyJson(value), `{"a":1,"b":[-${2n ** 70n}],"c":${JSON.stringify(value.c)},"d":"\\u0001x"}`);
  assert.deepEqual(exact(stringifyJson({ a: 2n ** 64n })), { a: 2n ** 64n });
});

test("what is no JSON is refused", () => {
  assert.throws(() => stringifyJson(undefined), TypeError);
  assert.throws(() => stringifyJson(() => 1), TypeError);
  assert.throws(() => exact("{"), SyntaxError);
});
