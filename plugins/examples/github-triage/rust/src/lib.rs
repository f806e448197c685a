//! Runs on what GitHub really sends: keeps count of webhooks and of what is open, and labels what is new.
//!
//! # Input
//!
//! A repository's webhook (content type `application/json`) posts its bodies straight to a stream. Such a body is no event, it has no `type`,
//! so the host records it as `stream/invalid-event-appended`, whose payload holds the body as `rawInput` and whose metadata
//! holds the request's `headers`; `x-github-event` among them says which event it is. Records without that header are
//! someone else's and passed over. Bodies come from outside, so a part that is not as GitHub documents it is passed over too:
//! it never stops the processor.
//!
//! # State
//!
//! ```json
//! {
//!   "deliveries": 3,
//!   "events": { "issues": 2, "star": 1 },
//!   "repositories": { "octo/hello": 3 },
//!   "openIssues": { "octo/hello": { "7": { "title": "Crash", "author": "ada", "createdAt": "2026-01-02T03:04:05Z", "labels": ["bug"] } } },
//!   "openPullRequests": {}
//! }
//! ```
//!
//! `repositories` counts by `repository.full_name`; a delivery about no repository counts in `deliveries` and `events` only. An
//! issue or pull request is kept, as its latest `issues` or `pull_request` delivery shows it, while its `state` is `open`; `closed`,
//! `deleted` and `transferred` remove it, and `reopened` brings it back. `author` is null when the account is gone.
//!
//! # Output
//!
//! For each issue and pull request that is `opened`: `triage/labelled`
//!
//! ```json
//! { "to": 12, "repository": "octo/hello", "number": 7, "kind": "issue", "labels": ["bug", "needs-details"], "rules": ["mentions-bug", "no-body"] }
//! ```
//!
//! `to` is the offset of the delivery's record, `kind` is `issue` or `pull-request`; `labels` and `rules` go in pairs.
#![doc = include_str!("rules.md")]

mod delivery;
mod rules;

use std::collections::BTreeMap;

use pelton_sdk::{EffectContext, Event, Manifest, NewEvent, Processor, ReduceContext, Result};
use serde::{Deserialize, Serialize};

use delivery::{Delivery, Kind, Subject};

/// Ordered maps, so that the same deliveries always give the same text.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Desk {
    deliveries: u64,
    events: BTreeMap<String, u64>,
    repositories: BTreeMap<String, u64>,
    open_issues: Shelf,
    open_pull_requests: Shelf,
}

/// What is open, by repository and number.
type Shelf = BTreeMap<String, BTreeMap<u64, Open>>;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Open {
    title: String,
    author: Option<String>,
    created_at: String,
    labels: Vec<String>,
}

#[derive(Serialize)]
struct Labelled<'a> {
    to: u64,
    repository: &'a str,
    number: u64,
    kind: Kind,
    labels: Vec<&'static str>,
    rules: Vec<&'static str>,
}

struct GithubTriage;

impl Processor for GithubTriage {
    type State = Desk;

    fn manifest() -> Manifest {
        Manifest::new("github-triage", env!("CARGO_PKG_VERSION"))
            .description("Keeps count of GitHub webhooks and of what is open, and labels new issues and pull requests.")
            .consumes(["stream/invalid-event-appended"])
            .emits(["triage/labelled"])
    }

    fn reduce(desk: &mut Desk, event: &Event, _context: &ReduceContext) -> Result<()> {
        if let Some(delivery) = Delivery::read(event) {
            desk.take(delivery);
        }
        Ok(())
    }

    fn after_append(event: &Event, _desk: &Desk, context: &EffectContext) -> Result<()> {
        let Some(Delivery { action: Some("opened"), repository: Some(repository), subject: Some((kind, subject)), .. }) =
            Delivery::read(event)
        else {
            return Ok(());
        };
        let (rules, labels) = rules::matching(&subject).into_iter().unzip();
        let labelled = Labelled { to: event.offset, repository: &repository, number: subject.number, kind, labels, rules };
        Ok(context.append(NewEvent::new("triage/labelled").payload(labelled))?)
    }
}

pelton_sdk::export!(GithubTriage);

impl Desk {
    fn take(&mut self, delivery: Delivery) {
        self.deliveries += 1;
        *self.events.entry(delivery.event).or_default() += 1;
        let Some(repository) = delivery.repository else { return };
        *self.repositories.entry(repository.clone()).or_default() += 1;
        let Some((kind, subject)) = delivery.subject else { return };
        let shelf = match kind {
            Kind::Issue => &mut self.open_issues,
            Kind::PullRequest => &mut self.open_pull_requests,
        };
        let gone = matches!(delivery.action, Some("closed" | "deleted" | "transferred"));
        match subject.state.as_deref() {
            // GitHub's word on the state counts more than the name of the action: deliveries overtake each other.
            Some("open") if !gone => {
                shelf.entry(repository).or_default().insert(subject.number, subject.into());
            }
            Some("closed") => remove(shelf, &repository, subject.number),
            _ if gone => remove(shelf, &repository, subject.number),
            // `pinned`, for one, comes without a state and with less than is known already.
            _ => {}
        }
    }
}

fn remove(shelf: &mut Shelf, repository: &str, number: u64) {
    if let Some(open) = shelf.get_mut(repository) {
        open.remove(&number);
        if open.is_empty() {
            shelf.remove(repository);
        }
    }
}

impl From<Subject> for Open {
    fn from(subject: Subject) -> Open {
        Open {
            title: subject.title,
            author: subject.user.map(|user| user.login),
            created_at: subject.created_at,
            labels: subject.labels.into_iter().map(|label| label.name).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pelton_sdk::testing::{Appended, Host};
    use pelton_sdk::{Value, json};

    fn deliver(host: &mut Host<GithubTriage>, event: &str, body: Value) -> Vec<Appended> {
        let payload = json!({ "rawInput": body, "error": "type is missing" });
        let metadata = json!({ "headers": { "x-github-event": event, "x-github-delivery": "1" } });
        host.append_with_metadata("stream/invalid-event-appended", payload, Some(metadata)).unwrap()
    }

    fn subject(action: &str, kind: &str, state: &str) -> Value {
        let subject = json!({
            "number": 7, "title": "Crash at start", "body": null, "state": state, "created_at": "2026-01-02T03:04:05Z",
            "user": { "login": "ada" }, "labels": [{ "name": "urgent" }], "author_association": "NONE",
        });
        json!({ "action": action, "repository": { "full_name": "octo/hello" }, kind: subject })
    }

    fn state(host: &Host<GithubTriage>) -> Value {
        pelton_sdk::Value::from_iter(serde_json::from_str::<BTreeMap<String, Value>>(host.state_json()).unwrap())
    }

    #[test]
    fn an_opened_issue_is_kept_and_labelled() {
        let mut host = Host::new();
        let answers = deliver(&mut host, "issues", subject("opened", "issue", "open"));
        assert_eq!(answers[0].event_type, "triage/labelled");
        let labels = json!({ "labels": ["bug", "needs-details"], "rules": ["mentions-bug", "no-body"] });
        let expected = json!({ "to": 2, "repository": "octo/hello", "number": 7, "kind": "issue", "labels": labels["labels"], "rules": labels["rules"] });
        assert_eq!(answers[0].payload, expected);
        let open = json!({ "octo/hello": { "7": {
            "title": "Crash at start", "author": "ada", "createdAt": "2026-01-02T03:04:05Z", "labels": ["urgent"],
        } } });
        let expected = json!({
            "deliveries": 1, "events": { "issues": 1 }, "repositories": { "octo/hello": 1 }, "openIssues": open, "openPullRequests": {},
        });
        assert_eq!(state(&host), expected);
    }

    #[test]
    fn closed_deleted_and_transferred_remove_and_reopened_brings_back() {
        let mut host = Host::new();
        for action in ["closed", "deleted", "transferred"] {
            deliver(&mut host, "issues", subject("reopened", "issue", "open"));
            assert_eq!(state(&host)["openIssues"]["octo/hello"]["7"]["author"], "ada");
            // A transferred or deleted issue can be open as far as GitHub is concerned.
            let still = if action == "closed" { "closed" } else { "open" };
            assert!(deliver(&mut host, "issues", subject(action, "issue", still)).is_empty());
            assert_eq!(state(&host)["openIssues"], json!({}), "{action}");
        }
    }

    #[test]
    fn a_late_delivery_about_a_closed_issue_does_not_bring_it_back() {
        let mut host = Host::new();
        deliver(&mut host, "issues", subject("labeled", "issue", "closed"));
        assert_eq!(state(&host)["openIssues"], json!({}));
    }

    #[test]
    fn pull_requests_are_kept_apart_from_issues_of_the_same_number() {
        let mut host = Host::new();
        deliver(&mut host, "issues", subject("opened", "issue", "open"));
        let answers = deliver(&mut host, "pull_request", subject("opened", "pull_request", "open"));
        assert_eq!(answers[0].payload["kind"], "pull-request");
        deliver(&mut host, "issues", subject("closed", "issue", "closed"));
        assert_eq!(
            (&state(&host)["openIssues"], &state(&host)["openPullRequests"]["octo/hello"]["7"]["author"]),
            (&json!({}), &json!("ada"))
        );
    }

    #[test]
    fn deliveries_without_a_repository_count_by_event_only() {
        let mut host = Host::new();
        deliver(&mut host, "organization", json!({ "action": "renamed" }));
        deliver(&mut host, "ping", json!("not even an object"));
        assert_eq!(state(&host)["events"], json!({ "organization": 1, "ping": 1 }));
        assert_eq!((&state(&host)["deliveries"], &state(&host)["repositories"]), (&json!(2), &json!({})));
    }

    #[test]
    fn records_from_elsewhere_are_passed_over() {
        let mut host = Host::<GithubTriage>::new();
        for metadata in [None, Some(json!({})), Some(json!({ "headers": { "user-agent": "curl" } })), Some(json!({ "headers": 1 }))] {
            host.append_with_metadata("stream/invalid-event-appended", json!({ "rawInput": {}, "error": "" }), metadata).unwrap();
        }
        assert_eq!(state(&host)["deliveries"], 0);
    }

    #[test]
    fn an_odd_issue_is_counted_and_passed_over() {
        let mut host = Host::new();
        let body = json!({ "action": "opened", "repository": { "full_name": "octo/hello" }, "issue": { "number": "seven" } });
        assert!(deliver(&mut host, "issues", body).is_empty());
        assert_eq!((&state(&host)["repositories"], &state(&host)["openIssues"]), (&json!({ "octo/hello": 1 }), &json!({})));
    }
}
