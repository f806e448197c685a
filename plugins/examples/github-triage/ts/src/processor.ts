// Runs on what GitHub really sends: keeps count of webhooks and of what is open, and labels what is new.
//
// Input, state and output are those of the same example in Rust (../../rust/src/lib.rs); the labels stand in ../../rust/src/rules.md.

import { defineProcessor } from "@pelton/sdk";

import { type Delivery, read, type Subject } from "./delivery.ts";
import { matching } from "./rules.ts";

interface Desk {
  deliveries: number;
  events: Tally;
  repositories: Tally;
  openIssues: Shelf;
  openPullRequests: Shelf;
}

type Tally = { [name: string]: number };

/** What is open, by repository and number. */
type Shelf = { [repository: string]: { [number: string]: Open } };

interface Open {
  title: string;
  author: string | null;
  createdAt: string;
  labels: string[];
}

interface Labelled {
  to: number;
  repository: string;
  number: number;
  kind: "issue" | "pull-request";
  labels: string[];
  rules: string[];
}

export default defineProcessor<Desk, { "stream/invalid-event-appended": unknown }, { "triage/labelled": Labelled }>({
  name: "github-triage",
  version: "0.1.0",
  description: "Keeps count of GitHub webhooks and of what is open, and labels new issues and pull requests.",
  consumes: ["stream/invalid-event-appended"],
  emits: ["triage/labelled"],
  initialState: { deliveries: 0, events: {}, repositories: {}, openIssues: {}, openPullRequests: {} },

  reduce(desk, event) {
    const delivery = read(event);
    if (delivery !== undefined) take(desk, delivery);
  },

  afterAppend(event, _desk, context) {
    const { action, repository, subject } = read(event) ?? {};
    if (action !== "opened" || repository === undefined || subject === undefined) return;
    const found = matching(subject.of);
    context.append({
      type: "triage/labelled",
      payload: {
        to: event.offset,
        repository,
        number: subject.of.number,
        kind: subject.kind,
        labels: found.map(({ label }) => label),
        rules: found.map(({ rule }) => rule),
      },
    });
  },
});

function take(desk: Desk, { event, action, repository, subject }: Delivery): void {
  desk.deliveries += 1;
  count(desk.events, event);
  if (repository === undefined) return;
  count(desk.repositories, repository);
  if (subject === undefined) return;
  const shelf = subject.kind === "issue" ? desk.openIssues : desk.openPullRequests;
  const gone = action === "closed" || action === "deleted" || action === "transferred";
  // GitHub's word on the state counts more than the name of the action: deliveries overtake each other.
  if (subject.of.state === "open" && !gone) put(shelf, repository, { ...at(shelf, repository), [subject.of.number]: open(subject.of) });
  // `pinned`, for one, comes without a state and with less than is known already.
  else if (subject.of.state === "closed" || gone) remove(shelf, repository, subject.of.number);
}

function remove(shelf: Shelf, repository: string, number: number): void {
  const open = at(shelf, repository);
  if (open === undefined) return;
  delete open[number];
  if (Object.keys(open).length === 0) delete shelf[repository];
}

function open({ title, user, created_at, labels }: Subject): Open {
  return { title, author: user?.login ?? null, createdAt: created_at, labels: labels.map(({ name }) => name) };
}

function count(tally: Tally, name: string): void {
  put(tally, name, (at(tally, name) ?? 0) + 1);
}

// Names come from outside: `__proto__` is one like any other.

function at<T>(map: { [name: string]: T }, name: string): T | undefined {
  return Object.hasOwn(map, name) ? map[name] : undefined;
}

function put<T>(map: { [name: string]: T }, name: string, value: T): void {
  Object.defineProperty(map, name, { value, configurable: true, enumerable: true, writable: true });
}
