// From the sources to one script, by esbuild.

import { createRequire } from "node:module";
import { join, relative } from "node:path";

import { lineMap } from "./linemap.mjs";
import { BuildError, howToImport, say } from "./say.mjs";

const SDK = join(import.meta.dirname, "..");

/**
 * @typedef {object} Bundle
 * @property {string} script
 * @property {string[]} imports the interfaces that it imports
 * @property {import("../src/places.js").LineMap} map
 */

/** What the script begins with, as a source. */
const ENTRY = "pelton:entry";

/** How each engine wants its script. */
const OPTIONS = {
  quickjs: {
    // The SDK's own promises have to be behind `async`, for nothing drives the engine's.
    supported: { "async-await": false, "async-generator": false, "for-await": false, "top-level-await": false },
    inject: [join(SDK, "src/web/globals.js")],
  },
  starlingmonkey: {},
};

/**
 * @param {import("./build.mjs").Project} project
 * @returns {Promise<Bundle>}
 */
export async function bundle(project) {
  say("bundling");
  const esbuild = createRequire(import.meta.url)(project.packageFolder("esbuild"));
  // The SDK comes first, since it replaces what the sources may use while they load.
  const contents = `import { processor as make } from ${JSON.stringify(join(SDK, "src", `${project.engine}.js`))};
import definition from ${JSON.stringify(`./${project.entry}`)};
export const processor = make(definition);`;
  const built = await esbuild
    .build({
      stdin: { contents, resolveDir: project.folder, sourcefile: ENTRY },
      absWorkingDir: project.folder,
      bundle: true,
      write: false,
      outfile: "processor.js",
      format: "esm",
      platform: "browser",
      target: "es2023",
      keepNames: true,
      sourcemap: "external",
      sourcesContent: false,
      metafile: true,
      logLevel: "silent",
      external: ["pelton:*", "host:*", "wasi:*"],
      // Wherever the project has its own: the sources and the component's code have to be one with each other.
      alias: { "@pelton/sdk": join(SDK, "src/index.js") },
      plugins: [noNodeModules],
      ...OPTIONS[project.engine],
    })
    .catch((/** @type {any} */ error) => {
      throw new BuildError(messages(error));
    });
  const script = outputOf(built, ".js");
  const map = lineMap(JSON.parse(outputOf(built, ".map")), isAuthors(project.folder));
  return {
    // On one line, so that it moves no other.
    script: script.replace(JSON.stringify("pelton:line-map"), () => JSON.stringify(map)),
    map,
    imports: Object.values(built.metafile.outputs).flatMap((/** @type {any} */ output) => output.imports.map((/** @type {any} */ { path }) => path)),
  };
}

/**
 * @param {any} built
 * @param {string} suffix
 */
function outputOf(built, suffix) {
  return built.outputFiles.find((/** @type {any} */ { path }) => path.endsWith(suffix)).text;
}

/**
 * The name of an author's file in messages; null for the SDK's files and those of packages.
 *
 * @param {string} folder
 */
function isAuthors(folder) {
  return (/** @type {string} */ source) => {
    const path = join(folder, source);
    const inside = !path.startsWith(SDK) && !source.includes("node_modules/") && !source.endsWith(ENTRY);
    return inside ? relative(folder, path) : null;
  };
}

const noNodeModules = {
  name: "no-node-modules",
  /** @param {any} build */
  setup(build) {
    build.onResolve({ filter: /^node:/ }, ({ path }) => ({ errors: [{ text: howToImport(path) }] }));
  },
};

/** @param {any} error */
function messages(error) {
  if (!Array.isArray(error.errors)) return String(error.message ?? error);
  return error.errors.map(message).join("\n");
}

/** @param {any} error */
function message({ text, location, notes }) {
  const noDefault = location?.file === ENTRY && /^No matching export in "(.*)" for import "default"$/.exec(text);
  if (noDefault) return `${noDefault[1]}: error: there is no default export; write: export default defineProcessor({ … })`;
  const place = location === null ? "" : `${location.file}:${location.line}:${location.column + 1}: `;
  const line = location?.lineText ? `\n  ${location.lineText.trim()}` : "";
  // What the bundler advises is for those who call it.
  const [, unresolved] = /^Could not resolve "(.*)"$/.exec(text) ?? [];
  const more = unresolved === undefined ? notes.map((/** @type {any} */ note) => note.text) : [howToImport(unresolved) ?? "there is no such file"];
  return [`${place}error: ${text}${line}`, ...more].join("\n  ");
}
