//! The smoke benchmark: Pelton beside the bare parts it is made of, in one run.

use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::docs::with_block;
use crate::{conformance, plugins, run};

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Appends and replay, beside the bare parts
    Smoke,
    /// What each language's conformance processor costs, as the table in docs/languages.md
    Languages,
    /// The memory that 10,000 idle readers of one stream take, over a minute
    Readers,
}

pub fn bench(what: What) -> Result<()> {
    match what {
        What::Smoke => smoke(),
        What::Languages => languages(),
        What::Readers => readers(),
    }
}

/// Each reader is a file in the daemon and one in the client, which inherit the limit that is set here.
fn readers() -> Result<()> {
    let cargo = "ulimit -n \"$(ulimit -Hn)\" && exec cargo bench --package pelton --bench smoke --profile dev -- readers";
    run::run(Command::new("sh").args(["-c", cargo]).current_dir(run::root()))
}

/// Writes the table where the page has it, and prints it.
fn languages() -> Result<()> {
    let components = conformance::components()?;
    run::step("measuring");
    let bench = ["bench", "--package", "pelton", "--bench", "smoke", "--profile", "dev", "--", "languages"];
    let table = run::read(Command::new("cargo").args(bench).args(components).current_dir(run::root()))?;
    let page = run::root().join("docs/languages.md");
    let text = std::fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
    std::fs::write(&page, with_block(&text, "cargo xtask bench languages", &table)?)?;
    print!("{table}");
    Ok(())
}

fn smoke() -> Result<()> {
    plugins::build(&["effects".to_owned(), "ping-pong".to_owned()])?;
    run::step("building the benchmark");
    // The dev profile has the code generation of release, and wasmtime is compiled for it already.
    let bench = ["bench", "--package", "pelton", "--bench", "smoke", "--profile", "dev"];
    run::run(Command::new("cargo").args(bench).current_dir(run::root()))
}
