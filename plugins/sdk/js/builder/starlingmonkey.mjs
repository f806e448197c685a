// From the script to a component with StarlingMonkey inside.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { notLoaded, say } from "./say.mjs";

/**
 * @param {import("./build.mjs").Project} project
 * @param {import("./bundle.mjs").Bundle} bundle
 * @returns {Promise<Buffer>}
 */
export async function starlingmonkey(project, { script, map }) {
  say("componentizing with StarlingMonkey");
  const installed = project.packageFolder("@bytecodealliance/componentize-js");
  const { componentize } = await imported(installed, "src/componentize.js");
  encodeNatively((await imported(installed, "lib/spidermonkey-embedding-splicer.js")).splicer);
  const folder = mkdtempSync(join(tmpdir(), "pelton-"));
  try {
    const sourcePath = join(folder, "processor.js");
    writeFileSync(sourcePath, script);
    const options = { sourcePath, witPath: project.wit, worldName: "stream-processor-wasi", disableFeatures: ["fetch-event"] };
    const { component } = await componentize(options).catch((/** @type {any} */ error) => {
      throw notLoaded(error, map);
    });
    return Buffer.from(component);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * @param {string} folder
 * @param {string} file
 * @returns {Promise<any>}
 */
function imported(folder, file) {
  return import(pathToFileURL(join(folder, file)).href);
}

const ENCODE = "function _utf8AllocateAndEncode(s, realloc, memory) {";
/** Counted is what goes through a small buffer, since a copy of each text would take memory until the collector comes by. */
const NATIVELY = `
  if (typeof s === "string" && s.length > 0) {
    let len = 0;
    for (let at = 0; at < s.length; ) {
      const { read, written } = TEXT_ENCODER_UTF8.encodeInto(s.slice(at), ENCODED);
      at += read;
      len += written;
    }
    const ptr = realloc(0, 0, 1, len);
    TEXT_ENCODER_UTF8.encodeInto(s, new Uint8Array(memory.buffer, ptr, len));
    return { ptr, len };
  }`;
const BUFFER = "const ENCODED = new Uint8Array(1 << 16);\n";

/**
 * The bindings go over each text letter by letter to know its length in UTF-8, which takes 2,600 instructions a letter: a state of 400 kB ran out
 * of fuel. The engine's own encoder does it in a few. Where another version has no such function, its bindings stay as they are.
 *
 * @param {{ spliceBindings: (...options: any[]) => { jsBindings: string } }} splicer
 */
function encodeNatively(splicer) {
  const { spliceBindings } = splicer;
  splicer.spliceBindings = (...options) => {
    const spliced = spliceBindings(...options);
    return { ...spliced, jsBindings: spliced.jsBindings.replace(ENCODE, () => BUFFER + ENCODE + NATIVELY) };
  };
}
