//! Which event types a processor wants.

use serde::{Deserialize, Serialize};

use crate::Builtin;

/// Event types with `*` for any run of characters, also none. Empty means that nothing matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct TypePatterns(Vec<String>);

impl TypePatterns {
    #[must_use]
    pub fn new(patterns: Vec<String>) -> Self {
        Self(patterns)
    }

    #[must_use]
    pub fn all() -> Self {
        Self(vec!["*".to_owned()])
    }

    /// Whether a type is wanted, under its own name or, where it has one, its alias.
    #[must_use]
    pub fn matches(&self, event_type: &str) -> bool {
        let any = |event_type: &str| self.0.iter().any(|pattern| matches(pattern, event_type));
        any(event_type) || Builtin::alias(event_type).is_some_and(|alias| any(&alias))
    }
}

/// The parts between the stars are looked for from left to right; taking the first place each time is enough, since a star
/// may cover anything.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*').filter(|part| !part.is_empty()) {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_star_covers_any_run() {
        for (pattern, text, expected) in [
            ("ping", "ping", true),
            ("ping", "pings", false),
            ("*", "", true),
            ("stream/*", "stream/processor/parked", true),
            ("*/parked", "stream/processor/parked", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("ab*ba", "aba", false),
            ("a**c", "ac", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_built_in_type_is_found_by_either_name() {
        for (pattern, expected) in [
            ("stream/schedule/*", true),
            ("https://events.iterate.com/events/stream/schedule/configured", true),
            ("https://events.iterate.com/events/stream/schedule/*", true),
            ("https://events.iterate.com/*", true),
            ("https://events.iterate.com/events/schedule/*", false),
            ("schedule/configured", false),
        ] {
            assert_eq!(TypePatterns::new(vec![pattern.to_owned()]).matches("stream/schedule/configured"), expected, "{pattern}");
        }
        assert!(!TypePatterns::new(vec!["https://*".to_owned()]).matches("ping"));
    }

    proptest! {
        #[test]
        fn a_text_with_a_hole_matches_its_pattern(left in "[ab]{0,4}", hole in "[ab]{0,4}", right in "[ab]{0,4}") {
            let pattern = format!("{left}*{right}");
            let text = format!("{left}{hole}{right}");
            prop_assert!(matches(&pattern, &text));
        }
    }
}
