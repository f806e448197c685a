//! The tolerance rule: whatever is sent becomes an event that can be recorded.

use pelton_model::{Builtin, EventIssues, IdempotencyKey, Issue, Json, JsonObject, NewEvent, Offset, attach_component};

/// An event ready to be appended, with the component it brings along.
#[derive(Debug)]
pub struct Proposal {
    pub(crate) event: NewEvent,
    pub(crate) component: Option<Vec<u8>>,
}

impl Proposal {
    /// An event from its envelope; where the candidate is no event, the record of that, which alone gets the metadata.
    #[must_use]
    pub fn tolerant(candidate: &Json, metadata: impl FnOnce() -> Option<JsonObject>) -> Self {
        Self::strict(candidate).unwrap_or_else(|issues| Self::invalid(candidate, &issues.to_string(), metadata().as_ref()))
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
        Self { event, component: None }
    }

    /// An event from its envelope.
    ///
    /// # Errors
    /// The fields that do not fit.
    pub fn strict(candidate: &Json) -> Result<Self, EventIssues> {
        let mut event = NewEvent::parse(candidate)?;
        let component = Builtin::admit(&mut event)?;
        Ok(Self { event, component })
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
        Ok(Self { event, component: Some(component) })
    }

    /// Gives the event a key that came beside it. The record of an invalid event gets none, so that the corrected event may use it.
    ///
    /// # Errors
    /// Where the event brings another key.
    pub fn set_idempotency_key(&mut self, key: &IdempotencyKey) -> Result<(), String> {
        match &self.event.idempotency_key {
            Some(own) if own != key => Err(format!("expected the event's idempotencyKey {:?}, found {:?}", own.as_str(), key.as_str())),
            _ if Builtin::of(self.event.event_type.as_str()) == Some(Builtin::InvalidEventAppended) => Ok(()),
            _ => {
                self.event.idempotency_key = Some(key.clone());
                Ok(())
            }
        }
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
        Proposal::tolerant(&Json::parse(text).unwrap(), || None).event
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
    fn a_refused_upload_does_not_fill_the_log() {
        let text = format!(r#"{{"type":"stream/processor/configured","payload":{{"component":"{}"}}}}"#, "A".repeat(4000));
        let event = recorded(&text);
        assert!(event.payload.as_str().contains("4000 bytes of text, not kept"), "{:?}", event.payload);
    }
}
