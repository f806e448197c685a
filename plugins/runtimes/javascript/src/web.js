// The names of the web that programs may use: addresses, bytes, requests. `host` is the Rust side; whatever touches the world says so there.
(function (host, gatewayHeader, gatewayValue) {
    "use strict";

    const made = {};
    const define = (name, value) => {
        made[name] = value;
    };
    const milliseconds = (value) => Math.max(0, Math.trunc(Number(value) || 0));

    // ---- Text and bytes

    const bytesOf = (source) => {
        if (source instanceof ArrayBuffer) return new Uint8Array(source);
        if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
        throw new TypeError("expected an ArrayBuffer or a view of one");
    };
    /** A buffer that holds exactly these bytes. */
    const bufferOf = (source) => {
        const bytes = bytesOf(source);
        return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    };
    const encode = (text) => new Uint8Array(host.encode(String(text)));
    const decode = (source) => host.decode(bufferOf(source), false);
    define("TextEncoder", class TextEncoder {
        get encoding() {
            return "utf-8";
        }
        encode(text = "") {
            return encode(text);
        }
        encodeInto(text, target) {
            const bytes = encode(text).subarray(0, target.length);
            target.set(bytes);
            return { read: text.length, written: bytes.length };
        }
    });
    define("TextDecoder", class TextDecoder {
        #fatal;
        #rest = new Uint8Array();
        constructor(label = "utf-8", { fatal = false } = {}) {
            if (!/^utf-?8$/i.test(label)) throw new RangeError(`TextDecoder knows only utf-8, not ${label}`);
            this.#fatal = fatal;
        }
        get encoding() {
            return "utf-8";
        }
        decode(source = new Uint8Array(), { stream = false } = {}) {
            let bytes = bytesOf(source);
            if (this.#rest.length > 0) {
                const joined = new Uint8Array(this.#rest.length + bytes.length);
                joined.set(this.#rest);
                joined.set(bytes, this.#rest.length);
                bytes = joined;
            }
            // A character that the next piece completes stays for it.
            let end = bytes.length;
            if (stream) {
                for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
                    const byte = bytes[bytes.length - back];
                    if ((byte & 0xc0) === 0x80) continue;
                    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
                    if (length > back) end = bytes.length - back;
                    break;
                }
            }
            this.#rest = bytes.slice(end);
            return host.decode(bufferOf(bytes.subarray(0, end)), this.#fatal);
        }
    });

    const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    define("btoa", (text) => {
        const input = String(text);
        let output = "";
        for (let at = 0; at < input.length; at += 3) {
            const codes = [0, 1, 2].map((nth) => (at + nth < input.length ? input.charCodeAt(at + nth) : 0));
            if (codes.some((code) => code > 255)) throw new DOMException("btoa takes characters up to U+00FF", "InvalidCharacterError");
            const word = (codes[0] << 16) | (codes[1] << 8) | codes[2];
            const quad = [18, 12, 6, 0].map((shift) => letters[(word >> shift) & 63]).join("");
            const missing = Math.max(0, at + 3 - input.length);
            output += quad.slice(0, 4 - missing) + "=".repeat(missing);
        }
        return output;
    });
    define("atob", (text) => {
        let input = String(text).replace(/[\t\n\f\r ]/g, "");
        if (input.length % 4 === 0) input = input.replace(/={1,2}$/, "");
        if (input.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(input)) throw new DOMException("atob takes base64", "InvalidCharacterError");
        let output = "";
        let word = 0;
        let bits = 0;
        for (const letter of input) {
            word = ((word << 6) | letters.indexOf(letter)) & 0xffffff;
            bits += 6;
            if (bits >= 8) {
                bits -= 8;
                output += String.fromCharCode((word >> bits) & 255);
            }
        }
        return output;
    });

    const cloned = (value, seen) => {
        if (typeof value === "function" || typeof value === "symbol") {
            throw new DOMException(`${String(value)} cannot be cloned`, "DataCloneError");
        }
        if (typeof value !== "object" || value === null) return value;
        if (seen.has(value)) return seen.get(value);
        const keep = (copy) => {
            seen.set(value, copy);
            return copy;
        };
        if (value instanceof Date) return keep(new Date(value.getTime()));
        if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
        if (value instanceof ArrayBuffer) return keep(value.slice(0));
        if (ArrayBuffer.isView(value)) return keep(new value.constructor(bufferOf(value)));
        if (value instanceof Error) {
            return keep(Object.assign(new Error(value.message), { name: value.name, stack: value.stack }));
        }
        if (value instanceof Map) {
            const copy = keep(new Map());
            for (const [key, item] of value) copy.set(cloned(key, seen), cloned(item, seen));
            return copy;
        }
        if (value instanceof Set) {
            const copy = keep(new Set());
            for (const item of value) copy.add(cloned(item, seen));
            return copy;
        }
        const copy = keep(Array.isArray(value) ? new Array(value.length) : {});
        for (const key of Object.keys(value)) copy[key] = cloned(value[key], seen);
        return copy;
    };
    define("structuredClone", (value) => cloned(value, new Map()));

    // ---- Addresses

    const form = (text) => encodeURIComponent(text).replace(/%20/g, "+").replace(/[!'()~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
    const unform = (text) => {
        const spaced = text.replace(/\+/g, " ");
        try {
            return decodeURIComponent(spaced);
        } catch {
            return spaced;
        }
    };
    class URLSearchParams {
        #pairs = [];
        #changed;
        constructor(init = "", changed = () => {}) {
            this.#changed = changed;
            if (typeof init === "string") this.#pairs = parsedQuery(init);
            else if (init?.[Symbol.iterator]) this.#pairs = [...init].map(([name, value]) => [String(name), String(value)]);
            else this.#pairs = Object.entries(init ?? {}).map(([name, value]) => [name, String(value)]);
        }
        get size() {
            return this.#pairs.length;
        }
        append(name, value) {
            this.#pairs.push([String(name), String(value)]);
            this.#changed(this);
        }
        delete(name, value) {
            this.#pairs = this.#pairs.filter((pair) => pair[0] !== name || (value !== undefined && pair[1] !== value));
            this.#changed(this);
        }
        get(name) {
            return this.#pairs.find((pair) => pair[0] === name)?.[1] ?? null;
        }
        getAll(name) {
            return this.#pairs.filter((pair) => pair[0] === name).map((pair) => pair[1]);
        }
        has(name, value) {
            return this.#pairs.some((pair) => pair[0] === name && (value === undefined || pair[1] === value));
        }
        set(name, value) {
            const first = this.#pairs.findIndex((pair) => pair[0] === name);
            if (first < 0) return this.append(name, value);
            this.#pairs = this.#pairs.filter((pair, nth) => pair[0] !== name || nth === first);
            this.#pairs[first] = [String(name), String(value)];
            this.#changed(this);
        }
        sort() {
            this.#pairs.sort((a, b) => (a[0] < b[0] ? -1 : Number(a[0] > b[0])));
            this.#changed(this);
        }
        forEach(callback, self) {
            for (const [name, value] of this.#pairs) callback.call(self, value, name, this);
        }
        *entries() {
            yield* this.#pairs.map((pair) => [...pair]);
        }
        *keys() {
            yield* this.#pairs.map((pair) => pair[0]);
        }
        *values() {
            yield* this.#pairs.map((pair) => pair[1]);
        }
        [Symbol.iterator]() {
            return this.entries();
        }
        toString() {
            return this.#pairs.map(([name, value]) => `${form(name)}=${form(value)}`).join("&");
        }
    }
    const parsedQuery = (text) =>
        text.replace(/^\?/, "").split("&").filter((part) => part !== "").map((part) => {
            const at = part.indexOf("=");
            return at < 0 ? [unform(part), ""] : [unform(part.slice(0, at)), unform(part.slice(at + 1))];
        });
    define("URLSearchParams", URLSearchParams);

    class URL {
        #parts;
        #query;
        constructor(address, base) {
            this.#parts = host.url(String(address), base === undefined ? undefined : String(base));
        }
        static canParse(address, base) {
            try {
                return Boolean(new URL(address, base));
            } catch {
                return false;
            }
        }
        static parse(address, base) {
            return URL.canParse(address, base) ? new URL(address, base) : null;
        }
        get searchParams() {
            this.#query ??= new URLSearchParams(this.search, (query) => {
                this.#parts = host.urlWith(this.href, "search", query.toString());
            });
            return this.#query;
        }
        get origin() {
            return this.#parts.origin;
        }
        static {
            for (const part of ["href", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"]) {
                Object.defineProperty(URL.prototype, part, {
                    configurable: true,
                    enumerable: true,
                    get() {
                        return this.#parts[part];
                    },
                    set(value) {
                        this.#parts = part === "href" ? host.url(String(value)) : host.urlWith(this.href, part, String(value));
                        this.#query = undefined;
                    },
                });
            }
        }
        toString() {
            return this.href;
        }
        toJSON() {
            return this.href;
        }
    }
    define("URL", URL);

    // ---- Giving up

    class Event {
        constructor(type, init = {}) {
            Object.assign(this, init, { type });
        }
    }
    class EventTarget {
        #listeners = [];
        addEventListener(type, listener, options) {
            this.#listeners.push({ type, listener, once: options?.once === true });
        }
        removeEventListener(type, listener) {
            this.#listeners = this.#listeners.filter((entry) => entry.type !== type || entry.listener !== listener);
        }
        dispatchEvent(event) {
            event.target ??= this;
            const heard = this.#listeners.filter((entry) => entry.type === event.type);
            this.#listeners = this.#listeners.filter((entry) => !(entry.once && heard.includes(entry)));
            for (const { listener } of heard) (listener.handleEvent ?? listener).call(this, event);
            this[`on${event.type}`]?.(event);
            return true;
        }
    }
    class AbortSignal extends EventTarget {
        aborted = false;
        reason = undefined;
        onabort = null;
        throwIfAborted() {
            if (this.aborted) throw this.reason;
        }
        static abort(reason) {
            const controller = new AbortController();
            controller.abort(reason);
            return controller.signal;
        }
        static timeout(time) {
            const controller = new AbortController();
            host.timer(() => controller.abort(new DOMException(`it took longer than ${time} ms`, "TimeoutError")), milliseconds(time), false, [], "AbortSignal.timeout");
            return controller.signal;
        }
        static any(signals) {
            const controller = new AbortController();
            for (const signal of signals) {
                if (signal.aborted) controller.abort(signal.reason);
                else signal.addEventListener("abort", () => controller.abort(signal.reason), { once: true });
            }
            return controller.signal;
        }
    }
    class AbortController {
        signal = new AbortSignal();
        abort(reason = new DOMException("it was aborted", "AbortError")) {
            if (this.signal.aborted) return;
            this.signal.aborted = true;
            this.signal.reason = reason;
            this.signal.dispatchEvent(new Event("abort"));
        }
    }
    define("Event", Event);
    define("EventTarget", EventTarget);
    define("AbortSignal", AbortSignal);
    define("AbortController", AbortController);

    // ---- HTTP

    const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
    class Headers {
        #fields = [];
        constructor(init) {
            if (init instanceof Headers) this.#fields = init.#fields.map((field) => [...field]);
            else if (init?.[Symbol.iterator]) for (const [name, value] of init) this.append(name, value);
            else for (const [name, value] of Object.entries(init ?? {})) this.append(name, value);
        }
        append(name, value) {
            const key = String(name).toLowerCase();
            const text = String(value).trim();
            if (!token.test(key)) throw new TypeError(`${JSON.stringify(name)} is no name of a header`);
            if (/[\0\r\n]/.test(text)) throw new TypeError(`the value of the header ${key} has a line break`);
            this.#fields.push([key, text]);
        }
        delete(name) {
            const key = String(name).toLowerCase();
            this.#fields = this.#fields.filter((field) => field[0] !== key);
        }
        get(name) {
            const key = String(name).toLowerCase();
            const values = this.#fields.filter((field) => field[0] === key).map((field) => field[1]);
            return values.length === 0 ? null : values.join(", ");
        }
        getSetCookie() {
            return this.#fields.filter((field) => field[0] === "set-cookie").map((field) => field[1]);
        }
        has(name) {
            return this.get(name) !== null;
        }
        set(name, value) {
            this.delete(name);
            this.append(name, value);
        }
        forEach(callback, self) {
            for (const [name, value] of this) callback.call(self, value, name, this);
        }
        *entries() {
            for (const name of [...new Set(this.#fields.map((field) => field[0]))].sort()) yield [name, this.get(name)];
        }
        *keys() {
            for (const [name] of this.entries()) yield name;
        }
        *values() {
            for (const [, value] of this.entries()) yield value;
        }
        [Symbol.iterator]() {
            return this.entries();
        }
        toJSON() {
            return Object.fromEntries(this.entries());
        }
    }
    define("Headers", Headers);

    const bodyOf = (body) => {
        if (body === undefined || body === null) return { bytes: undefined };
        if (typeof body === "string") return { bytes: encode(body), type: "text/plain;charset=UTF-8" };
        if (body instanceof URLSearchParams) return { bytes: encode(body), type: "application/x-www-form-urlencoded;charset=UTF-8" };
        if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return { bytes: bytesOf(body) };
        throw new TypeError("a body can be a string, bytes or URLSearchParams");
    };

    /** The pieces of a body, each read when it is asked for. */
    class Body {
        #next;
        #used = false;
        constructor(next) {
            this.#next = next;
        }
        get locked() {
            return this.#used;
        }
        take() {
            if (this.#used) throw new TypeError("the body has been read already");
            this.#used = true;
            return this.#next;
        }
        getReader() {
            const next = this.take();
            return {
                read: async () => {
                    const value = await next();
                    return { done: value === undefined, value };
                },
                releaseLock() {},
                cancel: async () => {},
            };
        }
        async *[Symbol.asyncIterator]() {
            const next = this.take();
            for (let piece = await next(); piece !== undefined; piece = await next()) yield piece;
        }
        async cancel() {
            this.#used = true;
        }
    }
    const whole = async (body) => {
        const pieces = [];
        let length = 0;
        if (body) {
            for await (const piece of body) {
                pieces.push(piece);
                length += piece.length;
            }
        }
        const bytes = new Uint8Array(length);
        let at = 0;
        for (const piece of pieces) {
            bytes.set(piece, at);
            at += piece.length;
        }
        return bytes;
    };
    const once = (bytes) => {
        let left = bytes;
        return new Body(async () => {
            const piece = left;
            left = undefined;
            return piece;
        });
    };
    class Message {
        #body;
        constructor(body) {
            this.#body = body;
        }
        get body() {
            return this.#body;
        }
        get bodyUsed() {
            return this.#body?.locked ?? false;
        }
        async arrayBuffer() {
            return (await whole(this.#body)).buffer;
        }
        async bytes() {
            return whole(this.#body);
        }
        async text() {
            return decode(await whole(this.#body));
        }
        async json() {
            return JSON.parse(await this.text());
        }
    }
    class Response extends Message {
        constructor(body = null, { status = 200, statusText = "", headers } = {}) {
            const { bytes, type } = body instanceof Body ? {} : bodyOf(body);
            super(body instanceof Body ? body : bytes && once(bytes));
            this.status = status;
            this.statusText = statusText;
            this.headers = new Headers(headers);
            this.redirected = false;
            this.type = "basic";
            this.url = "";
            if (type && !this.headers.has("content-type")) this.headers.set("content-type", type);
        }
        get ok() {
            return this.status >= 200 && this.status < 300;
        }
        static json(value, init = {}) {
            const response = new Response(JSON.stringify(value), init);
            if (!new Headers(init.headers).has("content-type")) response.headers.set("content-type", "application/json");
            return response;
        }
        static error() {
            return Object.assign(new Response(), { status: 0, type: "error" });
        }
    }
    define("Response", Response);

    class Request extends Message {
        constructor(input, init = {}) {
            const from = input instanceof Request ? input : undefined;
            const { bytes = from?.sent, type } = bodyOf(init.body);
            super(bytes && once(bytes));
            this.sent = bytes;
            this.url = from ? from.url : new URL(input).href;
            this.method = String(init.method ?? from?.method ?? "GET").toUpperCase();
            this.headers = new Headers(init.headers ?? from?.headers);
            this.redirect = init.redirect ?? from?.redirect ?? "follow";
            this.signal = init.signal ?? from?.signal ?? new AbortController().signal;
            if (type && !this.headers.has("content-type")) this.headers.set("content-type", type);
            if (bytes && (this.method === "GET" || this.method === "HEAD")) throw new TypeError(`a ${this.method} request has no body`);
        }
        clone() {
            return new Request(this);
        }
    }
    define("Request", Request);

    const REDIRECTS_MAX = 20;
    /** The promise, or the end of the signal, whichever is first. */
    const unlessAborted = (signal, promise) =>
        new Promise((resolve, reject) => {
            if (signal.aborted) return reject(signal.reason);
            signal.addEventListener("abort", () => reject(signal.reason), { once: true });
            promise.then(resolve, reject);
        });
    const send = async (request) => {
        request.signal.throwIfAborted();
        let { url, method } = request;
        let body = request.sent;
        const headers = new Headers(request.headers);
        if (gatewayHeader !== undefined) headers.set(gatewayHeader, gatewayValue);
        for (let redirects = 0; ; redirects += 1) {
            const fields = [...headers].flat();
            if (body) fields.push("content-length", String(body.length));
            const answer = host.send(method, url, fields, body && bufferOf(body));
            const { exchange, status, fields: received } = await unlessAborted(request.signal, answer);
            const pairs = [];
            for (let at = 0; at < received.length; at += 2) pairs.push([received[at], received[at + 1]]);
            const response = new Response(
                new Body(async () => {
                    const piece = await unlessAborted(request.signal, host.read(exchange));
                    return piece && new Uint8Array(piece);
                }),
                { status, headers: pairs },
            );
            response.url = url;
            response.redirected = redirects > 0;
            const location = response.headers.get("location");
            if (![301, 302, 303, 307, 308].includes(status) || location === null || request.redirect === "manual") return response;
            if (request.redirect === "error") throw new TypeError(`${method} ${url} was redirected to ${location}`);
            if (redirects === REDIRECTS_MAX) throw new TypeError(`${request.url} redirects more than ${REDIRECTS_MAX} times`);
            host.close(exchange);
            const next = new URL(location, url);
            if (next.origin !== new URL(url).origin) {
                for (const name of ["authorization", "cookie", "proxy-authorization", gatewayHeader]) headers.delete(name);
            }
            if (status === 303 ? method !== "HEAD" : status < 303 && method === "POST") {
                method = "GET";
                body = undefined;
                headers.delete("content-type");
            }
            url = next.href;
        }
    };
    define("fetch", async (input, init) => {
        host.world("fetch");
        return send(new Request(input, init));
    });

    return made;
})
