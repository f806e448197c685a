// Runs code as it would be in a component: in a realm of its own, with the SDK's promises and globals, `async` lowered, and the host of world.mjs.

import { join } from "node:path";
import vm from "node:vm";

import esbuild from "esbuild";

const SDK = join(import.meta.dirname, "../..");
const WORLD = join(import.meta.dirname, "world.mjs");

/**
 * What a module's text exports, with the loop's `finish` and the host's `world`, `reset` and `lines`.
 *
 * @param {string} source
 */
export async function load(source) {
  const contents = `import ${JSON.stringify(join(SDK, "src/web/install.js"))};
export { finish } from ${JSON.stringify(join(SDK, "src/web/loop.js"))};
export { lines, reset, world } from ${JSON.stringify(WORLD)};
${source}`;
  const { outputFiles } = await esbuild.build({
    stdin: { contents, resolveDir: SDK },
    bundle: true,
    write: false,
    format: "iife",
    globalName: "loaded",
    platform: "browser",
    supported: { "async-await": false, "async-generator": false, "for-await": false },
    inject: [join(SDK, "src/web/globals.js")],
    plugins: [hostIsWorld],
  });
  // What QuickJS has of its own beside the language.
  const realm = vm.createContext({ DOMException, atob, btoa });
  vm.runInContext(outputFiles[0].text, realm);
  return realm.loaded;
}

const hostIsWorld = {
  name: "host-is-world",
  setup(build) {
    build.onResolve({ filter: /^(host|pelton):/ }, () => ({ path: WORLD }));
  },
};

/** What it is in this realm, where the same shape has other prototypes. */
export const here = (value) => structuredClone(value);
