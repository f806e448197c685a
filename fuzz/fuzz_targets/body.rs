//! The body of an append: the first byte chooses the form, the second splits the rest into a header's value and the body.

#![no_main]

#[path = "../../crates/pelton/src/http/body/mod.rs"]
mod body;

use body::{Candidate, Candidates, Sent};
use libfuzzer_sys::fuzz_target;
use pelton_model::{Json, NewEvent};

const FORMS: &[&str] = &[
    "application/json",
    "application/x-ndjson",
    "application/yaml",
    "application/x-www-form-urlencoded",
    "text/plain",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "",
];

fuzz_target!(|data: &[u8]| {
    let [form, split, rest @ ..] = data else { return };
    let is_binary_cloudevent = form & 0x80 != 0;
    let (header, bytes) = rest.split_at(if is_binary_cloudevent { usize::from(*split).min(rest.len()) } else { 0 });
    let ce_headers = [("ce-specversion", &b"1.0"[..]), ("ce-type", b"t"), ("ce-id", b"1"), ("ce-source", header)];
    let ce_headers: Vec<_> = ce_headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
    let sent = Sent {
        content_type: FORMS[usize::from(form & 0x7f) % FORMS.len()],
        ce_headers: if is_binary_cloudevent { &ce_headers } else { &[] },
        bytes,
        events_max: 1000,
    };
    let candidates = match body::parse(&sent) {
        Ok(Candidates::One(candidate)) => vec![candidate],
        Ok(Candidates::Batch(candidates)) => candidates,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(!candidates.is_empty() && candidates.len() <= sent.events_max);
    for candidate in candidates {
        match candidate {
            Candidate::Envelope { envelope, raw } => {
                assert_is_json(&envelope);
                raw.iter().for_each(assert_is_json);
                if let Ok(event) = NewEvent::parse(&envelope) {
                    assert_is_json(event.payload.as_json());
                }
            }
            Candidate::Invalid { raw, error } => {
                assert_is_json(&raw);
                assert!(!error.is_empty());
            }
        }
    }
});

fn assert_is_json(json: &Json) {
    assert_eq!(Json::parse(json.as_str()).as_ref().ok(), Some(json), "what comes out is JSON as the model knows it");
}
