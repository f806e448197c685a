//! The circuit breaker of a stream: a token bucket in whole numbers, with the time that events are given.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Payload of `stream/circuit-breaker/configured`: how many events a stream takes at once, and how many a minute in the long run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Breaker {
    #[schema(value_type = u32, minimum = 1)]
    pub burst_capacity: NonZeroU32,
    #[schema(value_type = u32, minimum = 1)]
    pub refill_rate_per_minute: NonZeroU32,
}

impl Breaker {
    /// What holds for the appends of processors where a stream says nothing else: 100 at once, 100 a second.
    pub const DEFAULT: Self = {
        // A constant that is not zero, so the fallback is never taken.
        const fn positive(value: u32) -> NonZeroU32 {
            match NonZeroU32::new(value) {
                Some(value) => value,
                None => NonZeroU32::MIN,
            }
        }
        Self { burst_capacity: positive(100), refill_rate_per_minute: positive(6_000) }
    };
}

/// What is left to a stream, as of some time. A stream without one has its full capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// One event is [`Bucket::EVENT`] of these; below zero the breaker has tripped.
    pub level: i64,
    pub at: Timestamp,
}

impl Bucket {
    /// So many units that a rate a minute is a whole number of them a millisecond.
    const EVENT: i64 = 60_000;

    /// What is left once `events` more were recorded at `now`.
    #[must_use]
    pub fn after(before: Option<Self>, breaker: &Breaker, events: u32, now: Timestamp) -> Self {
        let capacity = i64::from(breaker.burst_capacity.get()) * Self::EVENT;
        let level = before.map_or(capacity, |bucket| {
            let millis = i64::try_from(now.as_millis().saturating_sub(bucket.at.as_millis())).unwrap_or(i64::MAX);
            let refill = millis.saturating_mul(i64::from(breaker.refill_rate_per_minute.get()));
            bucket.level.saturating_add(refill).min(capacity)
        });
        Self { level: level.saturating_sub(i64::from(events) * Self::EVENT), at: now }
    }

    /// How many events were left then.
    #[must_use]
    pub const fn events_left(&self) -> i64 {
        self.level.div_euclid(Self::EVENT)
    }

    #[must_use]
    pub const fn has_tripped(&self) -> bool {
        self.level < 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn breaker(burst: u32, per_minute: u32) -> Breaker {
        Breaker { burst_capacity: NonZeroU32::new(burst).unwrap(), refill_rate_per_minute: NonZeroU32::new(per_minute).unwrap() }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn the_burst_fits_and_one_more_trips() {
        let full = Bucket::after(None, &Breaker::DEFAULT, 100, at(0));
        assert!(!full.has_tripped());
        assert!(Bucket::after(Some(full), &Breaker::DEFAULT, 1, at(9)).has_tripped());
        assert!(!Bucket::after(Some(full), &Breaker::DEFAULT, 1, at(10)).has_tripped());
    }

    #[test]
    fn it_never_holds_more_than_its_capacity() {
        let later = Bucket::after(Some(Bucket { level: 0, at: at(0) }), &breaker(3, u32::MAX), 3, at(u64::MAX));
        assert_eq!(later.level, 0);
    }

    proptest! {
        #[test]
        fn over_any_time_no_more_passes_than_burst_and_refill(steps in prop::collection::vec((0_u64..5_000, 1_u32..4), 1..200)) {
            let breaker = breaker(10, 120);
            let (mut bucket, mut now, mut passed) = (None, 0, 0_u64);
            for (wait, events) in steps {
                now += wait;
                let next = Bucket::after(bucket, &breaker, events, at(now));
                if next.has_tripped() {
                    break;
                }
                passed += u64::from(events);
                bucket = Some(next);
            }
            prop_assert!(passed <= 10 + now * 120 / 60_000);
        }
    }
}
