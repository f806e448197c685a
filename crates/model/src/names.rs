//! Names, each validated once, in its constructor.

use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// Why a name is refused: which kind of name, what was expected, what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: expected {expected}, found {found}")]
pub struct NameError {
    pub kind: &'static str,
    pub expected: &'static str,
    pub found: String,
}

impl NameError {
    fn new(kind: &'static str, expected: &'static str, found: &str) -> Self {
        let mut short: String = found.chars().take(80).collect();
        if short.len() < found.len() {
            short = format!("{short}… ({} bytes)", found.len());
        }
        Self { kind, expected, found: format!("{short:?}") }
    }
}

macro_rules! text_name {
    ($(#[doc = $doc:literal])* $name:ident $($pattern:literal)?) => {
        $(#[doc = $doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Takes a text that an earlier constructor let through, such as one read back from disk. Not checked again.
            #[must_use]
            pub fn from_checked(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl utoipa::ToSchema for $name {}

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let patterns: &[&str] = &[$($pattern)?];
                crate::schema::text(concat!($($doc, " "),*).trim(), patterns.first().copied())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(&String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    };
}

text_name! {
    /// `/`, or segments of `[a-z0-9_-]+` each after one slash; at most 1023 bytes. Nothing is repaired, so that a caller's
    /// mistake shows.
    StreamPath "^(/|(/[a-z0-9_-]+)+)$"
}

impl StreamPath {
    pub const BYTES_MAX: usize = 1023;

    /// # Errors
    /// [`NameError`] where the text breaks the rule above.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let fits = text.len() <= Self::BYTES_MAX && (text == "/" || is_segments(text));
        if !fits {
            return Err(NameError::new("stream path", "`/` or `/segment/segment` with segments of [a-z0-9_-]+, at most 1023 bytes", text));
        }
        Ok(Self(text.into()))
    }

    #[must_use]
    pub fn root() -> Self {
        Self("/".into())
    }

    /// How many segments it has: 0 for `/`.
    #[must_use]
    pub fn depth(&self) -> usize {
        if &*self.0 == "/" { 0 } else { self.0.bytes().filter(|byte| *byte == b'/').count() }
    }

    /// `/a/b` for `/a/b/c`, `/` for `/a`, nothing for `/`.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if &*self.0 == "/" {
            return None;
        }
        match self.0.rfind('/') {
            Some(0) | None => Some(Self::root()),
            Some(at) => Some(Self(self.0[..at].into())),
        }
    }

    /// Every stream above this one, the nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// Whether `other` is this stream or one below it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let (above, below) = (self.as_str(), other.as_str());
        above == "/" || below.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Resolves what a processor names: an absolute path, or `.`, `..`, `./below`, `../beside` seen from this stream.
    ///
    /// # Errors
    /// [`NameError`] for any other form, for a way above the root, and where the result is no stream path.
    pub fn resolve(&self, target: &str) -> Result<Self, NameError> {
        if target.starts_with('/') {
            return Self::new(target);
        }
        let mut segments: Vec<&str> = self.0.split('/').filter(|segment| !segment.is_empty()).collect();
        if !(target == "." || target == ".." || target.starts_with("./") || target.starts_with("../")) {
            return Err(NameError::new("stream path", "an absolute path, or a relative one that begins with ./ or ../", target));
        }
        for step in target.split('/') {
            match step {
                "." => {}
                ".." => {
                    if segments.pop().is_none() {
                        return Err(NameError::new("stream path", "a relative path that stays below the root", target));
                    }
                }
                name => segments.push(name),
            }
        }
        Self::new(&format!("/{}", segments.join("/")))
    }
}

fn is_segments(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|segment| {
            !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
        })
    })
}

text_name! {
    /// The type of an event: 1 to 2048 characters, white space at the ends removed.
    EventType
}

impl EventType {
    pub const CHARS_MAX: usize = 2048;

    /// # Errors
    /// [`NameError`] where nothing is left after trimming, or more than 2048 characters are.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.chars().count() > Self::CHARS_MAX {
            return Err(NameError::new("event type", "1 to 2048 characters besides white space at the ends", text));
        }
        Ok(Self(trimmed.into()))
    }
}

text_name! {
    /// The key under which a repeated append finds the first one: 1 to 2048 characters, white space at the ends removed.
    IdempotencyKey
}

impl IdempotencyKey {
    pub const CHARS_MAX: usize = 2048;

    /// # Errors
    /// [`NameError`] where nothing is left after trimming, or more than 2048 characters are.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.chars().count() > Self::CHARS_MAX {
            return Err(NameError::new("idempotency key", "1 to 2048 characters besides white space at the ends", text));
        }
        Ok(Self(trimmed.into()))
    }
}

text_name! {
    /// The name of a processor in its stream: 1 to 128 of `[A-Za-z0-9._-]`.
    Slug "^[A-Za-z0-9._-]{1,128}$"
}

impl Slug {
    /// # Errors
    /// [`NameError`] where the text breaks the rule above.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let fits = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if !fits {
            return Err(NameError::new("slug", "1 to 128 characters of [A-Za-z0-9._-]", text));
        }
        Ok(Self(text.into()))
    }
}

/// Who follows a stream with a checkpoint of its own. Each kind has its own slugs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Consumer {
    Processor(Slug),
    Subscription(Slug),
    Transformer(Slug),
}

impl fmt::Display for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processor(slug) => write!(f, "processor {slug}"),
            Self::Subscription(slug) => write!(f, "subscription {slug}"),
            Self::Transformer(slug) => write!(f, "transformer {slug}"),
        }
    }
}

text_name! {
    /// The name of a tenant, which is also its file's name: 1 to 63 of `[a-z0-9_-]`, the first no dash.
    TenantName "^[a-z0-9_][a-z0-9_-]{0,62}$"
}

impl TenantName {
    /// # Errors
    /// [`NameError`] where the text breaks the rule above.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let fits = (1..=63).contains(&text.len())
            && !text.starts_with('-')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        if !fits {
            return Err(NameError::new("tenant", "1 to 63 characters of [a-z0-9_-], the first no dash", text));
        }
        Ok(Self(text.into()))
    }
}

/// SHA-256 of a component's bytes, written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl utoipa::ToSchema for Digest {}

impl utoipa::PartialSchema for Digest {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        crate::schema::text("SHA-256 of a component's bytes", Some("^sha256:[0-9a-f]{64}$"))
    }
}

impl std::str::FromStr for Digest {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let error = || NameError::new("digest", "`sha256:` and 64 hexadecimal digits", text);
        let hex = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.is_ascii()).ok_or_else(error)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let digit = |c: u8| (c as char).to_digit(16).and_then(|d| u8::try_from(d).ok()).ok_or_else(error);
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_refused_not_repaired() {
        for good in ["/", "/a", "/a/b-c/_1", "/__state"] {
            assert_eq!(StreamPath::new(good).unwrap().as_str(), good);
        }
        let too_long = format!("/{}", "a".repeat(1023));
        for bad in ["", "a", "//", "/a/", "/a//b", "/A", "/a.b", "/ä", "/a b", too_long.as_str()] {
            assert!(StreamPath::new(bad).is_err(), "{bad}");
        }
        let error = StreamPath::new("/A").unwrap_err().to_string();
        assert_eq!(error, "stream path: expected `/` or `/segment/segment` with segments of [a-z0-9_-]+, at most 1023 bytes, found \"/A\"");
    }

    #[test]
    fn ancestors_come_nearest_first_and_cover() {
        let path = StreamPath::new("/a/b/c").unwrap();
        let above: Vec<_> = path.ancestors().collect();
        assert_eq!(above.iter().map(StreamPath::as_str).collect::<Vec<_>>(), ["/a/b", "/a", "/"]);
        assert!(above.iter().all(|ancestor| ancestor.covers(&path) && !path.covers(ancestor)));
        assert_eq!((path.depth(), StreamPath::root().depth()), (3, 0));
        assert!(!StreamPath::new("/a/b").unwrap().covers(&StreamPath::new("/a/bc").unwrap()));
    }

    #[test]
    fn relative_targets_resolve_and_never_leave_the_root() {
        let here = StreamPath::new("/a/b").unwrap();
        for (target, expected) in [("/x", "/x"), (".", "/a/b"), ("./c", "/a/b/c"), ("..", "/a"), ("../c", "/a/c"), ("../..", "/")] {
            assert_eq!(here.resolve(target).unwrap().as_str(), expected);
        }
        for bad in ["../../..", "c", "", "./C", ".hidden", "../../../x"] {
            assert!(here.resolve(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn digests_round_trip_as_text(bytes in any::<[u8; 32]>()) {
            let digest = Digest::from_bytes(bytes);
            prop_assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        }

        #[test]
        fn no_text_makes_a_path_or_digest_panic(text in any::<String>()) {
            let _path = StreamPath::new(&text);
            let _resolved = StreamPath::root().resolve(&text);
            prop_assert!(text.parse::<Digest>().is_err());
        }
    }
}
