// Between the exports of the contract, which speak JSON text, and a processor's definition.

import { EffectContext, ReduceContext } from "./context.js";
import { explain } from "./errors.js";
import { Event } from "./event.js";
import { parseJson, stringifyJson } from "./json.js";

/**
 * The contract's three functions. Each throws a string, which is the error case, and nothing else.
 *
 * @param {any} definition what `defineProcessor` was given
 * @param {import("./context.js").Host} host
 * @param {(effect: () => unknown) => any} settle runs `afterAppend` to its end
 */
export function component(definition, host, settle) {
  check(definition);
  const bigints = definition.bigints === true;
  const reduceContext = new ReduceContext(host, bigints);
  const effectContext = new EffectContext(host, bigints);
  return {
    describe: () => describe(definition),

    /**
     * @param {string} state
     * @param {import("pelton:processor/types@0.1.0").Event[]} records
     */
    reduce: (state, records) =>
      caught(() => {
        let folded = parseJson(state, { bigints });
        for (const record of records) {
          const event = new Event(record, bigints);
          folded = fold(definition, folded, event, reduceContext);
        }
        return stringifyJson(folded);
      }),

    /**
     * @param {import("pelton:processor/types@0.1.0").Event} record
     * @param {string} state
     */
    afterAppend: (record, state) => {
      if (definition.afterAppend === undefined) return undefined;
      return settle(() => definition.afterAppend(new Event(record, bigints), parseJson(state, { bigints }), effectContext));
    },
  };
}

/**
 * @template T
 * @param {() => T} call
 * @returns {T}
 */
export function caught(call) {
  try {
    return call();
  } catch (error) {
    throw explain(error);
  }
}

/**
 * @param {any} definition
 * @param {unknown} state
 * @param {Event} event
 * @param {ReduceContext} context
 */
function fold(definition, state, event, context) {
  const folded = definition.reduce(state, event, context);
  if (typeof folded?.then === "function") throw new TypeError("reduce returned a promise; it has to return the state");
  return folded === undefined ? state : folded;
}

/** @param {any} definition */
function describe({ name, version, description, consumes, emits, initialState, stateVersion }) {
  return stringifyJson({ name, version, description, consumes, emits, stateVersion: stateVersion ?? 1, initialState });
}

/** @param {any} definition */
function check(definition) {
  const wrong = misfit(definition);
  if (wrong !== undefined) throw new TypeError(`the processor's default export has to be defineProcessor({ … }): ${wrong}`);
}

const KNOWN = ["name", "version", "description", "consumes", "emits", "initialState", "stateVersion", "bigints", "reduce", "afterAppend"];

/** @param {any} definition */
function misfit(definition) {
  if (typeof definition !== "object" || definition === null) return `it is ${definition === null ? "null" : typeof definition}`;
  const unknown = Object.keys(definition).find((key) => !KNOWN.includes(key));
  if (unknown !== undefined) return `it has no field ${JSON.stringify(unknown)}; it has ${KNOWN.join(", ")}`;
  if (typeof definition.name !== "string" || definition.name.trim() === "") return "name is missing";
  if (typeof definition.reduce !== "function") return "reduce is no function";
  if (definition.afterAppend !== undefined && typeof definition.afterAppend !== "function") return "afterAppend is no function";
  if (definition.initialState === undefined) return "initialState is missing";
  for (const field of ["consumes", "emits"]) {
    const types = definition[field];
    const isList = types === undefined || (Array.isArray(types) && types.every((type) => typeof type === "string"));
    if (!isList) return `${field} is no list of event types`;
  }
  return undefined;
}
