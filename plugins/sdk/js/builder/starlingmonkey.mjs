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
  const { componentize } = await import(pathToFileURL(join(project.packageFolder("@bytecodealliance/componentize-js"), "src/componentize.js")).href);
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
