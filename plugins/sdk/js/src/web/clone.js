// @ts-expect-error the package has no types
import clone from "@ungap/structured-clone";

/**
 * @template T
 * @param {T} value
 * @returns {T}
 */
export function structuredClone(value) {
  return clone(value);
}
