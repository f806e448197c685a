// Promises whose jobs the SDK's loop runs. As the language has them, except that subclasses get plain promises from `then`.

import { enqueue, heard, rejectedUnheard } from "./loop.js";

class SdkPromise {
  /** @type {"pending" | "fulfilled" | "rejected"} */
  #state = "pending";
  /** @type {any} */
  #value;
  /** @type {(() => void)[]} */
  #reactions = [];

  /** @param {(resolve: (value?: any) => void, reject: (reason?: unknown) => void) => void} executor */
  constructor(executor) {
    if (typeof executor !== "function") throw new TypeError("a promise needs a function to settle it");
    const { resolve, reject } = this.#resolvers();
    try {
      executor(resolve, reject);
    } catch (error) {
      reject(error);
    }
  }

  // Only the first call of either counts.
  #resolvers() {
    let called = false;
    const once = (/** @type {(value: any) => void} */ settle) => (/** @type {any} */ value) => {
      if (called) return;
      called = true;
      settle(value);
    };
    return {
      resolve: once((value) => this.#resolve(value)),
      reject: once((reason) => this.#settle("rejected", reason)),
    };
  }

  /** @param {any} value */
  #resolve(value) {
    if (value === this) return this.#settle("rejected", new TypeError("a promise cannot wait for itself"));
    if ((typeof value !== "object" && typeof value !== "function") || value === null) return this.#settle("fulfilled", value);
    /** @type {any} */
    let then;
    try {
      then = value.then;
    } catch (error) {
      return this.#settle("rejected", error);
    }
    if (typeof then !== "function") return this.#settle("fulfilled", value);
    const { resolve, reject } = this.#resolvers();
    enqueue(() => {
      try {
        then.call(value, resolve, reject);
      } catch (error) {
        reject(error);
      }
    });
  }

  /**
   * @param {"fulfilled" | "rejected"} state
   * @param {any} value
   */
  #settle(state, value) {
    this.#state = state;
    this.#value = value;
    if (state === "rejected" && this.#reactions.length === 0) rejectedUnheard(this, value);
    for (const reaction of this.#reactions) enqueue(reaction);
    this.#reactions = [];
  }

  /**
   * @param {any} [onFulfilled]
   * @param {any} [onRejected]
   */
  then(onFulfilled, onRejected) {
    return new SdkPromise((resolve, reject) => {
      const react = () => {
        const handler = this.#state === "fulfilled" ? onFulfilled : onRejected;
        if (typeof handler !== "function") return this.#state === "fulfilled" ? resolve(this.#value) : reject(this.#value);
        try {
          resolve(handler(this.#value));
        } catch (error) {
          reject(error);
        }
      };
      heard(this);
      if (this.#state === "pending") this.#reactions.push(react);
      else enqueue(react);
    });
  }

  /** @param {any} [onRejected] */
  catch(onRejected) {
    return this.then(undefined, onRejected);
  }

  /** @param {any} [onFinally] */
  finally(onFinally) {
    if (typeof onFinally !== "function") return this.then(onFinally, onFinally);
    return this.then(
      (/** @type {any} */ value) => SdkPromise.resolve(onFinally()).then(() => value),
      (/** @type {unknown} */ reason) =>
        SdkPromise.resolve(onFinally()).then(() => {
          throw reason;
        }),
    );
  }

  get [Symbol.toStringTag]() {
    return "Promise";
  }

  /** @param {any} [value] */
  static resolve(value) {
    return value instanceof SdkPromise ? value : new SdkPromise((resolve) => resolve(value));
  }

  /** @param {unknown} [reason] */
  static reject(reason) {
    return new SdkPromise((_resolve, reject) => reject(reason));
  }

  static withResolvers() {
    /** @type {any} */
    const parts = {};
    parts.promise = new SdkPromise((resolve, reject) => Object.assign(parts, { resolve, reject }));
    return parts;
  }

  /**
   * @param {(...values: any[]) => any} call
   * @param {any[]} values
   */
  static try(call, ...values) {
    return new SdkPromise((resolve) => resolve(call(...values)));
  }

  /** @param {Iterable<any>} values */
  static all(values) {
    return each(values, (promise, { fulfil, reject }) => promise.then(fulfil, reject));
  }

  /** @param {Iterable<any>} values */
  static allSettled(values) {
    return each(values, (promise, { fulfil }) =>
      promise.then(
        (/** @type {any} */ value) => fulfil({ status: "fulfilled", value }),
        (/** @type {unknown} */ reason) => fulfil({ status: "rejected", reason }),
      ),
    );
  }

  /** @param {Iterable<any>} values */
  static any(values) {
    const inverted = each(values, (promise, { fulfil, reject }) => promise.then(reject, fulfil));
    return inverted.then(
      (/** @type {unknown[]} */ reasons) => {
        throw new AggregateError(reasons, "all promises were rejected");
      },
      (/** @type {any} */ value) => value,
    );
  }

  /** @param {Iterable<any>} values */
  static race(values) {
    return new SdkPromise((resolve, reject) => {
      for (const value of values) SdkPromise.resolve(value).then(resolve, reject);
    });
  }
}

/**
 * A promise of what each of the values came to, in their order.
 *
 * @param {Iterable<any>} values
 * @param {(promise: SdkPromise, settle: { fulfil: (value: any) => void, reject: (reason?: unknown) => void }) => void} attach
 */
function each(values, attach) {
  return new SdkPromise((resolve, reject) => {
    /** @type {any[]} */
    const results = [];
    let missing = 1;
    const arrived = () => {
      missing -= 1;
      if (missing === 0) resolve(results);
    };
    for (const value of values) {
      const index = results.length;
      results.push(undefined);
      missing += 1;
      const fulfil = (/** @type {any} */ result) => {
        results[index] = result;
        arrived();
      };
      attach(SdkPromise.resolve(value), { fulfil, reject });
    }
    arrived();
  });
}

Object.defineProperty(SdkPromise, "name", { value: "Promise" });

export { SdkPromise };
