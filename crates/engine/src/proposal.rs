//! The tolerance rule: whatever is sent becomes an event that can be recorded.

use pelton_model::{Builtin, Digest, EventIssues, IdempotencyKey, Issue, Json, JsonObject, NewEvent, Offset, attach_component};
use serde::Deserialize;

use crate::AppendError;

/// An event ready to be appended, with the component it brings along.
#[derive(Debug)]
pub struct Proposal {
    pub(crate) event: NewEvent,
    pub(crate) component: Option<Vec<u8>>,
    /// Of the input, where the event is the record of what is no event.
    invalid: Option<Digest>,
}

impl Proposal {
    /// An event from its envelope; where that is no event, the record of it, or of what came instead of it (`raw`), which alone gets the
    /// metadata.
    ///
    /// # Errors
    /// [`AppendError::AlreadyInitialized`]
    pub fn tolerant(envelope: &Json, raw: Option<&Json>, metadata: impl FnOnce() -> Option<JsonObject>) -> Result<Self, AppendError> {
        let issues = match Self::strict(envelope) {
            Ok(proposal) => return Ok(proposal),
            Err(_) if initializes(envelope) => return Err(AppendError::AlreadyInitialized),
            Err(issues) => issues,
        };
        let mut proposal = Self::invalid(raw.unwrap_or(envelope), &issues.to_string(), metadata().as_ref());
        if let Some(key) = key_of(envelope) {
            proposal.name_invalid(&key);
        }
        Ok(proposal)
    }

    /// The record of input that was not even JSON, or no event.
    #[must_use]
    pub fn invalid(raw_input: &Json, error: &str, metadata: Option<&JsonObject>) -> Self {
        let raw_input = without_component(raw_input);
        let mut event = NewEvent { metadata: metadata.cloned(), ..NewEvent::invalid(&raw_input, error) };
        // What is nested as deep as may be has no room for what is put around it, so its text is kept.
        if Json::parse(event.payload.as_str()).is_err() {
            event.payload = NewEvent::invalid(&Json::of(&raw_input.as_str()), error).payload;
        }
        Self { event, component: None, invalid: Some(Digest::of(raw_input.as_str().as_bytes())) }
    }

    /// An event from its envelope.
    ///
    /// # Errors
    /// The fields that do not fit.
    pub fn strict(candidate: &Json) -> Result<Self, EventIssues> {
        let mut event = NewEvent::parse(candidate)?;
        let component = Builtin::admit(&mut event)?;
        Ok(Self { event, component, invalid: None })
    }

    /// A `stream/processor/configured` whose component came beside it, not in it.
    ///
    /// # Errors
    /// The fields that do not fit, or that it is another event.
    pub fn upload(candidate: &Json, component: Vec<u8>) -> Result<Self, EventIssues> {
        let mut event = NewEvent::parse(candidate)?;
        attach_component(&mut event, &component);
        Builtin::admit(&mut event)?;
        if Builtin::of(event.event_type.as_str()) != Some(Builtin::ProcessorConfigured) {
            let problem = format!("expected `stream/processor/configured` beside a component, found `{}`", event.event_type);
            return Err(EventIssues(vec![Issue { field: "type".to_owned(), problem }]));
        }
        Ok(Self { event, component: Some(component), invalid: None })
    }

    /// Gives the event a key that came beside it.
    ///
    /// # Errors
    /// Where the event brings another key.
    pub fn set_idempotency_key(&mut self, key: &IdempotencyKey) -> Result<(), String> {
        if self.name_invalid(key) {
            return Ok(());
        }
        match self.event.idempotency_key.replace(key.clone()) {
            Some(own) if own != *key => Err(format!("expected the event's idempotencyKey {:?}, found {:?}", own.as_str(), key.as_str())),
            _ => Ok(()),
        }
    }

    /// The record of an invalid event gets a key that holds the input as well, so that a repeat finds the record, and the corrected event may
    /// use the sender's key.
    fn name_invalid(&mut self, key: &IdempotencyKey) -> bool {
        let Some(input) = &self.invalid else { return false };
        let digest = Digest::of(format!("{input} {}", key.as_str()).as_bytes());
        self.event.idempotency_key = Some(IdempotencyKey::from_checked(&format!("invalid-event {digest}")));
        true
    }

    /// Has the append refused unless the event would get this offset.
    ///
    /// # Errors
    /// Where the event says another one itself.
    pub fn expect_offset(&mut self, offset: Offset) -> Result<(), String> {
        match self.event.expected_offset.replace(offset) {
            Some(own) if own != offset => Err(format!("expected the offset {own} that the event says, found that it would be {offset}")),
            _ => Ok(()),
        }
    }
}

fn key_of(envelope: &Json) -> Option<IdempotencyKey> {
    #[derive(Deserialize)]
    struct Keyed {
        #[serde(rename = "idempotencyKey")]
        key: String,
    }
    envelope.to::<Keyed>().ok().and_then(|keyed| IdempotencyKey::new(&keyed.key).ok())
}

fn initializes(envelope: &Json) -> bool {
    #[derive(Deserialize)]
    struct Typed {
        r#type: String,
    }
    let typed = envelope.to::<Typed>();
    typed.is_ok_and(|typed| Builtin::of(&Builtin::canonical(typed.r#type.trim())) == Some(Builtin::Initialized))
}

/// The candidate with the text of a component replaced by its length: a refused upload is not worth megabytes of log.
fn without_component(candidate: &Json) -> Json {
    const KEPT_BYTES_MAX: usize = 1024;
    let Ok(mut value) = candidate.to::<serde_json::Value>() else { return candidate.clone() };
    match value.pointer_mut("/payload/component") {
        Some(serde_json::Value::String(text)) if text.len() > KEPT_BYTES_MAX => {
            *text = format!("({} bytes of text, not kept)", text.len());
            Json::of(&value)
        }
        _ => candidate.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(text: &str) -> NewEvent {
        Proposal::tolerant(&Json::parse(text).unwrap(), None, || None).unwrap().event
    }

    #[test]
    fn what_is_no_event_is_kept_exactly() {
        let event = recorded(r#"{"action":"opened","n":123456789012345678901234567890}"#);
        assert_eq!(event.event_type.as_str(), "stream/invalid-event-appended");
        assert!(
            event.payload.as_str().starts_with(r#"{"rawInput":{"action":"opened","n":123456789012345678901234567890},"error":"type: "#)
        );
    }

    #[test]
    fn a_second_beginning_is_refused_whatever_it_is_called() {
        for event_type in ["stream/initialized", " stream/initialized ", "https://events.iterate.com/events/stream/initialized"] {
            let candidate = Json::of(&serde_json::json!({ "type": event_type }));
            assert!(matches!(Proposal::tolerant(&candidate, None, || None), Err(AppendError::AlreadyInitialized)), "{event_type}");
        }
    }

    #[test]
    fn the_key_of_an_invalid_event_is_its_own_and_that_of_its_input() {
        let key = |text: &str| recorded(text).idempotency_key;
        let first = key(r#"{"idempotencyKey":"k"}"#);
        assert!(first.is_some() && first == key(r#"{ "idempotencyKey": "k" }"#));
        for other in [r#"{"idempotencyKey":"l"}"#, r#"{"idempotencyKey":"k","n":1}"#, r#"{"type":"x","idempotencyKey":"k"}"#] {
            assert_ne!(key(other), first, "{other}");
        }
        assert_eq!(key(r#"{"idempotencyKey":" "}"#), None);
    }

    #[test]
    fn a_refused_upload_does_not_fill_the_log() {
        let text = format!(r#"{{"type":"stream/processor/configured","payload":{{"component":"{}"}}}}"#, "A".repeat(4000));
        let event = recorded(&text);
        assert!(event.payload.as_str().contains("4000 bytes of text, not kept"), "{:?}", event.payload);
    }
}
