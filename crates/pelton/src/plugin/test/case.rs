//! Files of events that a plugin is tested on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pelton_model::{Digest, Event, EventType, IdempotencyKey, Json, JsonObject, Offset, Slug, Source, StreamPath, TenantName, Timestamp};
use pelton_wasm::Identity;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cli::Failure;

/// What one file says.
pub struct Case {
    pub path: PathBuf,
    pub description: Option<String>,
    pub config: JsonObject,
    /// What `after-append` finds in its environment.
    pub environment: BTreeMap<String, String>,
    pub slug: Slug,
    pub stream: StreamPath,
    pub events: Vec<Event>,
}

const GOLDEN: &str = ".golden.json";

/// When the event that would have the offset 0 was recorded; each further one comes a second later.
const EPOCH_MILLIS: u64 = 1_700_000_000_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    description: Option<String>,
    config: Option<JsonObject>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    slug: Option<Slug>,
    stream_path: Option<StreamPath>,
    events: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenEvent {
    #[serde(rename = "type")]
    event_type: EventType,
    payload: Option<JsonObject>,
    metadata: Option<JsonObject>,
    idempotency_key: Option<IdempotencyKey>,
    created_at: Option<Time>,
    source: Option<Source>,
    offset: Option<Offset>,
    stream_path: Option<StreamPath>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Time {
    Millis(u64),
    Text(String),
}

/// Whether a file may be one of events.
pub fn is_case(path: &Path) -> bool {
    let is_golden = path.to_string_lossy().ends_with(GOLDEN);
    !is_golden
        && path.extension().is_some_and(|extension| ["json", "yaml", "yml", "ndjson", "jsonl"].iter().any(|known| extension == *known))
}

/// The files of events in a folder, in the order of their names.
pub fn cases_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(folder).map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file() && is_case(path)).collect();
    files.sort();
    Ok(files)
}

impl Case {
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let wrong = |problem: String| Failure::usage(format!("{}: {problem}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let written = match extension {
            "ndjson" | "jsonl" => of_lines(&text),
            "yaml" | "yml" => of_documents(crate::http::body::yaml::documents(&text).map_err(wrong)?),
            _ => Json::parse(&text).map_err(|error| error.to_string()).and_then(|json| of_json(&json)),
        }
        .map_err(wrong)?;
        let stream = written.stream_path.unwrap_or_else(|| StreamPath::from_checked("/test"));
        let mut next = Offset::FIRST.next();
        let mut events = Vec::with_capacity(written.events.len());
        for (nth, event) in written.events.iter().enumerate() {
            let event = event_of(event, &stream, next).map_err(|problem| wrong(format!("event {}: {problem}", nth + 1)))?;
            if event.stream_path == stream {
                next = event.offset.next();
            }
            events.push(event);
        }
        Ok(Self {
            path: path.to_owned(),
            description: written.description,
            config: written.config.unwrap_or_else(JsonObject::empty),
            environment: written.environment,
            slug: written.slug.unwrap_or_else(|| Slug::from_checked("test")),
            stream,
            events,
        })
    }

    /// Whose instances run it.
    pub fn identity(&self, digest: Digest) -> Identity {
        Identity { tenant: TenantName::from_checked("test"), stream: self.stream.clone(), slug: self.slug.clone(), digest }
    }

    /// `tests/a.golden.json` for `tests/a.json`.
    pub fn golden(&self) -> PathBuf {
        let name = self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        self.path.with_file_name(name + GOLDEN)
    }
}

/// An object with `events`, or the events alone.
fn of_json(json: &Json) -> Result<Written, String> {
    let only = |events| Written { description: None, config: None, environment: BTreeMap::new(), slug: None, stream_path: None, events };
    let wrong = |error: serde_json::Error| error.to_string();
    match json.kind() {
        "array" => json.to().map(only).map_err(wrong),
        _ => json.to().map_err(wrong),
    }
}

fn of_documents(mut documents: Vec<Json>) -> Result<Written, String> {
    match (documents.pop(), documents.is_empty()) {
        (Some(only), true) => of_json(&only),
        (Some(last), false) => {
            documents.push(last);
            of_json(&Json::of(&documents))
        }
        (None, _) => Err("expected a YAML document, found nothing".to_owned()),
    }
}

fn of_lines(text: &str) -> Result<Written, String> {
    let mut events = Vec::new();
    for (nth, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        events.push(Json::parse(line).map_err(|error| format!("line {}: {error}", nth + 1))?);
    }
    of_json(&Json::of(&events))
}

fn event_of(text: &RawValue, stream: &StreamPath, next: Offset) -> Result<Event, String> {
    let written: WrittenEvent = serde_json::from_str(text.get()).map_err(|error| error.to_string())?;
    let offset = written.offset.unwrap_or(next);
    let created_at = match written.created_at {
        None => Timestamp::from_millis(EPOCH_MILLIS + offset.get() * 1000),
        Some(Time::Millis(millis)) => Timestamp::from_millis(millis),
        Some(Time::Text(text)) => time_of(&text)?,
    };
    Ok(Event {
        stream_path: written.stream_path.unwrap_or_else(|| stream.clone()),
        offset,
        event_type: written.event_type,
        payload: written.payload.unwrap_or_else(JsonObject::empty),
        metadata: written.metadata,
        idempotency_key: written.idempotency_key,
        created_at,
        source: written.source,
    })
}

fn time_of(text: &str) -> Result<Timestamp, String> {
    let time: jiff::Timestamp =
        text.parse().map_err(|error| format!("createdAt: expected a time such as 2026-01-31T12:00:00Z: {error}"))?;
    u64::try_from(time.as_millisecond()).map(Timestamp::from_millis).map_err(|_| "createdAt: expected a time from 1970 on".to_owned())
}
