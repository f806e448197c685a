//! The built-in events: their types, their payloads, and who may append them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::environment::EnvVarSet;
use crate::event::{EventIssues, Issue};
use crate::push::{SubscriptionConfigured, TransformerConfigured};
use crate::schedule::{AppendScheduled, ScheduleCancelled, ScheduleConfigured};
use crate::{
    Breaker, Digest, DynamicWorkerConfigured, EgressRules, Event, EventType, JsonObject, NewEvent, Offset, Slug, StreamPath, TenantName,
    TypePatterns,
};

macro_rules! builtins {
    ($($(#[$doc:meta])* $name:ident = $slug:literal,)*) => {
        /// The types under `stream/` that the host gives a meaning to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Builtin { $($(#[$doc])* $name,)* }

        impl Builtin {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The canonical type, `stream/` and the slug.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => concat!("stream/", $slug),)* }
            }

            fn from_slug(slug: &str) -> Option<Self> {
                match slug { $($slug => Some(Self::$name),)* _ => None }
            }
        }
    };
}

builtins! {
    /// The first event of every stream, written by the host.
    Initialized = "initialized",
    /// A stream began below this one; written by the host in the transaction that began it.
    ChildStreamCreated = "child-stream-created",
    /// Replaces the stream's metadata.
    MetadataUpdated = "metadata-updated",
    /// A plain record of something that went wrong.
    ErrorOccurred = "error-occurred",
    /// Input that was not an event, kept as it came.
    InvalidEventAppended = "invalid-event-appended",
    /// Appends are refused until `resumed`.
    Paused = "paused",
    Resumed = "resumed",
    /// How many events the stream takes before it is paused.
    CircuitBreakerConfigured = "circuit-breaker/configured",
    /// Stands for the `stream/schedule/configured` that the host writes right after it.
    AppendScheduled = "append-scheduled",
    /// Appends an event at a time, or at many.
    ScheduleConfigured = "schedule/configured",
    ScheduleCancelled = "schedule/cancelled",
    /// Precedes what a schedule of the kind `every` appends; written by the host.
    ScheduleExecutionStarted = "schedule/internal/execution-started",
    /// Follows what a schedule appends, in the same commit; written by the host.
    ScheduleExecutionFinished = "schedule/internal/execution-finished",
    /// Sends every event of the stream to an address.
    SubscriptionConfigured = "subscription/configured",
    SubscriptionRemoved = "subscription/removed",
    /// A subscription stopped at an event that it cannot deliver; written by the host.
    SubscriptionParked = "subscription/parked",
    /// Lets a parked subscription try again, or skip the event.
    SubscriptionResumed = "subscription/resumed",
    /// Makes events of the stream into other events of it.
    TransformerConfigured = "jsonata-transformer-configured",
    TransformerRemoved = "jsonata-transformer-removed",
    /// A processor as JavaScript text.
    DynamicWorkerConfigured = "dynamic-worker/configured",
    /// Sets a variable that all processors of the stream see in `after-append`.
    EnvVarSet = "dynamic-worker/env-var-set",
    ProcessorConfigured = "processor/configured",
    /// A configured version runs from here; written by the host.
    ProcessorActivated = "processor/activated",
    /// A configured version will never run; written by the host.
    ProcessorRejected = "processor/rejected",
    /// A processor stopped at an event that it cannot handle; written by the host.
    ProcessorParked = "processor/parked",
    /// Lets a parked processor try again, or skip the event.
    ProcessorResumed = "processor/resumed",
    ProcessorRemoved = "processor/removed",
}

const ALIAS_PREFIX: &str = "https://events.iterate.com/events/stream/";

impl Builtin {
    /// The built-in that a canonical type names.
    #[must_use]
    pub fn of(event_type: &str) -> Option<Self> {
        event_type.strip_prefix("stream/").and_then(Self::from_slug)
    }

    /// A type under its own name where it is given by its alias.
    #[must_use]
    pub fn canonical(event_type: &str) -> Cow<'_, str> {
        match event_type.strip_prefix(ALIAS_PREFIX) {
            Some(slug) => Cow::Owned(format!("stream/{slug}")),
            None => Cow::Borrowed(event_type),
        }
    }

    /// The other name of a canonical type that begins with `stream/`.
    #[must_use]
    pub(crate) fn alias(event_type: &str) -> Option<String> {
        event_type.strip_prefix("stream/").map(|slug| format!("{ALIAS_PREFIX}{slug}"))
    }

    /// Whether only the host appends it.
    #[must_use]
    pub const fn is_host_only(self) -> bool {
        matches!(
            self,
            Self::Initialized
                | Self::ScheduleExecutionStarted
                | Self::ScheduleExecutionFinished
                | Self::SubscriptionParked
                | Self::ProcessorActivated
                | Self::ProcessorRejected
                | Self::ProcessorParked
        )
    }

    /// Whether it is recorded on a paused stream: what ends the pause, and what the host has to say about errors.
    #[must_use]
    pub const fn passes_pause(self) -> bool {
        matches!(
            self,
            Self::Initialized
                | Self::ChildStreamCreated
                | Self::Resumed
                | Self::ErrorOccurred
                | Self::CircuitBreakerConfigured
                | Self::ScheduleCancelled
                | Self::ScheduleExecutionStarted
                | Self::ScheduleExecutionFinished
                | Self::SubscriptionRemoved
                | Self::SubscriptionParked
                | Self::SubscriptionResumed
                | Self::TransformerRemoved
                | Self::ProcessorActivated
                | Self::ProcessorRejected
                | Self::ProcessorParked
                | Self::ProcessorResumed
                | Self::ProcessorRemoved
        )
    }

    /// Gives an event from outside its canonical type and checks what a built-in one must satisfy. The bytes of a component in the
    /// payload are taken out, replaced by digest and size, and returned.
    ///
    /// # Errors
    /// The fields that do not fit the built-in's payload, or that the type is reserved.
    pub fn admit(event: &mut NewEvent) -> Result<Option<Vec<u8>>, EventIssues> {
        if let Cow::Owned(canonical) = Self::canonical(event.event_type.as_str()) {
            event.event_type = EventType::from_checked(&canonical);
            if Self::of(event.event_type.as_str()) == Some(Self::DynamicWorkerConfigured) {
                DynamicWorkerConfigured::attach_compat(event);
            }
        }
        let Some(slug) = event.event_type.as_str().strip_prefix("stream/") else { return Ok(None) };
        let Some(builtin) = Self::from_slug(slug) else {
            return Err(EventIssues::one("type", format!("`stream/` is reserved, and `{}` is not a built-in event", event.event_type)));
        };
        if builtin.is_host_only() {
            return Err(EventIssues::one("type", format!("only the host appends `{}`", builtin.as_str())));
        }
        let component = if builtin == Self::ProcessorConfigured { component_upload(event)? } else { None };
        builtin.check(&event.payload)?;
        Ok(component)
    }

    /// The event that the host records right after this one, in the same commit.
    #[must_use]
    pub fn consequence(self, event: &Event) -> Option<NewEvent> {
        match self {
            Self::AppendScheduled => event.payload.to::<AppendScheduled>().ok()?.configured(event),
            _ => None,
        }
    }

    fn check(self, payload: &JsonObject) -> Result<(), EventIssues> {
        fn fits<'a, T: Deserialize<'a>>(payload: &'a JsonObject) -> Result<(), EventIssues> {
            EventIssues::find_in::<T>(payload).map(drop)
        }
        match self {
            Self::Initialized
            | Self::ScheduleExecutionStarted
            | Self::ScheduleExecutionFinished
            | Self::SubscriptionParked
            | Self::ProcessorActivated
            | Self::ProcessorRejected
            | Self::ProcessorParked => Ok(()),
            Self::ChildStreamCreated => fits::<ChildStreamCreated>(payload),
            Self::MetadataUpdated => fits::<MetadataUpdated>(payload),
            Self::ErrorOccurred => fits::<ErrorOccurred>(payload),
            Self::InvalidEventAppended => fits::<InvalidEventAppended>(payload),
            Self::Paused | Self::Resumed => fits::<OptionalReason>(payload),
            Self::CircuitBreakerConfigured => fits::<Breaker>(payload),
            Self::AppendScheduled => AppendScheduled::parse(payload).map(drop),
            Self::ScheduleConfigured => ScheduleConfigured::parse(payload).map(drop),
            Self::ScheduleCancelled => fits::<ScheduleCancelled>(payload),
            Self::SubscriptionConfigured => SubscriptionConfigured::parse(payload).map(drop),
            Self::TransformerConfigured => TransformerConfigured::parse(payload).map(drop),
            Self::DynamicWorkerConfigured => DynamicWorkerConfigured::parse(payload).map(drop),
            Self::EnvVarSet => EnvVarSet::parse(payload).map(drop),
            Self::ProcessorConfigured => fits::<ProcessorConfigured>(payload),
            Self::SubscriptionResumed | Self::ProcessorResumed => fits::<Resumed>(payload),
            Self::SubscriptionRemoved | Self::TransformerRemoved | Self::ProcessorRemoved => fits::<Removed>(payload),
        }
    }
}

/// Payload of `stream/initialized`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Initialized {
    /// The tenant.
    pub project_slug: TenantName,
    pub path: StreamPath,
}

/// Payload of `stream/child-stream-created`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChildStreamCreated {
    pub child_path: StreamPath,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetadataUpdated {
    pub metadata: JsonObject,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[expect(dead_code, reason = "read by serde, to check the shape")]
pub(crate) struct ErrorOccurred {
    message: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct InvalidEventAppended {
    pub raw_input: crate::Json,
    #[expect(dead_code, reason = "read by serde, to check the shape")]
    error: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OptionalReason {
    pub reason: Option<String>,
}

/// Payload of `stream/processor/configured` as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessorConfigured {
    pub slug: Slug,
    pub component: ComponentRef,
    /// What `context.config` answers; `{}` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<JsonObject>,
    /// Instead of the manifest's `consumes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumes: Option<TypePatterns>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub effects_from: EffectsFrom,
    #[serde(default, skip_serializing_if = "is_default")]
    pub catch_up: CatchUp,
    /// Attach to this stream and all below it: one state, events in the tenant's commit order.
    #[serde(default, skip_serializing_if = "is_default")]
    pub include_children: bool,
    /// What `after-append` may send HTTP requests to, as far as the operator allows it too: `[METHOD:]SCHEME://HOST[:PORT]` each. Nothing if absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub egress: EgressRules,
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: ProcessorLimits,
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A component by its digest. The size is added by the host. Who uploads one puts its bytes here, as base64 text (RFC 4648 with padding).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ComponentRef {
    pub digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// Where `after-append` begins when a slug is first configured. A later version goes on where the one before it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum EffectsFrom {
    /// The event that configures the processor.
    #[default]
    Configured,
    /// The first event of the stream.
    Start,
    /// `{ "offset": n }`; for a processor with `includeChildren`, a position.
    Offset(Offset),
}

/// What happens to events that piled up while a deployment could not run: after a restart, a park or an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum CatchUp {
    /// `after-append` is called for each.
    #[default]
    All,
    /// `after-append` is called for the last only.
    Latest,
    /// `{ "maxAgeSeconds": n }`: `after-append` is called for those that are not older when their turn comes.
    MaxAgeSeconds(u64),
}

/// What a processor may lower of its tenant's [`Quotas`](crate::Quotas), under the same names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProcessorLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes_max: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_bytes_max: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduce_fuel_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_append_fuel_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_append_millis_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts_max: Option<u32>,
}

/// Payload of `stream/processor/activated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Activated {
    pub slug: Slug,
    pub digest: Digest,
    /// Offset of the `stream/processor/configured` that this answers.
    pub configured_offset: Offset,
    /// What the component's `describe` returned.
    pub manifest: JsonObject,
}

/// Payload of `stream/processor/rejected`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rejected {
    pub slug: Slug,
    pub digest: Digest,
    pub configured_offset: Offset,
    pub reason: Reason,
    /// Whether an earlier version goes on running.
    pub running: bool,
}

/// Payload of `stream/processor/parked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Parked {
    pub slug: Slug,
    pub digest: Digest,
    pub configured_offset: Offset,
    /// Which of its functions failed.
    pub phase: Phase,
    /// The event it stopped at.
    pub stream_path: StreamPath,
    pub at_offset: Offset,
    /// The cursor of that event: its offset, or its position for a processor with `includeChildren`.
    pub at_cursor: u64,
    pub attempts: u32,
    pub reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    Reduce,
    AfterAppend,
}

/// Payload of `stream/processor/resumed` and `stream/subscription/resumed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resumed {
    pub slug: Slug,
    /// Go on after the event it is parked at, instead of trying it again.
    #[serde(default)]
    pub skip: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Payload of `stream/processor/removed`, `stream/subscription/removed` and `stream/jsonata-transformer-removed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Removed {
    pub slug: Slug,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why a component was rejected, or a processor or subscription parked. A program decides by `code`, a person reads the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    pub code: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// The guest's backtrace, or the place in the component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// Takes the bytes of a component out of the payload of a `stream/processor/configured`, where `component` is base64 text, and puts
/// digest and size in their place. `None` where `component` is something else, such as the digest of one uploaded before.
///
/// # Errors
/// Where the text is not base64 (RFC 4648, standard alphabet, with padding).
fn component_upload(event: &mut NewEvent) -> Result<Option<Vec<u8>>, EventIssues> {
    #[derive(Deserialize)]
    struct WithText<'a> {
        #[serde(borrow)]
        component: std::borrow::Cow<'a, str>,
    }
    let Ok(WithText { component }) = event.payload.to::<WithText>() else { return Ok(None) };
    let bytes = base64::engine::general_purpose::STANDARD.decode(component.as_bytes()).map_err(|error| {
        EventIssues(vec![Issue {
            field: "payload.component".to_owned(),
            problem: format!("expected base64 or {{ \"digest\": \"sha256:…\" }}, found text of {} bytes: {error}", component.len()),
        }])
    })?;
    attach_component(event, &bytes);
    Ok(Some(bytes))
}

/// Names a component in the payload of a `stream/processor/configured` by its digest and size.
pub fn attach_component(event: &mut NewEvent, bytes: &[u8]) {
    let mut payload: BTreeMap<String, Box<RawValue>> = event.payload.to().unwrap_or_default();
    let component = ComponentRef { digest: Digest::of(bytes), size: Some(bytes.len() as u64) };
    if let Ok(raw) = serde_json::value::to_raw_value(&component) {
        payload.insert("component".to_owned(), raw);
    }
    event.payload = JsonObject::of(&payload);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Json;

    fn admit(text: &str) -> Result<(NewEvent, Option<Vec<u8>>), String> {
        let mut event = NewEvent::parse(&Json::parse(text).unwrap()).unwrap();
        let component = Builtin::admit(&mut event).map_err(|issues| issues.to_string())?;
        Ok((event, component))
    }

    #[test]
    fn every_builtin_is_found_by_its_type_and_by_its_alias() {
        for &builtin in Builtin::ALL {
            assert_eq!(Builtin::of(builtin.as_str()), Some(builtin));
        }
        let (event, _) = admit(r#"{"type":"https://events.iterate.com/events/stream/paused","payload":{"reason":"x"}}"#).unwrap();
        assert_eq!(event.event_type.as_str(), "stream/paused");
    }

    #[test]
    fn a_component_leaves_the_payload_as_digest_and_size() {
        let (event, component) = admit(r#"{"type":"stream/processor/configured","payload":{"slug":"a","component":"AGFzbQ=="}}"#).unwrap();
        assert_eq!(component.as_deref(), Some(&b"\0asm"[..]));
        let configured: ProcessorConfigured = event.payload.to().unwrap();
        assert_eq!(configured.component, ComponentRef { digest: Digest::of(b"\0asm"), size: Some(4) });
    }

    #[test]
    fn the_numbers_of_a_config_survive_the_upload() {
        let text = r#"{"type":"stream/processor/configured","payload":{"slug":"a","component":"AGFzbQ==","config":{"n":123456789012345678901234567890}}}"#;
        let (event, _) = admit(text).unwrap();
        assert!(event.payload.as_str().contains("123456789012345678901234567890"), "{:?}", event.payload);
    }

    #[test]
    fn options_of_a_configuration_read_as_documented() {
        let text = format!(
            r#"{{"type":"stream/processor/configured","payload":{{"slug":"a","component":{{"digest":"{}"}},"effectsFrom":{{"offset":7}},"catchUp":{{"maxAgeSeconds":60}},"consumes":["x"]}}}}"#,
            Digest::of(b"")
        );
        let configured: ProcessorConfigured = admit(&text).unwrap().0.payload.to().unwrap();
        assert_eq!(configured.effects_from, EffectsFrom::Offset(Offset::new(7).unwrap()));
        assert_eq!(configured.catch_up, CatchUp::MaxAgeSeconds(60));
    }

    #[test]
    fn a_builtin_that_does_not_fit_is_refused_with_its_own_message() {
        for (text, expected) in [
            (r#"{"type":"stream/paused","payload":{"why":"x"}}"#, "payload.why: unknown field `why`"),
            (r#"{"type":"stream/processor/configured","payload":{"slug":"a b","component":{}}}"#, "payload.slug: slug: expected"),
            (
                r#"{"type":"stream/processor/configured","payload":{"slug":"a","component":"no base64!"}}"#,
                "payload.component: expected base64",
            ),
            (r#"{"type":"stream/processor/activated"}"#, "type: only the host appends"),
            (r#"{"type":"stream/nonsense"}"#, "is not a built-in event"),
        ] {
            let error = admit(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
