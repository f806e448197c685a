// From the script to a component with StarlingMonkey inside.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { notLoaded, say, warn } from "./say.mjs";

const PACKAGE = "@bytecodealliance/componentize-js";
/** The versions whose bindings are known to encode natively what goes out. */
const KNOWN = ["0.23.0"];

/**
 * @param {import("./build.mjs").Project} project
 * @param {import("./bundle.mjs").Bundle} bundle
 * @returns {Promise<Buffer>}
 */
export async function starlingmonkey(project, { script, map }) {
  say("componentizing with StarlingMonkey");
  const installed = project.packageFolder(PACKAGE);
  const { componentize } = await imported(installed, "src/componentize.js");
  const encodes = encodeNatively(await splicerOf(installed));
  const folder = mkdtempSync(join(tmpdir(), "pelton-"));
  try {
    const sourcePath = join(folder, "processor.js");
    writeFileSync(sourcePath, script);
    const options = { sourcePath, witPath: project.wit, worldName: "stream-processor-wasi", disableFeatures: ["fetch-event"] };
    const { component } = await componentize(options).catch((/** @type {any} */ error) => {
      throw notLoaded(error, map);
    });
    if (!encodes()) {
      const { version } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
      warn(`${PACKAGE} is ${version}, and known here is ${KNOWN.join(", ")}: what the component hands over takes ten times the fuel, so that a state of 400 kB may not pass`);
    }
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

/**
 * What generates the bindings, as long as it is where it was.
 *
 * @param {string} installed
 */
async function splicerOf(installed) {
  try {
    return (await imported(installed, "lib/spidermonkey-embedding-splicer.js")).splicer;
  } catch {
    return undefined;
  }
}

const ENCODER = "TEXT_ENCODER_UTF8";
const ENCODE = "function _utf8AllocateAndEncode(s, realloc, memory) {";
/** Counted is what goes through a small buffer, since a copy of each text would take memory until the collector comes by. */
const NATIVELY = `
  if (typeof s === "string" && s.length > 0) {
    let len = 0;
    for (let at = 0; at < s.length; ) {
      const { read, written } = ${ENCODER}.encodeInto(s.slice(at), ENCODED);
      at += read;
      len += written;
    }
    const ptr = realloc(0, 0, 1, len);
    ${ENCODER}.encodeInto(s, new Uint8Array(memory.buffer, ptr, len));
    return { ptr, len };
  }`;
const BUFFER = "const ENCODED = new Uint8Array(1 << 16);\n";

/**
 * The bindings go over each text letter by letter to know its length in UTF-8, which takes 2,600 instructions a letter: a state of 400 kB ran out
 * of fuel. The engine's own encoder does it in a few. Where another version has no such function, its bindings stay as they are.
 *
 * @param {{ spliceBindings: (...options: any[]) => { jsBindings: string } } | undefined} splicer
 * @returns {() => boolean} whether the bindings that have been generated do so
 */
export function encodeNatively(splicer) {
  let encodes = false;
  if (splicer?.spliceBindings !== undefined) {
    const { spliceBindings } = splicer;
    splicer.spliceBindings = (...options) => {
      const spliced = spliceBindings(...options);
      const { jsBindings } = spliced;
      encodes = jsBindings.includes(ENCODE) && jsBindings.includes(ENCODER);
      return encodes ? { ...spliced, jsBindings: jsBindings.replace(ENCODE, () => BUFFER + ENCODE + NATIVELY) } : spliced;
    };
  }
  return () => encodes;
}
