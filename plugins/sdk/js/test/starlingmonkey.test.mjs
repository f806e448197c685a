import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { encodeNatively } from "../builder/starlingmonkey.mjs";

const SDK = join(import.meta.dirname, "..");
const PACKAGE = join(SDK, "../../node_modules/@bytecodealliance/componentize-js");

test("the bindings of the pinned version encode texts natively", async () => {
  const { splicer } = await import(join(PACKAGE, "lib/spidermonkey-embedding-splicer.js"));
  const encodes = encodeNatively(splicer);
  assert.equal(encodes(), false);
  const engine = readFileSync(join(PACKAGE, "lib/starlingmonkey_embedding.wasm"));
  const { jsBindings } = splicer.spliceBindings(engine, ["stdio", "random", "clocks", "http"], undefined, join(SDK, "../../../wit"), "stream-processor-wasi", false);
  assert.equal(encodes(), true);
  assert.match(jsBindings, /const ENCODED = new Uint8Array\(1 << 16\);\nfunction _utf8AllocateAndEncode\(s, realloc, memory\) \{\n  if \(typeof s === "string"/);
  assert.match(jsBindings, /\b(?:const|let|var) TEXT_ENCODER_UTF8 = new TextEncoder\(\)/);
});

test("bindings of another make stay as they are, and that is known", () => {
  for (const jsBindings of ["function encode(s) {}", "function _utf8AllocateAndEncode(s, realloc, memory) {"]) {
    const splicer = { spliceBindings: () => ({ jsBindings }) };
    const encodes = encodeNatively(splicer);
    assert.deepEqual(splicer.spliceBindings(), { jsBindings });
    assert.equal(encodes(), false);
  }
  assert.equal(encodeNatively(undefined)(), false);
});
