import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";

const SDK = join(import.meta.dirname, "..");
// Below the packages that the repository has installed.
const folder = mkdtempSync(join(SDK, "../../node_modules/.pelton-test-"));
after(() => rmSync(folder, { recursive: true }));

let projects = 0;

/** Builds a project of these files, with those of the template where it has no others. */
function build(files, template = "template-ts") {
  const project = join(folder, String((projects += 1)));
  cpSync(join(SDK, template), project, { recursive: true });
  // As npm links it.
  mkdirSync(join(project, "node_modules/@pelton"), { recursive: true });
  symlinkSync(SDK, join(project, "node_modules/@pelton/sdk"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(project, name)), { recursive: true });
    writeFileSync(join(project, name), text);
  }
  const out = join(project, "build/out.wasm");
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(SDK, "builder/build.mjs"), "--project", project, "--out", out], { encoding: "utf8" });
  return { status, found: stdout.trimEnd(), progress: stderr, component: () => readFileSync(out) };
}

const processor = (rest) => ({ "src/processor.ts": `import { defineProcessor } from "@pelton/sdk";\n${rest}` });
const failing = (files, template) => {
  const { status, found } = build(files, template);
  assert.equal(status, 1);
  return found;
};

test("the templates become components that import nothing of the network", () => {
  assert.equal(build({}, "template").status, 0);
  const { status, found, progress, component } = build({});
  assert.deepEqual([status, found], [0, ""]);
  assert.match(progress, /^checking types\nbundling\ncomponentizing with QuickJS\n/);
  const text = component().toString("latin1");
  assert.ok(text.includes("pelton:processor/processor@0.1.0"));
  assert.ok(!text.includes("wasi:http/"));
});

test("what is used is imported, by its standard name", () => {
  const { component } = build(
    processor(`export default defineProcessor({ name: "n", initialState: 0, reduce: () => 1, async afterAppend() { await fetch("http://a.example/"); } });`),
  );
  const names = importsOf(component());
  assert.ok(names.includes("wasi:http/outgoing-handler@0.2.11"), names.join());
  assert.deepEqual(names.filter((name) => name.startsWith("host:")), []);
  assert.equal(new Set(names).size, names.length);
});

test("a type error fails the build with file and line", () => {
  const found = failing(processor(`export default defineProcessor<{ count: number }>({ name: "n", initialState: { count: "0" }, reduce() {} });`));
  assert.match(found, /^src\/processor\.ts\(2,\d+\): error TS2322: Type 'string' is not assignable to type 'number'/);
});

test("payloads are typed by the event's type", () => {
  const types = `{ count: number }, { a: { x: number }; "b/*": { y: string } }, { c: { z: number } }`;
  const found = failing(
    processor(`export default defineProcessor<${types}>({ name: "n", consumes: ["a", "b/*"], initialState: { count: 0 }, reduce(state, event) {
  if (event.type === "a") state.count += event.payload.x;
  else event.payload.y.length;
  event.payload.x;
}, afterAppend(_event, _state, context) {
  context.append({ type: "c", payload: { z: 1 } });
  context.append({ type: "c", payload: { z: "1" } });
  context.append({ type: "d" });
} });`),
  );
  assert.deepEqual(found.match(/^src\/processor\.ts\(\d+,/gm), ["src/processor.ts(5,", "src/processor.ts(8,", "src/processor.ts(9,"]);
});

test("consumes and emits list what the types cover, by name or by pattern", () => {
  const types = `number, { "a/b/c": {}; "d/*": {} }, { "e/f": {} }`;
  const lists = (consumes, emits) => build(processor(`export default defineProcessor<${types}>({ name: "n", consumes: ${consumes},
  emits: ${emits}, initialState: 0, reduce() {} });`));
  assert.equal(lists(`["a/b/c", "a/b/*", "a/*", "d/*", "d/x", "*"]`, `["e/*"]`).found, "");
  assert.match(lists(`["a/x"]`, "[]").found, /^src\/processor\.ts\(2,\d+\): error TS2322: Type '"a\/x"' is not assignable/);
  assert.match(lists("[]", `["d/*"]`).found, /^src\/processor\.ts\(3,\d+\): error TS2322: Type '"d\/\*"' is not assignable/);
});

test("what is wrong in JavaScript, or with an import, is said with file and line", () => {
  for (const [text, message] of [
    ["let a = 1;\nexport default {;", /^src\/processor\.js:2:\d+: error: Expected identifier/],
    ['import "node:fs";\nexport default 1;', /^src\/processor\.js:1:8: error: node:fs belongs to Node\.js/],
    ['import "left";\nexport default 1;', /^src\/processor\.js:1:8: error: Could not resolve "left"/],
    ["export default await 1;", /^src\/processor\.js:1:\d+: error: Top-level await/],
    ["export const a = 1;", /^src\/processor\.js: error: there is no default export; write: export default defineProcessor/],
  ]) {
    assert.match(failing({ "src/processor.js": text }, "template"), message);
  }
});

test("a processor that throws while it loads says what and where", () => {
  const found = failing(processor(`function settings(): never {\n  throw new RangeError("no settings");\n}\nsettings();\nexport default defineProcessor({ name: "n", initialState: 0, reduce() {} });`));
  assert.match(found, /^the processor does not load: Error: no settings\n    at settings \(src\/processor\.ts:3\)\n    at src\/processor\.ts:5$/);
});

test("a StarlingMonkey whose bindings are not known builds, and a warning says so", () => {
  const make = "node_modules/@bytecodealliance/componentize-js";
  const { status, progress } = build({
    "package.json": '{ "pelton": { "entry": "src/processor.ts", "engine": "starlingmonkey" } }',
    [`${make}/package.json`]: '{ "version": "0.99.0", "type": "module" }',
    [`${make}/src/componentize.js`]: "export const componentize = async () => ({ component: [0] });",
  });
  assert.equal(status, 0);
  assert.match(progress, /^warning: @bytecodealliance\/componentize-js is 0\.99\.0, and known here is 0\.23\.0: /m);
});

test("a default export that is no processor says what is missing", () => {
  assert.match(failing(processor(`export default { name: "n", initialState: 0 };`)), /has to be defineProcessor\(\{ … \}\): reduce is no function/);
});

test("a project that cannot be built says what to do", () => {
  assert.match(failing({ "package.json": "{" }), /package\.json: /);
  assert.match(failing({ "package.json": '{ "pelton": { "entry": "src/other.ts" } }' }), /"entry" \} is "src\/other\.ts", which is no file here; it names the file/);
  assert.match(failing({ "package.json": '{ "pelton": { "engin": "quickjs" } }' }), /"pelton" has no field "engin"; it has "entry" and "engine"/);
  assert.match(failing({ "package.json": '{ "pelton": { "entry": "src/processor.ts", "engine": "v8" } }' }), /can be "quickjs" or "starlingmonkey"/);
});

test("a package that is not installed is named with the version that the templates list", () => {
  const project = mkdtempSync(join(tmpdir(), "pelton-test-"));
  try {
    cpSync(join(SDK, "template-ts"), project, { recursive: true });
    const built = () => spawnSync(process.execPath, [join(SDK, "builder/build.mjs"), "--project", project], { encoding: "utf8" }).stdout;
    assert.ok(built().includes(notInstalled("typescript", "template-ts")), built());
    rmSync(join(project, "tsconfig.json"));
    writeFileSync(join(project, "src/processor.js"), "");
    writeFileSync(join(project, "package.json"), '{ "pelton": { "entry": "src/processor.js" } }');
    assert.ok(built().includes(notInstalled("esbuild", "template-ts")), built());
    mkdirSync(join(project, "node_modules"));
    symlinkSync(join(SDK, "../../node_modules/esbuild"), join(project, "node_modules/esbuild"));
    writeFileSync(join(project, "src/processor.js"), "export default 1;");
    assert.ok(built().includes(notInstalled("componentize-qjs", "template-ts")), built());
    writeFileSync(join(project, "package.json"), '{ "pelton": { "entry": "src/processor.js", "engine": "starlingmonkey" } }');
    assert.ok(built().includes(notInstalled("@bytecodealliance/componentize-js", "test-starlingmonkey")), built());
    assert.ok(built().includes('"@bytecodealliance/preview2-shim": "0.26.0" under overrides'), built());
  } finally {
    rmSync(project, { recursive: true });
  }
});

/** What is said of a package, with the version that a project in the SDK's folder lists. */
function notInstalled(name, listed) {
  const { devDependencies } = JSON.parse(readFileSync(join(SDK, listed, "package.json"), "utf8"));
  return `the package ${name} is not installed: put "${name}": "${devDependencies[name]}" under devDependencies`;
}

/** The names in a component's own import sections. */
function importsOf(component) {
  const names = [];
  for (let at = 8; at < component.length; ) {
    let [size, shift, start] = [0, 0, at + 1];
    do {
      size += (component[start] & 0x7f) * 2 ** shift;
      shift += 7;
    } while (component[start++] & 0x80);
    if (component[at] === 10) names.push(...component.toString("latin1", start, start + size).match(/[a-z]+:[a-z-]+\/[a-z-]+@[\d.]+/g));
    at = start + size;
  }
  return names;
}
