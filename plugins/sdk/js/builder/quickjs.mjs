// From the script to a component with QuickJS inside.

import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { notLoaded, say } from "./say.mjs";

/**
 * @param {import("./build.mjs").Project} project
 * @param {import("./bundle.mjs").Bundle} bundle
 * @returns {Promise<Buffer>}
 */
export async function quickjs(project, { script, imports, map }) {
  say("componentizing with QuickJS");
  const { componentize } = createRequire(import.meta.url)(project.packageFolder("componentize-qjs"));
  const folder = mkdtempSync(join(tmpdir(), "pelton-"));
  try {
    const witPath = world(folder, project.wit, imports);
    const { component } = await componentize({ witPath, jsSource: script, world: "component", sync: true }).catch((/** @type {any} */ error) => {
      throw notLoaded(error, map);
    });
    return withStandardNames(component);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// While it runs the script, the componentizer gives the engine WASI and lets everything else trap. It cannot do both to one package, so what
// the script imports of WASI goes by another name until the component is there.
const STANDARD = "wasi:";
const MEANWHILE = "host:";
/** What of WASI the contract's folder holds. */
const VERSION = "0.2.12";
/** The name must not be one that the engine imports too; hosts take every 0.2 for the same. It is as long as the one it replaces. */
const VERSION_IMPORTED = "0.2.11";

/**
 * A world that imports what the script does and nothing else.
 *
 * @param {string} folder
 * @param {string} wit
 * @param {string[]} imports
 */
function world(folder, wit, imports) {
  const copy = join(folder, "wit");
  cpSync(wit, copy, { recursive: true });
  for (const name of readdirSync(copy, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".wit"))) {
    const file = join(copy, name);
    writeFileSync(file, readFileSync(file, "utf8").replaceAll(STANDARD, MEANWHILE));
  }
  const own = imports.filter((name) => name.startsWith(MEANWHILE)).map((name) => `import ${name};`);
  const text = `package pelton:processor@0.1.0;\nworld component { include stream-processor; ${[...new Set(own)].join(" ")} }\n`;
  writeFileSync(join(copy, "component.wit"), text);
  return copy;
}

const HEADER_BYTES = 8;
const IMPORT_SECTION = 10;

/**
 * Gives the imports of a component their standard names, in place. They stand in its own import sections and nowhere else.
 *
 * @param {Buffer} component
 */
export function withStandardNames(component) {
  for (let at = HEADER_BYTES; at < component.length; ) {
    const { value: size, next: start } = leb128(component, at + 1);
    if (component[at] === IMPORT_SECTION) rename(component.subarray(start, start + size));
    at = start + size;
  }
  return component;
}

/** @param {Buffer} section */
function rename(section) {
  const text = section.toString("latin1");
  const renamed = text.replace(new RegExp(`${MEANWHILE}([a-z/-]+)@${VERSION}`, "g"), `${STANDARD}$1@${VERSION_IMPORTED}`);
  section.write(renamed, "latin1");
}

/**
 * @param {Buffer} bytes
 * @param {number} at
 */
function leb128(bytes, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at];
    at += 1;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return { value, next: at };
  }
}
