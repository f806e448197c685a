// Values as text, for log lines.

import { explain } from "./errors.js";

/**
 * Strings as they are, everything else as one would write it down.
 *
 * @param {unknown[]} values
 * @returns {string}
 */
export function format(values) {
  const [first, ...rest] = values;
  if (typeof first !== "string" || !first.includes("%")) return values.map(text).join(" ");
  const filled = first.replace(/%([sdifjoOc%])/g, (whole, kind) => {
    if (kind === "%") return "%";
    if (rest.length === 0) return whole;
    const value = rest.shift();
    switch (kind) {
      case "c":
        return "";
      case "s":
        return text(value);
      case "d":
      case "i":
      case "f":
        return typeof value === "bigint" ? String(value) : String(kind === "i" ? Math.trunc(Number(value)) : Number(value));
      default:
        return inspect(value, 0, []);
    }
  });
  return [filled, ...rest.map(text)].join(" ");
}

/** @param {unknown} value */
function text(value) {
  if (typeof value === "string") return value;
  return value instanceof Error ? explain(value) : inspect(value, 0, []);
}

const DEPTH_MAX = 4;
const ITEMS_MAX = 100;

/**
 * @param {any} value
 * @param {number} depth
 * @param {unknown[]} above
 * @returns {string}
 */
function inspect(value, depth, above) {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return `[function ${value.name || "without a name"}]`;
  if (typeof value !== "object" || value === null) return String(value);
  if (value instanceof Error) return value.message === "" ? value.name : `${value.name}: ${value.message}`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (value instanceof RegExp) return String(value);
  if (above.includes(value)) return "[circular]";
  if (depth === DEPTH_MAX) return Array.isArray(value) ? "[…]" : "{…}";
  const inner = (/** @type {unknown} */ part) => inspect(part, depth + 1, [...above, value]);
  const kind = value.constructor?.name;
  if (Array.isArray(value)) return `[${clipped(value.map(inner))}]`;
  if (value instanceof Map) return `Map { ${clipped([...value].map(([key, part]) => `${inner(key)} => ${inner(part)}`))} }`;
  if (value instanceof Set || ArrayBuffer.isView(value)) return `${kind} [${clipped(Array.from(/** @type {any} */ (value)).map(inner))}]`;
  const fields = Object.entries(value).map(([key, part]) => `${/^[\w$]+$/.test(key) ? key : JSON.stringify(key)}: ${inner(part)}`);
  const body = fields.length === 0 ? "{}" : `{ ${clipped(fields)} }`;
  return kind === undefined || kind === "Object" ? body : `${kind} ${body}`;
}

/** @param {string[]} parts */
function clipped(parts) {
  const more = parts.length > ITEMS_MAX ? [`… ${parts.length - ITEMS_MAX} more`] : [];
  return [...parts.slice(0, ITEMS_MAX), ...more].join(", ");
}
