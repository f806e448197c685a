// From the script to a component with StarlingMonkey inside.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { BuildError, say } from "./say.mjs";

/**
 * @param {import("./build.mjs").Project} project
 * @param {import("./bundle.mjs").Bundle} bundle
 * @returns {Promise<Buffer>}
 */
export async function starlingmonkey(project, { script }) {
  say("componentizing with StarlingMonkey");
  const { componentize } = await import(pathToFileURL(project.path("@bytecodealliance/componentize-js")).href);
  const folder = mkdtempSync(join(tmpdir(), "pelton-"));
  try {
    const sourcePath = join(folder, "processor.js");
    writeFileSync(sourcePath, script);
    const { component } = await componentize({ sourcePath, witPath: project.wit, worldName: "stream-processor-wasi" }).catch((/** @type {any} */ error) => {
      throw new BuildError(`the processor does not load: ${error.message}`);
    });
    return Buffer.from(component);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
