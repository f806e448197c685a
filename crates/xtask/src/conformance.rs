//! Every SDK's conformance processor on the same cases, as one table. `plugins/conformance/README.md` says what is compared.

use std::fs;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::cases::{self, Case, Difference};
use crate::projects::{Project, Tools};
use crate::{plugins, run};

/// One language: how each case went, or why it could not be built.
struct Column {
    language: String,
    outcome: Result<Vec<Option<Difference>>>,
}

/// Builds these languages, or all, and runs all cases.
pub fn conformance(languages: &[String]) -> Result<()> {
    let tools = Tools::ensure()?;
    let cases = cases::in_folder(&folder().join("cases"), &run::target().join("conformance"))?;
    let mut columns = Vec::new();
    for language in chosen(languages)? {
        run::step(format_args!("conformance of {language}"));
        let outcome = component(&language, &tools).and_then(|component| tools.play(&component, &cases));
        columns.push(Column { language, outcome });
    }
    print!("{}", table(&cases, &columns, std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()));
    let problems = problems(&cases, &columns);
    if problems.is_empty() {
        return Ok(());
    }
    print!("\n{}", problems.concat());
    bail!("{} of {} cells are red", red(&cases, &columns), cases.len() * columns.len())
}

fn folder() -> PathBuf {
    run::root().join("plugins/conformance")
}

/// The component of each language, built.
pub fn components() -> Result<Vec<(String, PathBuf)>> {
    let tools = Tools::ensure()?;
    let built = |language: String| {
        let component = component(&language, &tools).with_context(|| language.clone())?;
        Ok((language, component))
    };
    chosen(&[])?.into_iter().map(built).collect()
}

/// The languages are the folders beside `cases`.
fn chosen(names: &[String]) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder())? {
        let entry = entry?;
        if entry.path().is_dir() && entry.file_name() != "cases" {
            all.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    all.sort();
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        bail!("no language `{unknown}`; there are {}", all.join(", "));
    }
    all.retain(|name| names.is_empty() || names.contains(name));
    Ok(all)
}

fn component(language: &str, tools: &Tools) -> Result<PathBuf> {
    let folder = folder().join(language);
    if folder.join("Cargo.toml").is_file() {
        plugins::build_rust(&["conformance".to_owned()])?;
        return Ok(run::target().join("plugins/conformance.wasm"));
    }
    let project = Project::at(&folder).with_context(|| format!("{} is no project", folder.display()))?;
    project.build(tools)?;
    Ok(project.component())
}

fn table(cases: &[Case], columns: &[Column], color: bool) -> String {
    let (good, bad, reset) = if color { ("\x1b[32m", "\x1b[31m", "\x1b[0m") } else { ("", "", "") };
    let width = |name: &str| name.chars().count().max(4);
    let first = cases.iter().map(|case| width(&case.name)).max().unwrap_or_default();
    let mut text = format!("{:first$}", "");
    for Column { language, .. } in columns {
        text.push_str(&format!("  {language:width$}", width = width(language)));
    }
    for (nth, case) in cases.iter().enumerate() {
        text.push_str(&format!("\n{:first$}", case.name));
        for Column { language, outcome } in columns {
            let is_green = outcome.as_ref().is_ok_and(|cells| cells[nth].is_none());
            let (color, word) = if is_green { (good, "ok") } else { (bad, "FAIL") };
            text.push_str(&format!("  {color}{word:width$}{reset}", width = width(language)));
        }
    }
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn red(cases: &[Case], columns: &[Column]) -> usize {
    let red = |column: &Column| column.outcome.as_ref().map_or(cases.len(), |cells| cells.iter().flatten().count());
    columns.iter().map(red).sum()
}

fn problems(cases: &[Case], columns: &[Column]) -> Vec<String> {
    let mut problems = Vec::new();
    for Column { language, outcome } in columns {
        match outcome {
            Err(error) => problems.push(format!("{language}: {error:#}\n")),
            Ok(cells) => problems.extend(
                cases.iter().zip(cells).filter_map(|(case, cell)| Some(format!("{language}, {}: {}\n", case.name, cell.as_ref()?))),
            ),
        }
    }
    problems
}
