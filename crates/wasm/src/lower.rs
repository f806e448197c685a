//! Recorded events as the guest gets them: borrowed, so that their texts are copied once, straight into the guest's memory.

use pelton_model::{Digest, Event};

use crate::bindings::exports::pelton::processor::processor::Event as EventParam;
use crate::bindings::pelton::processor::types::SourceParam;

/// Digests as text, the one part of an event that the host keeps in another form. A page has few different ones.
pub(crate) struct Digests(Vec<(Digest, String)>);

impl Digests {
    pub(crate) fn of(events: &[Event]) -> Self {
        let mut digests: Vec<(Digest, String)> = Vec::new();
        for source in events.iter().filter_map(|event| event.source.as_ref()) {
            if digests.iter().all(|(digest, _)| *digest != source.digest) {
                digests.push((source.digest, source.digest.to_string()));
            }
        }
        Self(digests)
    }

    pub(crate) fn lower<'a>(&'a self, event: &'a Event) -> EventParam<'a> {
        EventParam {
            stream_path: event.stream_path.as_str(),
            offset: event.offset.get(),
            event_type: event.event_type.as_str(),
            payload: event.payload.as_str(),
            metadata: event.metadata.as_ref().map(|metadata| metadata.as_str()),
            idempotency_key: event.idempotency_key.as_ref().map(|key| key.as_str()),
            created_at: event.created_at.as_millis(),
            source: event.source.as_ref().map(|source| SourceParam {
                slug: source.slug.as_str(),
                digest: self.text(&source.digest),
                stream_path: source.stream_path.as_str(),
                offset: source.offset.get(),
                depth: source.depth,
            }),
        }
    }

    fn text(&self, wanted: &Digest) -> &str {
        self.0.iter().find(|(digest, _)| digest == wanted).map_or("", |(_, text)| text)
    }
}
