// The component on QuickJS. The engine runs no promise jobs in a synchronous component, so promises and the loop that drives them are the
// SDK's own; the build lowers `async` functions to generators, which use the Promise of the global object.

import "./web/install.js";

import * as appender from "pelton:processor/appender@0.1.0";
import * as contextImports from "pelton:processor/context@0.1.0";
import * as outbox from "pelton:processor/outbox@0.1.0";
import { getEnvironment } from "host:cli/environment@0.2.12";

import { caught, component } from "./component.js";
import { finish } from "./web/loop.js";

/** @type {import("./context.js").Host} */
const host = {
  config: contextImports.config,
  slug: contextImports.slug,
  log: contextImports.log,
  append: outbox.append,
  appendNow: appender.append,
  environment: getEnvironment,
  asOffset: (offset) => offset,
};

/** @param {any} definition */
export function processor(definition) {
  return component(definition, host, (effect) =>
    caught(() => {
      const left = finish(effect);
      if (left > 0) contextImports.log("warn", `afterAppend ended while ${left} of its timers or requests were under way; they were dropped`);
    }),
  );
}
