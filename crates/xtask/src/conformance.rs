//! Every SDK's conformance processor on the same cases, as one table. `plugins/conformance/README.md` says what is compared.

use std::fs;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use crate::cases::{self, Case, Difference};
use crate::projects::{Project, Tools};
use crate::{plugins, run};

/// One language: how each case went, or why it could not be built.
struct Column {
    language: String,
    outcome: Result<Vec<Option<Difference>>>,
}

const PROGRAM: &str = "processor.js";

/// Builds these languages, or all, and runs all cases.
pub fn conformance(languages: &[String]) -> Result<()> {
    let tools = Tools::ensure()?;
    let cases = cases::in_folder(&folder().join("cases"), &run::target().join("conformance"))?;
    let mut columns = Vec::new();
    for language in chosen(languages)? {
        run::step(format_args!("conformance of {language}"));
        let outcome = component(&language, &tools).and_then(|component| match program(&language) {
            None => tools.play(&component, &cases),
            Some(program) => tools.play(&component, &programmed(&cases, &language, &program)?),
        });
        columns.push(Column { language, outcome });
    }
    print!("{}", table(&cases, &columns, std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()));
    let problems = problems(&cases, &columns);
    ensure!(problems.is_empty(), "not all languages do the same\n\n{}", problems.join("\n").trim_end());
    Ok(())
}

fn folder() -> PathBuf {
    run::root().join("plugins/conformance")
}

/// `NAME=COMPONENT` of each language, built; with `=PROGRAM` where the component needs one.
pub fn components() -> Result<Vec<String>> {
    let tools = Tools::ensure()?;
    let built = |language: String| {
        let component = component(&language, &tools).with_context(|| language.clone())?;
        let program = program(&language).map(|_| format!("={}", folder().join(&language).join(PROGRAM).display()));
        Ok(format!("{language}={}{}", component.display(), program.unwrap_or_default()))
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
    let in_rust = if folder.join("Cargo.toml").is_file() {
        Some("conformance")
    } else {
        // A program is the configuration of this one.
        program(language).map(|_| "javascript")
    };
    if let Some(name) = in_rust {
        plugins::build_rust(&[name.to_owned()])?;
        return Ok(run::target().join(format!("plugins/{name}.wasm")));
    }
    let project = Project::at(&folder).with_context(|| format!("{} is no project", folder.display()))?;
    project.build(tools)?;
    Ok(project.component())
}

/// A program, where a folder holds nothing but that.
fn program(language: &str) -> Option<String> {
    fs::read_to_string(folder().join(language).join(PROGRAM)).ok()
}

fn programmed(cases: &[Case], language: &str, program: &str) -> Result<Vec<Case>> {
    let scratch = run::target().join("conformance").join(language);
    cases.iter().map(|case| case.with_program(program, &scratch)).collect()
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
            let (color, word) = match outcome {
                Ok(cells) if cells[nth].is_none() => (good, "ok"),
                _ => (bad, "FAIL"),
            };
            text.push_str(&format!("  {color}{word:width$}{reset}", width = width(language)));
        }
    }
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// What is wrong with red cells, one text a cell; a column that is red as a whole has one.
fn problems(cases: &[Case], columns: &[Column]) -> Vec<String> {
    let mut problems = Vec::new();
    for Column { language, outcome } in columns {
        match outcome {
            Err(error) => problems.push(format!("{language}: {error:#}\n")),
            Ok(cells) => problems.extend(cases.iter().zip(cells).filter_map(|(case, cell)| {
                let difference = cell.as_ref()?;
                Some(format!("{language}, {}: {difference}\n", case.name))
            })),
        }
    }
    problems
}
