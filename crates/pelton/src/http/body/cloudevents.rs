//! CloudEvents 1.0: the JSON format, alone and in a batch, and the binary mode of the HTTP binding.

use std::collections::BTreeMap;

use base64::Engine as _;
use pelton_model::Json;
use serde_json::value::RawValue;

use super::{BodyError, Candidate, Candidates, Sent, check_count, raw_text};

/// The members of an event in the JSON format, in the order of their names.
type Members = BTreeMap<String, Json>;

pub fn structured(sent: &Sent<'_>, media_type: &str) -> Candidate {
    if media_type != "application/cloudevents+json" && media_type != "application/cloudevents" {
        return Candidate::Invalid {
            raw: raw_text(sent.bytes),
            error: format!("expected application/cloudevents+json, found {media_type}"),
        };
    }
    match Json::from_slice(sent.bytes) {
        Ok(json) => of_json(&json),
        Err(error) => Candidate::Invalid { raw: raw_text(sent.bytes), error: error.to_string() },
    }
}

pub fn batch(sent: &Sent<'_>, media_type: &str) -> Result<Candidates, BodyError> {
    let invalid = |raw: Json, error: String| Ok(Candidates::One(Candidate::Invalid { raw, error }));
    if media_type != "application/cloudevents-batch+json" && media_type != "application/cloudevents-batch" {
        return invalid(raw_text(sent.bytes), format!("expected application/cloudevents-batch+json, found {media_type}"));
    }
    let json = match Json::from_slice(sent.bytes) {
        Ok(json) => json,
        Err(error) => return invalid(raw_text(sent.bytes), error.to_string()),
    };
    match json.to::<Vec<&RawValue>>() {
        Ok(events) => {
            check_count(events.len(), sent.events_max, "an empty array")?;
            Ok(Candidates::Batch(events.iter().map(|event| of_json(&Json::from_checked(event.get()))).collect()))
        }
        Err(_) => {
            let error = format!("expected an array of CloudEvents, found {}", json.kind());
            invalid(json, error)
        }
    }
}

pub fn is_binary(sent: &Sent<'_>) -> bool {
    sent.ce_headers.iter().any(|(name, _)| name == "ce-specversion")
}

/// Attributes come as headers, the data is the body.
pub fn binary(sent: &Sent<'_>, media_type: &str) -> Candidate {
    let mut members = Members::new();
    let mut problems = Vec::new();
    for (name, value) in sent.ce_headers {
        let Some(name) = name.strip_prefix("ce-") else { continue };
        let text = header_text(value).unwrap_or_else(|| {
            problems.push(format!("{name}: expected percent-encoded UTF-8"));
            String::from_utf8_lossy(value).into_owned()
        });
        if matches!(name, "data" | "data_base64" | "datacontenttype") {
            problems.push(format!("{name}: is no header in binary mode"));
        } else if members.insert(name.to_owned(), Json::of(&text)).is_some() {
            problems.push(format!("{name}: expected one header, found several"));
        }
    }
    if !sent.content_type.is_empty() {
        members.insert("datacontenttype".to_owned(), Json::of(&sent.content_type));
    }
    if !sent.bytes.is_empty() {
        let is_json = matches!(media_type, "application/json" | "text/json") || media_type.ends_with("+json");
        let data = match Json::from_slice(sent.bytes) {
            Ok(json) if is_json || media_type.is_empty() => Some(json),
            Err(error) if is_json => {
                problems.push(format!("data: {error}"));
                None
            }
            _ => None,
        };
        match (data, std::str::from_utf8(sent.bytes)) {
            (Some(json), _) => members.insert("data".to_owned(), json),
            (None, Ok(text)) => members.insert("data".to_owned(), Json::of(&text)),
            (None, Err(_)) => {
                let encoded = base64::engine::general_purpose::STANDARD.encode(sent.bytes);
                members.insert("data_base64".to_owned(), Json::of(&encoded))
            }
        };
    }
    let raw = Json::of(&members);
    candidate(members, raw, problems)
}

/// The HTTP binding, section 3.1.3.2: quotes and backslashes of a quoted string go first, then percent-encoding.
fn header_text(value: &[u8]) -> Option<String> {
    let unquoted = match value {
        [b'"', inner @ .., b'"'] => {
            let mut out = Vec::with_capacity(inner.len());
            let mut bytes = inner.iter();
            while let Some(&byte) = bytes.next() {
                out.push(if byte == b'\\' { bytes.next().copied().unwrap_or(byte) } else { byte });
            }
            out
        }
        _ => value.to_vec(),
    };
    String::from_utf8(percent_encoding::percent_decode(&unquoted).collect()).ok()
}

fn of_json(json: &Json) -> Candidate {
    match json.to::<Members>() {
        Ok(members) => candidate(members, json.clone(), Vec::new()),
        Err(_) => Candidate::Invalid { raw: json.clone(), error: format!("expected a CloudEvent as a JSON object, found {}", json.kind()) },
    }
}

/// The event that a CloudEvent is kept as, or every attribute that does not fit.
fn candidate(mut members: Members, raw: Json, mut problems: Vec<String>) -> Candidate {
    // The JSON format says that null is the same as absent, but data may be null.
    members.retain(|name, value| name == "data" || value.kind() != "null");
    let payload = payload(&mut members, &mut problems);
    check_attributes(&members, &mut problems);
    let text = |name: &str| members.get(name).and_then(|value| value.to::<String>().ok()).unwrap_or_default();
    let (event_type, source, id) = (text("type"), text("source"), text("id"));
    if !problems.is_empty() {
        return Candidate::Invalid { raw, error: problems.join("\n") };
    }
    members.remove("type");
    let key = Json::of(&format!("{source} {id}"));
    let envelope = format!(
        r#"{{"type":{},"payload":{payload},"metadata":{{"cloudevent":{}}},"idempotencyKey":{}}}"#,
        Json::of(&event_type).as_str(),
        Json::of(&members).as_str(),
        key.as_str()
    );
    match Json::parse(&envelope) {
        Ok(envelope) => Candidate::Envelope { envelope, raw: Some(raw) },
        // Data that is nested as deep as may be has no room for what is put around it.
        Err(error) => Candidate::Invalid { raw, error: format!("data: {error}") },
    }
}

/// An object stays as it is, another value gets an object around it.
fn payload(members: &mut Members, problems: &mut Vec<String>) -> String {
    let (data, encoded) = (members.remove("data"), members.remove("data_base64"));
    match (data, encoded) {
        (Some(_), Some(_)) => {
            problems.push("data_base64: expected either `data` or `data_base64`, found both".to_owned());
            String::new()
        }
        (Some(data), None) if data.kind() == "object" => data.as_str().to_owned(),
        (Some(data), None) => format!(r#"{{"data":{}}}"#, data.as_str()),
        (None, Some(encoded)) => {
            let is_base64 = |text: String| base64::engine::general_purpose::STANDARD.decode(text).is_ok();
            if !encoded.to::<String>().is_ok_and(is_base64) {
                problems.push("data_base64: expected a string of base64".to_owned());
            }
            format!(r#"{{"data_base64":{}}}"#, encoded.as_str())
        }
        (None, None) => "{}".to_owned(),
    }
}

fn check_attributes(attributes: &Members, problems: &mut Vec<String>) {
    for name in ["id", "source", "specversion", "type"] {
        if !attributes.contains_key(name) {
            problems.push(format!("{name}: expected a string, found nothing"));
        }
    }
    for (name, value) in attributes {
        let text = value.to::<String>().ok();
        let problem = match (name.as_str(), text) {
            (_, _) if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) => {
                Some("expected a name of lower-case letters and digits".to_owned())
            }
            ("specversion", text) => (text.as_deref() != Some("1.0")).then(|| format!("expected \"1.0\", found {}", shown(value))),
            ("id", Some(text)) if text.trim() != text => Some("expected no white space at the ends".to_owned()),
            ("source", Some(text)) if text.contains(char::is_whitespace) => Some("expected a URI reference, found white space".to_owned()),
            ("id" | "source" | "type" | "subject" | "time" | "dataschema" | "datacontenttype", text) => match text {
                Some(text) if text.trim().is_empty() => Some("expected a string that is not empty".to_owned()),
                Some(_) => None,
                None => Some(format!("expected a string, found {}", shown(value))),
            },
            // Extensions are of the type system's simple types.
            (_, Some(_)) => None,
            (_, None) => {
                let is_simple = value.kind() == "boolean" || value.to::<i32>().is_ok();
                (!is_simple).then(|| format!("expected a string, a boolean or an integer of 32 bits, found {}", shown(value)))
            }
        };
        problems.extend(problem.map(|problem| format!("{name}: {problem}")));
    }
}

/// Short values as they are, long ones by their kind.
fn shown(value: &Json) -> &str {
    if value.as_str().len() <= 40 { value.as_str() } else { value.kind() }
}
