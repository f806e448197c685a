#!/usr/bin/env node
// Builds the component of a JavaScript or TypeScript project: checks types, bundles, componentizes.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";

import { bundle } from "./bundle.mjs";
import { quickjs } from "./quickjs.mjs";
import { starlingmonkey } from "./starlingmonkey.mjs";
import { BuildError, howToImport, say } from "./say.mjs";

const ENGINES = { quickjs, starlingmonkey };
const ENTRIES = ["src/processor.ts", "src/processor.js", "src/index.ts", "src/index.js"];
const FIELD = '"pelton": { "entry": "src/processor.ts" }';

/**
 * What is known to work, for a project that lists none.
 *
 * @type {Record<string, string>}
 */
const VERSIONS = {
  "@bytecodealliance/componentize-js": "0.23.0",
  "componentize-qjs": "0.4.5",
  esbuild: "0.25.0",
  typescript: "7.0.2",
};

/** Newer ones of what a package needs do not work. */
const OVERRIDES = { "@bytecodealliance/componentize-js": '"@bytecodealliance/preview2-shim": "0.26.0"' };

/**
 * @typedef {object} Project
 * @property {string} folder
 * @property {string} wit the folder of the contract
 * @property {string} entry relative to the folder
 * @property {"quickjs" | "starlingmonkey"} engine
 * @property {(name: string) => string} packageFolder where a package is that the project has installed
 */

try {
  const { values } = parseArgs({
    options: { project: { type: "string", default: "." }, wit: { type: "string" }, out: { type: "string" } },
  });
  const folder = resolve(values.project);
  const wit = resolve(values.wit ?? join(import.meta.dirname, "../../../../wit"));
  await build(project(folder, wit), resolve(values.out ?? join(folder, "build/processor.wasm")));
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  console.log(error.message);
  process.exitCode = 1;
}

/**
 * @param {Project} project
 * @param {string} out
 */
async function build(project, out) {
  checkTypes(project);
  const bundled = await bundle(project);
  const component = await ENGINES[project.engine](project, bundled);
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, component);
  say(`${relative(process.cwd(), out)}: ${component.length} bytes`);
}

/**
 * @param {string} folder
 * @param {string} wit
 * @returns {Project}
 */
function project(folder, wit) {
  const manifest = join(folder, "package.json");
  if (!existsSync(manifest)) throw new BuildError(`${manifest} not found: a JavaScript project has a package.json`);
  const pelton = parsed(manifest)?.pelton ?? {};
  if (typeof pelton !== "object" || Array.isArray(pelton)) throw new BuildError(`package.json: "pelton" is ${JSON.stringify(pelton)}; expected ${FIELD}`);
  const unknown = Object.keys(pelton).find((key) => key !== "entry" && key !== "engine");
  if (unknown !== undefined) throw new BuildError(`package.json: "pelton" has no field ${JSON.stringify(unknown)}; it has "entry" and "engine"`);
  const entry = pelton.entry ?? ENTRIES.find((path) => existsSync(join(folder, path)));
  if (entry === undefined) throw new BuildError(`package.json: no file is named as the processor's and none of ${ENTRIES.join(", ")} is there; add ${FIELD}, the file whose default export is defineProcessor({ … })`);
  if (typeof entry !== "string" || !existsSync(join(folder, entry))) {
    throw new BuildError(`package.json: "pelton": { "entry" } is ${JSON.stringify(entry)}, which is no file here; it names the file whose default export is defineProcessor({ … })`);
  }
  const engine = pelton.engine ?? "quickjs";
  if (!(engine in ENGINES)) throw new BuildError(`package.json: "pelton": { "engine" } is ${JSON.stringify(engine)}; it can be "quickjs" or "starlingmonkey"`);
  return { folder, wit, entry, engine, packageFolder: (name) => packageFolder(folder, name) };
}

/**
 * The project's own folder comes first, then those above it, as Node.js looks for packages.
 *
 * @param {string} folder
 * @param {string} name
 * @returns {string}
 */
function packageFolder(folder, name) {
  for (let at = folder; ; at = dirname(at)) {
    const found = join(at, "node_modules", name);
    if (existsSync(join(found, "package.json"))) return found;
    if (at === dirname(at)) break;
  }
  const override = name in OVERRIDES ? ` and ${OVERRIDES[/** @type {keyof typeof OVERRIDES} */ (name)]} under overrides` : "";
  throw new BuildError(`the package ${name} is not installed: put "${name}": "${VERSIONS[name]}" under devDependencies${override} in ${join(folder, "package.json")}, and build again`);
}

/** @param {string} file */
function parsed(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (/** @type {any} */ error) {
    throw new BuildError(`${file}: ${error.message}`);
  }
}

/** @param {Project} project */
function checkTypes({ folder, entry, packageFolder }) {
  if (!existsSync(join(folder, "tsconfig.json"))) {
    if (entry.endsWith(".ts")) throw new BuildError(`tsconfig.json not found in ${folder}: a TypeScript project has one, so that its types are checked`);
    return;
  }
  say("checking types");
  const tsc = join(packageFolder("typescript"), "bin/tsc");
  const checked = spawnSync(process.execPath, [tsc, "--noEmit", "--pretty", "false", "--project", "tsconfig.json"], { cwd: folder, encoding: "utf8" });
  if (checked.status !== 0) throw new BuildError(withHelp(`${checked.stdout}${checked.stderr}`.trimEnd()));
}

/**
 * TypeScript cannot know that what is built is no program for Node.js.
 *
 * @param {string} found
 */
function withHelp(found) {
  const missing = found.matchAll(/error TS(?:2307|2591): Cannot find (?:module|name) '([^']+)'/g);
  const help = [...missing].map(([, path = ""]) => howToImport(path)).filter((text) => text !== undefined);
  return [found, ...new Set(help)].join("\n  ");
}
