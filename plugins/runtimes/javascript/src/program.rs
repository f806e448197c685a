//! The modules that make up a program, as the configuration gives them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::types;

/// What the modules are called that a program begins with, in this order.
const ENTRIES: [&str; 6] = ["processor.ts", "processor.mts", "processor.js", "processor.mjs", "index.ts", "index.js"];
/// What an import may leave out, or write as JavaScript where the module is TypeScript.
const EXTENSIONS: [&str; 5] = ["ts", "js", "mts", "mjs", "json"];
/// The name of the module that is given as a text alone.
const SCRIPT: &str = "processor.js";

#[derive(Debug)]
pub(crate) struct Program {
    pub entry: String,
    pub dialect: Dialect,
    /// Set on every request, by name and value.
    pub header: Option<(String, String)>,
    /// What the program is configured with besides itself: the JSON text of an object.
    pub config: String,
    modules: BTreeMap<String, String>,
}

/// Whose programs these are, which decides how they know the host's own events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Dialect {
    #[default]
    Own,
    /// Written for another service: the same events under its names, and none that it does not have.
    Iterate,
}

impl Dialect {
    /// The type as the program knows it; `None` for an event that it must not see.
    pub(crate) fn shown(self, event_type: &str) -> Option<String> {
        match (self, event_type.strip_prefix("stream/")) {
            (Self::Iterate, Some(slug)) if slug.starts_with("processor/") => None,
            (Self::Iterate, Some(slug)) => Some(format!("https://events.iterate.com/events/stream/{slug}")),
            _ => Some(event_type.to_owned()),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    script: Option<String>,
    modules: Option<BTreeMap<String, String>>,
    #[serde(default)]
    compat: Dialect,
    outbound_gateway: Option<serde_json::Value>,
    config: Option<Box<RawValue>>,
}

impl Program {
    /// # Errors
    /// A configuration that holds no program.
    pub(crate) fn parse(config: &str) -> Result<Self, Failure> {
        let config: Config =
            serde_json::from_str(config).map_err(|error| Failure::new(format!("the configuration does not fit: {error}")))?;
        let (entry, modules) = match (config.script, config.modules) {
            (Some(script), None) => Ok((SCRIPT.to_owned(), BTreeMap::from([(SCRIPT.to_owned(), script)]))),
            (None, Some(modules)) => begun(modules),
            (found, _) => {
                let found = if found.is_some() { "both" } else { "neither" };
                Err(Failure::new(format!("expected exactly one of `script`, a JavaScript module as text, and `modules`, found {found}")))
            }
        }?;
        let part = |name: &str| Some(config.outbound_gateway.as_ref()?.pointer(name)?.as_str()?.to_owned());
        let header = part("/props/secretHeaderName").zip(part("/props/secretHeaderValue"));
        let config_text = config.config.map_or_else(|| "{}".to_owned(), |config| config.get().to_owned());
        Ok(Self { entry, dialect: config.compat, header, config: config_text, modules })
    }
    /// The JavaScript of a module; JSON stays JSON.
    ///
    /// # Errors
    /// A syntax error in TypeScript.
    pub(crate) fn javascript(&self, module: &str) -> Result<String, Failure> {
        let text = self.modules.get(module).map_or("", String::as_str);
        if module.ends_with(".ts") || module.ends_with(".mts") { types::strip(module, text) } else { Ok(text.to_owned()) }
    }

    /// The module that `specifier` means in `importer`.
    ///
    /// # Errors
    /// None of the modules.
    pub(crate) fn resolve(&self, specifier: &str, importer: Option<&str>) -> Result<String, Failure> {
        let path = if specifier.starts_with("./") || specifier.starts_with("../") {
            joined(importer.unwrap_or(""), specifier)
        } else {
            Some(specifier.trim_start_matches('/').to_owned())
        };
        path.as_deref().and_then(|path| self.named(path)).ok_or_else(|| {
            let importer = importer.map_or_else(String::new, |importer| format!("{importer} imports "));
            Failure::new(format!(
                "{importer}{specifier:?}, which is not among the modules ({}); add it, or bundle the program into one module",
                names(&self.modules)
            ))
        })
    }

    fn named(&self, path: &str) -> Option<String> {
        if self.modules.contains_key(path) {
            return Some(path.to_owned());
        }
        let stem = path.strip_suffix(".js").or_else(|| path.strip_suffix(".mjs")).unwrap_or(path);
        EXTENSIONS.iter().map(|extension| format!("{stem}.{extension}")).find(|name| self.modules.contains_key(name))
    }
}

/// The modules under their plain names, and the one that the program begins with.
fn begun(given: BTreeMap<String, String>) -> Result<(String, BTreeMap<String, String>), Failure> {
    let modules: BTreeMap<String, String> =
        given.into_iter().map(|(name, text)| (name.trim_start_matches("./").trim_start_matches('/').to_owned(), text)).collect();
    let entry = match ENTRIES.iter().find(|entry| modules.contains_key(**entry)) {
        Some(entry) => (*entry).to_owned(),
        None if modules.len() == 1 => modules.keys().next().cloned().unwrap_or_default(),
        None => {
            let names = names(&modules);
            return Err(Failure::new(format!("no module to begin with: expected one called {}, found {names}", ENTRIES.join(", "))));
        }
    };
    Ok((entry, modules))
}

/// `lib/b.js` of `a.js` and `./lib/b.js`; `None` where it leads out of the program.
fn joined(importer: &str, specifier: &str) -> Option<String> {
    let mut segments: Vec<&str> = importer.split('/').collect();
    segments.pop();
    for segment in specifier.split('/') {
        match segment {
            "." | "" => {}
            ".." => drop(segments.pop()?),
            segment => segments.push(segment),
        }
    }
    Some(segments.join("/"))
}

fn names(modules: &BTreeMap<String, String>) -> String {
    if modules.is_empty() { "none".to_owned() } else { modules.keys().cloned().collect::<Vec<_>>().join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(names: &[&str]) -> Program {
        let modules: BTreeMap<&str, &str> = names.iter().map(|name| (*name, "")).collect();
        Program::parse(&serde_json::json!({ "modules": modules }).to_string()).unwrap()
    }

    #[test]
    fn a_program_is_one_text_or_modules_and_never_both() {
        assert_eq!(Program::parse(r#"{"script":"1"}"#).unwrap().entry, "processor.js");
        for (config, found) in [(r#"{}"#, "neither"), (r#"{"script":"","modules":{}}"#, "both"), (r#"{"modules":{}}"#, "none")] {
            assert!(Program::parse(config).unwrap_err().to_string().contains(found), "{config}");
        }
    }

    #[test]
    fn a_program_begins_with_the_processor_or_with_its_only_module() {
        assert_eq!(program(&["a.js", "processor.ts", "processor.js"]).entry, "processor.ts");
        assert_eq!(program(&["./main.js"]).entry, "main.js");
    }

    #[test]
    fn a_program_for_another_service_sees_its_names() {
        let shown = |dialect: Dialect, event_type| dialect.shown(event_type);
        assert_eq!(shown(Dialect::Own, "stream/paused").as_deref(), Some("stream/paused"));
        assert_eq!(shown(Dialect::Iterate, "stream/paused").as_deref(), Some("https://events.iterate.com/events/stream/paused"));
        assert_eq!(shown(Dialect::Iterate, "ping").as_deref(), Some("ping"));
        assert_eq!(shown(Dialect::Iterate, "stream/processor/activated"), None);
        let props = r#"{"secretHeaderName":"x-key","secretHeaderValue":"v"}"#;
        let config = format!(r#"{{"script":"","compat":"iterate","outboundGateway":{{"entrypoint":"E","props":{props}}}}}"#);
        let program = Program::parse(&config).unwrap();
        assert_eq!((program.dialect, program.header), (Dialect::Iterate, Some(("x-key".to_owned(), "v".to_owned()))));
    }

    #[test]
    fn imports_are_found_by_relative_name() {
        let program = program(&["processor.ts", "lib/a.ts", "lib/b.js", "c.json"]);
        for (specifier, importer, found) in [
            ("./lib/a.ts", "processor.ts", "lib/a.ts"),
            ("./lib/a.js", "processor.ts", "lib/a.ts"),
            ("./lib/a", "processor.ts", "lib/a.ts"),
            ("./b.js", "lib/a.ts", "lib/b.js"),
            ("../c.json", "lib/a.ts", "c.json"),
            ("lib/b.js", "processor.ts", "lib/b.js"),
        ] {
            assert_eq!(program.resolve(specifier, Some(importer)).unwrap(), found);
        }
        for absent in ["zod", "./d.js", "../../c.json"] {
            let failure = program.resolve(absent, Some("lib/a.ts")).unwrap_err().to_string();
            assert!(
                failure.starts_with(&format!("lib/a.ts imports {absent:?}, which is not among the modules (c.json, lib/a.ts")),
                "{failure}"
            );
        }
    }
}
