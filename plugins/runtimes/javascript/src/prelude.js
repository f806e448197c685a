// What programs expect to find besides the language itself. `host` is the Rust side; whatever touches the world says so there.
(function (host, gatewayHeader, gatewayValue) {
    "use strict";

    const define = (name, value) =>
        Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });

    // ---- Errors

    const nativeStack = Object.getOwnPropertyDescriptor(Error.prototype, "stack");
    Object.defineProperty(Error.prototype, "stack", {
        configurable: true,
        get() {
            const frames = nativeStack.get.call(this);
            if (frames === undefined) return undefined;
            const own = frames.split("\n").filter((line) => line !== "" && !line.includes("(pelton:") && !line.includes("(native"));
            return [`${this.name}: ${this.message}`, ...own].join("\n");
        },
        set(value) {
            Object.defineProperty(this, "stack", { value, writable: true, configurable: true });
        },
    });

    class DOMException extends Error {
        #name;
        constructor(message = "", name = "Error") {
            super(message);
            this.#name = name;
        }
        get name() {
            return this.#name;
        }
    }
    define("DOMException", DOMException);

    // Its message is all that there is to say: it reaches the host without name, place and stack.
    class ProcessorError extends Error {
        get name() {
            return "ProcessorError";
        }
    }
    define("ProcessorError", ProcessorError);

    // ---- Logging

    const inspect = (value, depth, seen) => {
        if (typeof value === "string") return depth === 0 ? value : JSON.stringify(value);
        if (typeof value === "bigint") return `${value}n`;
        if (typeof value === "function") return `[function ${value.name || "anonymous"}]`;
        if (typeof value !== "object" || value === null) return String(value);
        if (value instanceof Error) {
            const cause = value.cause === undefined ? "" : `\n  caused by ${inspect(value.cause, depth + 1, seen)}`;
            return (value.stack ?? `${value.name}: ${value.message}`) + cause;
        }
        if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
        if (value instanceof RegExp) return String(value);
        if (seen.includes(value)) return "[circular]";
        if (depth > 6) return "[…]";
        const inner = [...seen, value];
        const list = (values) => values.map((item) => inspect(item, depth + 1, inner)).join(", ");
        if (Array.isArray(value)) return `[${list(value)}]`;
        if (value instanceof Map) return `Map {${[...value].map(([k, v]) => `${list([k])} => ${list([v])}`).join(", ")}}`;
        if (value instanceof Set) return `Set {${list([...value])}}`;
        if (ArrayBuffer.isView(value)) return `${value.constructor.name} [${[...value].slice(0, 100).join(", ")}]`;
        const fields = Object.entries(value).map(([key, item]) => `${key}: ${inspect(item, depth + 1, inner)}`);
        return `{${fields.length ? ` ${fields.join(", ")} ` : ""}}`;
    };

    const format = (values) => {
        const [first, ...rest] = values;
        let text = first;
        if (typeof first === "string" && rest.length > 0) {
            text = first.replace(/%[sdifoOjc%]/g, (mark) => {
                if (mark === "%%") return "%";
                if (rest.length === 0) return mark;
                const value = rest.shift();
                if (mark === "%c") return "";
                if (mark === "%d" || mark === "%f") return String(Number(value));
                if (mark === "%i") return String(Math.trunc(Number(value)));
                return mark === "%j" ? JSON.stringify(value) : inspect(value, 0, []);
            });
        }
        return (values.length === 0 ? [] : [text, ...rest]).map((value) => inspect(value, 0, [])).join(" ");
    };

    const logs = (level) => (...values) => host.log(level, format(values));
    const logger = { debug: logs("debug"), log: logs("info"), info: logs("info"), warn: logs("warn"), error: logs("error") };
    const times = new Map();
    define("console", {
        ...logger,
        trace: logger.debug,
        dir: (value) => logger.log(value),
        table: (value) => logger.log(value),
        group: (...values) => values.length && logger.log(...values),
        groupEnd() {},
        assert: (holds, ...values) => holds || logger.error("Assertion failed", ...values),
        time: (label = "default") => void times.set(label, host.now()),
        timeEnd: (label = "default") => logger.log(`${label}: ${host.now() - (times.get(label) ?? host.now())} ms`),
    });

    // ---- Environment

    let environment = Object.freeze({});
    define("process", {
        get env() {
            return environment;
        },
        platform: "pelton",
        versions: {},
        argv: [],
        nextTick: (callback, ...values) => queueMicrotask(() => callback(...values)),
    });
    Object.defineProperty(globalThis, "env", { configurable: true, get: () => environment });

    // ---- Time

    const callable = (callback, name) => {
        if (typeof callback !== "function") throw new TypeError(`${name} expects a function`);
        return callback;
    };
    const milliseconds = (value) => Math.max(0, Math.trunc(Number(value) || 0));
    define("setTimeout", (callback, time, ...values) =>
        host.timer(callable(callback, "setTimeout"), milliseconds(time), false, values, "setTimeout"));
    define("setInterval", (callback, time, ...values) =>
        host.timer(callable(callback, "setInterval"), Math.max(1, milliseconds(time)), true, values, "setInterval"));
    define("setImmediate", (callback, ...values) => host.timer(callable(callback, "setImmediate"), 0, false, values, "setImmediate"));
    for (const name of ["clearTimeout", "clearInterval", "clearImmediate"]) {
        define(name, (timer) => typeof timer === "number" && host.clearTimer(timer));
    }
    define("queueMicrotask", (callback) => {
        callable(callback, "queueMicrotask");
        Promise.resolve().then(() => callback());
    });
    const began = host.now();
    define("performance", { now: () => host.now() - began, timeOrigin: Date.now() });

    // ---- Randomness. The engine's own generator has a state that outlives a call, in which one call could leave a trace for the next.

    const two53 = 2 ** 53;
    Math.random = () => {
        const [high, low] = new Uint32Array(host.random(8));
        return ((high >>> 6) * 2 ** 27 + (low >>> 5)) / two53;
    };
    const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    define("crypto", {
        getRandomValues(array) {
            host.world("crypto.getRandomValues");
            new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(new Uint8Array(host.random(array.byteLength)));
            return array;
        },
        randomUUID() {
            host.world("crypto.randomUUID");
            const bytes = new Uint8Array(host.random(16));
            bytes[6] = (bytes[6] & 0x0f) | 0x40;
            bytes[8] = (bytes[8] & 0x3f) | 0x80;
            return hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
        },
    });

    // ---- The rest of what the web has, made when a program first asks for one of these names: most reducers never do.

    const names = [
        "AbortController", "AbortSignal", "Event", "EventTarget", "Headers", "Request", "Response", "TextDecoder", "TextEncoder", "URL",
        "URLSearchParams", "atob", "btoa", "fetch", "structuredClone",
    ];
    // They stay accessors: the engine remembers where in an object it found a value, and is wrong about that if a getter changes the object.
    let web;
    const replaced = new Map();
    for (const name of names) {
        Object.defineProperty(globalThis, name, {
            configurable: true,
            enumerable: false,
            get() {
                if (replaced.has(name)) return replaced.get(name);
                web ??= host.web()(host, gatewayHeader, gatewayValue);
                return web[name];
            },
            set(value) {
                replaced.set(name, value);
            },
        });
    }

    // ---- Appending

    const json = (value, what) => {
        if (value === undefined || value === null) return undefined;
        if (typeof value !== "object" || Array.isArray(value)) throw new TypeError(`append: ${what} has to be an object`);
        return JSON.stringify(value);
    };
    // `payloadJson` and `metadataJson` are JSON texts that go out as they are; the host looks whether they are objects.
    const text = (event, field) => {
        const given = event[`${field}Json`];
        if (given === undefined) return json(event[field], field);
        if (typeof given !== "string") throw new TypeError(`append: ${field}Json has to be a string`);
        if (event[field] !== undefined) throw new TypeError(`append: an event has either ${field} or ${field}Json`);
        return given;
    };
    const FIELDS = ["type", "payload", "payloadJson", "metadata", "metadataJson", "idempotencyKey", "offset"];
    const appending = (now) => async (input, options) => {
        host.world(now ? "appendNow" : "append");
        const wrapped = typeof input?.event === "object" && input.event !== null;
        const event = wrapped ? input.event : input;
        const path = (wrapped ? (input.path ?? input.streamPath) : undefined) ?? options?.path;
        if (typeof event?.type !== "string") throw new TypeError("append expects an event with a `type`, or { path, event }");
        const unknown = Object.keys(event).find((key) => !FIELDS.includes(key));
        if (unknown !== undefined) throw new TypeError(`append: an event has no field \`${unknown}\`; it has ${FIELDS.join(", ")}`);
        const key = event.idempotencyKey === undefined ? undefined : String(event.idempotencyKey);
        const recorded = host.append(path, event.type, text(event, "payload") ?? "{}", text(event, "metadata"), key, event.offset, now);
        return recorded ?? { ...event, payload: event.payload ?? {} };
    };

    // ---- What the Rust side calls

    const expectedJson = (value, path) => {
        const refuse = (what) => {
            throw new TypeError(`${path} is ${what}, which is not JSON`);
        };
        if (value === null || typeof value === "string" || typeof value === "boolean") return;
        if (typeof value === "number") return Number.isFinite(value) ? undefined : refuse(String(value));
        if (typeof value !== "object") return refuse(value === undefined ? "undefined" : `a ${typeof value}`);
        if (Array.isArray(value)) return value.forEach((item, nth) => expectedJson(item, `${path}[${nth}]`));
        const prototype = Object.getPrototypeOf(value);
        if (prototype !== Object.prototype && prototype !== null) return refuse(`a ${value.constructor?.name ?? "special object"}`);
        for (const [key, item] of Object.entries(value)) if (item !== undefined) expectedJson(item, `${path}.${key}`);
    };

    const freeze = (value) => {
        if (typeof value !== "object" || value === null) return value;
        Object.values(value).forEach(freeze);
        return Object.freeze(value);
    };

    // ---- Names

    // Short names are left out: too much else looks like them.
    const FUNCTIONS = ["reduce", "afterAppend", "onEvent"];
    const VALUES = ["consumes", "description", "initialState", "stateVersion"];

    /** Whether the two differ in a letter, in two that follow each other, or in case alone. */
    const alike = (one, other) => {
        const [a, b] = [one, other].map((name) => name.toLowerCase().replaceAll("_", ""));
        const shorter = Math.min(a.length, b.length);
        let start = 0;
        while (start < shorter && a[start] === b[start]) start += 1;
        let end = 0;
        while (end < shorter - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
        return Math.max(a.length, b.length) - start - end <= (a.length === b.length ? 2 : 1);
    };

    /** A name that is likely meant for one that the processor has not got: nothing would ever ask for it. */
    const misspelled = (processor) => {
        const acts = "afterAppend" in processor || "onEvent" in processor;
        const isMissing = (name) => !(name in processor) && !(acts && (name === "afterAppend" || name === "onEvent"));
        for (let object = processor; object !== null && object !== Object.prototype && object !== Function.prototype; object = Object.getPrototypeOf(object)) {
            for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(object))) {
                const known = typeof value === "function" ? FUNCTIONS : VALUES;
                const meant = known.filter(isMissing).find((other) => alike(name, other));
                if (meant !== undefined && !name.startsWith("_")) return `\`${name}\`, which nothing asks for; did you mean \`${meant}\`?`;
            }
        }
        return "";
    };

    return {
        logger: Object.freeze(logger),
        append: appending(false),
        appendNow: appending(true),
        stringify: JSON.stringify,
        inspect: (value) => inspect(value, 0, []),
        worded: (error) => (error instanceof ProcessorError ? String(error.message) : undefined),
        isDestructuring: (callback) => /^[^(]*\(\s*\{/.test(String(callback)),
        misspelled,
        checkJson: (value, path) => expectedJson(value, path),
        freeze,
        setEnvironment: (variables) => {
            environment = Object.freeze(variables);
        },
    };
})
