//! YAML as far as it says what JSON says too: the core schema of YAML 1.2, without anchors, aliases and tags.

use std::collections::HashSet;

use pelton_model::Json;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::{BodyError, Candidate, Candidates, Sent, check_count, envelope, of_json, raw_text};

/// As deep as JSON may be.
const NESTING_MAX: usize = 127;

/// One document is what the same in JSON is; several are a batch. What JSON cannot say makes the whole body one invalid event.
pub fn parse(sent: &Sent<'_>) -> Result<Candidates, BodyError> {
    let invalid = |error: String| Ok(Candidates::One(Candidate::Invalid { raw: raw_text(sent.bytes), error }));
    let text = match std::str::from_utf8(sent.bytes) {
        Ok(text) => text,
        Err(error) => return invalid(format!("not UTF-8: {error}")),
    };
    match documents(text) {
        Err(error) => invalid(format!("not valid YAML: {error}")),
        Ok(mut documents) => match documents.pop() {
            None => invalid("expected a YAML document, found nothing".to_owned()),
            Some(only) if documents.is_empty() => of_json(only, sent.events_max),
            Some(last) => {
                documents.push(last);
                check_count(documents.len(), sent.events_max, "no document")?;
                Ok(Candidates::Batch(documents.into_iter().map(envelope).collect()))
            }
        },
    }
}

/// Every document of a text, as JSON.
///
/// # Errors
/// What is wrong with it, and where.
pub fn documents(text: &str) -> Result<Vec<Json>, String> {
    let mut parser = Parser::new_from_str(text);
    let mut documents = Vec::new();
    let mut writer = Writer::default();
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| at(error.marker(), error.info()))?;
        match event {
            Event::DocumentEnd => {
                let json = std::mem::take(&mut writer).out;
                documents.push(Json::parse(&json).map_err(|error| at(&span.start, error))?);
            }
            other => writer.event(other).map_err(|problem| at(&span.start, problem))?,
        }
    }
    Ok(documents)
}

fn at(place: &Marker, problem: impl std::fmt::Display) -> String {
    format!("{problem} at line {} column {}", place.line(), place.col() + 1)
}

/// Writes the JSON of one document, an event at a time.
#[derive(Default)]
struct Writer {
    out: String,
    open: Vec<Collection>,
}

enum Collection {
    Sequence { is_empty: bool },
    Mapping { keys: HashSet<String>, awaits_value: bool },
}

impl Writer {
    fn event(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse_anchor(anchor)?;
                match tag {
                    Some(tag) => Err(refused_tag(&tag)),
                    None => self.scalar(&text, style),
                }
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_anchor(anchor)?;
                tag.map_or(Ok(()), |tag| Err(refused_tag(&tag)))?;
                self.open("[", Collection::Sequence { is_empty: true })
            }
            Event::MappingStart(anchor, tag) => {
                refuse_anchor(anchor)?;
                tag.map_or(Ok(()), |tag| Err(refused_tag(&tag)))?;
                self.open("{", Collection::Mapping { keys: HashSet::new(), awaits_value: false })
            }
            Event::SequenceEnd => {
                self.close("]");
                Ok(())
            }
            Event::MappingEnd => {
                self.close("}");
                Ok(())
            }
            Event::Alias(_) => Err("aliases (`*name`) are not taken; write the value out".to_owned()),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, bracket: &str, collection: Collection) -> Result<(), String> {
        if self.awaits_key() {
            return Err("expected a string as a key, found a sequence or a mapping".to_owned());
        }
        if self.open.len() == NESTING_MAX {
            return Err(format!("expected at most {NESTING_MAX} levels of nesting, found more"));
        }
        self.before_value();
        self.out.push_str(bracket);
        self.open.push(collection);
        Ok(())
    }

    fn close(&mut self, bracket: &str) {
        self.out.push_str(bracket);
        self.open.pop();
        self.after_value();
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle) -> Result<(), String> {
        let plain = style == ScalarStyle::Plain;
        if self.awaits_key() {
            return self.key(text, plain);
        }
        let json = if plain { plain_value(text)? } else { None };
        self.before_value();
        match json {
            Some(json) => self.out.push_str(json),
            None => self.out.push_str(Json::of(&text).as_str()),
        }
        self.after_value();
        Ok(())
    }

    fn key(&mut self, text: &str, plain: bool) -> Result<(), String> {
        if plain && plain_value(text)?.is_some() {
            return Err(format!("expected a string as a key, found `{text}`; quotes make it one"));
        }
        if let Some(Collection::Mapping { keys, awaits_value }) = self.open.last_mut() {
            if !keys.is_empty() {
                self.out.push(',');
            }
            if !keys.insert(text.to_owned()) {
                return Err(format!("duplicate key {text:?}"));
            }
            *awaits_value = true;
        }
        self.out.push_str(Json::of(&text).as_str());
        self.out.push(':');
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Collection::Mapping { awaits_value: false, .. }))
    }

    fn before_value(&mut self) {
        if let Some(Collection::Sequence { is_empty }) = self.open.last_mut()
            && !std::mem::replace(is_empty, false)
        {
            self.out.push(',');
        }
    }

    fn after_value(&mut self) {
        if let Some(Collection::Mapping { awaits_value, .. }) = self.open.last_mut() {
            *awaits_value = false;
        }
    }
}

fn refuse_anchor(anchor: usize) -> Result<(), String> {
    if anchor == 0 { Ok(()) } else { Err("anchors (`&name`) are not taken; write the value out".to_owned()) }
}

fn refused_tag(tag: &saphyr_parser::Tag) -> String {
    format!("tags are not taken, found `{tag}`")
}

/// The JSON of an unquoted scalar, by the core schema; `None` where it is a string.
fn plain_value(text: &str) -> Result<Option<&str>, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Ok(Some("null")),
        "true" | "True" | "TRUE" => Ok(Some("true")),
        "false" | "False" | "FALSE" => Ok(Some("false")),
        _ if is_json_number(text) => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(text)),
            _ => Err(format!("expected a number within the range of a double, found {}", shortened(text))),
        },
        _ if is_yaml_number(text) => Err(format!("expected a number as JSON writes it, or text in quotes, found {}", shortened(text))),
        _ => Ok(None),
    }
}

fn shortened(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 40;
    let start: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if start.len() == text.len() { format!("`{text}`") } else { format!("`{start}…`") }
}

fn is_json_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let has_leading_zero = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
    digits.starts_with(|first: char| first.is_ascii_digit()) && !has_leading_zero && {
        let (mantissa, exponent) = digits.split_once(['e', 'E']).map_or((digits, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
        let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(whole, fraction)| (whole, Some(fraction)));
        are_digits(whole) && fraction.is_none_or(are_digits) && exponent.is_none_or(is_exponent)
    }
}

/// What the core schema takes for a number, beyond what JSON does.
fn is_yaml_number(text: &str) -> bool {
    if let Some(octal) = text.strip_prefix("0o") {
        return !octal.is_empty() && octal.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits_or_none = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !(whole.is_empty() && fraction.is_empty())
        && are_digits_or_none(whole)
        && are_digits_or_none(fraction)
        && exponent.is_none_or(is_exponent)
}

fn is_exponent(text: &str) -> bool {
    are_digits(text.strip_prefix(['-', '+']).unwrap_or(text))
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
