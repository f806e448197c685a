// Which line of which source a line of the bundle came from.

/**
 * The build replaces this text by `{ files, runs }`: in `runs`, three numbers each, a line of the bundle, the index of a file (-1 for what is
 * not the author's) and the line there; from one run to the next, lines of both go up together.
 *
 * @typedef {{ files: string[], runs: number[] }} LineMap
 * @type {string | LineMap}
 */
const MAP = "pelton:line-map";

/**
 * `src/processor.ts:12`; null for a line that is not the author's, undefined when nothing is known.
 *
 * @param {number} line
 * @param {string | LineMap} [map]
 * @returns {string | null | undefined}
 */
export function sourceOf(line, map = MAP) {
  if (typeof map === "string") return undefined;
  const { files, runs } = map;
  let at = -1;
  while (at + 3 < runs.length && runs[at + 1] <= line) at += 3;
  if (at < 0) return null;
  const [start, file, first] = runs.slice(at - 2, at + 1);
  return file < 0 ? null : `${files[file]}:${first + line - start}`;
}
