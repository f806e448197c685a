//! Events: proposed, recorded, and how text from outside becomes a proposal.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::builtin::{Builtin, InvalidEventAppended};
use crate::{Digest, DynamicWorkerConfigured, EventType, IdempotencyKey, Json, JsonObject, Offset, Slug, StreamPath, Timestamp};

/// A proposed event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    pub event_type: EventType,
    pub payload: JsonObject,
    pub metadata: Option<JsonObject>,
    pub idempotency_key: Option<IdempotencyKey>,
    /// The append is refused unless the event would get this offset.
    pub expected_offset: Option<Offset>,
    /// Stamped by the host on what a processor appends; nothing from outside sets it.
    pub source: Option<Source>,
}

/// A recorded event. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub stream_path: StreamPath,
    pub offset: Offset,
    pub event_type: EventType,
    pub payload: JsonObject,
    pub metadata: Option<JsonObject>,
    pub idempotency_key: Option<IdempotencyKey>,
    pub created_at: Timestamp,
    pub source: Option<Source>,
}

/// Which processor appended an event, and while handling which event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    pub slug: Slug,
    pub digest: Digest,
    pub stream_path: StreamPath,
    pub offset: Offset,
    /// 1 for an answer to an event from outside, 2 for an answer to such an answer, and so on.
    pub depth: u32,
}

/// Everything that keeps a text from being an event; displayed with one line an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventIssues(pub Vec<Issue>);

/// One field that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// `type`, `payload.slug`, …; empty for the event as a whole.
    pub field: String,
    /// What was expected and what was found.
    pub problem: String,
}

impl NewEvent {
    #[must_use]
    pub fn new(event_type: EventType, payload: JsonObject) -> Self {
        Self { event_type, payload, metadata: None, idempotency_key: None, expected_offset: None, source: None }
    }

    /// A built-in event of the host's own.
    #[must_use]
    pub fn builtin(builtin: Builtin, payload: &impl Serialize) -> Self {
        Self::new(EventType::from_checked(builtin.as_str()), JsonObject::of(payload))
    }

    /// The record kept of input that is not an event.
    #[must_use]
    pub fn invalid(raw_input: &Json, error: &str) -> Self {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Payload<'a> {
            raw_input: &'a Json,
            error: &'a str,
        }
        Self::builtin(Builtin::InvalidEventAppended, &Payload { raw_input, error })
    }

    /// Reads the envelope `{ type, payload?, metadata?, idempotencyKey?, offset? }`. Unknown keys are refused. What a built-in event's
    /// payload must look like is checked by [`Builtin::admit`].
    ///
    /// # Errors
    /// Every field that does not fit.
    pub fn parse(candidate: &Json) -> Result<Self, EventIssues> {
        let Ok(fields) = candidate.to::<Fields>() else {
            return Err(EventIssues::one("", format!("expected a JSON object with a `type`, found {}", article(candidate.kind()))));
        };
        let mut issues = Vec::new();
        let mut event = Self::new(EventType::from_checked(""), JsonObject::empty());
        let mut has_type = false;
        for (name, raw) in fields.0 {
            let mut take = || -> Result<(), String> {
                match &*name {
                    "type" => {
                        has_type = true;
                        event.event_type = EventType::new(&string(raw)?).map_err(|error| error.to_string())?;
                    }
                    "payload" => event.payload = object(raw)?,
                    "metadata" => event.metadata = Some(object(raw)?),
                    "idempotencyKey" => {
                        event.idempotency_key = Some(IdempotencyKey::new(&string(raw)?).map_err(|error| error.to_string())?);
                    }
                    "offset" => event.expected_offset = Some(offset(raw)?),
                    _ => return Err("unknown field; an event has type, payload, metadata, idempotencyKey and offset".to_owned()),
                }
                Ok(())
            };
            if let Err(problem) = take() {
                issues.push(Issue { field: name.into_owned(), problem });
            }
        }
        if !has_type {
            issues.insert(0, Issue { field: "type".to_owned(), problem: "expected a string, found nothing".to_owned() });
        }
        if issues.is_empty() { Ok(event) } else { Err(EventIssues(issues)) }
    }

    /// Whether it is what was recorded under its key before. Who repeats a request repeats its text, so texts are compared. Of input that is no event only the input counts: what its headers tell, and the
    /// words for what is wrong with it, may be others each time.
    #[must_use]
    pub fn is_repeat_of(&self, stored: &Event) -> bool {
        let is_invalid = self.event_type.as_str() == Builtin::InvalidEventAppended.as_str();
        let raw_input = |payload: &JsonObject| payload.to::<InvalidEventAppended>().ok().map(|invalid| invalid.raw_input);
        let same_payload = match Builtin::of(self.event_type.as_str()) {
            Some(Builtin::DynamicWorkerConfigured) => DynamicWorkerConfigured::is_same_apart_from_runtime(&stored.payload, &self.payload),
            _ => self.payload == stored.payload,
        };
        self.event_type == stored.event_type
            && match is_invalid.then(|| raw_input(&self.payload)).flatten() {
                Some(raw) => same_payload || raw_input(&stored.payload) == Some(raw),
                None => same_payload && self.metadata == stored.metadata,
            }
    }

    /// Bytes that count against the limit for an event: all its texts together.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.event_type.as_str().len()
            + self.payload.as_str().len()
            + self.metadata.as_ref().map_or(0, |metadata| metadata.as_str().len())
            + self.idempotency_key.as_ref().map_or(0, |key| key.as_str().len())
    }
}

impl EventIssues {
    #[must_use]
    pub fn one(field: &str, problem: impl Into<String>) -> Self {
        Self(vec![Issue { field: field.to_owned(), problem: problem.into() }])
    }

    /// What a payload says, or the field of it that does not fit.
    pub(crate) fn find_in<'a, T: Deserialize<'a>>(payload: &'a JsonObject) -> Result<T, Self> {
        payload.to().map_err(|_| {
            // Looked for a second time, for to keep the way to each field costs.
            let mut deserializer = serde_json::Deserializer::from_str(payload.as_str());
            match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
                Err(error) if error.path().iter().next().is_some() => {
                    Self::one(&format!("payload.{}", error.path()), error.inner().to_string())
                }
                Err(error) => Self::one("payload", error.inner().to_string()),
                Ok(_) => Self::one("payload", "expected one JSON object"),
            }
        })
    }
}

impl fmt::Display for EventIssues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, issue) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_str("\n")?;
            }
            if !issue.field.is_empty() {
                write!(f, "{}: ", issue.field)?;
            }
            f.write_str(&issue.problem)?;
        }
        Ok(())
    }
}

impl std::error::Error for EventIssues {}

/// The members of an object, their values unread.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(4);
                while let Some(name) = map.next_key::<String>()? {
                    members.push((Cow::Owned(name), map.next_value()?));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Members).map(Self)
    }
}

fn string(raw: &RawValue) -> Result<Cow<'_, str>, String> {
    // A string without escapes needs no copy.
    let text = raw.get();
    if text.starts_with('"') && !text.contains('\\') {
        return Ok(Cow::Borrowed(&text[1..text.len() - 1]));
    }
    serde_json::from_str::<String>(text).map(Cow::Owned).map_err(|_| expected("a string", raw))
}

fn object(raw: &RawValue) -> Result<JsonObject, String> {
    if raw.get().starts_with('{') { Ok(JsonObject::from_checked(raw.get())) } else { Err(expected("a JSON object", raw)) }
}

fn offset(raw: &RawValue) -> Result<Offset, String> {
    // A number in a string is taken too, as clients that build bodies from form fields send it.
    let digits = raw.get().trim_matches('"');
    digits.parse().ok().and_then(Offset::new).ok_or_else(|| expected("a positive integer", raw))
}

fn expected(what: &str, raw: &RawValue) -> String {
    format!("expected {what}, found {}", article(Json::from_checked(raw.get()).kind()))
}

fn article(kind: &str) -> String {
    match kind {
        "null" => "null".to_owned(),
        "object" | "array" => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issues(text: &str) -> String {
        NewEvent::parse(&Json::parse(text).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn an_event_needs_only_a_type() {
        let event = NewEvent::parse(&Json::parse(r#"{"type":" hello \u00e4 "}"#).unwrap()).unwrap();
        assert_eq!(event, NewEvent::new(EventType::new("hello ä").unwrap(), JsonObject::empty()));
    }

    #[test]
    fn every_field_that_does_not_fit_is_named() {
        let text = r#"{"payload":[],"metadata":null,"idempotencyKey":" ","offset":0,"extra":1}"#;
        let expected = [
            "type: expected a string, found nothing",
            "payload: expected a JSON object, found an array",
            "metadata: expected a JSON object, found null",
            "idempotencyKey: idempotency key: expected 1 to 2048 characters besides white space at the ends, found \" \"",
            "offset: expected a positive integer, found a number",
            "extra: unknown field; an event has type, payload, metadata, idempotencyKey and offset",
        ];
        assert_eq!(issues(text), expected.join("\n"));
        assert_eq!(issues("[1]"), "expected a JSON object with a `type`, found an array");
        assert_eq!(issues("7"), "expected a JSON object with a `type`, found a number");
    }

    #[test]
    fn a_numeric_string_is_an_offset() {
        let event = NewEvent::parse(&Json::parse(r#"{"type":"a","offset":"12"}"#).unwrap()).unwrap();
        assert_eq!(event.expected_offset, Offset::new(12));
    }
}
