import assert from "node:assert/strict";
import { test } from "node:test";

import * as own from "../src/web/encoding.js";

const TEXTS = ["", "ascii", "ä€🦀", "\ud800", "a\udc00b", "\u0000\u007f\u0080\u07ff\u0800\uffff\u{10000}\u{10ffff}", "\ufeffBOM", "x".repeat(10_000) + "é"];

test("text is encoded as the platform does", () => {
  for (const text of TEXTS) {
    assert.deepEqual(new own.TextEncoder().encode(text), new TextEncoder().encode(text));
    const [mine, theirs] = [new Uint8Array(7), new Uint8Array(7)];
    assert.deepEqual(new own.TextEncoder().encodeInto(text, mine), new TextEncoder().encodeInto(text, theirs));
    assert.deepEqual(mine, theirs);
  }
});

/** Bytes with many beginnings and ends of characters among them, from a fixed seed. */
function* odd() {
  const likely = [0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff];
  let seed = 7;
  const next = (below) => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 3000; round += 1) yield Uint8Array.from({ length: next(9) }, () => likely[next(likely.length)]);
}

test("bytes are decoded as the platform does, in one piece and in many", () => {
  for (const bytes of [...TEXTS.map((text) => new TextEncoder().encode(text)), ...odd()]) {
    const expected = new TextDecoder().decode(bytes);
    assert.equal(new own.TextDecoder().decode(bytes), expected);
    assert.equal(new own.TextDecoder("utf8", { ignoreBOM: true }).decode(bytes), new TextDecoder("utf8", { ignoreBOM: true }).decode(bytes));
    const streaming = new own.TextDecoder();
    let text = "";
    for (const byte of bytes) text += streaming.decode(Uint8Array.of(byte), { stream: true });
    assert.equal(text + streaming.decode(), expected);
  }
});

test("bytes that are no UTF-8 are refused when asked for, and other encodings always", () => {
  assert.throws(() => new own.TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.of(0xff)), TypeError);
  assert.throws(() => new own.TextDecoder("latin1"), RangeError);
});
