use serde::{Deserialize, Serialize};

use crate::{Error, Result, bindings::pelton::processor::types};

/// A recorded event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Path of the stream it is in: `/` or `/segment/segment`.
    pub stream_path: String,
    /// Its place in that stream: 1, 2, 3 and so on; 1 is the stream's own `stream/initialized`.
    pub offset: u64,
    /// Its type, such as `order/placed`.
    pub event_type: String,
    /// The key under which a repeated append finds this event.
    pub idempotency_key: Option<String>,
    /// When the host recorded it, in milliseconds since the Unix epoch, UTC.
    pub created_at_ms: u64,
    /// The processor that appended it; `None` for an event from outside.
    pub source: Option<Source>,
    payload: String,
    metadata: Option<String>,
}

impl Event {
    /// The payload as a `T`, which may borrow from the event.
    ///
    /// Fails when the payload is not of that shape, and says which event, which field and where.
    pub fn payload<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        self.decode("payload", &self.payload)
    }

    /// The payload's JSON text, an object, as it was recorded.
    pub fn payload_json(&self) -> &str {
        &self.payload
    }

    /// The metadata as a `T`, or `None` where the event has none. Fails as [`payload`](Event::payload) does.
    pub fn metadata<'a, T: Deserialize<'a>>(&'a self) -> Result<Option<T>> {
        self.metadata.as_deref().map(|metadata| self.decode("metadata", metadata)).transpose()
    }

    fn decode<'a, T: Deserialize<'a>>(&self, part: &str, json: &'a str) -> Result<T> {
        serde_json::from_str(json).map_err(|error| Error::from(error).during(format_args!("{part} of {self}")))
    }
}

/// Type, offset and stream, as in "`ping` at offset 7 of /games".
impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` at offset {} of {}", self.event_type, self.offset, self.stream_path)
    }
}

/// Who appended an event, as stamped by the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Slug of the processor that appended the event.
    pub slug: String,
    /// Digest of its component: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Stream of the event it was handling.
    pub stream_path: String,
    /// Offset of the event it was handling.
    pub offset: u64,
    /// 1 for an answer to an event from outside, 2 for an answer to such an answer, and so on.
    pub depth: u32,
}

/// An event to be appended.
#[derive(Debug)]
pub struct NewEvent {
    event_type: String,
    payload: Result<String, serde_json::Error>,
    metadata: Option<Result<String, serde_json::Error>>,
    idempotency_key: Option<String>,
    expected_offset: Option<u64>,
}

impl NewEvent {
    /// An event of this type, 1 to 2048 characters, with the payload `{}`.
    pub fn new(event_type: impl Into<String>) -> NewEvent {
        NewEvent { event_type: event_type.into(), payload: Ok("{}".into()), metadata: None, idempotency_key: None, expected_offset: None }
    }

    /// The payload, anything that serialises to a JSON object. What does not is refused by the append as
    /// [`Invalid`](crate::AppendError::Invalid).
    pub fn payload(mut self, payload: impl Serialize) -> NewEvent {
        self.payload = serde_json::to_string(&payload);
        self
    }

    /// The metadata, anything that serialises to a JSON object. Fails as [`payload`](NewEvent::payload) does.
    pub fn metadata(mut self, metadata: impl Serialize) -> NewEvent {
        self.metadata = Some(serde_json::to_string(&metadata));
        self
    }

    /// With a key that the stream has seen, the append gives back the event recorded then and records nothing.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> NewEvent {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Refuse the append as a conflict unless the event gets this offset.
    pub fn expected_offset(mut self, offset: u64) -> NewEvent {
        self.expected_offset = Some(offset);
        self
    }

    pub(crate) fn into_wit(self) -> Result<types::NewEvent, serde_json::Error> {
        Ok(types::NewEvent {
            event_type: self.event_type,
            payload: self.payload?,
            metadata: self.metadata.transpose()?,
            idempotency_key: self.idempotency_key,
            expected_offset: self.expected_offset,
        })
    }
}

impl From<types::Event> for Event {
    fn from(event: types::Event) -> Event {
        Event {
            stream_path: event.stream_path,
            offset: event.offset,
            event_type: event.event_type,
            idempotency_key: event.idempotency_key,
            created_at_ms: event.created_at,
            source: event.source.map(|source| Source {
                slug: source.slug,
                digest: source.digest,
                stream_path: source.stream_path,
                offset: source.offset,
                depth: source.depth,
            }),
            payload: event.payload,
            metadata: event.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn event(payload: &str, metadata: Option<&str>) -> Event {
        Event::from(types::Event {
            stream_path: "/games".into(),
            offset: 7,
            event_type: "ping".into(),
            payload: payload.into(),
            metadata: metadata.map(Into::into),
            idempotency_key: None,
            created_at: 1_700_000_000_000,
            source: None,
        })
    }

    #[derive(Debug, Deserialize)]
    struct Ping<'a> {
        message: &'a str,
    }

    #[test]
    fn a_payload_is_decoded_in_place() {
        assert_eq!(event(r#"{"message":"hi","more":1}"#, None).payload::<Ping>().unwrap().message, "hi");
    }

    #[test]
    fn an_odd_payload_names_the_event_and_the_field() {
        let error = event("{}", None).payload::<Ping>().unwrap_err().to_string();
        assert_eq!(error, "payload of `ping` at offset 7 of /games: missing field `message` at line 1 column 2");
    }

    #[test]
    fn absent_metadata_is_none_and_odd_metadata_an_error() {
        assert!(event("{}", None).metadata::<Ping>().unwrap().is_none());
        assert!(event("{}", Some("{}")).metadata::<Ping>().unwrap_err().to_string().starts_with("metadata of `ping`"));
    }

    #[test]
    fn a_payload_that_does_not_serialise_is_refused_at_the_append() {
        let keys_are_lists = std::collections::BTreeMap::from([([1, 2], 3)]);
        assert!(NewEvent::new("x").payload(keys_are_lists).into_wit().is_err());
        assert_eq!(NewEvent::new("x").payload(json!({ "a": 1 })).into_wit().unwrap().payload, r#"{"a":1}"#);
    }
}
