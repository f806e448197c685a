//! One webhook delivery, read out of the record that the host made of it.

use pelton_sdk::Event;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub(crate) struct Delivery<'a> {
    /// The header `x-github-event`.
    pub(crate) event: String,
    pub(crate) action: Option<&'a str>,
    /// `repository.full_name`.
    pub(crate) repository: Option<String>,
    /// What an `issues` or `pull_request` delivery is about.
    pub(crate) subject: Option<(Kind, Subject)>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Issue,
    PullRequest,
}

/// An issue or a pull request; the parts that matter here are the same in both.
#[derive(Deserialize)]
pub(crate) struct Subject {
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) created_at: String,
    pub(crate) user: Option<User>,
    #[serde(default)]
    pub(crate) labels: Vec<Label>,
    pub(crate) author_association: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct User {
    pub(crate) login: String,
}

#[derive(Deserialize)]
pub(crate) struct Label {
    pub(crate) name: String,
}

impl<'a> Delivery<'a> {
    /// `None` when the record is no webhook delivery.
    pub(crate) fn read(event: &'a Event) -> Option<Delivery<'a>> {
        let metadata: Metadata = event.metadata().ok()??;
        let record: Record = event.payload().ok()?;
        let name = metadata.headers.event;
        // Read part by part, so that one odd part does not hide the others.
        let body: Body = read(Some(record.raw_input)).unwrap_or_default();
        let repository = read(body.repository).map(|repository: Repository| repository.full_name);
        let subject = match name.as_str() {
            "issues" => read(body.issue).map(|issue| (Kind::Issue, issue)),
            "pull_request" => read(body.pull_request).map(|pull_request| (Kind::PullRequest, pull_request)),
            _ => None,
        };
        Some(Delivery { event: name, action: read(body.action), repository, subject })
    }
}

fn read<'a, T: Deserialize<'a>>(part: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(part?.get()).ok()
}

#[derive(Deserialize)]
struct Metadata {
    headers: Headers,
}

#[derive(Deserialize)]
struct Headers {
    #[serde(rename = "x-github-event")]
    event: String,
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow, rename = "rawInput")]
    raw_input: &'a RawValue,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    action: Option<&'a RawValue>,
    #[serde(borrow)]
    repository: Option<&'a RawValue>,
    #[serde(borrow)]
    issue: Option<&'a RawValue>,
    #[serde(borrow)]
    pull_request: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}
