// A source map cut down to lines, to stand in the component: which line of which file a line of the bundle came from.

/**
 * @param {{ mappings: string, sources: string[] }} map
 * @param {(source: string) => string | null} nameOf null for a file that is not the author's
 * @returns {{ files: string[], runs: number[] }} as src/places.js reads it
 */
export function lineMap({ mappings, sources }, nameOf) {
  const names = sources.map(nameOf);
  const files = [...new Set(names.filter((name) => name !== null))];
  const runs = [];
  let next = { file: -2, line: 0 };
  for (const [index, { source, line }] of firstOfLines(mappings).entries()) {
    const name = source === null ? null : names[source];
    const file = name === null ? -1 : files.indexOf(name);
    const goesOn = file === next.file && (file < 0 || line === next.line);
    if (!goesOn) runs.push(index + 1, file, file < 0 ? 0 : line);
    next = { file, line: line + 1 };
  }
  return { files, runs };
}

/**
 * Where each line of the bundle begins in the sources. Lines that no mapping speaks of go on with the file of the line before.
 *
 * @param {string} mappings
 */
function firstOfLines(mappings) {
  let [source, line] = [0, 0];
  /** @type {{ source: number | null, line: number }[]} */
  const lines = [];
  for (const generated of mappings.split(";")) {
    /** @type {{ source: number | null, line: number } | undefined} */
    let first;
    for (const segment of generated.split(",")) {
      const [, sourceDelta, lineDelta] = decode(segment);
      if (sourceDelta === undefined) continue;
      source += sourceDelta;
      line += lineDelta;
      first ??= { source, line: line + 1 };
    }
    const before = lines.at(-1);
    lines.push(first ?? (before ? { source: before.source, line: before.line + 1 } : { source: null, line: 0 }));
  }
  return lines;
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/**
 * Variable-length numbers: six bits a digit, five of the value and one that says whether more follow; the lowest bit is the sign.
 *
 * @param {string} segment
 */
function decode(segment) {
  const numbers = [];
  let [value, shift] = [0, 0];
  for (const letter of segment) {
    const digit = DIGITS.indexOf(letter);
    value |= (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    numbers.push(value & 1 ? -(value >> 1) : value >> 1);
    [value, shift] = [0, 0];
  }
  return numbers;
}
