//! `pelton plugin test`: a plugin on files of events, without a server.

mod case;
mod gate;
mod log;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use pelton_model::{EgressRule, Json, JsonObject, Quotas};
use pelton_wasm::Manifest;
use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use self::case::Case;
use self::log::Log;
use self::stage::{Played, Stage, Step, Unequal};
use super::build::{shown as shown_path, size};
use super::inspect::thousands;
use super::pretty::pretty;
use super::target::{CompileCache, Plugin, told};
use crate::cli::{Failure, Format, Shape, print, printable};

#[derive(Args)]
pub struct Options {
    /// A project's folder, which is built, or a component.
    #[arg(default_value = ".")]
    plugin: PathBuf,
    /// Files of events, or folders of such files; those in the project's tests/ unless named. JSON, YAML or NDJSON.
    files: Vec<PathBuf>,
    /// Write what happens as what is expected.
    #[arg(long)]
    update: bool,
    /// HTTP that it may send, `[METHOD:]SCHEME://HOST[:PORT]`; once for each rule. None unless given.
    #[arg(long, value_name = "RULE")]
    allow_http: Vec<EgressRule>,
    #[command(flatten)]
    cache: CompileCache,
}

/// What is compared.
#[derive(Serialize)]
struct Golden<'a> {
    manifest: &'a JsonObject,
    steps: Vec<&'a Step>,
}

/// How what happened compares with what was expected.
enum Verdict {
    Same,
    Different { diff: String },
    Missing,
    Written,
}

impl Verdict {
    fn word(&self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Different { .. } => "different",
            Self::Missing => "missing",
            Self::Written => "written",
        }
    }
}

pub fn run(format: Format, options: &Options) -> Result<(), Failure> {
    let (path, named) = sorted_out(options);
    let files = files(path, &named)?;
    let cases = files.iter().map(|file| Case::read(file)).collect::<Result<Vec<_>, _>>()?;
    let gate = gate::gate(&options.allow_http)?;
    let log = Log::gather();
    let quotas = Quotas::default();
    let plugin = Plugin::load(path, &options.cache, &quotas)?;
    // after-append waits on it from this thread.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    if format.shape == Shape::Line {
        print(&format!("{}  {}\n", shown_path(&plugin.path).display(), size(plugin.bytes.len())))?;
    }
    let mut failed = Vec::new();
    for case in &cases {
        let manifest = plugin.manifest(Some(case.identity(plugin.digest)), &case.config, &quotas)?;
        let gate = Arc::clone(&gate);
        let stage = Stage { plugin: &plugin, manifest: &manifest, case, quotas: &quotas, log: &log, runtime: &runtime, gate };
        let steps = stage.play();
        let split = stage.split(&steps);
        let verdict = compare(case, &manifest, &steps, options.update)?;
        let is_missed = matches!(verdict, Verdict::Missing) && named.is_empty();
        if split.is_err() || is_missed || matches!(verdict, Verdict::Different { .. }) {
            failed.push(case.path.display().to_string());
        }
        match format.shape {
            Shape::Line => print(&told_case(format, case, &steps, &split, &verdict))?,
            _ => print(&format.document(Json::of(&report(case, &plugin, &manifest, &steps, &split, &verdict)).as_str()))?,
        }
    }
    match failed.len() {
        0 => Ok(()),
        count => Err(Failure::new(1, format!("{count} of {} tests failed: {}", cases.len(), failed.join(", ")))),
    }
}

/// The first name may already be a file of events, of the project in this folder.
fn sorted_out(options: &Options) -> (&Path, Vec<PathBuf>) {
    if options.plugin.is_file() && case::is_case(&options.plugin) {
        let files = std::iter::once(&options.plugin).chain(&options.files).cloned().collect();
        return (Path::new("."), files);
    }
    (&options.plugin, options.files.clone())
}

fn files(plugin: &Path, named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    if !named.is_empty() {
        let mut files = Vec::new();
        for path in named {
            if path.is_dir() {
                files.extend(case::cases_in(path)?);
            } else if !path.to_string_lossy().ends_with(".golden.json") {
                files.push(path.clone());
            }
        }
        return Ok(files);
    }
    if plugin.is_file() {
        return Err(Failure::usage("name a file of events to run the component on, such as tests/events.json"));
    }
    // What is no project says so itself.
    super::language::Project::find(plugin)?;
    let folder = plugin.join("tests");
    let files = if folder.is_dir() { case::cases_in(&folder)? } else { Vec::new() };
    if files.is_empty() {
        return Err(Failure::usage(format!("{}: expected files of events (*.json, *.yaml, *.ndjson), found none", folder.display())));
    }
    Ok(files)
}

fn compare(case: &Case, manifest: &Manifest, steps: &[Played], update: bool) -> Result<Verdict, Failure> {
    let path = case.golden();
    let steps = steps.iter().map(|played| &played.step).collect();
    let found = pretty(Json::of(&Golden { manifest: &manifest.json, steps }).as_str());
    let io = |error: std::io::Error| Failure::new(1, format!("{}: {error}", path.display()));
    let present = match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(io(error)),
    };
    // However it is laid out.
    let expected = match &present {
        Some(text) => {
            let json = Json::parse(text).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
            Some(pretty(json.as_str()))
        }
        None => None,
    };
    match expected {
        Some(expected) if expected == found => Ok(Verdict::Same),
        _ if update => fs::write(&path, &found).map(|()| Verdict::Written).map_err(io),
        Some(expected) => Ok(Verdict::Different { diff: diff(&expected, &found) }),
        None => Ok(Verdict::Missing),
    }
}

/// The lines that differ, with those around them.
fn diff(expected: &str, found: &str) -> String {
    let diff = TextDiff::from_lines(expected, found);
    let mut text = String::new();
    for (nth, group) in diff.grouped_ops(3).iter().enumerate() {
        if nth > 0 {
            text.push_str("  …\n");
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            text.push_str(&format!("{sign} {}\n", change.value().trim_end_matches('\n')));
        }
    }
    text
}

/// What programs get of a case.
fn report<'a>(
    case: &'a Case,
    plugin: &'a Plugin,
    manifest: &'a Manifest,
    steps: &'a [Played],
    split: &Result<usize, Box<Unequal>>,
    verdict: &Verdict,
) -> impl Serialize + use<'a> {
    #[derive(Serialize)]
    struct Report<'a> {
        file: &'a Path,
        plugin: &'a Path,
        digest: String,
        golden: &'static str,
        splits: Splits,
        manifest: &'a JsonObject,
        steps: &'a [Played],
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Splits {
        Same(usize),
        Different { first: u64, last: u64, expected: Json, found: Option<Json>, error: Option<String> },
    }
    let splits = match split {
        Ok(count) => Splits::Same(*count),
        Err(unequal) => Splits::Different {
            first: unequal.first.get(),
            last: unequal.last.get(),
            expected: unequal.expected.clone(),
            found: unequal.found.clone().ok(),
            error: unequal.found.as_ref().err().map(|reason| reason.message.clone()),
        },
    };
    Report {
        file: &case.path,
        plugin: &plugin.path,
        digest: plugin.digest.to_string(),
        golden: verdict.word(),
        splits,
        manifest: &manifest.json,
        steps,
    }
}

/// What people get of a case.
fn told_case(format: Format, case: &Case, steps: &[Played], split: &Result<usize, Box<Unequal>>, verdict: &Verdict) -> String {
    let (dim, bad, good, reset) = if format.color { ("\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[0m") } else { ("", "", "", "") };
    let mut text = format!("\n{}", case.path.display());
    if let Some(description) = &case.description {
        text.push_str(&format!("  {dim}{}{reset}", printable(description)));
    }
    text.push('\n');
    for (Played { step, fuel }, event) in steps.iter().zip(&case.events) {
        let payload = shown(event.payload.as_str());
        text.push_str(&format!("{:>5}  {}  {dim}{payload}{reset}\n", step.offset, printable(&step.event_type)));
        let mut row = |what: &str, value: &str| text.push_str(&format!("       {dim}{what:<8}{reset} {value}\n"));
        let Some(state) = &step.state else {
            row("", "not consumed");
            continue;
        };
        row("state", &shown(state.as_str()));
        for appended in step.appends.iter().flatten() {
            let to = appended.to.as_ref().map(|to| format!("{to}  ")).unwrap_or_default();
            let payload = shown(appended.payload.as_str());
            row(if appended.now { "at once" } else { "append" }, &format!("{to}{}  {payload}", printable(&appended.event_type)));
        }
        for line in &step.log {
            row("log", &format!("{}: {}", line.level, shown(&line.message)));
        }
        if let Some(error) = &step.error {
            let mut lines = error.message.lines();
            row("error", &format!("{bad}{}: {} ({}){reset}", error.phase, printable(lines.next().unwrap_or_default()), error.code));
            for line in lines.chain(error.location.iter().flat_map(|location| location.lines())).take(20) {
                row("", &printable(line));
            }
        }
        if let Some(fuel) = fuel {
            let after_append = fuel.after_append.map(|fuel| format!(", after-append {}", thousands(fuel))).unwrap_or_default();
            row("fuel", &format!("reduce {}{after_append}", thousands(fuel.reduce)));
        }
    }
    match split {
        Ok(0) => {}
        Ok(count) => text.push_str(&format!("  {good}ok{reset} reduce gives the same state in {count} other splits into calls\n")),
        Err(unequal) => text.push_str(&format!(
            "  {bad}not ok{reset} reduce depends on how events are split into calls: one call with the events {} to {} gives another state than they do one \
             by one; nothing may be kept in memory between calls\n{}",
            unequal.first,
            unequal.last,
            match &unequal.found {
                Ok(found) => indented(&coloured(&diff(&pretty(unequal.expected.as_str()), &pretty(found.as_str())), bad, good, reset)),
                Err(reason) => indented(&coloured(&told(reason), "", "", "")),
            }
        )),
    }
    let golden = case.golden();
    let golden = golden.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    text.push_str(&match verdict {
        Verdict::Same => format!("  {good}ok{reset} as in {golden}\n"),
        Verdict::Written => format!("  {good}written{reset} {golden}\n"),
        Verdict::Missing => format!("  there is no {golden} to compare with; --update writes it\n"),
        Verdict::Different { diff } => {
            format!(
                "  {bad}not ok{reset} not as in {golden} (- expected, + found; --update accepts it)\n{}",
                indented(&coloured(diff, bad, good, reset))
            )
        }
    });
    text
}

fn coloured(diff: &str, bad: &str, good: &str, reset: &str) -> String {
    let line = |line: &str| match line.chars().next() {
        Some('-') => format!("{bad}{}{reset}\n", printable(line)),
        Some('+') => format!("{good}{}{reset}\n", printable(line)),
        _ => format!("{}\n", printable(line)),
    };
    diff.lines().map(line).collect()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// As much of a text as a line has room for; `--json` has all of it.
fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    let text = printable(text);
    match text.char_indices().nth(CHARS_MAX) {
        None => text.into_owned(),
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
    }
}
