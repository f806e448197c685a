//! Which labels something new should get. The rules stand in words in `rules.md`.

use crate::delivery::Subject;

const BUG: &[&str] = &["bug", "bugs", "broken", "crash", "crashes", "error", "errors", "exception", "fails", "panic", "regression"];
const QUESTION: &[&str] = &["how", "why", "what", "when", "where", "which", "can", "does"];
const DOCUMENTATION: &[&str] = &["doc", "docs", "documentation", "readme", "spelling", "typo"];
const SECURITY: &[&str] = &["security", "vulnerability", "exploit", "injection", "xss", "cve"];

type Rule = (&'static str, &'static str, fn(&Subject) -> bool);

const RULES: [Rule; 6] = [
    ("mentions-bug", "bug", |subject| mentions(subject, BUG)),
    ("asks", "question", |subject| {
        let first = words(&subject.title).next();
        subject.title.trim_ascii_end().ends_with('?') || first.is_some_and(|word| is_one_of(word, QUESTION))
    }),
    ("mentions-documentation", "documentation", |subject| mentions(subject, DOCUMENTATION)),
    ("mentions-security", "security", |subject| mentions(subject, SECURITY)),
    ("no-body", "needs-details", |subject| body(subject).trim_ascii().is_empty()),
    ("first-contribution", "welcome", |subject| {
        matches!(subject.author_association.as_deref(), Some("FIRST_TIMER" | "FIRST_TIME_CONTRIBUTOR"))
    }),
];

const NOTHING_ELSE: (&str, &str) = ("nothing-else", "needs-triage");

/// The rules that match, each with its label, in their order; at least one.
pub(crate) fn matching(subject: &Subject) -> Vec<(&'static str, &'static str)> {
    let mut matching: Vec<_> = RULES.iter().filter(|(_, _, matches)| matches(subject)).map(|(rule, label, _)| (*rule, *label)).collect();
    if matching.is_empty() {
        matching.push(NOTHING_ELSE);
    }
    matching
}

fn mentions(subject: &Subject, list: &[&str]) -> bool {
    words(&subject.title).chain(words(body(subject))).any(|word| is_one_of(word, list))
}

fn body(subject: &Subject) -> &str {
    subject.body.as_deref().unwrap_or_default()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

fn is_one_of(word: &str, list: &[&str]) -> bool {
    list.iter().any(|listed| listed.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pelton_sdk::{Value, json};

    #[track_caller]
    fn check(title: &str, body: Value, association: &str, rules: &[&str]) {
        let subject = json!({ "number": 1, "title": title, "body": body, "created_at": "", "author_association": association });
        let found: Vec<&str> = matching(&serde_json::from_value(subject).unwrap()).into_iter().map(|(rule, _)| rule).collect();
        assert_eq!(found, rules, "{title}");
    }

    #[test]
    fn words_match_whole_and_in_either_case_in_title_and_body() {
        check("Panic! At the parser", json!("x"), "NONE", &["mentions-bug"]);
        check("Terror", json!("in the README."), "NONE", &["mentions-documentation"]);
        check("Dependencies", json!("CVE-2026-1, an sql-injection"), "NONE", &["mentions-security"]);
    }

    #[test]
    fn questions_are_known_by_their_ends() {
        check("Does it fly", json!("x"), "NONE", &["asks"]);
        check("It flies? ", json!("x"), "NONE", &["asks"]);
        check("Tell me how", json!("x"), "NONE", &["nothing-else"]);
    }

    #[test]
    fn an_empty_body_and_a_first_contribution_are_noticed() {
        check("Hello", Value::Null, "OWNER", &["no-body"]);
        check("Hello", json!(" \r\n\t"), "FIRST_TIMER", &["no-body", "first-contribution"]);
        check("Hello", json!("x"), "FIRST_TIME_CONTRIBUTOR", &["first-contribution"]);
    }

    #[test]
    fn all_rules_can_match_at_once() {
        let rules = ["mentions-bug", "asks", "mentions-documentation", "mentions-security", "no-body", "first-contribution"];
        check("Why is the security typo a bug?", json!(""), "FIRST_TIMER", &rules);
    }
}
