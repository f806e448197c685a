// The component on StarlingMonkey, which has promises and web APIs of its own.

import * as appender from "pelton:processor/appender@0.1.0";
import * as contextImports from "pelton:processor/context@0.1.0";
import * as outbox from "pelton:processor/outbox@0.1.0";
import { getEnvironment } from "wasi:cli/environment@0.2.12";

import { component } from "./component.js";
import { explain } from "./errors.js";

/** @type {import("./context.js").Host} */
const host = {
  config: contextImports.config,
  slug: contextImports.slug,
  log: contextImports.log,
  append: outbox.append,
  appendNow: appender.append,
  environment: getEnvironment,
  asOffset: BigInt,
};

/** @param {any} definition */
export function processor(definition) {
  return component(definition, host, async (effect) => {
    try {
      await effect();
    } catch (error) {
      throw explain(error);
    }
  });
}
