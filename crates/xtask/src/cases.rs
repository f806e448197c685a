//! Files of events that plugins are tested on, and what must come out of them.

mod canonical;
mod report;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use self::canonical::canonical;
pub use self::report::{Report, Step};

/// One file of events.
#[derive(Clone)]
pub struct Case {
    pub name: String,
    /// What `pelton plugin test` takes.
    pub file: PathBuf,
    manifest: Box<RawValue>,
    steps: Vec<Expected>,
}

#[derive(Deserialize)]
struct Golden {
    manifest: Box<RawValue>,
    steps: Vec<Expected>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    offset: u64,
    r#type: String,
    state: Option<Box<RawValue>>,
    appends: Option<Box<RawValue>>,
    log: Option<Box<RawValue>>,
    error: Option<ExpectedError>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedError {
    code: OneOrMore,
    /// The whole message.
    message: Option<String>,
    /// What the message contains, or else a line of the log.
    uncaught: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// The first thing in which a run of a case is not as it should be.
#[derive(Debug, PartialEq)]
pub struct Difference {
    place: String,
    expected: String,
    found: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n  expected {}\n  found    {}", self.place, self.expected, self.found)
    }
}

/// The cases of a folder. Each is a file of events, and one of the same name with `.golden.json` that says what must come of them. Where
/// those of the folder stand for long texts, the events are written out to `scratch`.
pub fn in_folder(folder: &Path, scratch: &Path) -> Result<Vec<Case>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let is_events = |file: &PathBuf| file.extension().is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known));
    files.retain(|file| is_events(file) && !file.to_string_lossy().ends_with(GOLDEN));
    files.sort();
    files.into_iter().map(|file| Case::read(file, scratch)).collect()
}

/// Of files of events.
const EXTENSIONS: [&str; 5] = ["json", "yaml", "yml", "ndjson", "jsonl"];
const GOLDEN: &str = ".golden.json";

/// Replaces `{"$repeat": [text, times]}` and `{"$join": [...]}` by the strings that they stand for.
fn written_out(text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = [r#"{"$repeat":"#, r#"{"$join":"#].iter().filter_map(|start| rest.find(start)).min() {
        out.push_str(&rest[..at]);
        let mut values = serde_json::Deserializer::from_str(&rest[at..]).into_iter::<Value>();
        let value = values.next().context("something begins here")??;
        out.push_str(&serde_json::to_string(&string(&value)?)?);
        rest = &rest[at + values.byte_offset()..];
    }
    out.push_str(rest);
    Ok(out)
}

fn string(value: &Value) -> Result<String> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    if let (Some(text), Some(times)) = (value["$repeat"][0].as_str(), value["$repeat"][1].as_u64()) {
        return Ok(text.repeat(usize::try_from(times)?));
    }
    match value["$join"].as_array() {
        Some(parts) => parts.iter().map(string).collect(),
        None => bail!("{value} stands for no string"),
    }
}

impl Case {
    fn read(mut file: PathBuf, scratch: &Path) -> Result<Case> {
        let name = file.file_stem().context("a file has a name")?.to_string_lossy().into_owned();
        let golden = file.with_file_name(format!("{name}{GOLDEN}"));
        ensure!(golden.is_file(), "{}: nothing says what must come of it; `pelton plugin test --update` writes it", file.display());
        let golden =
            fs::read_to_string(&golden).map_err(Into::into).and_then(|text| written_out(&text)).context(golden.display().to_string())?;
        let Golden { manifest, steps } = serde_json::from_str(&golden).with_context(|| format!("{name}{GOLDEN}"))?;
        let events = fs::read_to_string(&file)?;
        let written = written_out(&events).with_context(|| file.display().to_string())?;
        if written != events {
            fs::create_dir_all(scratch)?;
            file = scratch.join(file.file_name().context("a file has a name")?);
            fs::write(&file, written)?;
        }
        Ok(Case { name, file, manifest, steps })
    }

    /// The same case for the JavaScript runtime, whose configuration is the program with what it is configured with.
    pub fn with_program(&self, program: &str, scratch: &Path) -> Result<Case> {
        let text = fs::read_to_string(&self.file)?;
        let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&text)?;
        let config = fields.remove("config");
        fields.insert("config".to_owned(), to_raw_value(&serde_json::json!({ "script": program, "config": config }))?);
        fs::create_dir_all(scratch)?;
        let file = scratch.join(format!("{}.json", self.name));
        fs::write(&file, serde_json::to_string(&fields)?)?;
        Ok(Case { file, ..self.clone() })
    }

    /// Whether a run came out as it should.
    pub fn check(&self, report: &Report) -> Result<Option<Difference>> {
        if let Some(difference) = different("the manifest", &self.manifest, &report.manifest)? {
            return Ok(Some(difference));
        }
        for (nth, expected) in self.steps.iter().enumerate() {
            let place = format!("step {}, {} at offset {}", nth + 1, expected.r#type, expected.offset);
            let Some(found) = report.steps.get(nth) else { return Ok(told(&place, "a step", "the end")) };
            if let Some(difference) = expected.check(&place, found)? {
                return Ok(Some(difference));
            }
        }
        if report.steps.len() > self.steps.len() {
            return Ok(told("the end", &format!("{} steps", self.steps.len()), &format!("{} steps", report.steps.len())));
        }
        let same = report.splits.is_u64();
        Ok(if same { None } else { told("batch splits", "the same state however events are split into calls", &report.splits.to_string()) })
    }
}

impl Expected {
    fn check(&self, place: &str, found: &Step) -> Result<Option<Difference>> {
        if (self.offset, self.r#type.as_str()) != (found.offset, found.r#type.as_str()) {
            return Ok(told(place, "this event", &format!("{} at offset {}", found.r#type, found.offset)));
        }
        if let Some(difference) = self.check_error(place, found) {
            return Ok(Some(difference));
        }
        let parts = [("state", &self.state, &found.state), ("appends", &self.appends, &found.appends), ("log", &self.log, &found.log)];
        // Of a call that fails, a language may have more to say.
        let compared = if self.error.is_some() { 2 } else { 3 };
        for (what, expected, found) in parts.into_iter().take(compared) {
            let place = format!("{place}: {what}");
            let difference = match (expected, found) {
                (Some(expected), Some(found)) => different(&place, expected, found)?,
                (None, None) => None,
                (expected, found) => {
                    let text =
                        |json: &Option<Box<RawValue>>| json.as_ref().map_or_else(|| "nothing".to_owned(), |json| shortened(json.get(), 0));
                    told(&place, &text(expected), &text(found))
                }
            };
            if difference.is_some() {
                return Ok(difference);
            }
        }
        Ok(None)
    }

    fn check_error(&self, place: &str, found: &Step) -> Option<Difference> {
        let place = format!("{place}: error");
        let shown = found.error.as_ref().map_or_else(|| "no error".to_owned(), |error| format!("{}: {}", error.code, error.message));
        let Some(expected) = &self.error else { return found.error.as_ref().and_then(|_| told(&place, "no error", &shown)) };
        let codes = match &expected.code {
            OneOrMore::One(code) => std::slice::from_ref(code),
            OneOrMore::More(codes) => codes,
        };
        let Some(error) = found.error.as_ref().filter(|error| codes.contains(&error.code)) else {
            return told(&place, &codes.join(" or "), &shown);
        };
        let log = found.log.as_ref().map_or("", |log| log.get());
        match (&expected.message, &expected.uncaught) {
            (Some(message), _) if error.message != *message => told(&place, message, &error.message),
            (_, Some(text)) if !error.message.contains(text) && !log.contains(text) => {
                told(&place, &format!("a message or a log line with {text:?}"), &format!("{shown} {log}"))
            }
            _ => None,
        }
    }
}

fn told(place: &str, expected: &str, found: &str) -> Option<Difference> {
    Some(Difference { place: place.to_owned(), expected: expected.to_owned(), found: found.to_owned() })
}

fn different(place: &str, expected: &RawValue, found: &RawValue) -> Result<Option<Difference>> {
    let (expected, found) = (canonical(expected)?, canonical(found)?);
    if expected == found {
        return Ok(None);
    }
    let at = expected.bytes().zip(found.bytes()).take_while(|(a, b)| a == b).count();
    Ok(told(place, &shortened(&expected, at), &shortened(&found, at)))
}

/// The part around a byte, for a text may have a MiB.
fn shortened(text: &str, at: usize) -> String {
    const AROUND: usize = 80;
    let (from, to) = (text.floor_char_boundary(at.saturating_sub(AROUND)), text.ceil_char_boundary((at + AROUND).min(text.len())));
    let (before, after) = (if from > 0 { "…" } else { "" }, if to < text.len() { "…" } else { "" });
    format!("{before}{}{after}", &text[from..to])
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = r#"{ "manifest": { "name": "a" }, "steps": [
        { "offset": 2, "type": "do/add", "state": { "b": 1, "a": 2.0 }, "appends": [] },
        { "offset": 3, "type": "do/throw", "state": null, "appends": [],
          "error": { "code": ["guest-error", "trap"], "uncaught": "boom" } } ] }"#;

    /// Checks the golden file above against itself with one text replaced, as a report.
    fn check(from: &str, to: &str) -> Option<String> {
        let found =
            GOLDEN.replace(r#""code": ["guest-error", "trap"], "uncaught": "boom""#, r#""code": "guest-error", "message": "a boom""#);
        let report = found.replace(r#"{ "manifest""#, r#"{ "splits": 5, "manifest""#).replacen(from, to, 1);
        let Golden { manifest, steps } = serde_json::from_str(GOLDEN).unwrap();
        let case = Case { name: "a".into(), file: "a.json".into(), manifest, steps };
        let difference = case.check(&serde_json::from_str(&report).unwrap()).unwrap();
        difference.map(|Difference { place, expected, found }| format!("{place}: {expected} / {found}"))
    }

    #[test]
    fn what_means_the_same_is_the_same() {
        assert_eq!(check("", ""), None);
        assert_eq!(check(r#""b": 1, "a": 2.0"#, r#""a":2,"b":1e0"#), None);
    }

    #[test]
    fn the_first_difference_is_named_with_its_step() {
        for (from, to, expected) in [
            (r#""b": 1"#, r#""b": 3"#, r#"step 1, do/add at offset 2: state: {"a":2,"b":1} / {"a":2,"b":3}"#),
            (r#""name": "a""#, r#""name": "b""#, r#"the manifest: {"name":"a"} / {"name":"b"}"#),
            (r#""appends": []"#, r#""appends": [1]"#, "step 1, do/add at offset 2: appends: [] / [1]"),
            (r#", "appends": []"#, "", "step 1, do/add at offset 2: appends: [] / nothing"),
            ("do/add", "do/sub", "step 1, do/add at offset 2: this event / do/sub at offset 2"),
            ("guest-error", "timeout", "step 2, do/throw at offset 3: error: guest-error or trap / timeout: a boom"),
            ("a boom", "a", "step 2, do/throw at offset 3: error: a message or a log line with \"boom\" / guest-error: a "),
            (r#""splits": 5"#, r#""splits": {}"#, "batch splits: the same state however events are split into calls / {}"),
        ] {
            assert_eq!(check(from, to).as_deref(), Some(expected));
        }
        let in_log = r#""message": "a" }, "log": [{ "message": "boom" }]"#;
        assert_eq!(check(r#""message": "a boom" }"#, in_log), None);
    }

    #[test]
    fn long_strings_are_written_out_and_long_texts_are_shown_around_the_difference() {
        let text = r#"[{"$repeat":["ab",3]}, {"$join":["<",{"$repeat":["\"",2]},">"]}, {"$other":1}]"#;
        assert_eq!(written_out(text).unwrap(), r#"["ababab", "<\"\">", {"$other":1}]"#);
        assert_eq!(shortened(&"é".repeat(500), 500).chars().filter(|c| *c == '…').count(), 2);
    }
}
