// `fetch` over wasi:http. The host decides what may go out and puts secrets into headers.

import { handle } from "host:http/outgoing-handler@0.2.12";
import { Fields, OutgoingBody, OutgoingRequest } from "host:http/types@0.2.12";
import { poll } from "host:io/poll@0.2.12";

import { ByteStream } from "./body.js";
import { TextDecoder, TextEncoder } from "./encoding.js";
import { atEnd, onlyWhenActing, wait } from "./loop.js";
import { Request, Response } from "./messages.js";

const REDIRECTS_MAX = 20;
const PIECE_BYTES_MAX = 65_536;
/** The most that one write of the host's streams takes. */
const WRITE_BYTES_MAX = 4096;

/**
 * @param {any} input
 * @param {any} [init]
 */
export async function fetch(input, init) {
  onlyWhenActing("fetch");
  let request = new Request(input, init);
  for (let redirects = 0; ; redirects += 1) {
    const response = await send(request);
    response.url = request.url;
    response.redirected = redirects > 0;
    if (response._location === null || request.redirect === "manual") return response;
    await response.body?.cancel();
    if (request.redirect === "error") throw failure(request, `it redirects to ${response._location}`);
    if (redirects === REDIRECTS_MAX) throw failure(request, `more than ${REDIRECTS_MAX} redirects`);
    request = redirected(request, response);
  }
}

/**
 * @param {Request} request
 * @returns {Promise<Response>}
 */
async function send(request) {
  request.signal?.throwIfAborted();
  const result = await settled(begin(request), request.signal);
  if (result === undefined) throw failure(request, "no answer came");
  if (result.tag === "err") throw failure(request, wordsOf(result.val));
  return answer(request, result.val);
}

/**
 * @param {import("host:http/types@0.2.12").FutureIncomingResponse} future
 * @param {import("./abort.js").AbortSignal | null} signal
 */
async function settled(future, signal) {
  const close = () => future[Symbol.dispose]();
  const kept = atEnd(close);
  try {
    await readable(future, signal);
    const got = future.get();
    return got?.tag === "ok" ? got.val : undefined;
  } finally {
    if (kept()) close();
  }
}

/**
 * What will say how it went, the request being on its way.
 *
 * @param {Request} request
 */
function begin(request) {
  const { scheme, authority, path } = parts(request.url);
  const bytes = request._bytes;
  const encoder = new TextEncoder();
  const fields = new Fields();
  for (const [name, value] of request.headers) fields.append(name, encoder.encode(value));
  if (bytes !== null || ["POST", "PUT", "PATCH"].includes(request.method)) fields.append("content-length", encoder.encode(String(bytes?.length ?? 0)));
  const outgoing = new OutgoingRequest(fields);
  outgoing.setMethod(methodOf(request.method));
  outgoing.setScheme({ tag: scheme === "https" ? "HTTPS" : "HTTP" });
  outgoing.setAuthority(authority);
  outgoing.setPathWithQuery(path);
  const body = outgoing.body();
  const future = handled(request, outgoing);
  write(body, bytes);
  return future;
}

/**
 * @param {Request} request
 * @param {OutgoingRequest} outgoing
 */
function handled(request, outgoing) {
  try {
    return handle(outgoing, undefined);
  } catch (error) {
    throw failure(request, whyOf(error));
  }
}

/** @param {string} method */
function methodOf(method) {
  const known = ["get", "head", "post", "put", "delete", "connect", "options", "trace", "patch"];
  const tag = method.toLowerCase();
  return /** @type {any} */ (known.includes(tag) ? { tag } : { tag: "other", val: method });
}

/**
 * @param {OutgoingBody} body
 * @param {Uint8Array | null} bytes
 */
function write(body, bytes) {
  const stream = body.write();
  try {
    for (let at = 0; bytes !== null && at < bytes.length; at += WRITE_BYTES_MAX) {
      stream.blockingWriteAndFlush(bytes.slice(at, at + WRITE_BYTES_MAX));
    }
  } catch {
    // Whoever listens there has hung up or was never there. Why, or with which answer, the response says.
    stream[Symbol.dispose]();
    body[Symbol.dispose]();
    return;
  }
  stream[Symbol.dispose]();
  OutgoingBody.finish(body, undefined);
}

/**
 * Settles when the host has something for whoever asks `source`.
 *
 * @param {{ subscribe(): any }} source
 * @param {import("./abort.js").AbortSignal | null} signal
 */
function readable(source, signal) {
  return new Promise((resolve, reject) => {
    const aborted = () => {
      callOff();
      reject(signal?.reason);
    };
    const callOff = wait(source.subscribe(), poll, () => {
      signal?.removeEventListener("abort", aborted);
      resolve(undefined);
    });
    signal?.addEventListener("abort", aborted, { once: true });
  });
}

/**
 * @param {Request} request
 * @param {import("host:http/types@0.2.12").IncomingResponse} incoming
 */
function answer(request, incoming) {
  const decoder = new TextDecoder();
  const fields = incoming.headers();
  const headers = fields.entries().map(([name, value]) => [name, decoder.decode(Uint8Array.from(value))]);
  fields[Symbol.dispose]();
  const response = new Response(null, { status: incoming.status(), headers });
  const empty = request.method === "HEAD" || [204, 205, 304].includes(response.status);
  if (!empty) return new Response(new ByteStream(source(request, incoming)), response);
  incoming[Symbol.dispose]();
  return response;
}

/**
 * @param {Request} request
 * @param {import("host:http/types@0.2.12").IncomingResponse} incoming
 * @returns {import("./body.js").Source}
 */
function source(request, incoming) {
  const body = incoming.consume();
  const stream = body.stream();
  let open = true;
  const cancel = () => {
    if (!open) return;
    open = false;
    kept();
    // A child goes before its parent.
    stream[Symbol.dispose]();
    body[Symbol.dispose]();
    incoming[Symbol.dispose]();
  };
  const kept = atEnd(cancel);
  return {
    cancel,
    async next() {
      while (open) {
        await readable(stream, request.signal);
        const piece = read(stream, request);
        if (piece === undefined) cancel();
        else if (piece.length > 0) return piece;
      }
      return undefined;
    },
  };
}

/**
 * @param {import("host:io/streams@0.2.12").InputStream} stream
 * @param {Request} request
 */
function read(stream, request) {
  try {
    return Uint8Array.from(stream.read(PIECE_BYTES_MAX));
  } catch (/** @type {any} */ error) {
    if (error?.payload?.tag === "closed") return undefined;
    throw failure(request, `its body broke off: ${whyOf(error)}`);
  }
}

/**
 * @param {Request} request
 * @param {Response} response
 */
function redirected(request, response) {
  const url = resolved(request.url, response._location ?? "");
  const toGet = response.status === 303 ? request.method !== "HEAD" : response.status < 303 && request.method === "POST";
  const next = new Request(url, {
    method: toGet ? "GET" : request.method,
    headers: request.headers,
    body: toGet ? undefined : (request._bytes ?? undefined),
    signal: request.signal,
  });
  if (toGet) for (const name of ["content-type", "content-length", "content-encoding", "content-language"]) next.headers.delete(name);
  if (originOf(url) !== originOf(request.url)) for (const name of ["authorization", "cookie", "proxy-authorization"]) next.headers.delete(name);
  return next;
}

const URL_PARTS = /^(https?):\/\/([^/?#]+)([^#]*)/i;

/** @param {string} url */
function parts(url) {
  const [, scheme, authority, rest] = URL_PARTS.exec(url.trim()) ?? [];
  if (authority === undefined) throw new TypeError(`fetch needs an absolute http or https URL, not ${JSON.stringify(url)}`);
  if (authority.includes("@")) throw new TypeError("fetch takes no user or password in a URL; use the header authorization");
  const path = rest.startsWith("/") ? rest : `/${rest}`;
  // What is not ASCII, and white space, cannot stand in a request line as it is.
  return { scheme: scheme.toLowerCase(), authority: authority.toLowerCase(), path: path.replace(/[^\x21-\x7e]+/g, encodeURIComponent) };
}

/** @param {string} url */
function originOf(url) {
  const { scheme, authority } = parts(url);
  return `${scheme}://${authority}`;
}

/**
 * @param {string} base
 * @param {string} location
 */
function resolved(base, location) {
  if (URL_PARTS.test(location)) return location;
  const { scheme, path } = parts(base);
  if (location.startsWith("//")) return `${scheme}:${location}`;
  if (location.startsWith("/")) return originOf(base) + location;
  if (location.startsWith("?")) return originOf(base) + path.replace(/\?.*/, "") + location;
  return originOf(base) + path.replace(/\?.*/, "").replace(/[^/]*$/, "") + location;
}

/**
 * @param {Request} request
 * @param {string} why
 */
function failure(request, why) {
  return new TypeError(`fetch failed: ${request.method} ${request.url}: ${why}`);
}

/**
 * The bindings throw the error case of a result as something with a `payload`.
 *
 * @param {any} error
 */
function whyOf(error) {
  const payload = error?.payload;
  return payload?.tag === undefined ? String(error?.message ?? error) : wordsOf(payload);
}

/**
 * An error code of wasi:http in words.
 *
 * @param {{ tag: string, val?: any }} code
 */
function wordsOf({ tag, val }) {
  if (tag === "HTTP-request-denied") return "the host does not allow it; the operator's egress rules and the processor's `egress` both have to";
  if (tag === "internal-error" && typeof val === "string") return val;
  return val == null ? tag : `${tag} ${JSON.stringify(val)}`;
}
