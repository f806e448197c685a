//! Newtypes for the three numbers that must never be mixed up.

use serde::{Deserialize, Serialize};

macro_rules! place {
    ($(#[doc = $doc:literal])* $name:ident, $(#[$first:meta])* FIRST) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "u64", into = "u64")]
        pub struct $name(u64);

        impl $name {
            $(#[$first])*
            pub const FIRST: Self = Self(1);

            /// The largest that is taken from outside. No log gets there, and from there one can still count on.
            pub const MAX: Self = Self(i64::MAX as u64);

            /// `None` for 0, which is no event's place, and beyond the largest.
            #[must_use]
            pub const fn new(value: u64) -> Option<Self> {
                if value == 0 || value > Self::MAX.0 { None } else { Some(Self(value)) }
            }

            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            #[must_use]
            pub const fn next(self) -> Self {
                self.plus(1)
            }

            /// The place `count` events further on.
            #[must_use]
            pub const fn plus(self, count: u64) -> Self {
                Self(self.0 + count)
            }
        }

        impl utoipa::ToSchema for $name {}

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                crate::schema::integer(concat!($($doc, " "),*).trim(), 1)
            }
        }

        impl TryFrom<u64> for $name {
            type Error = String;

            fn try_from(value: u64) -> Result<Self, String> {
                Self::new(value).ok_or_else(|| format!("expected an integer from 1 to {}, found {value}", Self::MAX))
            }
        }

        impl From<$name> for u64 {
            fn from(place: $name) -> Self {
                place.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

place! {
    /// Place of an event in its stream: 1, 2, 3 and so on without gaps.
    Offset,
    /// The stream's own `stream/initialized`.
    FIRST
}

place! {
    /// Place of an event in its tenant's commit order: 1, 2, 3 and so on without gaps over all streams.
    Position,
    /// The first event of the tenant.
    FIRST
}

/// Tells a stream from one that had its path before it was destroyed. Given out once in a tenant, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(u64);

impl Incarnation {
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl utoipa::ToSchema for Incarnation {}

impl utoipa::PartialSchema for Incarnation {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        crate::schema::integer("Tells a stream from one that had its path before it was destroyed.", 1)
    }
}

impl std::fmt::Display for Incarnation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_from_one_and_never_overflow() {
        assert_eq!(Offset::new(0), None);
        assert_eq!(Offset::new(u64::MAX), None);
        assert_eq!(serde_json::from_str::<Offset>("7").unwrap(), Offset::new(7).unwrap());
        let error = serde_json::from_str::<Position>("0").unwrap_err().to_string();
        assert!(error.starts_with("expected an integer from 1 to 9223372036854775807, found 0"), "{error}");
        assert_eq!(serde_json::to_string(&Offset::FIRST.next()).unwrap(), "2");
    }
}
