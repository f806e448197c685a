// Generated from wit/ by `cargo xtask js-types`; do not edit.
//
// What the engines make of the contract: 64-bit integers are numbers on QuickJS and BigInt on StarlingMonkey; absence is null or
// undefined; a function whose result is an error throws something with that error as its `payload`. On QuickJS the interfaces of
// `wasi:` go by the name `host:` until the component is built.

declare module "host:cli/environment@0.2.12" {
  /**
   * Get the POSIX-style environment variables.
   *
   * Each environment variable is provided as a pair of string variable names
   * and string value.
   *
   * Morally, these are a value import, but until value imports are available
   * in the component model, this import function should return the same
   * values each time it is called.
   */
  export function getEnvironment(): Array<[string, string]>;
  /** Get the POSIX-style arguments to the program. */
  export function getArguments(): Array<string>;
  /**
   * Return a path that programs should use as their initial current working
   * directory, interpreting `.` as shorthand for this.
   */
  export function initialCwd(): string | null | undefined;
}

declare module "wasi:cli/environment@0.2.12" {
  export * from "host:cli/environment@0.2.12";
}

declare module "host:io/poll@0.2.12" {
  /** `pollable` represents a single I/O event which may be ready, or not. */
  export class Pollable {
    private constructor();
    /**
     * Return the readiness of a pollable. This function never blocks.
     *
     * Returns `true` when the pollable is ready, and `false` otherwise.
     */
    ready(): boolean;
    /**
     * `block` returns immediately if the pollable is ready, and otherwise
     * blocks until ready.
     *
     * This function is equivalent to calling `poll.poll` on a list
     * containing only this pollable.
     */
    block(): void;
    /** Gives it back to the host. */
    [Symbol.dispose](): void;
  }
  /**
   * Poll for completion on a set of pollables.
   *
   * This function takes a list of pollables, which identify I/O sources of
   * interest, and waits until one or more of the events is ready for I/O.
   *
   * The result `list<u32>` contains one or more indices of handles in the
   * argument list that is ready for I/O.
   *
   * This function traps if either:
   * - the list is empty, or:
   * - the list contains more elements than can be indexed with a `u32` value.
   *
   * A timeout can be implemented by adding a pollable from the
   * wasi-clocks API to the list.
   *
   * This function does not return a `result`; polling in itself does not
   * do any I/O so it doesn't fail. If any of the I/O sources identified by
   * the pollables has an error, it is indicated by marking the source as
   * being ready for I/O.
   */
  export function poll(in_: Array<Pollable>): Array<number>;
}

declare module "host:clocks/monotonic-clock@0.2.12" {
  import type { Pollable } from "host:io/poll@0.2.12";
  export type { Pollable };
  /**
   * An instant in time, in nanoseconds. An instant is relative to an
   * unspecified initial value, and can only be compared to instances from
   * the same monotonic-clock.
   */
  export type Instant = number | bigint;
  /** A duration of time, in nanoseconds. */
  export type Duration = number | bigint;
  /**
   * Read the current value of the clock.
   *
   * The clock is monotonic, therefore calling this function repeatedly will
   * produce a sequence of non-decreasing values.
   *
   * For completeness, this function traps if it's not possible to represent
   * the value of the clock in an `instant`. Consequently, implementations
   * should ensure that the starting time is low enough to avoid the
   * possibility of overflow in practice.
   */
  export function now(): Instant;
  /**
   * Query the resolution of the clock. Returns the duration of time
   * corresponding to a clock tick.
   */
  export function resolution(): Duration;
  /**
   * Create a `pollable` which will resolve once the specified instant
   * has occurred.
   */
  export function subscribeInstant(when: Instant): Pollable;
  /**
   * Create a `pollable` that will resolve after the specified duration has
   * elapsed from the time this function is invoked.
   */
  export function subscribeDuration(when: Duration): Pollable;
}

declare module "host:clocks/wall-clock@0.2.12" {
  /** A time and date in seconds plus nanoseconds. */
  export interface Datetime {
    seconds: number | bigint;
    nanoseconds: number;
  }
  /**
   * Read the current value of the clock.
   *
   * This clock is not monotonic, therefore calling this function repeatedly
   * will not necessarily produce a sequence of non-decreasing values.
   *
   * The returned timestamps represent the number of seconds since
   * 1970-01-01T00:00:00Z, also known as [POSIX's Seconds Since the Epoch],
   * also known as [Unix Time].
   *
   * The nanoseconds field of the output is always less than 1000000000.
   *
   * [POSIX's Seconds Since the Epoch]: https://pubs.opengroup.org/onlinepubs/9699919799/xrat/V4_xbd_chap04.html#tag_21_04_16
   * [Unix Time]: https://en.wikipedia.org/wiki/Unix_time
   */
  export function now(): Datetime;
  /**
   * Query the resolution of the clock.
   *
   * The nanoseconds field of the output is always less than 1000000000.
   */
  export function resolution(): Datetime;
}

declare module "host:io/error@0.2.12" {
  /**
   * A resource which represents some error information.
   *
   * The only method provided by this resource is `to-debug-string`,
   * which provides some human-readable information about the error.
   *
   * In the `wasi:io` package, this resource is returned through the
   * `wasi:io/streams.stream-error` type.
   *
   * To provide more specific error information, other interfaces may
   * offer functions to "downcast" this error into more specific types. For example,
   * errors returned from streams derived from filesystem types can be described using
   * the filesystem's own error-code type. This is done using the function
   * `wasi:filesystem/types.filesystem-error-code`, which takes a `borrow<error>`
   * parameter and returns an `option<wasi:filesystem/types.error-code>`.
   *
   * The set of functions which can "downcast" an `error` into a more
   * concrete type is open.
   */
  export class Error {
    private constructor();
    /**
     * Returns a string that is suitable to assist humans in debugging
     * this error.
     *
     * WARNING: The returned string should not be consumed mechanically!
     * It may change across platforms, hosts, or other implementation
     * details. Parsing this string is a major platform-compatibility
     * hazard.
     */
    toDebugString(): string;
    /** Gives it back to the host. */
    [Symbol.dispose](): void;
  }
}

declare module "host:io/streams@0.2.12" {
  import type { Error } from "host:io/error@0.2.12";
  import type { Pollable } from "host:io/poll@0.2.12";
  export type { Error };
  export type { Pollable };
  /** An error for input-stream and output-stream operations. */
  export type StreamError = { tag: "last-operation-failed"; val: Error } | { tag: "closed"; val?: undefined };
  /**
   * An input bytestream.
   *
   * `input-stream`s are *non-blocking* to the extent practical on underlying
   * platforms. I/O operations always return promptly; if fewer bytes are
   * promptly available than requested, they return the number of bytes promptly
   * available, which could even be zero. To wait for data to be available,
   * use the `subscribe` function to obtain a `pollable` which can be polled
   * for using `wasi:io/poll`.
   */
  export class InputStream {
    private constructor();
    /**
     * Perform a non-blocking read from the stream.
     *
     * When the source of a `read` is binary data, the bytes from the source
     * are returned verbatim. When the source of a `read` is known to the
     * implementation to be text, bytes containing the UTF-8 encoding of the
     * text are returned.
     *
     * This function returns a list of bytes containing the read data,
     * when successful. The returned list will contain up to `len` bytes;
     * it may return fewer than requested, but not more. The list is
     * empty when no bytes are available for reading at this time. The
     * pollable given by `subscribe` will be ready when more bytes are
     * available.
     *
     * This function fails with a `stream-error` when the operation
     * encounters an error, giving `last-operation-failed`, or when the
     * stream is closed, giving `closed`.
     *
     * When the caller gives a `len` of 0, it represents a request to
     * read 0 bytes. If the stream is still open, this call should
     * succeed and return an empty list, or otherwise fail with `closed`.
     *
     * The `len` parameter is a `u64`, which could represent a list of u8 which
     * is not possible to allocate in wasm32, or not desirable to allocate as
     * as a return value by the callee. The callee may return a list of bytes
     * less than `len` in size while more bytes are available for reading.
     */
    read(len: number | bigint): Uint8Array;
    /**
     * Read bytes from a stream, after blocking until at least one byte can
     * be read. Except for blocking, behavior is identical to `read`.
     */
    blockingRead(len: number | bigint): Uint8Array;
    /**
     * Skip bytes from a stream. Returns number of bytes skipped.
     *
     * Behaves identical to `read`, except instead of returning a list
     * of bytes, returns the number of bytes consumed from the stream.
     */
    skip(len: number | bigint): number | bigint;
    /**
     * Skip bytes from a stream, after blocking until at least one byte
     * can be skipped. Except for blocking behavior, identical to `skip`.
     */
    blockingSkip(len: number | bigint): number | bigint;
    /**
     * Create a `pollable` which will resolve once either the specified stream
     * has bytes available to read or the other end of the stream has been
     * closed.
     * The created `pollable` is a child resource of the `input-stream`.
     * Implementations may trap if the `input-stream` is dropped before
     * all derived `pollable`s created with this function are dropped.
     */
    subscribe(): Pollable;
    /** Gives it back to the host. */
    [Symbol.dispose](): void;
  }
  /**
   * An output bytestream.
   *
   * `output-stream`s are *non-blocking* to the extent practical on
   * underlying platforms. Except where specified otherwise, I/O operations also
   * always return promptly, after the number of bytes that can be written
   * promptly, which could even be zero. To wait for the stream to be ready to
   * accept data, the `subscribe` function to obtain a `pollable` which can be
   * polled for using `wasi:io/poll`.
   *
   * Dropping an `output-stream` while there's still an active write in
   * progress may result in the data being lost. Before dropping the stream,
   * be sure to fully flush your writes.
   */
  export class OutputStream {
    private constructor();
    /**
     * Check readiness for writing. This function never blocks.
     *
     * Returns the number of bytes permitted for the next call to `write`,
     * or an error. Calling `write` with more bytes than this function has
     * permitted will trap.
     *
     * When this function returns 0 bytes, the `subscribe` pollable will
     * become ready when this function will report at least 1 byte, or an
     * error.
     */
    checkWrite(): number | bigint;
    /**
     * Perform a write. This function never blocks.
     *
     * When the destination of a `write` is binary data, the bytes from
     * `contents` are written verbatim. When the destination of a `write` is
     * known to the implementation to be text, the bytes of `contents` are
     * transcoded from UTF-8 into the encoding of the destination and then
     * written.
     *
     * Precondition: check-write gave permit of Ok(n) and contents has a
     * length of less than or equal to n. Otherwise, this function will trap.
     *
     * returns Err(closed) without writing if the stream has closed since
     * the last call to check-write provided a permit.
     */
    write(contents: Uint8Array): void;
    /**
     * Perform a write of up to 4096 bytes, and then flush the stream. Block
     * until all of these operations are complete, or an error occurs.
     *
     * Returns success when all of the contents written are successfully
     * flushed to output. If an error occurs at any point before all
     * contents are successfully flushed, that error is returned as soon as
     * possible. If writing and flushing the complete contents causes the
     * stream to become closed, this call should return success, and
     * subsequent calls to check-write or other interfaces should return
     * stream-error::closed.
     */
    blockingWriteAndFlush(contents: Uint8Array): void;
    /**
     * Request to flush buffered output. This function never blocks.
     *
     * This tells the output-stream that the caller intends any buffered
     * output to be flushed. the output which is expected to be flushed
     * is all that has been passed to `write` prior to this call.
     *
     * Upon calling this function, the `output-stream` will not accept any
     * writes (`check-write` will return `ok(0)`) until the flush has
     * completed. The `subscribe` pollable will become ready when the
     * flush has completed and the stream can accept more writes.
     */
    flush(): void;
    /**
     * Request to flush buffered output, and block until flush completes
     * and stream is ready for writing again.
     */
    blockingFlush(): void;
    /**
     * Create a `pollable` which will resolve once the output-stream
     * is ready for more writing, or an error has occurred. When this
     * pollable is ready, `check-write` will return `ok(n)` with n>0, or an
     * error.
     *
     * If the stream is closed, this pollable is always ready immediately.
     *
     * The created `pollable` is a child resource of the `output-stream`.
     * Implementations may trap if the `output-stream` is dropped before
     * all derived `pollable`s created with this function are dropped.
     */
    subscribe(): Pollable;
    /**
     * Write zeroes to a stream.
     *
     * This should be used precisely like `write` with the exact same
     * preconditions (must use check-write first), but instead of
     * passing a list of bytes, you simply pass the number of zero-bytes
     * that should be written.
     */
    writeZeroes(len: number | bigint): void;
    /**
     * Perform a write of up to 4096 zeroes, and then flush the stream.
     * Block until all of these operations are complete, or an error
     * occurs.
     *
     * Functionality is equivelant to `blocking-write-and-flush` with
     * contents given as a list of len containing only zeroes.
     */
    blockingWriteZeroesAndFlush(len: number | bigint): void;
    /**
     * Read from one stream and write to another.
     *
     * The behavior of splice is equivalent to:
     * 1. calling `check-write` on the `output-stream`
     * 2. calling `read` on the `input-stream` with the smaller of the
     * `check-write` permitted length and the `len` provided to `splice`
     * 3. calling `write` on the `output-stream` with that read data.
     *
     * Any error reported by the call to `check-write`, `read`, or
     * `write` ends the splice and reports that error.
     *
     * This function returns the number of bytes transferred; it may be less
     * than `len`.
     */
    splice(src: InputStream, len: number | bigint): number | bigint;
    /**
     * Read from one stream and write to another, with blocking.
     *
     * This is similar to `splice`, except that it blocks until the
     * `output-stream` is ready for writing, and the `input-stream`
     * is ready for reading, before performing the `splice`.
     */
    blockingSplice(src: InputStream, len: number | bigint): number | bigint;
    /** Gives it back to the host. */
    [Symbol.dispose](): void;
  }
}

declare module "host:http/types@0.2.12" {
  import type { Duration } from "host:clocks/monotonic-clock@0.2.12";
  import type { InputStream, OutputStream } from "host:io/streams@0.2.12";
  import type { Error as IoError } from "host:io/error@0.2.12";
  import type { Pollable } from "host:io/poll@0.2.12";
  export type { Duration };
  export type { InputStream };
  export type { OutputStream };
  export type { IoError };
  export type { Pollable };
  /** This type corresponds to HTTP standard Methods. */
  export type Method = { tag: "get"; val?: undefined } | { tag: "head"; val?: undefined } | { tag: "post"; val?: undefined } | { tag: "put"; val?: undefined } | { tag: "delete"; val?: undefined } | { tag: "connect"; val?: undefined } | { tag: "options"; val?: undefined } | { tag: "trace"; val?: undefined } | { tag: "patch"; val?: undefined } | { tag: "other"; val: string };
  /** This type corresponds to HTTP standard Related Schemes. */
  export type Scheme = { tag: "HTTP"; val?: undefined } | { tag: "HTTPS"; val?: undefined } | { tag: "other"; val: string };
  /** Defines the case payload type for `DNS-error` above: */
  export interface DNSErrorPayload {
    rcode?: string | null | undefined;
    infoCode?: number | null | undefined;
  }
  /** Defines the case payload type for `TLS-alert-received` above: */
  export interface TLSAlertReceivedPayload {
    alertId?: number | null | undefined;
    alertMessage?: string | null | undefined;
  }
  /** Defines the case payload type for `HTTP-response-{header,trailer}-size` above: */
  export interface FieldSizePayload {
    fieldName?: string | null | undefined;
    fieldSize?: number | null | undefined;
  }
  /**
   * These cases are inspired by the IANA HTTP Proxy Error Types:
   *   <https://www.iana.org/assignments/http-proxy-status/http-proxy-status.xhtml#table-http-proxy-error-types>
   */
  export type ErrorCode = { tag: "DNS-timeout"; val?: undefined } | { tag: "DNS-error"; val: DNSErrorPayload } | { tag: "destination-not-found"; val?: undefined } | { tag: "destination-unavailable"; val?: undefined } | { tag: "destination-IP-prohibited"; val?: undefined } | { tag: "destination-IP-unroutable"; val?: undefined } | { tag: "connection-refused"; val?: undefined } | { tag: "connection-terminated"; val?: undefined } | { tag: "connection-timeout"; val?: undefined } | { tag: "connection-read-timeout"; val?: undefined } | { tag: "connection-write-timeout"; val?: undefined } | { tag: "connection-limit-reached"; val?: undefined } | { tag: "TLS-protocol-error"; val?: undefined } | { tag: "TLS-certificate-error"; val?: undefined } | { tag: "TLS-alert-received"; val: TLSAlertReceivedPayload } | { tag: "HTTP-request-denied"; val?: undefined } | { tag: "HTTP-request-length-required"; val?: undefined } | { tag: "HTTP-request-body-size"; val: number | bigint | null | undefined } | { tag: "HTTP-request-method-invalid"; val?: undefined } | { tag: "HTTP-request-URI-invalid"; val?: undefined } | { tag: "HTTP-request-URI-too-long"; val?: undefined } | { tag: "HTTP-request-header-section-size"; val: number | null | undefined } | { tag: "HTTP-request-header-size"; val: FieldSizePayload | null | undefined } | { tag: "HTTP-request-trailer-section-size"; val: number | null | undefined } | { tag: "HTTP-request-trailer-size"; val: FieldSizePayload } | { tag: "HTTP-response-incomplete"; val?: undefined } | { tag: "HTTP-response-header-section-size"; val: number | null | undefined } | { tag: "HTTP-response-header-size"; val: FieldSizePayload } | { tag: "HTTP-response-body-size"; val: number | bigint | null | undefined } | { tag: "HTTP-response-trailer-section-size"; val: number | null | undefined } | { tag: "HTTP-response-trailer-size"; val: FieldSizePayload } | { tag: "HTTP-response-transfer-coding"; val: string | null | undefined } | { tag: "HTTP-response-content-coding"; val: string | null | undefined } | { tag: "HTTP-response-timeout"; val?: undefined } | { tag: "HTTP-upgrade-failed"; val?: undefined } | { tag: "HTTP-protocol-error"; val?: undefined } | { tag: "loop-detected"; val?: undefined } | { tag: "configuration-error"; val?: undefined } | { tag: "internal-error"; val: string | null | undefined };
  /**
   * This type enumerates the different kinds of errors that may occur when
   * setting or appending to a `fields` resource.
   */
  export type HeaderError = { tag: "invalid-syntax"; val?: undefined } | { tag: "forbidden"; val?: undefined } | { tag: "immutable"; val?: undefined };
  /**
   * Field keys are always strings.
   *
   * Field keys should always be treated as case insensitive by the `fields`
   * resource for the purposes of equality checking.
   *
   * # Deprecation
   *
   * This type has been deprecated in favor of the `field-name` type.
   */
  export type FieldKey = string;
  /**
   * Field names are always strings.
   *
   * Field names should always be treated as case insensitive by the `fields`
   * resource for the purposes of equality checking.
   */
  export type FieldName = FieldKey;
  /**
   * Field values should always be ASCII strings. However, in
   * reality, HTTP implementations often have to interpret malformed values,
   * so they are provided as a list of bytes.
   */
  export type FieldValue = Uint8Array;
  /**
   * This following block defines the `fields` resource which corresponds to
   * HTTP standard Fields. Fields are a common representation used for both
   * Headers and Trailers.
   *
   * A `fields` may be mutable or immutable. A `fields` created using the
   * constructor, `from-list`, or `clone` will be mutable, but a `fields`
   * resource given by other means (including, but not limited to,
   * `incoming-request.headers`, `outgoing-request.headers`) might be
   * immutable. In an immutable fields, the `set`, `append`, and `delete`
   * operations will fail with `header-error.immutable`.
   */
  export class Fields {
    constructor();
    /**
     * Construct an HTTP Fields.
     *
     * The resulting `fields` is mutable.
     *
     * The list represents each name-value pair in the Fields. Names
     * which have multiple values are represented by multiple entries in this
     * list with the same name.
     *
     * The tuple is a pair of the field name, represented as a string, and
     * Value, represented as a list of bytes.
     *
     * An error result will be returned if any `field-name` or `field-value` is
     * syntactically invalid, or if a field is forbidden.
     */
    static fromList(entries: Array<[FieldName, FieldValue]>): Fields;
    /**
     * Get all of the values corresponding to a name. If the name is not present
     * in this `fields` or is syntactically invalid, an empty list is returned.
     * However, if the name is present but empty, this is represented by a list
     * with one or more empty field-values present.
     */
    get(name: FieldName): Array<FieldValue>;
    /**
     * Returns `true` when the name is present in this `fields`. If the name is
     * syntactically invalid, `false` is returned.
     */
    has(name: FieldName): boolean;
    /**
     * Set all of the values for a name. Clears any existing values for that
     * name, if they have been set.
     *
     * Fails with `header-error.immutable` if the `fields` are immutable.
     *
     * Fails with `header-error.invalid-syntax` if the `field-name` or any of
     * the `field-value`s are syntactically invalid.
     */
    set(name: FieldName, value: Array<FieldValue>): void;
    /**
     * Delete all values for a name. Does nothing if no values for the name
     * exist.
     *
     * Fails with `header-error.immutable` if the `fields` are immutable.
     *
     * Fails with `header-error.invalid-syntax` if the `field-name` is
     * syntactically invalid.
     */
    delete(name: FieldName): void;
    /**
     * Append a value for a name. Does not change or delete any existing
     * values for that name.
     *
     * Fails with `header-error.immutable` if the `fields` are immutable.
     *
     * Fails with `header-error.invalid-syntax` if the `field-name` or
     * `field-value` are syntactically invalid.
     */
    append(name: FieldName, value: FieldValue): void;
    /**
     * Retrieve the full set of names and values in the Fields. Like the
     * constructor, the list represents each name-value pair.
     *
     * The outer list represents each name-value pair in the Fields. Names
     * which have multiple values are represented by multiple entries in this
     * list with the same name.
     *
     * The names and values are always returned in the original casing and in
     * the order in which they will be serialized for transport.
     */
    entries(): Array<[FieldName, FieldValue]>;
    /**
     * Make a deep copy of the Fields. Equivalent in behavior to calling the
     * `fields` constructor on the return value of `entries`. The resulting
     * `fields` is mutable.
     */
    clone(): Fields;
    /** Gives it back to the host. */
    [Symbol.dispose](): void;
  }
  /** Headers is an alias for Fields. */
  export type Headers = Fields;
  /** Trailers is an alias for Fields. */
  export type Trailers = Fields;
  /** Represents an incoming HTTP Request. */
  export class IncomingRequest {
    private constructor();
    /** Returns the method of the incoming request. */
    method(): Method;
    /** Returns the path with query parameters from the request, as a string. */
    pathWithQuery(): string | null | undefined;
    /** Returns the protocol scheme from the request. */
    scheme(): Scheme | null | undefined;
    /** Returns the authority of the Request's target URI, if present. */
    authority(): string | null | undefined;
    /**
     * Get the `headers` associated with the request.
     *
     * The returned `headers` resource is immutable: `set`, `append`, and
     * `delete` operations will fail with `header-error.immutable`.
     *
     * The `headers` returned are a child resource: it must be dropped before
     * the parent `incoming-request` is dropped. Dropping this
     * `incoming-request` before all children are dropped will trap.
     */
    headers(): Headers;
    /**
     * Gives the `incoming-body` associated with this request. Will only
     * return success at most once, and subsequent calls will return error.
     */
    consume(): IncomingBody;
    /** Gives it back to the host. */
    [Symbol.dispose](): void;
  }
  /** Represents an outgoing HTTP Request. */
  export class OutgoingRequest {
    constructor(headers: Headers);
    /**
     * Returns the resource corresponding to the outgoing Body for this
     * Request.
     *
     * Returns success on the first call: the `outgoing-body` resource for
     * this `outgoing-request` can be retrieved at most once. Subsequent
     * calls will return error.
     */
    body(): OutgoingBody;
    /** Get the Method for the Request. */
    method(): Method;
    /**
     * Set the Method for the Request. Fails if the string present in a
     * `method.other` argument is not a syntactically valid method.
     */
    setMethod(method: Method): void;
    /**
     * Get the combination of the HTTP Path and Query for the Request.
     * When `none`, this represents an empty Path and empty Query.
     */
    pathWithQuery(): string | null | undefined;
    /**
     * Set the combination of the HTTP Path and Query for the Request.
     * When `none`, this represents an empty Path and empty Query. Fails is the
     * string given is not a syntactically valid path and query uri component.
     */
    setPathWithQuery(pathWithQuery: string | null | undefined): void;
    /**
     * Get the HTTP Related Scheme for the Request. When `none`, the
     * implementation may choose an appropriate default scheme.
     */
    scheme(): Scheme | null | undefined;
    /**
     * Set the HTTP Related Scheme for the Request. When `none`, the
     * implementation may choose an appropriate default scheme. Fails if the
     * string given is not a syntactically valid uri scheme.
     */
    setScheme(scheme: Scheme | null | undefined): void;
    /**
     * Get the authority of the Request's target URI. A value of `none` may be used
     * with Related Schemes which do not require an authority. The HTTP and
     * HTTPS schemes always require an authority.
     */
    authority(): string | null | undefined;
    /**
     * Set the authority of the Request's target URI. A value of `none` may be used
     * with Related Schemes which do not require an authority. The HTTP and
     * HTTPS schemes always require an authority. Fails if the string given is
     * not a syntactically valid URI authority.
     */
    setAuthority(authority: string | null | undefined): void;
    /**
     * Get the headers associated with the Request.
     *
     * The returned `headers` resource is immutable: `set`, `append`, and
     * `delete` operations will fail with `header-error.immutable`.
     *
     * This headers resource is a child: it must be dropped before the parent
     * `outgoing-request` is dropped, or its ownership is transferred to
     * another component by e.g. `outgoing-handler.handle`.
     */
    headers(): Headers;
    /** Gives it back to the host. */
    [Symbol.dispose](): void;
  }
  /**
   * Parameters for making an HTTP Request. Each of these parameters is
   * currently an optional timeout applicable to the transport layer of the
   * HTTP protocol.
   *
   * These timeouts are separate from any the user may use to bound a
   * blocking call to `wasi:io/poll.poll`.
   */
  export class RequestOptions {
    constructor();
    /** The timeout for the initial connect to the HTTP Server. */
    connectTimeout(): Duration | null | undefined;
    /**
     * Set the timeout for the initial connect to the HTTP Server. An error
     * return value indicates that this timeout is not supported.
     */
    setConnectTimeout(duration: Duration | null | undefined): void;
    /** The timeout for receiving the first byte of the Response body. */
    firstByteTimeout(): Duration | null | undefined;
    /**
     * Set the timeout for receiving the first byte of the Response body. An
     * error return value indicates that this timeout is not supported.
     */
    setFirstByteTimeout(duration: Duration | null | undefined): void;
    /**
     * The timeout for receiving subsequent chunks of bytes in the Response
     * body stream.
     */
    betweenBytesTimeout(): Duration | null | undefined;
    /**
     * Set the timeout for receiving subsequent chunks of bytes in the Response
     * body stream. An error return value indicates that this timeout is not
     * supported.
     */
    setBetweenBytesTimeout(duration: Duration | null | undefined): void;
    /** Gives it back to the host. */
    [Symbol.dispose](): void;
  }
  /**
   * Represents the ability to send an HTTP Response.
   *
   * This resource is used by the `wasi:http/incoming-handler` interface to
   * allow a Response to be sent corresponding to the Request provided as the
   * other argument to `incoming-handler.handle`.
   */
  export class ResponseOutparam {
    private constructor();
    /**
     * Set the value of the `response-outparam` to either send a response,
     * or indicate an error.
     *
     * This method consumes the `response-outparam` to ensure that it is
     * called at most once. If it is never called, the implementation
     * will respond with an error.
     *
     * The user may provide an `error` to `response` to allow the
     * implementation determine how to respond with an HTTP error response.
     */
    static set(param: ResponseOutparam, response: { tag: "ok"; val: OutgoingResponse } | { tag: "err"; val: ErrorCode }): void;
    /** Gives it back to the host. */
    [Symbol.dispose](): void;
  }
  /** This type corresponds to the HTTP standard Status Code. */
  export type StatusCode = number;
  /** Represents an incoming HTTP Response. */
  export class IncomingResponse {
    private constructor();
    /** Returns the status code from the incoming response. */
    status(): StatusCode;
    /**
     * Returns the headers from the incoming response.
     *
     * The returned `headers` resource is immutable: `set`, `append`, and
     * `delete` operations will fail with `header-error.immutable`.
     *
     * This headers resource is a child: it must be dropped before the parent
     * `incoming-response` is dropped.
     */
    headers(): Headers;
    /**
     * Returns the incoming body. May be called at most once. Returns error
     * if called additional times.
     */
    consume(): IncomingBody;
    /** Gives it back to the host. */
    [Symbol.dispose](): void;
  }
  /**
   * Represents an incoming HTTP Request or Response's Body.
   *
   * A body has both its contents - a stream of bytes - and a (possibly
   * empty) set of trailers, indicating that the full contents of the
   * body have been received. This resource represents the contents as
   * an `input-stream` and the delivery of trailers as a `future-trailers`,
   * and ensures that the user of this interface may only be consuming either
   * the body contents or waiting on trailers at any given time.
   */
  export class IncomingBody {
    private constructor();
    /**
     * Returns the contents of the body, as a stream of bytes.
     *
     * Returns success on first call: the stream representing the contents
     * can be retrieved at most once. Subsequent calls will return error.
     *
     * The returned `input-stream` resource is a child: it must be dropped
     * before the parent `incoming-body` is dropped, or consumed by
     * `incoming-body.finish`.
     *
     * This invariant ensures that the implementation can determine whether
     * the user is consuming the contents of the body, waiting on the
     * `future-trailers` to be ready, or neither. This allows for network
     * backpressure is to be applied when the user is consuming the body,
     * and for that backpressure to not inhibit delivery of the trailers if
     * the user does not read the entire body.
     */
    stream(): InputStream;
    /**
     * Takes ownership of `incoming-body`, and returns a `future-trailers`.
     * This function will trap if the `input-stream` child is still alive.
     */
    static finish(this_: IncomingBody): FutureTrailers;
    /** Gives it back to the host. */
    [Symbol.dispose](): void;
  }
  /**
   * Represents a future which may eventually return trailers, or an error.
   *
   * In the case that the incoming HTTP Request or Response did not have any
   * trailers, this future will resolve to the empty set of trailers once the
   * complete Request or Response body has been received.
   */
  export class FutureTrailers {
    private constructor();
    /**
     * Returns a pollable which becomes ready when either the trailers have
     * been received, or an error has occurred. When this pollable is ready,
     * the `get` method will return `some`.
     */
    subscribe(): Pollable;
    /**
     * Returns the contents of the trailers, or an error which occurred,
     * once the future is ready.
     *
     * The outer `option` represents future readiness. Users can wait on this
     * `option` to become `some` using the `subscribe` method.
     *
     * The outer `result` is used to retrieve the trailers or error at most
     * once. It will be success on the first call in which the outer option
     * is `some`, and error on subsequent calls.
     *
     * The inner `result` represents that either the HTTP Request or Response
     * body, as well as any trailers, were received successfully, or that an
     * error occurred receiving them. The optional `trailers` indicates whether
     * or not trailers were present in the body.
     *
     * When some `trailers` are returned by this method, the `trailers`
     * resource is immutable, and a child. Use of the `set`, `append`, or
     * `delete` methods will return an error, and the resource must be
     * dropped before the parent `future-trailers` is dropped.
     */
    get(): { tag: "ok"; val: { tag: "ok"; val: Trailers | null | undefined } | { tag: "err"; val: ErrorCode } } | { tag: "err"; val?: undefined } | null | undefined;
    /** Gives it back to the host. */
    [Symbol.dispose](): void;
  }
  /** Represents an outgoing HTTP Response. */
  export class OutgoingResponse {
    constructor(headers: Headers);
    /** Get the HTTP Status Code for the Response. */
    statusCode(): StatusCode;
    /**
     * Set the HTTP Status Code for the Response. Fails if the status-code
     * given is not a valid http status code.
     */
    setStatusCode(statusCode: StatusCode): void;
    /**
     * Get the headers associated with the Request.
     *
     * The returned `headers` resource is immutable: `set`, `append`, and
     * `delete` operations will fail with `header-error.immutable`.
     *
     * This headers resource is a child: it must be dropped before the parent
     * `outgoing-request` is dropped, or its ownership is transferred to
     * another component by e.g. `outgoing-handler.handle`.
     */
    headers(): Headers;
    /**
     * Returns the resource corresponding to the outgoing Body for this Response.
     *
     * Returns success on the first call: the `outgoing-body` resource for
     * this `outgoing-response` can be retrieved at most once. Subsequent
     * calls will return error.
     */
    body(): OutgoingBody;
    /** Gives it back to the host. */
    [Symbol.dispose](): void;
  }
  /**
   * Represents an outgoing HTTP Request or Response's Body.
   *
   * A body has both its contents - a stream of bytes - and a (possibly
   * empty) set of trailers, inducating the full contents of the body
   * have been sent. This resource represents the contents as an
   * `output-stream` child resource, and the completion of the body (with
   * optional trailers) with a static function that consumes the
   * `outgoing-body` resource, and ensures that the user of this interface
   * may not write to the body contents after the body has been finished.
   *
   * If the user code drops this resource, as opposed to calling the static
   * method `finish`, the implementation should treat the body as incomplete,
   * and that an error has occurred. The implementation should propagate this
   * error to the HTTP protocol by whatever means it has available,
   * including: corrupting the body on the wire, aborting the associated
   * Request, or sending a late status code for the Response.
   */
  export class OutgoingBody {
    private constructor();
    /**
     * Returns a stream for writing the body contents.
     *
     * The returned `output-stream` is a child resource: it must be dropped
     * before the parent `outgoing-body` resource is dropped (or finished),
     * otherwise the `outgoing-body` drop or `finish` will trap.
     *
     * Returns success on the first call: the `output-stream` resource for
     * this `outgoing-body` may be retrieved at most once. Subsequent calls
     * will return error.
     */
    write(): OutputStream;
    /**
     * Finalize an outgoing body, optionally providing trailers. This must be
     * called to signal that the response is complete. If the `outgoing-body`
     * is dropped without calling `outgoing-body.finalize`, the implementation
     * should treat the body as corrupted.
     *
     * Fails if the body's `outgoing-request` or `outgoing-response` was
     * constructed with a Content-Length header, and the contents written
     * to the body (via `write`) does not match the value given in the
     * Content-Length.
     */
    static finish(this_: OutgoingBody, trailers: Trailers | null | undefined): void;
    /** Gives it back to the host. */
    [Symbol.dispose](): void;
  }
  /**
   * Represents a future which may eventually return an incoming HTTP
   * Response, or an error.
   *
   * This resource is returned by the `wasi:http/outgoing-handler` interface to
   * provide the HTTP Response corresponding to the sent Request.
   */
  export class FutureIncomingResponse {
    private constructor();
    /**
     * Returns a pollable which becomes ready when either the Response has
     * been received, or an error has occurred. When this pollable is ready,
     * the `get` method will return `some`.
     */
    subscribe(): Pollable;
    /**
     * Returns the incoming HTTP Response, or an error, once one is ready.
     *
     * The outer `option` represents future readiness. Users can wait on this
     * `option` to become `some` using the `subscribe` method.
     *
     * The outer `result` is used to retrieve the response or error at most
     * once. It will be success on the first call in which the outer option
     * is `some`, and error on subsequent calls.
     *
     * The inner `result` represents that either the incoming HTTP Response
     * status and headers have received successfully, or that an error
     * occurred. Errors may also occur while consuming the response body,
     * but those will be reported by the `incoming-body` and its
     * `output-stream` child.
     */
    get(): { tag: "ok"; val: { tag: "ok"; val: IncomingResponse } | { tag: "err"; val: ErrorCode } } | { tag: "err"; val?: undefined } | null | undefined;
    /** Gives it back to the host. */
    [Symbol.dispose](): void;
  }
  /**
   * Attempts to extract a http-related `error` from the wasi:io `error`
   * provided.
   *
   * Stream operations which return
   * `wasi:io/stream.stream-error.last-operation-failed` have a payload of
   * type `wasi:io/error.error` with more information about the operation
   * that failed. This payload can be passed through to this function to see
   * if there's http-related information about the error to return.
   *
   * Note that this function is fallible because not all io-errors are
   * http-related errors.
   */
  export function httpErrorCode(err: IoError): ErrorCode | null | undefined;
}

declare module "host:http/outgoing-handler@0.2.12" {
  import type { OutgoingRequest, RequestOptions, FutureIncomingResponse, ErrorCode } from "host:http/types@0.2.12";
  export type { OutgoingRequest };
  export type { RequestOptions };
  export type { FutureIncomingResponse };
  export type { ErrorCode };
  /**
   * This function is invoked with an outgoing HTTP Request, and it returns
   * a resource `future-incoming-response` which represents an HTTP Response
   * which may arrive in the future.
   *
   * The `options` argument accepts optional parameters for the HTTP
   * protocol's transport layer.
   *
   * This function may return an error if the `outgoing-request` is invalid
   * or not allowed to be made. Otherwise, protocol errors are reported
   * through the `future-incoming-response`.
   */
  export function handle(request: OutgoingRequest, options: RequestOptions | null | undefined): FutureIncomingResponse;
}

declare module "host:random/random@0.2.12" {
  /**
   * Return `len` cryptographically-secure random or pseudo-random bytes.
   *
   * This function must produce data at least as cryptographically secure and
   * fast as an adequately seeded cryptographically-secure pseudo-random
   * number generator (CSPRNG). It must not block, from the perspective of
   * the calling program, under any circumstances, including on the first
   * request and on requests for numbers of bytes. The returned data must
   * always be unpredictable.
   *
   * This function must always return fresh data. Deterministic environments
   * must omit this function, rather than implementing it with deterministic
   * data.
   */
  export function getRandomBytes(len: number | bigint): Uint8Array;
  /**
   * Return a cryptographically-secure random or pseudo-random `u64` value.
   *
   * This function returns the same type of data as `get-random-bytes`,
   * represented as a `u64`.
   */
  export function getRandomU64(): number | bigint;
}

declare module "pelton:processor/types@0.1.0" {
  /** Place of an event in its stream: 1, 2, 3 and so on, without gaps. 1 is the stream's own `stream/initialized`. */
  export type Offset = number | bigint;
  /** Milliseconds since the Unix epoch, UTC. */
  export type Timestamp = number | bigint;
  /** One JSON text (RFC 8259) in UTF-8. Numbers are passed on as they were written. */
  export type Json = string;
  /** Who appended an event, stamped by the host on everything that a processor appends; a guest cannot set it. */
  export interface Source {
    /** Slug of the processor that appended the event. */
    slug: string;
    /** Digest of its component: `sha256:` and 64 hexadecimal digits. */
    digest: string;
    /** Stream of the event it was handling. */
    streamPath: string;
    /** Offset of the event it was handling. */
    offset: Offset;
    /**
     * 1 for an answer to an event from outside, 2 for an answer to such an answer, and so on. The host refuses appends
     * beyond its limit, so that loops end.
     */
    depth: number;
  }
  /** A recorded event. It never changes. */
  export interface Event {
    /** Path of the stream it is in: `/` or `/segment/segment`. */
    streamPath: string;
    /** Its place in that stream. */
    offset: Offset;
    /** Its type, 1 to 2048 characters. */
    eventType: string;
    /** A JSON object. */
    payload: Json;
    /** A JSON object, or absence where the event has none. */
    metadata?: Json | null | undefined;
    /** The key under which a repeated append finds this event, or absence. */
    idempotencyKey?: string | null | undefined;
    /** When the host recorded it. */
    createdAt: Timestamp;
    /** Which processor appended it, or absence for an event from outside. */
    source?: Source | null | undefined;
  }
  /** A proposed event. */
  export interface NewEvent {
    /** Its type, 1 to 2048 characters, without white space at its ends. */
    eventType: string;
    /** A JSON object. */
    payload: Json;
    /** A JSON object, or absence. */
    metadata?: Json | null | undefined;
    /** An append with a key that the stream has seen gives back the event recorded then, and records nothing. */
    idempotencyKey?: string | null | undefined;
    /** The append is refused as a conflict unless the event would get this offset. */
    expectedOffset?: Offset | null | undefined;
  }
  /** Why an append was refused. The text is for people; a program decides by the case. */
  export type AppendError = { tag: "paused"; val: string } | { tag: "conflict"; val: string } | { tag: "denied"; val: string } | { tag: "invalid"; val: string } | { tag: "unavailable"; val: string };
}

declare module "pelton:processor/context@0.1.0" {
  import type { Json } from "pelton:processor/types@0.1.0";
  export type { Json };
  /** How serious a log line is. */
  export type Level = "debug" | "info" | "warn" | "error";
  /** The `config` of the processor's configuration, one JSON text; `{}` where none was given. */
  export function config(): Json;
  /** The slug under which this processor is configured. */
  export function slug(): string;
  /**
   * Writes one line to the host's log, with tenant, stream, slug and offset added. Never fails; the host cuts long
   * lines and drops lines past its limit a call, and says so.
   */
  export function log(level: Level, message: string): void;
}

declare module "pelton:processor/outbox@0.1.0" {
  import type { AppendError, NewEvent } from "pelton:processor/types@0.1.0";
  export type { AppendError };
  export type { NewEvent };
  /**
   * Adds an event to those that are recorded when `after-append` returns ok, all together with the processor's cursor,
   * exactly once; none is recorded when it returns an error or traps.
   *
   * `to` is an absolute path, or one relative to the stream of the event being handled (`./below`, `../beside`);
   * absence means that stream itself. Success means 'well formed and kept for the commit'. Failure: `invalid` or `denied` at once.
   * A refusal that shows only at the commit (an expected offset, a paused stream) fails the whole call, which is retried.
   */
  export function append(to: string | null | undefined, event: NewEvent): void;
}

declare module "pelton:processor/appender@0.1.0" {
  import type { AppendError, Event, NewEvent } from "pelton:processor/types@0.1.0";
  export type { AppendError };
  export type { Event };
  export type { NewEvent };
  /**
   * Records an event at once and returns it. `to` as in `outbox`.
   *
   * Without an idempotency key the host derives one from the slug, the offset being handled and the number of this append in the
   * call, so that a call repeated after a crash finds the event it recorded before. Every case of `append-error` is possible.
   */
  export function append(to: string | null | undefined, event: NewEvent): Event;
}
