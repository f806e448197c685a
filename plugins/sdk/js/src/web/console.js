// `console`, into the host's log.

import { log } from "pelton:processor/context@0.1.0";

import { logger } from "../context.js";

const { debug, info, warn, error } = logger(/** @type {any} */ ({ log }));

export const console = {
  debug,
  trace: debug,
  log: info,
  info,
  dir: info,
  table: info,
  warn,
  error,
  /**
   * @param {unknown} condition
   * @param {unknown[]} values
   */
  assert(condition, ...values) {
    if (!condition) error("assertion failed", ...values);
  },
  group: info,
  groupEnd() {},
};
