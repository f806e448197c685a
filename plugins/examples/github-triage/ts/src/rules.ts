// Which labels something new should get. The rules stand in words in ../../rust/src/rules.md.

import type { Subject } from "./delivery.ts";

const BUG = ["bug", "bugs", "broken", "crash", "crashes", "error", "errors", "exception", "fails", "panic", "regression"];
const QUESTION = ["how", "why", "what", "when", "where", "which", "can", "does"];
const DOCUMENTATION = ["doc", "docs", "documentation", "readme", "spelling", "typo"];
const SECURITY = ["security", "vulnerability", "exploit", "injection", "xss", "cve"];
const FIRST = ["FIRST_TIMER", "FIRST_TIME_CONTRIBUTOR"];

interface Rule {
  rule: string;
  label: string;
  matches(subject: Subject): boolean;
}

const RULES: Rule[] = [
  { rule: "mentions-bug", label: "bug", matches: (subject) => mentions(subject, BUG) },
  { rule: "asks", label: "question", matches: ({ title }) => /\?[ \t\n\f\r]*$/.test(title) || QUESTION.includes(words(title)[0] ?? "") },
  { rule: "mentions-documentation", label: "documentation", matches: (subject) => mentions(subject, DOCUMENTATION) },
  { rule: "mentions-security", label: "security", matches: (subject) => mentions(subject, SECURITY) },
  { rule: "no-body", label: "needs-details", matches: ({ body }) => /^[ \t\n\f\r]*$/.test(body ?? "") },
  { rule: "first-contribution", label: "welcome", matches: ({ author_association }) => FIRST.includes(author_association ?? "") },
];

const NOTHING_ELSE = { rule: "nothing-else", label: "needs-triage" };

/** The rules that match, each with its label, in their order; at least one. */
export function matching(subject: Subject): { rule: string; label: string }[] {
  const found = RULES.filter((rule) => rule.matches(subject));
  return found.length === 0 ? [NOTHING_ELSE] : found;
}

function mentions({ title, body }: Subject, list: string[]): boolean {
  return [...words(title), ...words(body ?? "")].some((word) => list.includes(word));
}

/** Runs of the letters a to z and digits, in lower case. */
function words(text: string): string[] {
  return (text.match(/[a-zA-Z0-9]+/g) ?? []).map((word) => word.toLowerCase());
}
