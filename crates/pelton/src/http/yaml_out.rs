//! JSON as YAML for people: block style, keys in their order, numbers as written, and strings without quotes wherever no reader of YAML 1.1
//! or 1.2 could take them for something else.

use std::borrow::Cow;

pub const MEDIA_TYPES: &[&str] = &["application/yaml", "text/yaml", "application/x-yaml", "text/x-yaml"];

/// Appends one document, without its `---`, and a line break. `json` must be well formed and without white space around its tokens, as all JSON of
/// the host is.
pub fn write(out: &mut String, json: &str) {
    let mut emitter = Emitter { out, rest: json };
    emitter.value(0, Place::Inline);
}

struct Emitter<'a, 'json> {
    out: &'a mut String,
    /// What is still to be written.
    rest: &'json str,
}

/// What stands before a value on its line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Only indentation, or a dash or question mark and a space: a collection may begin here.
    Inline,
    /// `key:`, without the space.
    AfterKey,
}

/// YAML readers look for the colon of a key without a question mark only so far.
const KEY_CHARS_MAX: usize = 1000;

impl<'json> Emitter<'_, 'json> {
    /// Writes the next value; its further lines are indented by `indent` spaces. Ends with a line break.
    fn value(&mut self, indent: usize, place: Place) {
        let (opens, is_empty) = (self.rest.starts_with(['{', '[']), self.rest.starts_with("{}") || self.rest.starts_with("[]"));
        if opens && !is_empty {
            if place == Place::AfterKey {
                self.out.push('\n');
                self.indent(indent);
            }
            return if self.take(1) == "{" { self.members(indent) } else { self.elements(indent) };
        }
        if place == Place::AfterKey {
            self.out.push(' ');
        }
        if self.rest.starts_with('"') {
            let text = self.string();
            self.scalar(&text, indent);
        } else {
            let end = if opens { 2 } else { self.rest.find([',', ']', '}']).unwrap_or(self.rest.len()) };
            let token = self.take(end);
            self.out.push_str(token);
            self.out.push('\n');
        }
    }

    fn members(&mut self, indent: usize) {
        loop {
            let key = self.string();
            self.take(1); // the colon
            let key = if is_plain(&key) { key } else { Cow::Owned(quoted(&key)) };
            if key.len() > KEY_CHARS_MAX {
                self.out.push_str("? ");
                self.out.push_str(&key);
                self.out.push('\n');
                self.indent(indent);
                self.out.push_str(": ");
                self.value(indent + 2, Place::Inline);
            } else {
                self.out.push_str(&key);
                self.out.push(':');
                self.value(indent + 2, Place::AfterKey);
            }
            if self.take(1) == "}" {
                return;
            }
            self.indent(indent);
        }
    }

    fn elements(&mut self, indent: usize) {
        loop {
            self.out.push_str("- ");
            self.value(indent + 2, Place::Inline);
            if self.take(1) == "]" {
                return;
            }
            self.indent(indent);
        }
    }

    fn scalar(&mut self, text: &str, indent: usize) {
        if is_plain(text) {
            self.out.push_str(text);
        } else if is_literal(text) {
            // Without a line break at the end the last one is stripped.
            self.out.push_str(if text.ends_with('\n') { "|" } else { "|-" });
            for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
                self.out.push('\n');
                if !line.is_empty() {
                    self.indent(indent.max(2));
                    self.out.push_str(line);
                }
            }
        } else {
            self.out.push_str(&quoted(text));
        }
        self.out.push('\n');
    }

    /// Takes a JSON string and gives its text.
    fn string(&mut self) -> Cow<'json, str> {
        let mut escaped = false;
        let end = self.rest.bytes().skip(1).position(|byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        });
        let token = self.take(end.map_or(self.rest.len(), |end| end + 2));
        if !token.contains('\\') {
            return Cow::Borrowed(token.trim_matches('"'));
        }
        Cow::Owned(serde_json::from_str(token).expect("the host's JSON has been checked before it got here"))
    }

    fn take(&mut self, bytes: usize) -> &'json str {
        let (taken, rest) = self.rest.split_at(bytes.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn indent(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }
}

/// Whether the text is this string for every reader when it stands there without quotes. What begins with a digit, a sign or an indicator is quoted
/// without a closer look, for people read such values as something else as well.
fn is_plain(text: &str) -> bool {
    const OTHERWISE_READ: &[&str] = &["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    text.starts_with(|first: char| first.is_alphabetic() || matches!(first, '/' | '_'))
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(is_printable)
        && !OTHERWISE_READ.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether the text survives as a literal block: several lines of printable text, of which the first begins with a visible character and the last
/// is not empty.
fn is_literal(text: &str) -> bool {
    let is_line = |line: &str| line.is_empty() || !line.starts_with('\t') && line.contains(|c: char| !matches!(c, ' ' | '\t'));
    text.contains('\n')
        && !text.starts_with(['\n', ' ', '\t'])
        && !text.ends_with("\n\n")
        && text.chars().all(|c| is_printable(c) || matches!(c, '\n' | '\t'))
        && text.split('\n').all(is_line)
}

/// Without what YAML 1.1 takes for a line break, and byte order marks.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{1_0000}'..)
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    if json.chars().all(is_printable) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_printable(c) { out.push(c) } else { out.push_str(&format!("\\u{:04x}", u32::from(c))) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use pelton_model::Json;
    use proptest::prelude::*;
    use saphyr_parser::{Event, Parser, ScalarStyle};
    use serde_json::Value;

    fn yaml(json: &str) -> String {
        let mut out = String::new();
        write(&mut out, Json::parse(json).unwrap().as_str());
        out
    }

    #[test]
    fn an_event_reads_well() {
        let json = r#"{"streamPath":"/a","offset":7,"type":"note","payload":{"n":1.10,"text":"one\ntwo\n","yes":"no","list":[1,[2,"x: y"],{"a":{}}],"none":[]},"createdAt":"2023-11-14T22:13:20.000Z"}"#;
        let expected = "streamPath: /a\noffset: 7\ntype: note\npayload:\n  \"n\": 1.10\n  text: |\n    one\n    two\n  \"yes\": \"no\"\n  list:\n    - 1\n    - - 2\n      - \"x: y\"\n    - a: {}\n  none: []\ncreatedAt: \"2023-11-14T22:13:20.000Z\"\n";
        assert_eq!(yaml(json), expected);
    }

    /// What a reader of YAML finds, every scalar as its text and whether it may be read as something else than a string.
    #[derive(Debug, PartialEq)]
    enum Node {
        String(String),
        Other(String),
        List(Vec<Node>),
        Map(Vec<(Node, Node)>),
    }

    fn parsed(yaml: &str) -> Node {
        let mut events = Parser::new_from_str(yaml).map(|event| event.unwrap_or_else(|error| panic!("{error}\n{yaml}")).0);
        assert_eq!(events.next(), Some(Event::StreamStart));
        assert!(matches!(events.next(), Some(Event::DocumentStart(_))));
        let first = events.next().unwrap();
        let node = node(first, &mut events);
        assert_eq!(events.next(), Some(Event::DocumentEnd));
        node
    }

    fn node<'a>(event: Event<'a>, events: &mut impl Iterator<Item = Event<'a>>) -> Node {
        match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_other(&text) => Node::Other(text.into_owned()),
            Event::Scalar(text, ..) => Node::String(text.into_owned()),
            Event::SequenceStart(..) => {
                let mut list = Vec::new();
                loop {
                    match events.next().unwrap() {
                        Event::SequenceEnd => return Node::List(list),
                        event => list.push(node(event, events)),
                    }
                }
            }
            Event::MappingStart(..) => {
                let mut map = Vec::new();
                loop {
                    match events.next().unwrap() {
                        Event::MappingEnd => return Node::Map(map),
                        event => {
                            let key = node(event, events);
                            let value = events.next().unwrap();
                            map.push((key, node(value, events)));
                        }
                    }
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Anything that some schema does not take for a string.
    fn is_other(text: &str) -> bool {
        let words = ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "=", "<<", ".inf", ".nan"];
        words.contains(&&*text.to_lowercase()) || text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
    }

    fn expected(value: &Value) -> Node {
        match value {
            Value::String(text) => Node::String(text.clone()),
            Value::Array(list) => Node::List(list.iter().map(expected).collect()),
            Value::Object(map) => Node::Map(map.iter().map(|(key, value)| (Node::String(key.clone()), expected(value))).collect()),
            other => Node::Other(other.to_string()),
        }
    }

    #[test]
    fn awkward_strings_stay_strings() {
        let long = "k".repeat(3000);
        for text in [
            "",
            " ",
            "a ",
            "a:",
            "a: b",
            "a #b",
            "#",
            "- a",
            "? a",
            "yes",
            "No",
            "NULL",
            "~",
            "0x1f",
            "1_000",
            "12:30:45",
            "2001-12-14",
            ".inf",
            "=",
            "<<",
            "---",
            "...",
            "%a",
            "@a",
            "`",
            "a\n",
            "\na",
            "a\n\nb",
            "a\n\n",
            " a\nb",
            "a\n  b\n c",
            "a\n\tb",
            "a\n \nb",
            "a\r\nb",
            "a\u{85}b",
            "a\u{2028}b",
            "\u{feff}a",
            "a\u{fffe}b",
            "\u{7f}",
            "\u{0}",
            "é: ü",
            "日本",
            "🙂 \n🙂",
            "a\n---\nb",
            "a\n...\nb\n",
            "[a",
            "{a}",
            "&a",
            "*a",
            "!a",
            "|",
            ">",
            "'a'",
            "\"a\"",
            "a, b [c] {d}",
            "/a/b",
            "https://x.y/z#w",
            &long,
        ] {
            for value in [Value::from(text), serde_json::json!({ text: text, "list": [text, [text]] })] {
                assert_eq!(parsed(&yaml(&value.to_string())), expected(&value), "{text:?}\n{}", yaml(&value.to_string()));
            }
        }
    }

    #[test]
    fn numbers_are_as_written() {
        for number in ["1.10", "-0", "1E+2", "123456789012345678901234567890", "0.1e-7"] {
            assert_eq!(yaml(number), format!("{number}\n"));
        }
    }

    proptest! {
        #[test]
        fn what_is_read_back_is_the_json(value in arbitrary_value()) {
            let text = yaml(&value.to_string());
            prop_assert_eq!(parsed(&text), expected(&value), "{}", text);
        }
    }

    fn arbitrary_value() -> impl Strategy<Value = Value> {
        let text = || prop_oneof![any::<String>(), "[a-z :#\\-\\n\\t]{0,12}", "[ -~]{0,6}\\n[ -~]{0,6}\\n?"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            text().prop_map(Into::into)
        ];
        leaf.prop_recursive(4, 48, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::hash_map(text(), inner, 0..6).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }
}
