// One webhook delivery, read out of the record that the host made of it. Nothing in it is as its types say until it has been looked at.

import type { Event } from "@pelton/sdk";

export interface Delivery {
  /** The header `x-github-event`. */
  event: string;
  action: string | undefined;
  /** `repository.full_name`. */
  repository: string | undefined;
  /** What an `issues` or `pull_request` delivery is about. */
  subject: { kind: "issue" | "pull-request"; of: Subject } | undefined;
}

/** An issue or a pull request; the parts that matter here are the same in both. */
export interface Subject {
  number: number;
  title: string;
  body: string | null;
  state: string | null;
  created_at: string;
  user: { login: string } | null;
  labels: { name: string }[];
  author_association: string | null;
}

/** `undefined` when the record is no webhook delivery. */
export function read({ metadata, payload }: Event<string, any>): Delivery | undefined {
  const event = text(metadata?.headers?.["x-github-event"]);
  if (event === undefined || payload.rawInput === undefined) return undefined;
  // Read part by part, so that one odd part does not hide the others.
  const body = payload.rawInput ?? {};
  return { event, action: text(body.action), repository: text(body.repository?.full_name), subject: subjectOf(event, body) };
}

function subjectOf(event: string, body: any): Delivery["subject"] {
  const [kind, it] =
    event === "issues" ? (["issue", body.issue] as const) : event === "pull_request" ? (["pull-request", body.pull_request] as const) : [];
  const of = kind && subject(it);
  return of && { kind, of };
}

/** `undefined` when one of the parts is not as GitHub documents it. */
function subject(it: any): Subject | undefined {
  const { number, title, body = null, state = null, created_at, user = null, labels = [], author_association = null } = it ?? {};
  const fits =
    Number.isSafeInteger(number) &&
    number >= 0 &&
    [title, created_at].every((part) => text(part) !== undefined) &&
    [body, state, author_association].every((part) => part === null || text(part) !== undefined) &&
    (user === null || text(user.login) !== undefined) &&
    Array.isArray(labels) &&
    labels.every((label) => text(label?.name) !== undefined);
  return fits ? { number, title, body, state, created_at, user, labels, author_association } : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
