//! What a stream knows from its built-in events: a pure fold, kept beside the log and always rebuildable from it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::builtin::{MetadataUpdated, OptionalReason};
use crate::push::{SubscriptionConfigured, SubscriptionControl, SubscriptionParked, TransformerConfigured, TransformerControl};
use crate::schedule::{ExecutionFinished, ScheduleCancelled, ScheduleConfigured, ScheduleControl};
use crate::{
    Activated, Breaker, Builtin, Digest, DynamicWorkerConfigured, ENV_VARS_MAX, EnvVarSet, Event, JsonObject, NewEvent, Offset, Parked,
    Phase, ProcessorConfigured, Reason, Rejected, Removed, Resumed, Shelf, Slug, Timestamp,
};

/// The state of one stream as far as the host itself is concerned. It may be megabytes, and clones share them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StreamControl {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<Arc<Pause>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Arc<JsonObject>>,
    /// Absent while the stream follows [`Breaker::DEFAULT`] for what processors append, and no limit for the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
    #[serde(skip_serializing_if = "Shelf::is_empty")]
    pub schedules: Shelf<Slug, ScheduleControl>,
    #[serde(skip_serializing_if = "Shelf::is_empty")]
    pub subscriptions: Shelf<Slug, SubscriptionControl>,
    #[serde(skip_serializing_if = "Shelf::is_empty")]
    pub transformers: Shelf<Slug, TransformerControl>,
    #[serde(skip_serializing_if = "Shelf::is_empty")]
    pub processors: Shelf<Slug, ProcessorControl>,
    /// Variables that its processors see in `after-append`.
    #[serde(skip_serializing_if = "Shelf::is_empty")]
    pub env: Shelf<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub reason: Option<String>,
    pub at: Timestamp,
}

/// One slug of a stream: the version that runs and the one that wants to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProcessorControl {
    /// Was activated, and runs unless parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Version>,
    /// Configured, neither activated nor rejected yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<Version>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parked: Option<Parked>,
    /// The last rejection since the last activation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejected>,
}

/// One configuration of a processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Offset of its `stream/processor/configured`, which tells versions apart.
    pub configured_offset: Offset,
    pub configured: ProcessorConfigured,
    /// Whether a program in JavaScript was configured, rather than a component; unknown of what an earlier host has stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_program: Option<bool>,
    /// Known once activated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<JsonObject>,
    /// Events that an operator let it skip. Part of the version, so that a rebuild skips them again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skip>,
    /// How often it was resumed; tells one run of it from the next.
    #[serde(default)]
    pub resumes: u64,
}

/// An event that a version does not handle: neither function if `reduce` failed at it, only `after-append` if that did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    pub cursor: u64,
    pub phase: Phase,
}

impl StreamControl {
    /// Folds one recorded event of the stream. Returns whether anything changed; an event that is no built-in changes nothing.
    pub fn apply(&mut self, event: &Event) -> bool {
        match Builtin::of(event.event_type.as_str()) {
            Some(builtin) => self.apply_builtin(builtin, event).unwrap_or(false),
            None => false,
        }
    }

    /// Whether an event would set one variable more than a stream may have.
    #[must_use]
    pub fn has_too_many_variables_with(&self, event: &NewEvent) -> bool {
        Builtin::of(event.event_type.as_str()) == Some(Builtin::EnvVarSet)
            && self.env.len() >= ENV_VARS_MAX
            && event.payload.to::<EnvVarSet>().is_ok_and(|set| set.value.is_some() && self.env.get(&set.key).is_none())
    }

    /// Bytes, as JSON, of what is configured and of what the host has said about it. Known, not counted.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let Self { paused: _, metadata, breaker: _, schedules, subscriptions, transformers, processors, env } = self;
        let metadata = metadata.as_ref().map_or(0, |metadata| metadata.as_str().len());
        metadata + schedules.bytes() + subscriptions.bytes() + transformers.bytes() + processors.bytes() + env.bytes()
    }

    /// `None` where the payload is not the built-in's. Such an event is kept in the log and means nothing.
    fn apply_builtin(&mut self, builtin: Builtin, event: &Event) -> Option<bool> {
        let payload = &event.payload;
        Some(match builtin {
            Builtin::Initialized
            | Builtin::ChildStreamCreated
            | Builtin::ErrorOccurred
            | Builtin::InvalidEventAppended
            | Builtin::AppendScheduled
            | Builtin::ScheduleExecutionStarted => false,
            Builtin::MetadataUpdated => replace(&mut self.metadata, Some(Arc::new(payload.to::<MetadataUpdated>().ok()?.metadata))),
            Builtin::Paused => {
                let reason = payload.to::<OptionalReason>().ok()?.reason;
                replace(&mut self.paused, Some(Arc::new(Pause { reason, at: event.created_at })))
            }
            Builtin::Resumed => self.paused.take().is_some(),
            Builtin::CircuitBreakerConfigured => replace(&mut self.breaker, Some(payload.to().ok()?)),
            Builtin::ScheduleConfigured => {
                let configured: ScheduleConfigured = payload.to().ok()?;
                let slug = configured.slug.clone();
                match ScheduleControl::new(event, configured) {
                    Some(schedule) => self.schedules.insert(slug, schedule),
                    None => self.schedules.remove(&slug),
                }
            }
            Builtin::ScheduleCancelled => self.schedules.remove(&payload.to::<ScheduleCancelled>().ok()?.slug),
            Builtin::ScheduleExecutionFinished => {
                let finished: ExecutionFinished = payload.to().ok()?;
                let slug = finished.slug.clone();
                match finished.next_run_at {
                    Some(_) => self.schedules.change(&slug, |schedule| schedule.finish(finished)),
                    None => self.schedules.remove(&slug),
                }
            }
            Builtin::SubscriptionConfigured => {
                let configured: SubscriptionConfigured = payload.to().ok()?;
                self.subscriptions.insert(configured.slug.clone(), SubscriptionControl::new(event.offset, configured))
            }
            Builtin::SubscriptionRemoved => self.subscriptions.remove(&payload.to::<Removed>().ok()?.slug),
            Builtin::SubscriptionParked => {
                let parked: SubscriptionParked = payload.to().ok()?;
                let slug = parked.slug.clone();
                let is_current = self.subscriptions.get(&slug)?.configured_offset == parked.configured_offset;
                is_current && self.subscriptions.change(&slug, |subscription| subscription.parked = Some(parked))
            }
            Builtin::SubscriptionResumed => {
                let resumed: Resumed = payload.to().ok()?;
                let is_parked = self.subscriptions.get(&resumed.slug)?.parked.is_some();
                is_parked && self.subscriptions.change(&resumed.slug, |subscription| subscription.resume(resumed.skip))
            }
            Builtin::TransformerConfigured => {
                let configured: TransformerConfigured = payload.to().ok()?;
                self.transformers.insert(configured.slug.clone(), TransformerControl { configured_offset: event.offset, configured })
            }
            Builtin::TransformerRemoved => self.transformers.remove(&payload.to::<Removed>().ok()?.slug),
            Builtin::DynamicWorkerConfigured => {
                self.configured(event.offset, payload.to::<DynamicWorkerConfigured>().ok()?.into_processor()?, true)
            }
            Builtin::EnvVarSet => match payload.to::<EnvVarSet>().ok()? {
                EnvVarSet { key, value: Some(value) } => self.env.insert(key, value),
                EnvVarSet { key, value: None } => self.env.remove(&key),
            },
            Builtin::ProcessorConfigured => self.configured(event.offset, payload.to().ok()?, false),
            Builtin::ProcessorActivated => self.activated(payload.to().ok()?),
            Builtin::ProcessorRejected => self.rejected(payload.to().ok()?),
            Builtin::ProcessorParked => self.parked(payload.to().ok()?),
            Builtin::ProcessorResumed => self.resumed(&payload.to().ok()?),
            Builtin::ProcessorRemoved => self.processors.remove(&payload.to::<Removed>().ok()?.slug),
        })
    }

    fn configured(&mut self, offset: Offset, configured: ProcessorConfigured, is_program: bool) -> bool {
        let slug = configured.slug.clone();
        let known = self.processors.get(&slug);
        let is_pending = known.is_some_and(|processor| processor.pending.is_some());
        let is_same = |version: Option<&Version>| version.is_some_and(|version| version.configured.is_same_deployment(&configured));
        if is_same(known.and_then(|processor| processor.confirmed.as_ref())) {
            return is_pending && self.processors.change(&slug, |processor| processor.pending = None);
        }
        if is_same(known.and_then(|processor| processor.pending.as_ref())) {
            return false;
        }
        let (configured_offset, is_program) = (offset, Some(is_program));
        let pending = Some(Version { configured_offset, configured, is_program, manifest: None, skipped: Vec::new(), resumes: 0 });
        if known.is_some() {
            return self.processors.change(&slug, |processor| processor.pending = pending);
        }
        self.processors.insert(slug, ProcessorControl { pending, ..ProcessorControl::default() })
    }

    fn activated(&mut self, activated: Activated) -> bool {
        self.is_pending(&activated.slug, activated.configured_offset)
            && self.processors.change(&activated.slug, |processor| {
                let confirmed = processor.pending.take().map(|pending| Version { manifest: Some(activated.manifest), ..pending });
                *processor = ProcessorControl { confirmed, ..ProcessorControl::default() };
            })
    }

    fn rejected(&mut self, rejected: Rejected) -> bool {
        let slug = rejected.slug.clone();
        self.is_pending(&slug, rejected.configured_offset)
            && self.processors.change(&slug, |processor| {
                processor.pending = None;
                processor.rejected = Some(rejected);
            })
    }

    fn parked(&mut self, parked: Parked) -> bool {
        let slug = parked.slug.clone();
        let confirmed = self.processors.get(&slug).and_then(|processor| processor.confirmed.as_ref());
        confirmed.is_some_and(|confirmed| confirmed.configured_offset == parked.configured_offset)
            && self.processors.change(&slug, |processor| processor.parked = Some(parked))
    }

    fn resumed(&mut self, resumed: &Resumed) -> bool {
        let is_parked = |processor: &ProcessorControl| processor.confirmed.is_some() && processor.parked.is_some();
        self.processors.get(&resumed.slug).is_some_and(is_parked)
            && self.processors.change(&resumed.slug, |processor| {
                let (Some(confirmed), Some(parked)) = (&mut processor.confirmed, processor.parked.take()) else { return };
                confirmed.resumes += 1;
                if resumed.skip {
                    confirmed.skipped.push(Skip { cursor: parked.at_cursor, phase: parked.phase });
                }
            })
    }

    fn is_pending(&self, slug: &Slug, configured_offset: Offset) -> bool {
        let pending = self.processors.get(slug).and_then(|processor| processor.pending.as_ref());
        pending.is_some_and(|pending| pending.configured_offset == configured_offset)
    }
}

impl Builtin {
    /// Whether it configures something that then takes room in the control state, for which there may be none. Everything else is recorded however
    /// full that is: what takes something away, what ends or pauses something, and what the host says of a failure.
    #[must_use]
    pub const fn takes_room(self) -> bool {
        matches!(
            self,
            Self::MetadataUpdated
                | Self::AppendScheduled
                | Self::ScheduleConfigured
                | Self::SubscriptionConfigured
                | Self::TransformerConfigured
                | Self::DynamicWorkerConfigured
                | Self::EnvVarSet
                | Self::ProcessorConfigured
                | Self::ProcessorActivated
        )
    }
}

/// Whether that changes anything.
fn replace<T: PartialEq>(place: &mut T, value: T) -> bool {
    let changes = *place != value;
    *place = value;
    changes
}

impl ProcessorControl {
    /// `pending`, `active`, `parked` or `rejected`, the running version first.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match (&self.confirmed, &self.parked, &self.pending) {
            (Some(_), Some(_), _) => "parked",
            (Some(_), None, _) => "active",
            (None, _, Some(_)) => "pending",
            (None, _, None) => "rejected",
        }
    }

    /// The reason that explains the status, where there is one.
    #[must_use]
    pub fn reason(&self) -> Option<&Reason> {
        let parked = self.parked.as_ref().map(|parked| &parked.reason);
        parked.or(self.rejected.as_ref().map(|rejected| &rejected.reason))
    }

    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        let version = self.confirmed.as_ref().or(self.pending.as_ref());
        version.map(|version| version.configured.component.digest).or(self.rejected.as_ref().map(|rejected| rejected.digest))
    }
}

impl ProcessorConfigured {
    /// Whether deploying `other` over this would change nothing. Where effects begin matters to the first deployment only.
    fn is_same_deployment(&self, other: &Self) -> bool {
        let Self { slug, component, config, consumes, effects_from: _, catch_up, include_children, egress, limits } = self;
        *slug == other.slug
            && component.digest == other.component.digest
            && *config == other.config
            && *consumes == other.consumes
            && *catch_up == other.catch_up
            && *include_children == other.include_children
            && *egress == other.egress
            && *limits == other.limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventType, Json, StreamPath};

    /// Feeds built-in events with offsets from 2 and gives the fold.
    fn fold(events: &[(&str, serde_json::Value)]) -> StreamControl {
        let mut control = StreamControl::default();
        for (nth, (slug, payload)) in events.iter().enumerate() {
            control.apply(&recorded(nth as u64 + 2, slug, payload));
        }
        control
    }

    fn recorded(offset: u64, slug: &str, payload: &serde_json::Value) -> Event {
        Event {
            stream_path: StreamPath::root(),
            offset: Offset::new(offset).unwrap(),
            event_type: EventType::new(&format!("stream/{slug}")).unwrap(),
            payload: JsonObject::try_from(Json::of(payload)).unwrap(),
            metadata: None,
            idempotency_key: None,
            created_at: Timestamp::from_millis(5),
            source: None,
        }
    }

    fn configured(code: &[u8]) -> (&'static str, serde_json::Value) {
        ("processor/configured", serde_json::json!({ "slug": "p", "component": { "digest": Digest::of(code) } }))
    }

    fn activated(offset: u64, code: &[u8]) -> (&'static str, serde_json::Value) {
        ("processor/activated", serde_json::json!({ "slug": "p", "digest": Digest::of(code), "configuredOffset": offset, "manifest": {} }))
    }

    fn rejected(offset: u64, code: &[u8]) -> (&'static str, serde_json::Value) {
        let reason = serde_json::json!({ "code": "trap", "message": "no" });
        (
            "processor/rejected",
            serde_json::json!({ "slug": "p", "digest": Digest::of(code), "configuredOffset": offset, "reason": reason, "running": true }),
        )
    }

    fn parked(offset: u64, code: &[u8]) -> (&'static str, serde_json::Value) {
        let parked = Parked {
            slug: Slug::new("p").unwrap(),
            digest: Digest::of(code),
            configured_offset: Offset::new(offset).unwrap(),
            phase: Phase::Reduce,
            stream_path: StreamPath::root(),
            at_offset: Offset::new(9).unwrap(),
            at_cursor: 9,
            attempts: 1,
            reason: Reason { code: "trap".into(), message: "no".into(), expected: None, found: None, location: None },
        };
        ("processor/parked", serde_json::to_value(parked).unwrap())
    }

    fn processor(events: &[(&str, serde_json::Value)]) -> ProcessorControl {
        fold(events).processors[&Slug::new("p").unwrap()].clone()
    }

    fn running(processor: &ProcessorControl) -> u64 {
        processor.confirmed.as_ref().unwrap().configured_offset.get()
    }

    #[test]
    fn a_broken_replacement_leaves_the_confirmed_version() {
        let state = processor(&[configured(b"1"), activated(2, b"1"), configured(b"2"), rejected(4, b"2")]);
        assert_eq!((running(&state), state.status(), state.pending.is_none()), (2, "active", true));
        assert_eq!(state.reason().unwrap().code, "trap");
    }

    #[test]
    fn a_replacement_runs_once_activated_and_not_before() {
        let before = processor(&[configured(b"1"), activated(2, b"1"), configured(b"2")]);
        assert_eq!((running(&before), before.pending.as_ref().unwrap().configured_offset.get()), (2, 4));
        let after = processor(&[configured(b"1"), activated(2, b"1"), configured(b"2"), activated(4, b"2")]);
        assert_eq!((running(&after), after.pending), (4, None));
    }

    #[test]
    fn deploying_the_same_again_changes_nothing() {
        let once = processor(&[configured(b"1"), activated(2, b"1")]);
        assert_eq!(processor(&[configured(b"1"), activated(2, b"1"), configured(b"1")]), once);
    }

    #[test]
    fn a_late_answer_to_a_superseded_version_is_ignored() {
        let state = processor(&[configured(b"1"), configured(b"2"), activated(2, b"1"), rejected(2, b"1")]);
        assert_eq!((state.status(), state.pending.unwrap().configured_offset.get()), ("pending", 3));
    }

    #[test]
    fn parked_until_resumed_and_a_skip_is_remembered() {
        let start = [configured(b"1"), activated(2, b"1"), parked(2, b"1")];
        assert_eq!(processor(&start).status(), "parked");
        let mut events = start.to_vec();
        events.push(("processor/resumed", serde_json::json!({ "slug": "p", "skip": true })));
        let state = processor(&events);
        assert_eq!((state.status(), state.confirmed.unwrap().skipped), ("active", vec![Skip { cursor: 9, phase: Phase::Reduce }]));
    }

    #[test]
    fn pause_and_metadata_follow_the_last_event() {
        let control = fold(&[
            ("paused", serde_json::json!({ "reason": "x" })),
            ("metadata-updated", serde_json::json!({ "metadata": { "a": 1 } })),
            ("metadata-updated", serde_json::json!({ "metadata": { "b": 2 } })),
        ]);
        assert_eq!(control.paused.unwrap().reason.as_deref(), Some("x"));
        assert_eq!(control.metadata.unwrap().as_str(), r#"{"b":2}"#);
        assert_eq!(fold(&[("paused", serde_json::json!({})), ("resumed", serde_json::json!({}))]), StreamControl::default());
    }

    #[test]
    fn a_variable_is_what_it_was_last_set_to_until_it_is_removed() {
        let set = |key: &str, value: Option<&str>| ("dynamic-worker/env-var-set", serde_json::json!({ "key": key, "value": value }));
        let control = fold(&[set("A", Some("1")), set("B", Some("2")), set("A", Some("3")), set("B", None)]);
        assert_eq!(control.env.iter().collect::<Vec<_>>(), [(&"A".to_owned(), &"3".to_owned())]);
        let full: Vec<_> = (0..ENV_VARS_MAX).map(|n| set(&n.to_string(), Some(""))).collect();
        let with = |key: &str, value: Option<&str>| {
            let (slug, payload) = set(key, value);
            let event_type = EventType::new(&format!("stream/{slug}")).unwrap();
            fold(&full).has_too_many_variables_with(&NewEvent::new(event_type, JsonObject::try_from(Json::of(&payload)).unwrap()))
        };
        assert_eq!([with("0", Some("x")), with("more", Some("x")), with("more", None)], [false, true, false]);
    }

    fn subscribed() -> (&'static str, serde_json::Value) {
        ("subscription/configured", serde_json::json!({ "slug": "s", "type": "webhook", "callbackUrl": "https://example.com/" }))
    }

    fn subscription_parked(configured_offset: u64) -> (&'static str, serde_json::Value) {
        let reason = serde_json::json!({ "code": "status", "message": "500" });
        (
            "subscription/parked",
            serde_json::json!({ "slug": "s", "configuredOffset": configured_offset, "atOffset": 9, "attempts": 3, "reason": reason }),
        )
    }

    fn subscription(events: &[(&str, serde_json::Value)]) -> SubscriptionControl {
        fold(events).subscriptions[&Slug::new("s").unwrap()].clone()
    }

    #[test]
    fn a_subscription_is_parked_until_resumed_or_configured_again() {
        let skip = ("subscription/resumed", serde_json::json!({ "slug": "s", "skip": true }));
        let parked = subscription(&[subscribed(), subscription_parked(2)]);
        assert_eq!(parked.parked.unwrap().at_offset.get(), 9);
        let resumed = subscription(&[subscribed(), subscription_parked(2), skip.clone()]);
        assert_eq!((resumed.parked, resumed.skip, resumed.resumes), (None, Offset::new(9), 1));
        let again = subscription(&[subscribed(), subscription_parked(2), subscribed()]);
        assert_eq!((again.parked, again.configured_offset.get()), (None, 4));
        let late = subscription(&[subscribed(), subscribed(), subscription_parked(2), skip]);
        assert_eq!((late.parked, late.resumes), (None, 0));
        let removed = ("subscription/removed", serde_json::json!({ "slug": "s" }));
        assert_eq!(fold(&[subscribed(), removed]), StreamControl::default());
    }

    #[test]
    fn transformers_and_the_breaker_follow_the_last_configuration() {
        let transformer = ("jsonata-transformer-configured", serde_json::json!({ "slug": "t", "matcher": "true", "transform": "{}" }));
        let breaker = ("circuit-breaker/configured", serde_json::json!({ "burstCapacity": 5, "refillRatePerMinute": 60 }));
        let control = fold(&[transformer.clone(), breaker, transformer]);
        assert_eq!(control.transformers[&Slug::new("t").unwrap()].configured_offset.get(), 4);
        assert_eq!(control.breaker.unwrap().burst_capacity.get(), 5);
    }

    #[test]
    fn a_version_says_whether_it_is_a_program_unless_an_earlier_host_has_stored_it() {
        let program = serde_json::json!({ "slug": "p", "script": "", "runtime": { "digest": Digest::of(b"") } });
        let is_program = |processor: &ProcessorControl| processor.pending.as_ref().unwrap().is_program;
        assert_eq!(is_program(&processor(&[("dynamic-worker/configured", program)])), Some(true));
        let component = processor(&[configured(b"")]);
        assert_eq!(is_program(&component), Some(false));
        let stored = serde_json::to_string(&component).unwrap().replace(r#","isProgram":false"#, "");
        assert_eq!(is_program(&serde_json::from_str(&stored).unwrap()), None);
    }

    #[test]
    fn what_an_event_does_not_change_is_not_copied_for_it() {
        let transformer = ("jsonata-transformer-configured", serde_json::json!({ "slug": "t", "matcher": "true", "transform": "{}" }));
        let before = fold(&[configured(b"1"), subscribed(), transformer]);
        let mut after = before.clone();
        after.apply(&recorded(9, "metadata-updated", &serde_json::json!({ "metadata": { "a": 1 } })));
        after.apply(&recorded(10, "subscription/removed", &serde_json::json!({ "slug": "s" })));
        let slug = |slug: &str| Slug::new(slug).unwrap();
        assert!(std::ptr::eq(&before.processors[&slug("p")], &after.processors[&slug("p")]));
        assert!(std::ptr::eq(&before.transformers[&slug("t")], &after.transformers[&slug("t")]));
        assert!(!after.apply(&recorded(11, "metadata-updated", &serde_json::json!({ "metadata": { "a": 1 } }))), "it says that already");
    }

    #[test]
    fn the_fold_survives_being_written_down() {
        let control =
            fold(&[configured(b"1"), activated(2, b"1"), parked(2, b"1"), configured(b"2"), subscribed(), subscription_parked(6)]);
        assert_eq!(serde_json::from_str::<StreamControl>(&serde_json::to_string(&control).unwrap()).unwrap(), control);
    }
}
