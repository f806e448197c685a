//! Schedules: when a tick is due, as pure functions, and what a stream knows of each of its schedules.

use std::str::FromStr as _;
use std::time::Duration;

use croner::Cron;
use jiff::tz::TimeZone;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::EventIssues;
use crate::{Builtin, Event, IdempotencyKey, Json, JsonObject, NewEvent, Offset, Slug, Timestamp};

/// When an event is appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Schedule {
    /// At an instant (ISO 8601 with a zone); at once if that is past.
    OnceAt {
        #[schema(value_type = String, format = DateTime)]
        #[serde(with = "iso")]
        at: Timestamp,
    },
    /// So many seconds after it was configured.
    OnceIn {
        #[schema(value_type = u64, minimum = 1)]
        delay_seconds: Seconds,
    },
    /// Every so many seconds, counted from when it was configured.
    Every {
        #[schema(value_type = u64, minimum = 1)]
        interval_seconds: Seconds,
    },
    /// When the clock of the zone shows what the pattern says: minute, hour, day, month, weekday, and before them optionally the second. A time that the clock
    /// skips in spring comes when it has gone on; one that it shows twice in autumn comes once if the pattern names an hour, else both times.
    Cron {
        #[schema(value_type = String, example = "0 9 * * 1-5")]
        cron: CronPattern,
        /// A name of the IANA time zone database; `UTC` if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>, example = "Europe/Berlin")]
        time_zone: Option<ZoneName>,
    },
}

/// What becomes of ticks that could not fire in time: because the host was down, or the stream paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// The last of them fires, late.
    #[default]
    One,
    /// Each of them fires, in order.
    All,
    /// None of them fires; a tick counts as missed when it is more than 10 seconds late.
    Skip,
}

/// A positive number of seconds, at most a hundred years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Seconds(u64);

/// A cron pattern that matches at some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CronPattern(String);

/// A time zone that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ZoneName(String);

/// Payload of `stream/schedule/configured`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", try_from = "ScheduleInput")]
pub struct ScheduleConfigured {
    pub slug: Slug,
    /// The event to append, as it would be posted.
    #[schema(value_type = Object)]
    pub append: Json,
    pub schedule: Schedule,
    #[serde(skip_serializing_if = "is_default")]
    #[schema(required = false)]
    pub missed: Missed,
    /// The first tick, where it is not what the schedule says.
    #[serde(skip_serializing_if = "Option::is_none", with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_run_at: Option<Timestamp>,
}

/// Payload of `stream/append-scheduled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppendScheduled {
    pub slug: Slug,
    /// The event to append, as it would be posted.
    #[schema(value_type = Object)]
    pub append: Json,
    pub schedule: Schedule,
    #[serde(default, skip_serializing_if = "is_default")]
    pub missed: Missed,
}

/// Payload of `stream/schedule/cancelled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleCancelled {
    pub slug: Slug,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Payload of `stream/schedule/internal/execution-started`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionStarted {
    pub slug: Slug,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub scheduled_at: Timestamp,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
}

/// Payload of `stream/schedule/internal/execution-finished`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionFinished {
    pub slug: Slug,
    pub outcome: ExecutionOutcome,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub scheduled_at: Timestamp,
    /// `null` where the schedule has ended.
    #[serde(with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_run_at: Option<Timestamp>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExecutionOutcome {
    Succeeded,
    Failed,
    Skipped,
}

/// What a stream knows of one schedule that has a tick to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleControl {
    pub configured_offset: Offset,
    pub configured_at: Timestamp,
    pub configured: ScheduleConfigured,
    pub next_run_at: Timestamp,
    /// How often it has appended.
    pub runs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<ExecutionFinished>,
}

/// What is to be done about a schedule whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The ticks that fire, in order, each with the tick after it.
    pub fire: Vec<(Timestamp, Option<Timestamp>)>,
    /// Instead: the last tick of those that are passed over, with the tick after it.
    pub skip: Option<(Timestamp, Option<Timestamp>)>,
}

/// A tick later than this counts as missed.
const PUNCTUAL: Duration = Duration::from_secs(10);
/// So many ticks are given at once; the rest are due right after.
const FIRE_MAX: usize = 100;
const KEY_CHARS_MAX: usize = 2_000;
const SECONDS_MAX: u64 = 100 * 366 * 86_400;

impl Schedule {
    /// The first tick of a schedule that was configured at this time.
    #[must_use]
    pub fn first(&self, configured_at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::OnceAt { at } => Some(*at),
            Self::OnceIn { delay_seconds: Seconds(seconds) } | Self::Every { interval_seconds: Seconds(seconds) } => {
                Some(plus(configured_at, *seconds))
            }
            Self::Cron { .. } => self.next(configured_at),
        }
    }

    /// The tick after one. It follows from the schedule, not from when the one before it fired.
    #[must_use]
    pub fn next(&self, tick: Timestamp) -> Option<Timestamp> {
        match self {
            Self::OnceAt { .. } | Self::OnceIn { .. } => None,
            Self::Every { interval_seconds: Seconds(seconds) } => Some(plus(tick, *seconds)),
            Self::Cron { cron, time_zone } => {
                let next = cron.parsed()?.find_next_occurrence(&zoned(tick, time_zone.as_ref())?, false).ok()?;
                timestamp(next.timestamp())
            }
        }
    }

    /// The last tick at or before `now`, given one that is.
    fn last(&self, tick: Timestamp, now: Timestamp) -> Timestamp {
        let last = match self {
            Self::OnceAt { .. } | Self::OnceIn { .. } => None,
            Self::Every { interval_seconds: Seconds(seconds) } => {
                let late = now.as_millis().saturating_sub(tick.as_millis()) / 1000;
                Some(plus(tick, late - late % seconds))
            }
            Self::Cron { cron, time_zone } => {
                let before = |cron: Cron| cron.find_previous_occurrence(&zoned(now, time_zone.as_ref())?, true).ok();
                cron.parsed().and_then(before).and_then(|zoned| timestamp(zoned.timestamp()))
            }
        };
        last.map_or(tick, |last| last.max(tick))
    }
}

impl ScheduleControl {
    pub(crate) fn new(event: &Event, configured: ScheduleConfigured) -> Option<Self> {
        let next_run_at = configured.next_run_at.or_else(|| configured.schedule.first(event.created_at))?;
        Some(Self { configured_offset: event.offset, configured_at: event.created_at, configured, next_run_at, runs: 0, last: None })
    }

    /// Takes note of a tick after which there are more.
    pub(crate) fn finish(&mut self, finished: ExecutionFinished) {
        self.runs += u64::from(finished.outcome == ExecutionOutcome::Succeeded);
        self.next_run_at = finished.next_run_at.unwrap_or(self.next_run_at);
        self.last = Some(finished);
    }

    /// `None` while its time has not come.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<Due> {
        if self.next_run_at > now {
            return None;
        }
        let schedule = &self.configured.schedule;
        let with_next = |tick| (tick, schedule.next(tick));
        let last = schedule.last(self.next_run_at, now);
        let is_late = now.as_millis() - last.as_millis() > u64::try_from(PUNCTUAL.as_millis()).unwrap_or(u64::MAX);
        Some(match self.configured.missed {
            Missed::Skip if is_late => Due { fire: Vec::new(), skip: Some(with_next(last)) },
            Missed::One | Missed::Skip => Due { fire: vec![with_next(last)], skip: None },
            Missed::All => {
                let ticks = std::iter::successors(Some(self.next_run_at), |tick| schedule.next(*tick));
                let fire = ticks.take_while(|tick| *tick <= now).take(FIRE_MAX).map(with_next).collect();
                Due { fire, skip: None }
            }
        })
    }

    /// The event of a tick. A key of its own keeps each tick to one event; one that the event names is kept for a single tick, and told apart
    /// by the tick where there are many.
    ///
    /// # Errors
    /// What keeps it from being an event.
    pub fn target(&self, tick: Timestamp) -> Result<NewEvent, EventIssues> {
        let mut event = parse_append(&self.configured.append)?;
        let is_single = matches!(self.configured.schedule, Schedule::OnceAt { .. } | Schedule::OnceIn { .. });
        let key = match event.idempotency_key.take() {
            Some(key) if is_single => key,
            Some(key) => tick_key(&format!("{key} @{}", iso::text(tick)))?,
            None => tick_key(&format!("schedule/{}/{}", self.configured.slug, iso::text(tick)))?,
        };
        event.idempotency_key = Some(key);
        Ok(event)
    }
}

impl ScheduleConfigured {
    /// # Errors
    /// The fields that do not fit.
    pub fn parse(payload: &JsonObject) -> Result<Self, EventIssues> {
        let configured: Self = EventIssues::find_in(payload)?;
        parse_append(&configured.append)?;
        Ok(configured)
    }
}

impl AppendScheduled {
    /// # Errors
    /// The fields that do not fit.
    pub fn parse(payload: &JsonObject) -> Result<Self, EventIssues> {
        let scheduled: Self = EventIssues::find_in(payload)?;
        parse_append(&scheduled.append)?;
        Ok(scheduled)
    }

    /// The `stream/schedule/configured` that it stands for.
    pub(crate) fn configured(self, event: &Event) -> Option<NewEvent> {
        let next_run_at = self.schedule.first(event.created_at);
        let Self { slug, append, schedule, missed } = self;
        let configured = ScheduleConfigured { slug, append, schedule, missed, next_run_at };
        Some(NewEvent::builtin(Builtin::ScheduleConfigured, &configured))
    }
}

/// The event that a schedule appends, which must be one, and bring no component along: that would have to be kept in every tick.
fn parse_append(append: &Json) -> Result<NewEvent, EventIssues> {
    let within = |issues: EventIssues| {
        let prefixed = |field: &str| if field.is_empty() { "payload.append".to_owned() } else { format!("payload.append.{field}") };
        EventIssues(issues.0.into_iter().map(|issue| crate::Issue { field: prefixed(&issue.field), ..issue }).collect())
    };
    let mut event = NewEvent::parse(append).map_err(within)?;
    // A tick is told apart in the key by its instant, for which there must be room.
    if let Some(key) = event.idempotency_key.as_ref().map(|key| key.as_str().chars().count()).filter(|count| *count > KEY_CHARS_MAX) {
        let problem = format!("expected at most {KEY_CHARS_MAX} characters, found {key}");
        return Err(EventIssues::one("payload.append.idempotencyKey", problem));
    }
    match Builtin::admit(&mut event).map_err(within)? {
        None => Ok(event),
        Some(_) => {
            Err(EventIssues::one("payload.append.payload.component", "expected the digest of a component uploaded before, found its bytes"))
        }
    }
}

fn tick_key(text: &str) -> Result<IdempotencyKey, EventIssues> {
    IdempotencyKey::new(text).map_err(|error| EventIssues::one("payload.append.idempotencyKey", error.to_string()))
}

/// Both shapes of a `stream/schedule/configured`: with the event, or with a callback and its argument as JSON text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ScheduleInput {
    slug: Slug,
    append: Option<Json>,
    callback: Option<String>,
    payload_json: Option<String>,
    schedule: Schedule,
    #[serde(default)]
    missed: Missed,
    next_run_at: Option<InstantInput>,
}

/// An instant as ISO 8601, or in seconds since the Unix epoch.
#[derive(Deserialize)]
#[serde(untagged, expecting = "nextRunAt: expected an instant as ISO 8601 with a zone, or seconds since 1970")]
enum InstantInput {
    Seconds(u64),
    Text(String),
}

impl TryFrom<ScheduleInput> for ScheduleConfigured {
    type Error = String;

    fn try_from(input: ScheduleInput) -> Result<Self, String> {
        let append = match (input.append, input.callback.as_deref(), input.payload_json) {
            (Some(append), None, None) => append,
            (None, Some("append"), Some(text)) => Json::parse(&text).map_err(|error| format!("payloadJson: {error}"))?,
            (None, Some(other), _) if other != "append" => return Err(format!("callback: expected `append`, found {other:?}")),
            _ => return Err("expected `append`, or `callback` and `payloadJson`".to_owned()),
        };
        let next_run_at = match input.next_run_at {
            None => None,
            Some(InstantInput::Seconds(seconds)) if seconds <= u64::MAX / 1_000_000 => Some(Timestamp::from_millis(seconds * 1000)),
            Some(InstantInput::Seconds(seconds)) => return Err(format!("nextRunAt: expected seconds since 1970, found {seconds}")),
            Some(InstantInput::Text(text)) => Some(iso::parse(&text).map_err(|problem| format!("nextRunAt: {problem}"))?),
        };
        Ok(Self { slug: input.slug, append, schedule: input.schedule, missed: input.missed, next_run_at })
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            seconds @ 1..=SECONDS_MAX => Ok(Self(seconds)),
            other => Err(D::Error::custom(format_args!("expected 1 to {SECONDS_MAX} seconds, found {other}"))),
        }
    }
}

impl CronPattern {
    const BYTES_MAX: usize = 256;

    fn new(text: &str) -> Result<Self, String> {
        let expected = |problem: &dyn std::fmt::Display| format!("expected a cron pattern of 5 or 6 fields, found {text:?}: {problem}");
        if text.len() > Self::BYTES_MAX {
            return Err(format!("expected a cron pattern of at most {} bytes, found {}", Self::BYTES_MAX, text.len()));
        }
        // A seventh field would be the year, and a schedule whose years are over never ticks.
        if !text.starts_with('@') && !(5..=6).contains(&text.split_whitespace().count()) {
            return Err(expected(&"it has another number of fields"));
        }
        let cron = Cron::from_str(text).map_err(|error| expected(&error))?;
        let start = zoned(Timestamp::from_millis(0), None).ok_or_else(|| expected(&"no time to start from"))?;
        cron.find_next_occurrence(&start, false).map_err(|_| expected(&"it never matches"))?;
        Ok(Self(text.to_owned()))
    }

    /// It was parsed before, so there is always one.
    fn parsed(&self) -> Option<Cron> {
        Cron::from_str(&self.0).ok()
    }
}

impl<'de> Deserialize<'de> for CronPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for ZoneName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match TimeZone::get(&name) {
            Ok(_) => Ok(Self(name)),
            Err(_) => Err(D::Error::custom(format_args!("expected a time zone such as Europe/Berlin, found {name:?}"))),
        }
    }
}

fn zoned(at: Timestamp, zone: Option<&ZoneName>) -> Option<jiff::Zoned> {
    let zone = zone.map_or(Some(TimeZone::UTC), |ZoneName(name)| TimeZone::get(name).ok())?;
    Some(jiff::Timestamp::from_millisecond(i64::try_from(at.as_millis()).ok()?).ok()?.to_zoned(zone))
}

fn timestamp(at: jiff::Timestamp) -> Option<Timestamp> {
    u64::try_from(at.as_millisecond()).ok().map(Timestamp::from_millis)
}

fn plus(at: Timestamp, seconds: u64) -> Timestamp {
    Timestamp::from_millis(at.as_millis().saturating_add(seconds.saturating_mul(1000)))
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Instants as ISO 8601 in UTC with milliseconds.
mod iso {
    use super::{Deserialize, Deserializer, Serializer, Timestamp};
    use serde::de::Error as _;

    pub fn text(at: Timestamp) -> String {
        let instant = i64::try_from(at.as_millis()).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
        format!("{:.3}", instant.unwrap_or(jiff::Timestamp::MAX))
    }

    pub fn parse(text: &str) -> Result<Timestamp, String> {
        let expected = || format!("expected an instant as ISO 8601 with a zone, such as 2030-01-31T09:00:00Z, found {text:?}");
        let at: jiff::Timestamp = text.parse().map_err(|_| expected())?;
        super::timestamp(at).ok_or_else(|| format!("expected an instant after 1970, found {text:?}"))
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(*at))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// As [`iso`], or `null`.
mod iso_option {
    use super::{Deserialize, Deserializer, Serializer, Timestamp, iso};
    use serde::de::Error as _;

    #[expect(clippy::ref_option, reason = "serde asks for a reference")]
    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => iso::serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| iso::parse(&text)).transpose().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventType, StreamPath};
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        iso::parse(text).unwrap()
    }

    fn configured(schedule: &str, missed: &str) -> Result<ScheduleConfigured, EventIssues> {
        let text = format!(r#"{{"slug":"s","append":{{"type":"tick"}},"schedule":{schedule},"missed":"{missed}"}}"#);
        ScheduleConfigured::parse(&JsonObject::parse(&text).unwrap())
    }

    fn control(schedule: &str, missed: &str, created_at: Timestamp) -> ScheduleControl {
        let event = Event {
            stream_path: StreamPath::root(),
            offset: Offset::new(2).unwrap(),
            event_type: EventType::new("stream/schedule/configured").unwrap(),
            payload: JsonObject::empty(),
            metadata: None,
            idempotency_key: None,
            created_at,
            source: None,
        };
        ScheduleControl::new(&event, configured(schedule, missed).unwrap()).unwrap()
    }

    /// The ticks of a schedule after an instant, as the clock of Berlin shows them.
    fn berlin(cron: &str, after: &str, count: usize) -> Vec<String> {
        let schedule: Schedule = serde_json::from_str(&format!(r#"{{"kind":"cron","cron":"{cron}","timeZone":"Europe/Berlin"}}"#)).unwrap();
        let ticks = std::iter::successors(schedule.first(at(after)), |tick| schedule.next(*tick));
        let zone = ZoneName("Europe/Berlin".to_owned());
        ticks.take(count).map(|tick| zoned(tick, Some(&zone)).unwrap().strftime("%d %H:%M %:z").to_string()).collect()
    }

    #[test]
    fn each_kind_says_when_it_first_ticks_and_when_then() {
        let from = at("2030-01-31T08:59:30Z");
        for (schedule, first, then) in [
            (r#"{"kind":"once-at","at":"2030-02-01T00:00:00+01:00"}"#, "2030-01-31T23:00:00.000Z", None),
            (r#"{"kind":"once-in","delaySeconds":90}"#, "2030-01-31T09:01:00.000Z", None),
            (r#"{"kind":"every","intervalSeconds":60}"#, "2030-01-31T09:00:30.000Z", Some("2030-01-31T09:01:30.000Z")),
            (r#"{"kind":"cron","cron":"0 9 * * *"}"#, "2030-01-31T09:00:00.000Z", Some("2030-02-01T09:00:00.000Z")),
            (r#"{"kind":"cron","cron":"*/10 * * * * *"}"#, "2030-01-31T08:59:40.000Z", Some("2030-01-31T08:59:50.000Z")),
        ] {
            let schedule = configured(schedule, "one").unwrap().schedule;
            let tick = schedule.first(from).unwrap();
            assert_eq!((iso::text(tick), schedule.next(tick).map(iso::text).as_deref()), (first.to_owned(), then), "{schedule:?}");
        }
    }

    #[test]
    fn what_the_clock_skips_comes_when_it_has_gone_on_and_what_it_repeats_comes_once() {
        assert_eq!(berlin("30 2 * * *", "2030-03-30T12:00:00Z", 2), ["31 03:00 +02:00", "01 02:30 +02:00"]);
        assert_eq!(berlin("30 2 * * *", "2030-10-26T12:00:00Z", 2), ["27 02:30 +02:00", "28 02:30 +01:00"]);
    }

    #[test]
    fn a_field_that_does_not_fit_is_named() {
        for (schedule, expected) in [
            (r#"{"kind":"every","intervalSeconds":0}"#, "expected 1 to 3162240000 seconds, found 0"),
            (r#"{"kind":"every","intervalSeconds":"5"}"#, "invalid type: string"),
            (r#"{"kind":"every","intervalSeconds":1,"at":"x"}"#, "unknown field `at`"),
            (r#"{"kind":"once-at","at":"tomorrow"}"#, "expected an instant as ISO 8601 with a zone"),
            (r#"{"kind":"once-at","at":"2030-01-31T09:00:00"}"#, "expected an instant as ISO 8601 with a zone"),
            (r#"{"kind":"once-at","at":"1960-01-31T09:00:00Z"}"#, "expected an instant after 1970"),
            (r#"{"kind":"cron","cron":"every day"}"#, "expected a cron pattern of 5 or 6 fields, found \"every day\""),
            (r#"{"kind":"cron","cron":"0 0 30 2 *"}"#, "it never matches"),
            (r#"{"kind":"cron","cron":"0 0 9 * * * 2001"}"#, "it has another number of fields"),
            (
                r#"{"kind":"cron","cron":"0 9 * * *","timeZone":"Mars/Base"}"#,
                "expected a time zone such as Europe/Berlin, found \"Mars/Base\"",
            ),
            (r#"{"kind":"weekly"}"#, "unknown variant `weekly`"),
        ] {
            let error = configured(schedule, "one").unwrap_err().to_string();
            assert!(error.starts_with("payload.schedule") && error.contains(expected), "{schedule}: {error}");
        }
        assert!(configured(r#"{"kind":"every","intervalSeconds":1}"#, "some").unwrap_err().to_string().contains("unknown variant `some`"));
    }

    #[test]
    fn what_is_to_be_appended_must_be_an_event_without_a_component() {
        for (append, expected) in [
            (r#"{"payload":{}}"#, "payload.append.type: expected a string, found nothing"),
            (r#"{"type":"stream/paused","payload":{"why":1}}"#, "payload.append.payload.why: unknown field `why`"),
            ("7", "payload.append: expected a JSON object with a `type`, found a number"),
            (
                r#"{"type":"stream/processor/configured","payload":{"slug":"p","component":"AGFzbQ=="}}"#,
                "payload.append.payload.component: expected the digest",
            ),
        ] {
            let text = format!(r#"{{"slug":"s","append":{append},"schedule":{{"kind":"every","intervalSeconds":1}}}}"#);
            let error = AppendScheduled::parse(&JsonObject::parse(&text).unwrap()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{append}: {error}");
        }
    }

    #[test]
    fn the_shape_with_a_callback_means_the_same() {
        let text = r#"{"slug":"s","callback":"append","payloadJson":"{\"type\":\"tick\"}","schedule":{"kind":"every","intervalSeconds":5},"nextRunAt":1700000000}"#;
        let parsed = ScheduleConfigured::parse(&JsonObject::parse(text).unwrap()).unwrap();
        assert_eq!((parsed.append.as_str(), parsed.next_run_at), (r#"{"type":"tick"}"#, Some(Timestamp::from_millis(1_700_000_000_000))));
        assert_eq!(JsonObject::of(&parsed).to::<ScheduleConfigured>().unwrap(), parsed);
        let other = text.replace("\"append\"", "\"eval\"");
        let error = ScheduleConfigured::parse(&JsonObject::parse(&other).unwrap()).unwrap_err().to_string();
        assert!(error.contains("callback: expected `append`, found \"eval\""), "{error}");
    }

    #[test]
    fn missed_ticks_fire_once_each_or_not_at_all() {
        let from = at("2030-01-01T00:00:00Z");
        let minutes = |missed| control(r#"{"kind":"every","intervalSeconds":60}"#, missed, from);
        let now = at("2030-01-01T00:03:30Z");
        let fired = |due: &Due| due.fire.iter().map(|(tick, _)| iso::text(*tick)[14..19].to_owned()).collect::<Vec<_>>();
        assert_eq!(minutes("one").due(at("2030-01-01T00:00:59Z")), None);
        let one = minutes("one").due(now).unwrap();
        assert_eq!((fired(&one), one.fire[0].1), (vec!["03:00".to_owned()], Some(at("2030-01-01T00:04:00Z"))));
        assert_eq!(fired(&minutes("all").due(now).unwrap()), ["01:00", "02:00", "03:00"]);
        let skip = minutes("skip").due(now).unwrap();
        assert_eq!(skip, Due { fire: Vec::new(), skip: Some((at("2030-01-01T00:03:00Z"), Some(at("2030-01-01T00:04:00Z")))) });
        assert_eq!(fired(&minutes("skip").due(at("2030-01-01T00:03:09Z")).unwrap()), ["03:00"]);
    }

    #[test]
    fn years_of_missed_ticks_cost_no_more_than_a_few() {
        let from = at("2030-01-01T00:00:00Z");
        let now = at("2050-01-01T00:00:00.5Z");
        let one = control(r#"{"kind":"every","intervalSeconds":1}"#, "one", from).due(now).unwrap();
        assert_eq!(one.fire[0].0, at("2050-01-01T00:00:00Z"));
        assert_eq!(control(r#"{"kind":"every","intervalSeconds":1}"#, "all", from).due(now).unwrap().fire.len(), FIRE_MAX);
        let cron = control(r#"{"kind":"cron","cron":"* * * * *"}"#, "one", from).due(now).unwrap();
        assert_eq!(cron.fire[0].0, at("2050-01-01T00:00:00Z"));
    }

    #[test]
    fn each_tick_has_a_key_of_its_own() {
        let from = at("2030-01-01T00:00:00Z");
        let key = |control: &ScheduleControl| control.target(from).unwrap().idempotency_key.unwrap().to_string();
        let mut every = control(r#"{"kind":"every","intervalSeconds":1}"#, "one", from);
        assert_eq!(key(&every), "schedule/s/2030-01-01T00:00:00.000Z");
        every.configured.append = Json::parse(r#"{"type":"tick","idempotencyKey":"mine"}"#).unwrap();
        assert_eq!(key(&every), "mine @2030-01-01T00:00:00.000Z");
        let mut once = control(r#"{"kind":"once-in","delaySeconds":1}"#, "one", from);
        once.configured.append = every.configured.append;
        assert_eq!(key(&once), "mine");
    }

    #[test]
    fn a_late_tick_is_one_that_the_schedule_has_also_where_the_clock_jumps() {
        let (start, end) = (at("2030-03-28T12:00:00Z"), at("2030-04-02T12:00:00Z"));
        let text = r#"{"kind":"cron","cron":"30 2 * * *","timeZone":"Europe/Berlin"}"#;
        let control = control(text, "one", start);
        let schedule = &control.configured.schedule;
        let ticks: Vec<_> =
            std::iter::successors(schedule.first(start), |tick| schedule.next(*tick)).take_while(|tick| *tick <= end).collect();
        for now in (control.next_run_at.as_millis()..end.as_millis()).step_by(1_800_000) {
            let fired = control.due(Timestamp::from_millis(now)).unwrap().fire[0].0;
            let expected = ticks.iter().rfind(|tick| tick.as_millis() <= now);
            assert_eq!(Some(&fired), expected, "{}", iso::text(Timestamp::from_millis(now)));
        }
    }

    #[test]
    fn a_long_backlog_of_all_goes_on_without_a_gap() {
        let from = at("2030-01-01T00:00:00Z");
        let (mut control, now) = (control(r#"{"kind":"every","intervalSeconds":1}"#, "all", from), plus(from, 250));
        let mut fired = Vec::new();
        while let Some(due) = control.due(now) {
            fired.extend(due.fire.iter().map(|(tick, _)| tick.as_millis()));
            control.next_run_at = due.fire.last().unwrap().1.unwrap();
        }
        assert!(fired.iter().copied().eq((1..=250).map(|n| from.as_millis() + n * 1000)));
    }

    proptest! {
        #[test]
        fn ticks_follow_the_schedule_and_never_drift(interval in 1_u64..5_000, steps in prop::collection::vec(0_u64..100_000_000, 1..20)) {
            let from = at("2030-01-01T00:00:00Z");
            let mut control = control(&format!(r#"{{"kind":"every","intervalSeconds":{interval}}}"#), "one", from);
            let (mut now, mut before) = (from.as_millis(), from);
            for step in steps {
                now += step;
                let Some(due) = control.due(Timestamp::from_millis(now)) else { continue };
                for (tick, next) in due.fire {
                    prop_assert!(tick > before && tick.as_millis() <= now && next.is_some_and(|next| next > tick));
                    prop_assert_eq!((tick.as_millis() - from.as_millis()) % (interval * 1000), 0);
                    before = tick;
                    control.next_run_at = next.unwrap();
                }
                prop_assert!(control.next_run_at.as_millis() > now);
            }
        }
    }
}
