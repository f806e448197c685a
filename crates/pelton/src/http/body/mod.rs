//! From the bytes of a request to candidates for events. Pure, so that it can be tested and fuzzed without a server; no bytes make it
//! fail, only a batch of no events or of too many is refused.

mod cloudevents;
mod form;
pub mod yaml;

use base64::Engine as _;
use pelton_model::{Json, JsonError};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

/// What of a request says which events it holds.
pub struct Sent<'a> {
    /// `Content-Type` as it was sent, empty where there was none.
    pub content_type: &'a str,
    /// The headers whose lower-case names begin with `ce-`.
    pub ce_headers: &'a [(String, Vec<u8>)],
    pub bytes: &'a [u8],
    /// How many events a batch may have.
    pub events_max: usize,
}

/// What a request holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Candidates {
    One(Candidate),
    /// Recorded all or none, and answered as a list.
    Batch(Vec<Candidate>),
}

/// What is to become one event.
#[derive(Debug, PartialEq, Eq)]
pub enum Candidate {
    /// An envelope, still to be checked. What is kept where it is no event: `raw`, or else the envelope itself.
    Envelope { envelope: Json, raw: Option<Json> },
    /// Not even an envelope, and why.
    Invalid { raw: Json, error: String },
}

/// Why nothing of a body is recorded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("expected at least one event in a batch, found {found}")]
    EmptyBatch { found: &'static str },
    #[error("expected at most {max} events in a batch, found {found}")]
    TooManyEvents { found: usize, max: usize },
}

/// # Errors
/// [`BodyError`]
pub fn parse(sent: &Sent<'_>) -> Result<Candidates, BodyError> {
    let media_type = sent.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.as_str() {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => lines(sent),
        "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" => yaml::parse(sent),
        _ if media_type.starts_with("application/cloudevents-batch") => cloudevents::batch(sent, &media_type),
        _ if media_type.starts_with("application/cloudevents") => Ok(Candidates::One(cloudevents::structured(sent, &media_type))),
        _ if cloudevents::is_binary(sent) => Ok(Candidates::One(cloudevents::binary(sent, &media_type))),
        "application/x-www-form-urlencoded" => form::parse(sent),
        _ => json_or_text(sent),
    }
}

fn json_or_text(sent: &Sent<'_>) -> Result<Candidates, BodyError> {
    match Json::from_slice(sent.bytes) {
        Ok(json) => of_json(json, sent.events_max),
        Err(error) => Ok(Candidates::One(Candidate::Invalid { raw: raw_text(sent.bytes), error: error.to_string() })),
    }
}

/// An array is a batch, and so is what an object with the one key `events` lists; anything else is one event.
fn of_json(json: Json, events_max: usize) -> Result<Candidates, BodyError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Listed<'a> {
        #[serde(borrow)]
        events: Vec<&'a RawValue>,
    }
    let listed = || json.to::<Listed<'_>>().ok().map(|listed| listed.events);
    let events = match json.kind() {
        "array" => json.to::<Vec<&RawValue>>().ok(),
        // The text is minified, and who writes the key with escapes gets an invalid event.
        "object" if json.as_str().starts_with(r#"{"events":["#) => listed(),
        _ => None,
    };
    match events {
        Some(events) => batch(&events, events_max),
        None => Ok(Candidates::One(envelope(json))),
    }
}

fn batch(events: &[&RawValue], events_max: usize) -> Result<Candidates, BodyError> {
    check_count(events.len(), events_max, "an empty array")?;
    Ok(Candidates::Batch(events.iter().map(|event| envelope(Json::from_checked(event.get()))).collect()))
}

fn check_count(found: usize, max: usize, empty: &'static str) -> Result<(), BodyError> {
    match found {
        0 => Err(BodyError::EmptyBatch { found: empty }),
        _ if found > max => Err(BodyError::TooManyEvents { found, max }),
        _ => Ok(()),
    }
}

/// `{ "event": … }` and nothing else is an envelope around the event; anything else is the event itself.
fn envelope(json: Json) -> Candidate {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nested<'a> {
        #[serde(borrow)]
        event: &'a RawValue,
    }
    let nested = json.as_str().starts_with(r#"{"event":"#).then(|| json.to::<Nested<'_>>().ok()).flatten();
    let envelope = match nested {
        Some(nested) => Json::from_checked(nested.event.get()),
        None => json,
    };
    Candidate::Envelope { envelope, raw: None }
}

/// One event a line; blank lines are nothing. A line that is not JSON keeps its place.
fn lines(sent: &Sent<'_>) -> Result<Candidates, BodyError> {
    let lines = || sent.bytes.split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
    check_count(lines().count(), sent.events_max, "no line with anything on it")?;
    let candidate = |(nth, line): (usize, &[u8])| match Json::from_slice(line) {
        Ok(json) => envelope(json),
        Err(error) => Candidate::Invalid { raw: raw_text(line.strip_suffix(b"\r").unwrap_or(line)), error: at_line(&error, nth + 1) },
    };
    Ok(Candidates::Batch(lines().map(candidate).collect()))
}

/// The parser saw one line only, so it says `line 1` of every place.
fn at_line(error: &JsonError, line: usize) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line 1 column ") {
        Some((what, column)) => format!("line {line}: {what} at column {column}"),
        None => format!("line {line}: {text}"),
    }
}

/// Text that is not JSON as a JSON string; bytes that are not text in base64.
fn raw_text(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => Json::of(&text),
        Err(_) => Json::of(&json!({ "base64": base64::engine::general_purpose::STANDARD.encode(bytes) })),
    }
}

#[cfg(test)]
mod tests;
