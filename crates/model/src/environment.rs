//! The variables that a stream gives to its processors.

use serde::{Deserialize, Serialize};

use crate::JsonObject;
use crate::event::EventIssues;

/// Payload of `stream/dynamic-worker/env-var-set`. The variable is seen by every processor of the stream, in `after-append`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvVarSet {
    /// 1 to 128 bytes, without `=` and control characters.
    #[schema(min_length = 1, max_length = 128)]
    pub key: String,
    /// At most 4096 bytes, without control characters but line breaks and tabs. Null removes the variable.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(max_length = 4096, required)]
    pub value: Option<String>,
}

/// Variables that a stream has at most.
pub const ENV_VARS_MAX: usize = 100;
const KEY_BYTES_MAX: usize = 128;
const VALUE_BYTES_MAX: usize = 4_096;

impl EnvVarSet {
    /// # Errors
    /// The field that does not fit.
    pub fn parse(payload: &JsonObject) -> Result<Self, EventIssues> {
        let set: Self = EventIssues::find_in(payload)?;
        if !(1..=KEY_BYTES_MAX).contains(&set.key.len()) || set.key.chars().any(|c| c == '=' || c.is_control()) {
            let found: String = set.key.chars().take(KEY_BYTES_MAX).collect();
            let expected = format!("expected 1 to {KEY_BYTES_MAX} bytes without `=` and control characters, found {found:?}");
            return Err(EventIssues::one("payload.key", expected));
        }
        let value = set.value.as_deref().unwrap_or_default();
        // It may be a credential, so it is not repeated.
        if value.len() > VALUE_BYTES_MAX {
            return Err(EventIssues::one("payload.value", format!("expected at most {VALUE_BYTES_MAX} bytes, found {}", value.len())));
        }
        if value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(EventIssues::one("payload.value", "expected text without control characters".to_owned()));
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<EnvVarSet, String> {
        EnvVarSet::parse(&JsonObject::parse(text).unwrap()).map_err(|issues| issues.to_string())
    }

    #[test]
    fn a_variable_has_a_key_and_a_value_or_null() {
        assert_eq!(parse(r#"{"key":"A","value":"1"}"#).unwrap(), EnvVarSet { key: "A".into(), value: Some("1".into()) });
        assert_eq!(parse(r#"{"key":"A","value":null}"#).unwrap().value, None);
        for (text, expected) in [
            (r#"{"key":"A"}"#.to_owned(), "missing field `value`"),
            (r#"{"key":"","value":""}"#.to_owned(), "payload.key: expected 1 to 128 bytes"),
            (r#"{"key":"A=B","value":""}"#.to_owned(), "payload.key: expected 1 to 128 bytes"),
            (r#"{"key":"A","value":"\u0000"}"#.to_owned(), "payload.value: expected text"),
            (format!(r#"{{"key":"A","value":"{}"}}"#, "x".repeat(4_097)), "payload.value: expected at most 4096 bytes, found 4097"),
            (r#"{"key":"A","value":1}"#.to_owned(), "payload.value: invalid type: integer `1`"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.starts_with(expected) || error.contains(expected), "{text}: {error}");
        }
    }
}
