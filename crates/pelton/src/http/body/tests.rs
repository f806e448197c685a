use pelton_model::NewEvent;
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

fn parsed(content_type: &str, bytes: impl AsRef<[u8]>) -> Result<Candidates, BodyError> {
    parse(&Sent { content_type, ce_headers: &[], bytes: bytes.as_ref(), events_max: 10_000 })
}

/// The envelopes of a body, and whether it is a batch. An invalid one is its error.
fn envelopes(content_type: &str, text: &str) -> (bool, Vec<Result<String, String>>) {
    let (is_batch, candidates) = match parsed(content_type, text).unwrap() {
        Candidates::One(candidate) => (false, vec![candidate]),
        Candidates::Batch(candidates) => (true, candidates),
    };
    let text = |candidate| match candidate {
        Candidate::Envelope { envelope, .. } => Ok(envelope.as_str().to_owned()),
        Candidate::Invalid { error, .. } => Err(error),
    };
    (is_batch, candidates.into_iter().map(text).collect())
}

fn yaml(text: &str) -> Result<String, String> {
    let (is_batch, mut envelopes) = envelopes("application/yaml", text);
    assert!(!is_batch, "{text}");
    envelopes.pop().unwrap()
}

#[test]
fn events_of_an_object_with_that_one_key_are_a_batch() {
    let (is_batch, events) = envelopes("application/json", r#"{ "events": [ {"type":"a"}, {"event":{"type":"b"}} ] }"#);
    assert!(is_batch);
    assert_eq!(events, [Ok(r#"{"type":"a"}"#.to_owned()), Ok(r#"{"type":"b"}"#.to_owned())]);
    for one in [r#"{"events":[],"more":1}"#, r#"{"events":{}}"#, r#"{"type":"a","events":[]}"#] {
        assert!(!envelopes("application/json", one).0, "{one}");
    }
    assert_eq!(parsed("", r#"{"events":[]}"#), Err(BodyError::EmptyBatch { found: "an empty array" }));
}

#[test]
fn yaml_scalars_are_those_of_the_core_schema() {
    for (text, json) in [
        ("a: yes", r#"{"a":"yes"}"#),
        ("a: 1.10", r#"{"a":1.10}"#),
        ("a: 123456789012345678901234567890", r#"{"a":123456789012345678901234567890}"#),
        ("a: -0.0e+5", r#"{"a":-0.0e+5}"#),
        ("a:", r#"{"a":null}"#),
        ("a: [~, null, True, FALSE, 'true', \"1\"]", r#"{"a":[null,null,true,false,"true","1"]}"#),
        ("a: 2026-01-01", r#"{"a":"2026-01-01"}"#),
        ("a: 12:30", r#"{"a":"12:30"}"#),
        ("a: 1_000", r#"{"a":"1_000"}"#),
        ("a: -", r#"expected"#),
        ("a: |\n  1\n  2\n", r#"{"a":"1\n2\n"}"#),
        ("a: \"\\0\\u00e4\"", "{\"a\":\"\\u0000ä\"}"),
        ("- 1\n", "batch"),
    ] {
        match (json, text) {
            ("expected", _) => assert!(yaml(text).is_err(), "{text}"),
            ("batch", _) => assert!(envelopes("text/yaml", text).0),
            _ => assert_eq!(yaml(text).as_deref(), Ok(json), "{text}"),
        }
    }
}

#[test]
fn yaml_that_json_cannot_say_is_refused_with_its_place() {
    for (text, expected) in [
        ("a: &x 1", "anchors (`&name`) are not taken; write the value out at line 1 column"),
        ("a: &x {}", "anchors"),
        ("a: !!str 1", "tags are not taken"),
        ("a: !mine [1]", "tags are not taken, found `!mine` at line 1 column"),
        ("a: .inf", "found `.inf` at line 1 column 4"),
        ("a: 1\nb: .NaN", "found `.NaN` at line 2 column 4"),
        ("a: 0x1F", "expected a number as JSON writes it"),
        ("a: 0o17", "expected a number as JSON writes it"),
        ("a: 007", "expected a number as JSON writes it"),
        ("a: +1", "expected a number as JSON writes it"),
        ("a: .5", "expected a number as JSON writes it"),
        ("a: 1e999", "within the range of a double"),
        ("1: a", "expected a string as a key, found `1`; quotes make it one at line 1 column 1"),
        ("? [a]\n: b", "expected a string as a key, found a sequence or a mapping"),
        ("a: 1\na: 2", "duplicate key \"a\" at line 2 column 1"),
        ("a: [1", "line "),
        ("a: \"\\ud800\"", "line 1"),
        ("", "expected a YAML document, found nothing"),
    ] {
        let error = yaml(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(yaml(&format!("a: {}", deep(126))).is_ok());
    assert!(yaml(&format!("a: {}", deep(127))).unwrap_err().contains("at most 127 levels"));
    assert!(yaml(&"- ".repeat(100_000)).unwrap_err().contains("at most 127 levels"));
    assert!(yaml(&"? ".repeat(100_000)).is_err());
}

#[test]
fn several_yaml_documents_are_a_batch() {
    let (is_batch, events) = envelopes("text/x-yaml; charset=utf-8", "type: a\n---\nevent:\n  type: b\n...\n---\n- c\n");
    assert!(is_batch);
    assert_eq!(events, [Ok(r#"{"type":"a"}"#.to_owned()), Ok(r#"{"type":"b"}"#.to_owned()), Ok(r#"["c"]"#.to_owned())]);
}

#[test]
fn a_batch_has_an_upper_and_a_lower_bound_in_every_form() {
    for (content_type, none, two) in [
        ("application/json", "[]", "[1,2]"),
        ("application/x-ndjson", " \n\r\n", "1\n2"),
        ("application/yaml", "[]", "- 1\n- 2"),
        ("application/yaml", "[]", "--- 1\n--- 2"),
        ("application/cloudevents-batch+json", "[]", "[1,2]"),
    ] {
        let of = |text: &str| parse(&Sent { content_type, ce_headers: &[], bytes: text.as_bytes(), events_max: 1 });
        assert!(matches!(of(none), Err(BodyError::EmptyBatch { .. })), "{content_type}");
        assert_eq!(of(two), Err(BodyError::TooManyEvents { found: 2, max: 1 }), "{content_type}");
    }
}

/// Events as generated, with every field that there is.
fn arbitrary_event() -> impl Strategy<Value = Value> {
    let payload = prop::collection::hash_map(any::<String>(), arbitrary_value(), 0..6);
    (".{1,8}[a-z]", payload, prop::option::of("[a-z]{1,9}")).prop_map(|(event_type, payload, key)| {
        let mut event = Map::new();
        event.insert("type".to_owned(), event_type.into());
        event.insert("payload".to_owned(), payload.into_iter().collect::<Map<_, _>>().into());
        event.extend(key.map(|key| ("idempotencyKey".to_owned(), key.into())));
        event.into()
    })
}

fn arbitrary_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        "(yes|no|null|~|0x1|1e5|\\.inf|- a|a: b|# c|[-+.0-9eE]{1,6})".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::hash_map(any::<String>(), inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Block YAML with its strings in double quotes, which YAML reads as JSON does, apart from what is written here with escapes.
fn as_yaml(value: &Value, indent: usize, out: &mut String) {
    let pad = "  ".repeat(indent);
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                out.push_str(&format!("\n{pad}? {}\n{pad}:", quoted(name)));
                as_yaml(value, indent + 1, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                out.push_str(&format!("\n{pad}-"));
                as_yaml(item, indent + 1, out);
            }
        }
        Value::String(text) => out.push_str(&format!(" {}", quoted(text))),
        other => out.push_str(&format!(" {other}")),
    }
}

/// Everything but plain ASCII escaped: YAML folds and forbids some of what JSON leaves alone.
fn quoted(text: &str) -> String {
    let escaped = |char: char| match char {
        ' ' | '!' | '#'..='[' | ']'..='~' => char.to_string(),
        other => format!("\\U{:08x}", other as u32),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

fn new_events(content_type: &str, text: &str) -> Vec<Value> {
    let read = |envelope: Result<String, String>| {
        let event = NewEvent::parse(&Json::from_checked(&envelope.unwrap())).unwrap();
        // The order of keys is free, so the payload is compared as a value; the rest as it is.
        json!([event.event_type.as_str(), event.payload.to::<Value>().unwrap(), event.idempotency_key.map(|key| key.as_str().to_owned())])
    };
    envelopes(content_type, text).1.into_iter().map(read).collect()
}

proptest! {
    #[test]
    fn the_forms_of_the_same_events_are_the_same_events(events in prop::collection::vec(arbitrary_event(), 2..4)) {
        let as_json = new_events("application/json", &Value::from(events.clone()).to_string());
        let lines = events.iter().map(|event| format!("{event}\r\n\n")).collect::<String>();
        prop_assert_eq!(&new_events("application/x-ndjson", &lines), &as_json);
        let mut text = String::new();
        as_yaml(&Value::from(events.clone()), 0, &mut text);
        prop_assert_eq!(&new_events("application/yaml", &text), &as_json, "{}", text);
        let mut documents = String::new();
        for event in &events {
            documents.push_str("\n---");
            as_yaml(event, 0, &mut documents);
        }
        prop_assert_eq!(&new_events("application/yaml", &documents), &as_json, "{}", documents);
    }

    #[test]
    fn a_plain_yaml_scalar_is_a_string_or_what_json_says_of_the_same_text(text in "[-+.0-9eExoa-f_]{1,8}") {
        match yaml(&format!("a: {text}")) {
            Ok(json) => {
                let quoted = format!(r#"{{"a":"{text}"}}"#);
                let bare = format!(r#"{{"a":{text}}}"#);
                prop_assert_eq!(&json, if Json::parse(&bare).is_ok() { &bare } else { &quoted });
            }
            Err(error) => prop_assert!(error.contains("line 1"), "{}", error),
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(
        kind in prop::sample::select(vec![
            "", "application/json", "application/x-ndjson", "application/yaml", "application/x-www-form-urlencoded", "text/plain; charset=utf-16",
            "application/cloudevents+json", "application/cloudevents-batch+json", "application/cloudevents+avro",
        ]),
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "[\\[\\]{}:,\"'&*!|>%@?#\\-~ \n\t\r\\\\a0-9u=+.]{0,120}".prop_map(String::into_bytes),
            ".{0,100}".prop_map(String::into_bytes),
        ],
        ce_headers in prop::collection::vec(("ce-(specversion|id|source|type|data|x)", prop::collection::vec(any::<u8>(), 0..12)), 0..5),
    ) {
        let candidates = parse(&Sent { content_type: kind, ce_headers: &ce_headers, bytes: &bytes, events_max: 50 });
        let list = match candidates {
            Ok(Candidates::One(candidate)) => vec![candidate],
            Ok(Candidates::Batch(list)) => list,
            Err(_) => return Ok(()),
        };
        prop_assert!(!list.is_empty());
        for candidate in list {
            let (Candidate::Envelope { envelope: json, .. } | Candidate::Invalid { raw: json, .. }) = candidate;
            prop_assert_eq!(&Json::parse(json.as_str()).unwrap(), &json, "what comes out is JSON as the model knows it");
        }
    }
}
