//! Processors that come as JavaScript text and run in the host's JavaScript runtime.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::builtin::is_default;
use crate::event::EventIssues;
use crate::{
    CatchUp, ComponentRef, EffectsFrom, EgressRules, Json, JsonObject, NewEvent, ProcessorConfigured, ProcessorLimits, Slug, TypePatterns,
};

/// Payload of `stream/dynamic-worker/configured`: exactly one of `script` and `modules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DynamicWorkerConfigured {
    pub slug: Slug,
    /// A JavaScript module whose default export is the processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// JavaScript, TypeScript and JSON modules by name, beginning with `processor.ts` or `processor.js`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modules: Option<BTreeMap<String, String>>,
    /// Given to the program as `config`, so that one program can serve several streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<JsonObject>,
    /// Instead of the program's `consumes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumes: Option<TypePatterns>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub effects_from: EffectsFrom,
    #[serde(default, skip_serializing_if = "is_default")]
    pub catch_up: CatchUp,
    /// Attach to this stream and all below it: one state, events in the tenant's commit order.
    #[serde(default, skip_serializing_if = "is_default")]
    pub include_children: bool,
    /// What `fetch` may send requests to, as far as the operator allows it too: `[METHOD:]SCHEME://HOST[:PORT]` each. Nothing if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<EgressRules>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: ProcessorLimits,
    /// Kept for another service's clients; nothing depends on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility_date: Option<Json>,
    /// Kept for another service's clients; nothing depends on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility_flags: Option<Json>,
    /// `props.secretHeaderName` and `props.secretHeaderValue` in it are a header of every request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound_gateway: Option<Json>,
    /// For a program that was written for another service. Said by the host where the event comes under its alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compat: Option<WorkerCompat>,
    /// The component that runs it. Said by the host when it records the event, whatever was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<ComponentRef>,
}

/// Whose programs see the host's own events under its names, none that it does not have, and may send requests wherever the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkerCompat {
    Iterate,
}

const RUNTIME: &str = "runtime";

impl DynamicWorkerConfigured {
    /// # Errors
    /// The fields that do not fit.
    pub fn parse(payload: &JsonObject) -> Result<Self, EventIssues> {
        let worker: Self = EventIssues::find_in(payload)?;
        match (&worker.script, &worker.modules) {
            (Some(_), Some(_)) => Err(EventIssues::one("payload", "expected either `script` or `modules`, found both".to_owned())),
            (None, None) => Err(EventIssues::one("payload", "expected either `script` or `modules`, found neither".to_owned())),
            (None, Some(modules)) if modules.is_empty() => {
                Err(EventIssues::one("payload.modules", "expected at least one module, such as `processor.ts`, found none".to_owned()))
            }
            _ => Ok(worker),
        }
    }

    /// The processor that it is: the runtime, with the program as its configuration. `None` where no host has said which runtime.
    #[must_use]
    pub fn into_processor(self) -> Option<ProcessorConfigured> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Program {
            #[serde(skip_serializing_if = "Option::is_none")]
            script: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            modules: Option<BTreeMap<String, String>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            config: Option<JsonObject>,
            #[serde(skip_serializing_if = "Option::is_none")]
            compat: Option<WorkerCompat>,
            #[serde(skip_serializing_if = "Option::is_none")]
            outbound_gateway: Option<Json>,
        }
        let Self { script, modules, config, compat, outbound_gateway, .. } = self;
        let program = Program { script, modules, config, compat, outbound_gateway };
        Some(ProcessorConfigured {
            slug: self.slug,
            component: self.runtime?,
            config: Some(JsonObject::of(&program)),
            consumes: self.consumes,
            effects_from: self.effects_from,
            catch_up: self.catch_up,
            include_children: self.include_children,
            egress: self.egress.unwrap_or_else(|| if self.compat.is_some() { EgressRules::everything() } else { EgressRules::default() }),
            limits: self.limits,
        })
    }

    /// Says in the payload of an event which component runs it.
    pub fn attach_runtime(event: &mut NewEvent, runtime: &ComponentRef) {
        say(event, RUNTIME, runtime);
    }

    /// Says in the payload of an event that came under an alias whose program it is.
    pub(crate) fn attach_compat(event: &mut NewEvent) {
        say(event, "compat", &WorkerCompat::Iterate);
    }

    /// Whether two payloads say the same, apart from the runtime that the host has added: a repeated append says the same as the first, also
    /// after an upgrade of the host.
    #[must_use]
    pub fn is_same_apart_from_runtime(one: &JsonObject, other: &JsonObject) -> bool {
        let fields = |payload: &JsonObject| {
            let mut fields: BTreeMap<String, Json> = payload.to().ok()?;
            fields.remove(RUNTIME);
            Some(fields)
        };
        fields(one).is_some_and(|fields_of_one| fields(other) == Some(fields_of_one))
    }
}

fn say(event: &mut NewEvent, field: &str, value: &impl Serialize) {
    let mut fields: BTreeMap<String, Box<RawValue>> = event.payload.to().unwrap_or_default();
    if let Ok(raw) = serde_json::value::to_raw_value(value) {
        fields.insert(field.to_owned(), raw);
    }
    event.payload = JsonObject::of(&fields);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;

    fn payload(text: &str) -> JsonObject {
        JsonObject::parse(text).unwrap()
    }

    #[test]
    fn a_worker_is_one_text_or_modules() {
        for (text, problem) in [
            (r#"{"slug":"a"}"#, "found neither"),
            (r#"{"slug":"a","script":"","modules":{"b.js":""}}"#, "found both"),
            (r#"{"slug":"a","modules":{}}"#, "payload.modules: expected at least one"),
            (r#"{"slug":"a","script":7}"#, "expected a string"),
            (r#"{"slug":"a","script":"","other":1}"#, "unknown field `other`"),
        ] {
            let error = DynamicWorkerConfigured::parse(&payload(text)).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
        let full = r#"{"slug":"a","script":"x","compatibilityDate":"2026-02-05","compatibilityFlags":["f"],"outboundGateway":null}"#;
        assert!(DynamicWorkerConfigured::parse(&payload(full)).is_ok());
    }

    #[test]
    fn only_a_program_for_another_service_may_reach_what_it_does_not_name() {
        let runtime = format!(r#""runtime":{{"digest":"{}"}}"#, Digest::of(b""));
        for (more, egress) in [("", "[]"), (r#","compat":"iterate""#, r#"["*://*:*"]"#), (r#","compat":"iterate","egress":[]"#, "[]")] {
            let worker = DynamicWorkerConfigured::parse(&payload(&format!(r#"{{"slug":"a","script":"",{runtime}{more}}}"#))).unwrap();
            assert_eq!(Json::of(&worker.into_processor().unwrap().egress).as_str(), egress, "{more}");
        }
    }

    #[test]
    fn it_becomes_a_processor_once_the_runtime_is_known() {
        let mut event = NewEvent::parse(&Json::of(&serde_json::json!({ "type": "x", "payload": { "slug": "a", "script": "1" } }))).unwrap();
        let before = event.payload.clone();
        assert!(DynamicWorkerConfigured::parse(&before).unwrap().into_processor().is_none());
        let runtime = ComponentRef { digest: Digest::of(b"a"), size: Some(1) };
        DynamicWorkerConfigured::attach_runtime(&mut event, &runtime);
        let processor = DynamicWorkerConfigured::parse(&event.payload).unwrap().into_processor().unwrap();
        assert_eq!((processor.component, processor.config.unwrap().as_str()), (runtime, r#"{"script":"1"}"#));
        assert!(DynamicWorkerConfigured::is_same_apart_from_runtime(&before, &event.payload));
        assert!(!DynamicWorkerConfigured::is_same_apart_from_runtime(&payload(r#"{"slug":"b","script":"1"}"#), &event.payload));
    }
}
