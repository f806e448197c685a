// What the processor github-triage must arrive at for the payloads of `@octokit/webhooks-examples`, computed without any of its code.
// README.md says how to use it, src/rules.md what the rules are.

import { readFileSync } from "node:fs";
import { join } from "node:path";

const [mode, folder] = process.argv.slice(2);
if (!folder || !["--deliveries", "--expected"].includes(mode)) {
  console.error("usage: node expected.mjs --deliveries|--expected <folder of the package @octokit/webhooks-examples>");
  process.exit(2);
}

// The order is the file's: by event, and within an event as listed.
const deliveries = JSON.parse(readFileSync(join(folder, "api.github.com", "index.json"), "utf8")).flatMap(({ name, examples }) =>
  examples.map((payload) => ({ event: name, payload })),
);
console.log(JSON.stringify(mode === "--deliveries" ? deliveries : expected(deliveries)));

function expected(deliveries) {
  const kinds = { issues: ["issue", "issue"], pull_request: ["pull_request", "pull-request"] };
  const subjects = deliveries.flatMap(({ event, payload }, delivery) => {
    const [field, kind] = kinds[event] ?? [];
    const repository = payload.repository?.full_name;
    return field && repository && payload[field] ? [{ delivery, kind, repository, action: payload.action, it: payload[field] }] : [];
  });
  return {
    state: {
      deliveries: deliveries.length,
      events: tally(deliveries.map(({ event }) => event)),
      repositories: tally(deliveries.map(({ payload }) => payload.repository?.full_name).filter((name) => name !== undefined)),
      openIssues: open(subjects.filter(({ kind }) => kind === "issue")),
      openPullRequests: open(subjects.filter(({ kind }) => kind === "pull-request")),
    },
    labelled: subjects
      .filter(({ action }) => action === "opened")
      .map(({ delivery, kind, repository, it }) => ({ delivery, repository, number: it.number, kind, ...label(it) })),
  };
}

function tally(names) {
  return Object.fromEntries([...new Set(names)].sort().map((name) => [name, names.filter((other) => other === name).length]));
}

// Backwards: the last delivery that says whether a thing is open decides, and shows what it looked like then.
function open(subjects) {
  const decided = new Set();
  const result = {};
  for (const { repository, action, it } of [...subjects].reverse()) {
    const id = `${repository}#${it.number}`;
    const leaves = ["closed", "deleted", "transferred"].includes(action) || it.state === "closed";
    if (decided.has(id) || !(leaves || it.state === "open")) continue;
    decided.add(id);
    if (leaves) continue;
    result[repository] ??= {};
    result[repository][it.number] = {
      title: it.title,
      author: it.user?.login ?? null,
      createdAt: it.created_at,
      labels: (it.labels ?? []).map(({ name }) => name),
    };
  }
  return result;
}

function label({ title, body, author_association: association }) {
  const text = `${title}\n${body ?? ""}`;
  const word = (words) => new RegExp(`(?<![a-z0-9])(${words})(?![a-z0-9])`, "i");
  const found = [
    ["mentions-bug", "bug", word("bugs?|broken|crash|crashes|errors?|exception|fails|panic|regression").test(text)],
    ["asks", "question", /\?[ \t\n\f\r]*$|^[^a-z0-9]*(how|why|what|when|where|which|can|does)(?![a-z0-9])/i.test(title)],
    ["mentions-documentation", "documentation", word("docs?|documentation|readme|spelling|typo").test(text)],
    ["mentions-security", "security", word("security|vulnerability|exploit|injection|xss|cve").test(text)],
    ["no-body", "needs-details", /^[ \t\n\f\r]*$/.test(body ?? "")],
    ["first-contribution", "welcome", /^FIRST_TIME(R|_CONTRIBUTOR)$/.test(association ?? "")],
  ].filter(([, , matches]) => matches);
  const matching = found.length ? found : [["nothing-else", "needs-triage"]];
  return { labels: matching.map(([, label]) => label), rules: matching.map(([rule]) => rule) };
}
