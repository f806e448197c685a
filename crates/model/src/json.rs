//! JSON as text that is known to be well formed. The host passes payloads on without reading them, so a number stays
//! exactly as it was written, and a large payload costs no tree.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One JSON text (RFC 8259) without insignificant white space, hence on one line. Duplicate keys, lone surrogates, numbers beyond
/// the range of an IEEE 754 double and nesting deeper than 127 levels do not occur in it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Box<str>);

/// A [`Json`] whose outermost value is an object.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct JsonObject(Json);

/// Why a text is not accepted as JSON: what is wrong, and at which line and column.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    #[error("not UTF-8: {0}")]
    NotUtf8(#[from] std::str::Utf8Error),
    #[error("not valid JSON: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("expected a JSON object, found {found}")]
    NotAnObject { found: &'static str },
}

impl Json {
    /// # Errors
    /// [`JsonError`] where the text is not one JSON value that satisfies the rules above.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        check(text)?;
        Ok(Self(minified(text)))
    }

    /// # Errors
    /// As [`Json::parse`], and where the bytes are not UTF-8.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, JsonError> {
        Self::parse(std::str::from_utf8(bytes)?)
    }

    /// Takes a text that an earlier [`Json::parse`] let through, such as one read back from disk. Not checked again.
    #[must_use]
    pub fn from_checked(text: &str) -> Self {
        Self(text.into())
    }

    /// The JSON text of a value of the host's own.
    ///
    /// # Panics
    /// Never for the types it is used with: structs and maps with string keys, which always serialise.
    #[must_use]
    pub fn of(value: &impl Serialize) -> Self {
        let text = serde_json::to_string(value).expect("the host's own types have string keys and no failing serialisers");
        Self(text.into_boxed_str())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `object`, `array`, `string`, `number`, `boolean` or `null`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.0.as_bytes().first() {
            Some(b'{') => "object",
            Some(b'[') => "array",
            Some(b'"') => "string",
            Some(b't' | b'f') => "boolean",
            Some(b'n') => "null",
            _ => "number",
        }
    }

    /// Reads it into a type of the host's own.
    ///
    /// # Errors
    /// serde's account of the first field that does not fit.
    pub fn to<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
}

impl JsonObject {
    /// # Errors
    /// As [`Json::parse`], and where the outermost value is not an object.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        Self::try_from(Json::parse(text)?)
    }

    /// Takes a text that an earlier [`JsonObject::parse`] let through. Not checked again.
    #[must_use]
    pub fn from_checked(text: &str) -> Self {
        Self(Json::from_checked(text))
    }

    /// The JSON object of a value of the host's own, which must be a struct or a map.
    #[must_use]
    pub fn of(value: &impl Serialize) -> Self {
        Self(Json::of(value))
    }

    #[must_use]
    pub fn empty() -> Self {
        Self::from_checked("{}")
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    #[must_use]
    pub fn as_json(&self) -> &Json {
        &self.0
    }

    /// # Errors
    /// As [`Json::to`].
    pub fn to<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        self.0.to()
    }
}

impl TryFrom<Json> for JsonObject {
    type Error = JsonError;

    fn try_from(json: Json) -> Result<Self, JsonError> {
        match json.kind() {
            "object" => Ok(Self(json)),
            found => Err(JsonError::NotAnObject { found }),
        }
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl utoipa::ToSchema for Json {}

impl utoipa::PartialSchema for Json {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        crate::schema::any("Any JSON value; nesting to 127 levels, no duplicate keys.")
    }
}

impl utoipa::ToSchema for JsonObject {}

impl utoipa::PartialSchema for JsonObject {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        crate::schema::object("Any JSON object; nesting to 127 levels, no duplicate keys.")
    }
}

impl Serialize for Json {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl Serialize for JsonObject {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::parse(raw.get()).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Json::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

fn check(text: &str) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Check.deserialize(&mut deserializer)?;
    deserializer.end()
}

/// Walks a value and keeps nothing. serde_json itself refuses lone surrogates, numbers out of range and deep nesting on the way.
struct Check;

impl<'de> DeserializeSeed<'de> for Check {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Check {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Check)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = Keys::default();
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if let Some(duplicate) = keys.insert(key) {
                return Err(A::Error::custom(format_args!("duplicate key {duplicate:?}")));
            }
            map.next_value_seed(Check)?;
        }
        Ok(())
    }
}

/// The keys of one object. Most objects have few, for which looking through a list beats hashing.
#[derive(Default)]
struct Keys<'a> {
    few: Vec<std::borrow::Cow<'a, str>>,
    many: HashSet<std::borrow::Cow<'a, str>>,
}

impl<'a> Keys<'a> {
    const FEW_MAX: usize = 12;

    /// Gives the key back if it was there already.
    fn insert(&mut self, key: std::borrow::Cow<'a, str>) -> Option<std::borrow::Cow<'a, str>> {
        if self.many.is_empty() && self.few.len() < Self::FEW_MAX {
            if self.few.contains(&key) {
                return Some(key);
            }
            self.few.push(key);
            return None;
        }
        self.many.extend(self.few.drain(..));
        if self.many.contains(&key) {
            return Some(key);
        }
        self.many.insert(key);
        None
    }
}

/// `text` without white space outside strings. `text` must be valid JSON.
fn minified(text: &str) -> Box<str> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    if !text.as_bytes().iter().any(is_space) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let (mut kept_from, mut in_string, mut escaped) = (0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
        } else if byte == b'"' {
            in_string = true;
        } else if is_space(&byte) {
            out.push_str(&text[kept_from..at]);
            kept_from = at + 1;
        }
    }
    out.push_str(&text[kept_from..]);
    out.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_and_strings_stay_as_written() {
        let text = r#"{"a":1.10,"b":123456789012345678901234567890,"c":"x \" y\\","d":-0.0}"#;
        assert_eq!(Json::parse(text).unwrap().as_str(), text);
    }

    #[test]
    fn white_space_goes_only_outside_strings() {
        let json = Json::parse("{ \"a b\" :\n[ 1 , \"\\\" \\\\\" ]\t}\r\n").unwrap();
        assert_eq!(json.as_str(), r#"{"a b":[1,"\" \\"]}"#);
    }

    #[test]
    fn duplicate_keys_lone_surrogates_and_overflow_are_refused_with_a_place() {
        for (text, expected) in [
            (r#"{"a":1,"a":2}"#, "duplicate key \"a\" at line 1 column 10"),
            (r#"{"a":1,"\u0061":2}"#, "duplicate key"),
            (r#"["\ud800"]"#, "hex escape"),
            ("1e999", "number out of range"),
            ("[1", "EOF"),
            ("1 2", "trailing characters"),
        ] {
            let error = Json::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let many: String = (0..20).map(|n| format!("\"k{n}\":0,")).collect();
        assert!(Json::parse(&format!("{{{many}\"k3\":1}}")).unwrap_err().to_string().contains("duplicate key \"k3\""));
        assert!(Json::parse(&"[".repeat(200)).unwrap_err().to_string().contains("recursion limit"));
    }

    proptest! {
        #[test]
        fn minified_text_means_the_same_and_is_stable(value in arbitrary_value(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let json = Json::parse(&text).unwrap();
            prop_assert_eq!(json.to::<serde_json::Value>().unwrap(), value);
            prop_assert_eq!(Json::parse(json.as_str()).unwrap(), json.clone());
            prop_assert!(!json.as_str().contains('\n'));
        }
    }

    fn arbitrary_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::hash_map(any::<String>(), inner, 0..16).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }
}
