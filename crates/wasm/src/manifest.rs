//! What `describe` says about a component.

use std::collections::BTreeMap;

use pelton_model::{Json, JsonObject, Quotas, TypePatterns};

use crate::CallError;
use crate::error::clamp;

/// What a processor says about itself, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// As `describe` returned it.
    pub json: JsonObject,
    pub name: String,
    /// The types it wants; all where it does not say.
    pub consumes: TypePatterns,
    /// The state before the first event; `{}` where it does not say.
    pub initial_state: Json,
    /// 1 where it does not say.
    pub state_version: u32,
}

/// A field of the manifest that does not fit.
struct Misfit {
    expected: &'static str,
    found: String,
}

impl Manifest {
    /// Fields that are not known are kept and not looked at: they may mean something to a later host. Where a field may be absent it may
    /// also be null, for that is how some languages write absence; only the initial state can be null itself.
    ///
    /// # Errors
    /// [`CallError::Refused`] where the component says that it cannot run, [`CallError::BadManifest`] for the first field that does not fit.
    pub fn parse(text: &str, quotas: &Quotas) -> Result<Self, CallError> {
        let whole = |expected: String, found: String| CallError::BadManifest { field: String::new(), expected, found };
        if text.len() > quotas.event_bytes_max / 2 {
            return Err(whole(format!("at most {} bytes", quotas.event_bytes_max / 2), format!("{} bytes", text.len())));
        }
        let json = JsonObject::parse(text).map_err(|error| whole("one JSON object".to_owned(), clamp(&error.to_string(), 500)))?;
        let fields = json.to::<BTreeMap<String, Json>>().map_err(|error| whole("one JSON object".to_owned(), error.to_string()))?;
        if let Some(refusal) = fields.get("error") {
            return Err(refused(refusal));
        }
        let of = |field: &'static str| {
            move |misfit: Misfit| CallError::BadManifest {
                field: field.to_owned(),
                expected: misfit.expected.to_owned(),
                found: misfit.found,
            }
        };
        for field in ["version", "description"] {
            take::<String>(&fields, field, "a string").map_err(of(field))?;
        }
        take::<Vec<String>>(&fields, "emits", "an array of event types").map_err(of("emits"))?;
        Ok(Self {
            name: name(&fields).map_err(of("name"))?,
            consumes: take::<Vec<String>>(&fields, "consumes", "an array of event types, `*` for any run of characters")
                .map_err(of("consumes"))?
                .map_or_else(TypePatterns::all, TypePatterns::new),
            initial_state: initial_state(&fields, quotas.state_bytes_max)?,
            state_version: state_version(&fields).map_err(of("stateVersion"))?,
            json,
        })
    }
}

/// Why a component cannot run with the configuration it was given. What does not fit is shown as it is.
fn refused(refusal: &Json) -> CallError {
    #[derive(serde::Deserialize)]
    struct Refusal {
        message: String,
        location: Option<String>,
    }
    let Refusal { message, location } = refusal.to().unwrap_or_else(|_| Refusal { message: refusal.as_str().to_owned(), location: None });
    CallError::Refused { message: clamp(&message, 4_000), location: location.map(|location| clamp(&location, 500)) }
}

fn name(fields: &BTreeMap<String, Json>) -> Result<String, Misfit> {
    const EXPECTED: &str = "a string of 1 to 200 characters";
    let name = take::<String>(fields, "name", EXPECTED)?.ok_or_else(|| Misfit { expected: EXPECTED, found: "nothing".to_owned() })?;
    if name.trim().is_empty() || name.chars().count() > 200 {
        return Err(Misfit { expected: EXPECTED, found: clamp(&format!("{name:?}"), 220) });
    }
    Ok(name)
}

fn initial_state(fields: &BTreeMap<String, Json>, max: usize) -> Result<Json, CallError> {
    let state = fields.get("initialState").cloned().unwrap_or_else(|| JsonObject::empty().as_json().clone());
    let found = state.as_str().len();
    if found > max {
        let field = "initialState".to_owned();
        return Err(CallError::BadManifest { field, expected: format!("at most {max} bytes"), found: format!("{found} bytes") });
    }
    Ok(state)
}

fn state_version(fields: &BTreeMap<String, Json>) -> Result<u32, Misfit> {
    const EXPECTED: &str = "an integer from 1";
    match take::<u32>(fields, "stateVersion", EXPECTED)? {
        Some(0) => Err(Misfit { expected: EXPECTED, found: "0".to_owned() }),
        version => Ok(version.unwrap_or(1)),
    }
}

fn take<T: serde::de::DeserializeOwned>(fields: &BTreeMap<String, Json>, field: &str, expected: &'static str) -> Result<Option<T>, Misfit> {
    let Some(value) = fields.get(field) else { return Ok(None) };
    value.to::<Option<T>>().map_err(|_| Misfit { expected, found: clamp(value.as_str(), 200) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Manifest, CallError> {
        Manifest::parse(text, &Quotas::default())
    }

    #[test]
    fn a_manifest_needs_only_a_name() {
        let manifest = parse(r#"{ "name": "ping", "version": null, "other": 1 }"#).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.initial_state.as_str(), manifest.state_version), ("ping", "{}", 1));
        assert!(manifest.consumes.matches("anything"));
        assert_eq!(manifest.json.as_str(), r#"{"name":"ping","version":null,"other":1}"#);
    }

    #[test]
    fn what_it_says_is_taken() {
        let manifest = parse(r#"{"name":"a","consumes":["ping*"],"initialState":null,"stateVersion":3,"emits":["x"]}"#).unwrap();
        assert!(manifest.consumes.matches("pings") && !manifest.consumes.matches("pong"));
        assert_eq!((manifest.initial_state.as_str(), manifest.state_version), ("null", 3));
    }

    #[test]
    fn a_component_that_cannot_run_says_why_and_where() {
        for (text, message, location) in
            [(r#"{"error":{"message":"no","location":"a.js:1:2"}}"#, "no", Some("a.js:1:2")), (r#"{"error":"no"}"#, "\"no\"", None)]
        {
            let expected = CallError::Refused { message: message.to_owned(), location: location.map(str::to_owned) };
            assert_eq!(parse(text).unwrap_err(), expected);
        }
    }

    #[test]
    fn a_field_that_does_not_fit_is_named() {
        for (text, field) in [
            ("[]", ""),
            ("{", ""),
            ("{}", "name"),
            (r#"{"name":" "}"#, "name"),
            (r#"{"name":7}"#, "name"),
            (r#"{"name":"a","version":1}"#, "version"),
            (r#"{"name":"a","consumes":"ping"}"#, "consumes"),
            (r#"{"name":"a","emits":[1]}"#, "emits"),
            (r#"{"name":"a","stateVersion":0}"#, "stateVersion"),
            (r#"{"name":"a","stateVersion":1.5}"#, "stateVersion"),
        ] {
            match parse(text) {
                Err(CallError::BadManifest { field: found, .. }) => assert_eq!(found, field, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
