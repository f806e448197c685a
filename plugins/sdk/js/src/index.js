// What a processor's source imports. types/index.d.ts documents it.

export { AppendError } from "./context.js";
export { ProcessorError } from "./errors.js";
export { parseJson, stringifyJson } from "./json.js";
export { secret } from "./secret.js";

/**
 * The identity: it exists for its types. What it is given is checked when the component is built.
 *
 * @param {any} definition
 */
export function defineProcessor(definition) {
  return definition;
}
