// The headers of a request or a response: names without regard to case, values in the order they came.

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

export class Headers {
  /** @type {Map<string, string[]>} */
  #values = new Map();

  /** @param {any} [init] another Headers, an object, or pairs */
  constructor(init) {
    if (init == null) return;
    const pairs = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
    for (const [name, value] of pairs) this.append(name, value);
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  append(name, value) {
    const key = keyOf(name);
    this.#values.set(key, [...(this.#values.get(key) ?? []), valueOf(name, value)]);
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  set(name, value) {
    this.#values.set(keyOf(name), [valueOf(name, value)]);
  }

  /** @param {string} name */
  get(name) {
    return this.#values.get(keyOf(name))?.join(", ") ?? null;
  }

  /** @param {string} name */
  has(name) {
    return this.#values.has(keyOf(name));
  }

  /** @param {string} name */
  delete(name) {
    this.#values.delete(keyOf(name));
  }

  getSetCookie() {
    return [...(this.#values.get("set-cookie") ?? [])];
  }

  /**
   * @param {(value: string, name: string, headers: Headers) => void} call
   * @param {unknown} [self]
   */
  forEach(call, self) {
    for (const [name, value] of this) call.call(self, value, name, this);
  }

  *entries() {
    for (const name of [...this.#values.keys()].sort()) {
      const values = /** @type {string[]} */ (this.#values.get(name));
      // Cookies hold commas, so they stay apart.
      for (const value of name === "set-cookie" ? values : [values.join(", ")]) yield /** @type {[string, string]} */ ([name, value]);
    }
  }

  *keys() {
    for (const [name] of this) yield name;
  }

  *values() {
    for (const [, value] of this) yield value;
  }

  [Symbol.iterator]() {
    return this.entries();
  }
}

/** @param {unknown} name */
function keyOf(name) {
  const text = String(name);
  if (!NAME.test(text)) throw new TypeError(`${JSON.stringify(text)} is no name of a header`);
  return text.toLowerCase();
}

/**
 * @param {unknown} name
 * @param {unknown} value
 */
function valueOf(name, value) {
  const text = String(value).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
  // The value may be a secret, so it is not shown.
  if (/[\0\n\r]/.test(text) || /[^\0-\xff]/.test(text)) throw new TypeError(`the value of the header ${String(name)} holds what no header can`);
  return text;
}
