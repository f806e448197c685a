/**
 * The placeholder that the host replaces by the secret's value on its way out.
 *
 * @param {string} name
 * @returns {string}
 */
export function secret(name) {
  if (typeof name !== "string" || name.trim() === "" || /[{}]/.test(name)) {
    throw new TypeError(`a secret's name is a string without braces, not ${JSON.stringify(name)}`);
  }
  return `{{secret:${name}}}`;
}
