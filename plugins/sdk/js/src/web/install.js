// Puts the SDK's promises into place of the engine's own, which would never run.

import { enqueue } from "./loop.js";
import { SdkPromise } from "./promise.js";

Object.assign(globalThis, { Promise: SdkPromise, queueMicrotask: enqueue });
