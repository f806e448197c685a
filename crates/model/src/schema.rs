//! JSON schemas (draft 2020-12, as OpenAPI 3.1 has them): of the built-in events' payloads, and of what is checked by hand.

use utoipa::openapi::schema::{AdditionalProperties, SchemaType};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::builtin::{ErrorOccurred, InvalidEventAppended, MetadataUpdated, OptionalReason};
use crate::{
    Activated, AppendScheduled, Breaker, Builtin, ChildStreamCreated, DynamicWorkerConfigured, EnvVarSet, ExecutionFinished,
    ExecutionStarted, Initialized, Parked, ProcessorConfigured, Rejected, Removed, Resumed, ScheduleCancelled, ScheduleConfigured,
    SubscriptionConfigured, SubscriptionParked, TransformerConfigured,
};

impl Builtin {
    /// The schema of its payload. The named schemas that it refers to, as `#/components/schemas/<name>`, are added to `named`.
    #[must_use]
    pub fn payload_schema(self, named: &mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema> {
        fn of<T: ToSchema>(named: &mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema> {
            T::schemas(named);
            <T as PartialSchema>::schema()
        }
        match self {
            Self::Initialized => of::<Initialized>(named),
            Self::ChildStreamCreated => of::<ChildStreamCreated>(named),
            Self::MetadataUpdated => of::<MetadataUpdated>(named),
            Self::ErrorOccurred => of::<ErrorOccurred>(named),
            Self::InvalidEventAppended => of::<InvalidEventAppended>(named),
            Self::Paused | Self::Resumed => of::<OptionalReason>(named),
            Self::CircuitBreakerConfigured => of::<Breaker>(named),
            Self::AppendScheduled => of::<AppendScheduled>(named),
            Self::ScheduleConfigured => of::<ScheduleConfigured>(named),
            Self::ScheduleCancelled => of::<ScheduleCancelled>(named),
            Self::ScheduleExecutionStarted => of::<ExecutionStarted>(named),
            Self::ScheduleExecutionFinished => of::<ExecutionFinished>(named),
            Self::SubscriptionConfigured => of::<SubscriptionConfigured>(named),
            Self::SubscriptionParked => of::<SubscriptionParked>(named),
            Self::SubscriptionResumed | Self::ProcessorResumed => of::<Resumed>(named),
            Self::SubscriptionRemoved | Self::TransformerRemoved | Self::ProcessorRemoved => of::<Removed>(named),
            Self::TransformerConfigured => of::<TransformerConfigured>(named),
            Self::DynamicWorkerConfigured => of::<DynamicWorkerConfigured>(named),
            Self::EnvVarSet => of::<EnvVarSet>(named),
            Self::ProcessorConfigured => of::<ProcessorConfigured>(named),
            Self::ProcessorActivated => of::<Activated>(named),
            Self::ProcessorRejected => of::<Rejected>(named),
            Self::ProcessorParked => of::<Parked>(named),
        }
    }

    /// A payload as somebody might send or read it, as JSON text.
    #[must_use]
    pub const fn example(self) -> &'static str {
        match self {
            Self::Initialized => r#"{"projectSlug":"default","path":"/team/inbox"}"#,
            Self::ChildStreamCreated => r#"{"childPath":"/team/inbox"}"#,
            Self::MetadataUpdated => r#"{"metadata":{"owner":"billing"}}"#,
            Self::ErrorOccurred => r#"{"message":"the importer gave up on row 7"}"#,
            Self::InvalidEventAppended => r#"{"rawInput":{"action":"opened"},"error":"type: expected a string, found nothing"}"#,
            Self::Paused => r#"{"reason":"maintenance until noon"}"#,
            Self::Resumed => r#"{"reason":"done"}"#,
            Self::CircuitBreakerConfigured => r#"{"burstCapacity":500,"refillRatePerMinute":6000}"#,
            Self::AppendScheduled => {
                r#"{"slug":"reminder","append":{"type":"reminded","payload":{"what":"call Ada"}},"schedule":{"kind":"once-in","delaySeconds":3600}}"#
            }
            Self::ScheduleConfigured => {
                r#"{"slug":"report","append":{"type":"report-wanted"},"schedule":{"kind":"cron","cron":"0 9 * * 1-5","timeZone":"Europe/Berlin"},"missed":"skip"}"#
            }
            Self::ScheduleCancelled => r#"{"slug":"report"}"#,
            Self::ScheduleExecutionStarted => {
                r#"{"slug":"heartbeat","scheduledAt":"2030-01-31T09:00:00.000Z","startedAt":"2030-01-31T09:00:00.004Z"}"#
            }
            Self::ScheduleExecutionFinished => {
                r#"{"slug":"heartbeat","outcome":"succeeded","scheduledAt":"2030-01-31T09:00:00.000Z","nextRunAt":"2030-01-31T09:05:00.000Z"}"#
            }
            Self::SubscriptionConfigured => {
                r#"{"slug":"audit","type":"webhook","callbackUrl":"https://example.com/hook","jsonataFilter":"type = 'order-placed'","signingSecret":"audit-hook"}"#
            }
            Self::SubscriptionRemoved => r#"{"slug":"audit","reason":"moved to the warehouse"}"#,
            Self::SubscriptionParked => {
                r#"{"slug":"audit","configuredOffset":2,"atOffset":9,"attempts":15,"reason":{"code":"bad-status","message":"the receiver answered 500"}}"#
            }
            Self::SubscriptionResumed => r#"{"slug":"audit","skip":true}"#,
            Self::TransformerConfigured => {
                r#"{"slug":"slack-commands","matcher":"payload.rawInput.command","transform":"{'type': 'command-given', 'payload': {'command': payload.rawInput.command}}"}"#
            }
            Self::TransformerRemoved => r#"{"slug":"slack-commands"}"#,
            Self::DynamicWorkerConfigured => {
                r#"{"slug":"ping-pong","script":"export default { async afterAppend({ append, event }) { if (event.type === 'ping') await append({ type: 'pong' }) } }"}"#
            }
            Self::EnvVarSet => r#"{"key":"GITHUB_TOKEN","value":"{{secret:github}}"}"#,
            Self::ProcessorConfigured => {
                r#"{"slug":"ping-pong","component":{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"config":{"greeting":"pong"}}"#
            }
            Self::ProcessorActivated => {
                r#"{"slug":"ping-pong","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","configuredOffset":2,"manifest":{"name":"ping-pong","version":"1.0.0"}}"#
            }
            Self::ProcessorRejected => {
                r#"{"slug":"ping-pong","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","configuredOffset":2,"reason":{"code":"not-a-component","message":"expected a component, found a core module"},"running":false}"#
            }
            Self::ProcessorParked => {
                r#"{"slug":"ping-pong","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","configuredOffset":2,"phase":"reduce","streamPath":"/team/inbox","atOffset":9,"atCursor":9,"attempts":1,"reason":{"code":"trap","message":"the plugin trapped: unreachable"}}"#
            }
            Self::ProcessorResumed => r#"{"slug":"ping-pong","skip":false,"reason":"the cause is mended"}"#,
            Self::ProcessorRemoved => r#"{"slug":"ping-pong"}"#,
        }
    }
}

pub(crate) fn text(description: &str, pattern: Option<&str>) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description)).pattern(pattern).build().into()
}

pub(crate) fn integer(description: &str, minimum: u32) -> RefOr<Schema> {
    let integer = ObjectBuilder::new().schema_type(Type::Integer).description(Some(description));
    integer.minimum(Some(minimum)).maximum(Some(isize::MAX)).build().into()
}

pub(crate) fn any(description: &str) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(description)).build().into()
}

pub(crate) fn object(description: &str) -> RefOr<Schema> {
    let anything = AdditionalProperties::FreeForm(true);
    ObjectBuilder::new().schema_type(Type::Object).description(Some(description)).additional_properties(Some(anything)).build().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventType, JsonObject, NewEvent};

    #[test]
    fn every_example_is_what_it_is_an_example_of() {
        for &builtin in Builtin::ALL {
            let payload = JsonObject::parse(builtin.example()).unwrap();
            let mut event = NewEvent::new(EventType::new(builtin.as_str()).unwrap(), payload.clone());
            assert!(builtin.is_host_only() || Builtin::admit(&mut event).is_ok(), "{}", builtin.as_str());
            // Those of the host are read by the fold, which passes over what it cannot read.
            let read = match builtin {
                Builtin::Initialized => payload.to::<Initialized>().is_ok(),
                Builtin::ScheduleExecutionStarted => payload.to::<ExecutionStarted>().is_ok(),
                Builtin::ScheduleExecutionFinished => payload.to::<ExecutionFinished>().is_ok(),
                Builtin::SubscriptionParked => payload.to::<SubscriptionParked>().is_ok(),
                Builtin::ProcessorActivated => payload.to::<Activated>().is_ok(),
                Builtin::ProcessorRejected => payload.to::<Rejected>().is_ok(),
                Builtin::ProcessorParked => payload.to::<Parked>().is_ok(),
                _ => true,
            };
            assert!(read, "{}", builtin.as_str());
        }
    }

    #[test]
    fn every_reference_of_a_schema_is_there() {
        let mut named = Vec::new();
        let schemas: Vec<_> = Builtin::ALL.iter().map(|builtin| builtin.payload_schema(&mut named)).collect();
        let text = serde_json::to_string(&(schemas, named.iter().map(|(_, schema)| schema).collect::<Vec<_>>())).unwrap();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(named.iter().any(|(known, _)| known == name), "{name}");
        }
    }
}
