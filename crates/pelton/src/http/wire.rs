//! Events as JSON text. Payloads are copied as they stand, never read.

use jiff::fmt::temporal::DateTimePrinter;
use pelton_model::{Event, Position, Timestamp};
use serde_json::Value;

use super::Compat;

/// What stands for `stream/` in front of the types of built-in events, where clients know them by their full names.
const ITERATE_PREFIX: &str = "https://events.iterate.com/events/stream/";

/// Appends the JSON of one event to `out`.
pub fn write_event(out: &mut String, event: &Event, compat: Option<Compat>) {
    write_event_at(out, event, None, compat);
}

/// As [`write_event`], with the event's place in the tenant's commit order where that is how it was read.
pub fn write_event_at(out: &mut String, event: &Event, position: Option<Position>, compat: Option<Compat>) {
    out.reserve(event.payload.as_str().len() + 200);
    out.push_str(r#"{"streamPath":""#);
    out.push_str(event.stream_path.as_str()); // its grammar needs no escapes
    out.push_str(r#"","offset":"#);
    out.push_str(itoa::Buffer::new().format(event.offset.get()));
    if let Some(position) = position {
        out.push_str(r#","position":"#);
        out.push_str(itoa::Buffer::new().format(position.get()));
    }
    out.push_str(r#","type":"#);
    match (compat, event.event_type.as_str().strip_prefix("stream/")) {
        (Some(Compat::Iterate), Some(slug)) => {
            out.push('"');
            out.push_str(ITERATE_PREFIX);
            out.push_str(slug); // only built-in types begin with `stream/`, and they need no escapes
            out.push('"');
        }
        _ => write_string(out, event.event_type.as_str()),
    }
    out.push_str(r#","payload":"#);
    out.push_str(event.payload.as_str());
    if let Some(metadata) = &event.metadata {
        out.push_str(r#","metadata":"#);
        out.push_str(metadata.as_str());
    }
    if let Some(key) = &event.idempotency_key {
        out.push_str(r#","idempotencyKey":"#);
        write_string(out, key.as_str());
    }
    out.push_str(r#","createdAt":""#);
    write_time(out, event.created_at);
    out.push('"');
    if let Some(source) = &event.source {
        out.push_str(r#","source":"#);
        out.push_str(pelton_model::Json::of(source).as_str());
    }
    out.push('}');
}

/// The JSON of events, separated by commas.
pub fn write_events<'a>(out: &mut String, events: impl IntoIterator<Item = &'a Event>, compat: Option<Compat>) {
    for (nth, event) in events.into_iter().enumerate() {
        if nth > 0 {
            out.push(',');
        }
        write_event(out, event, compat);
    }
}

/// ISO 8601 in UTC with milliseconds.
pub fn time(timestamp: Timestamp) -> String {
    let mut out = String::with_capacity(24);
    write_time(&mut out, timestamp);
    out
}

fn write_time(out: &mut String, timestamp: Timestamp) {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
    let instant = i64::try_from(timestamp.as_millis()).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    // Printing into a `String` cannot fail; a time beyond the calendar's end is shown as its end.
    if PRINTER.print_timestamp(&instant.unwrap_or(jiff::Timestamp::MAX), &mut *out).is_err() {
        out.push_str("9999-12-30T22:00:00.000Z");
    }
}

fn write_string(out: &mut String, text: &str) {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pelton_model::{EventType, IdempotencyKey, JsonObject, Offset, StreamPath};

    #[test]
    fn an_event_is_written_as_documented() {
        let event = Event {
            stream_path: StreamPath::new("/a").unwrap(),
            offset: Offset::new(7).unwrap(),
            event_type: EventType::new("say \"hi\"\n!").unwrap(),
            payload: JsonObject::parse(r#"{"n":1.10}"#).unwrap(),
            metadata: Some(JsonObject::empty()),
            idempotency_key: Some(IdempotencyKey::new("k").unwrap()),
            created_at: Timestamp::from_millis(1_700_000_000_000),
            source: None,
        };
        let mut text = String::new();
        write_event(&mut text, &event, None);
        assert_eq!(
            text,
            r#"{"streamPath":"/a","offset":7,"type":"say \"hi\"\n!","payload":{"n":1.10},"metadata":{},"idempotencyKey":"k","createdAt":"2023-11-14T22:13:20.000Z"}"#
        );
    }
}
