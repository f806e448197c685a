// UTF-8, the one encoding here.

const REPLACEMENT = 0xfffd;

export class TextEncoder {
  get encoding() {
    return "utf-8";
  }

  /** @param {string} [text] */
  encode(text = "") {
    const well = String(text).toWellFormed();
    const bytes = new Uint8Array(well.length * 3);
    return bytes.slice(0, write(well, bytes).written);
  }

  /**
   * @param {string} text
   * @param {Uint8Array} bytes
   */
  encodeInto(text, bytes) {
    return write(String(text).toWellFormed(), bytes);
  }
}

/**
 * Writes as many whole characters as there is room for.
 *
 * @param {string} text
 * @param {Uint8Array} bytes
 */
function write(text, bytes) {
  let written = 0;
  let read = 0;
  while (read < text.length) {
    const point = /** @type {number} */ (text.codePointAt(read));
    const size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    if (written + size > bytes.length) break;
    if (size === 1) {
      bytes[written] = point;
    } else {
      const lead = [0, 0, 0xc0, 0xe0, 0xf0][size];
      for (let rest = size - 1, left = point; rest >= 0; rest -= 1, left >>= 6) {
        bytes[written + rest] = rest === 0 ? lead | left : 0x80 | (left & 0x3f);
      }
    }
    written += size;
    read += size === 4 ? 2 : 1;
  }
  return { read, written };
}

export class TextDecoder {
  #fatal;
  #ignoreBom;
  #atStart = true;
  /** @type {number[]} The beginning of a character whose rest is to come. */
  #left = [];

  /**
   * @param {string} [label]
   * @param {{ fatal?: boolean, ignoreBOM?: boolean }} [options]
   */
  constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
    if (!/^\s*(utf-?8|unicode-1-1-utf-8)\s*$/i.test(label)) throw new RangeError(`only UTF-8 can be decoded here, not ${label}`);
    this.#fatal = fatal;
    this.#ignoreBom = ignoreBOM;
  }

  get encoding() {
    return "utf-8";
  }

  get fatal() {
    return this.#fatal;
  }

  get ignoreBOM() {
    return this.#ignoreBom;
  }

  /**
   * @param {ArrayBuffer | ArrayBufferView} [input]
   * @param {{ stream?: boolean }} [options]
   */
  decode(input = new Uint8Array(), { stream = false } = {}) {
    const { points, left } = decode(this.#left, asBytes(input), stream, this.#fatal);
    this.#left = left;
    if (this.#atStart && points.length > 0 && !this.#ignoreBom && points[0] === 0xfeff) points.shift();
    this.#atStart = stream ? this.#atStart && points.length === 0 : true;
    let text = "";
    for (let at = 0; at < points.length; at += 4096) text += String.fromCodePoint(...points.slice(at, at + 4096));
    return text;
  }
}

/** @param {ArrayBuffer | ArrayBufferView} input */
export function asBytes(input) {
  return ArrayBuffer.isView(input) ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength) : new Uint8Array(input);
}

/**
 * @param {number[]} before
 * @param {Uint8Array} bytes
 * @param {boolean} more
 * @param {boolean} fatal
 */
function decode(before, bytes, more, fatal) {
  /** @type {number[]} */
  const points = [];
  let left = before;
  const bad = () => {
    if (fatal) throw new TypeError("the bytes are not UTF-8");
    points.push(REPLACEMENT);
    left = [];
  };
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (left.length > 0) {
      if (continues(left, byte)) {
        left = [...left, byte];
        if (left.length === length(left[0])) {
          points.push(point(left));
          left = [];
        }
        continue;
      }
      bad();
    }
    if (byte < 0x80) points.push(byte);
    else if (length(byte) === 0) bad();
    else left = [byte];
  }
  if (!more && left.length > 0) bad();
  return { points, left };
}

/** @param {number} lead */
function length(lead) {
  return lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
}

/**
 * The second byte has a narrower range after some leads: no overlong forms, no surrogates, nothing past U+10FFFF.
 *
 * @param {number[]} left
 * @param {number} byte
 */
function continues(left, byte) {
  const lead = left[0];
  if (left.length > 1) return byte >= 0x80 && byte < 0xc0;
  const from = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const to = lead === 0xed ? 0xa0 : lead === 0xf4 ? 0x90 : 0xc0;
  return byte >= from && byte < to;
}

/** @param {number[]} bytes */
function point([lead, ...rest]) {
  return rest.reduce((value, byte) => (value << 6) | (byte & 0x3f), lead & (0xff >> (rest.length + 2)));
}
