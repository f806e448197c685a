//! Requests made up from the daemon's own OpenAPI document, by Schemathesis, and a check of every answer.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::daemon::Daemon;
use crate::{python, run, test};

/// For each operation; so many take a minute or so.
pub const CASES: u32 = 40;

/// Builds the daemon and sends it requests.
pub fn fuzz_http(cases: u32, seed: u64) -> Result<()> {
    run::step("building the daemon (the first time this compiles wasmtime: some minutes)");
    // As the tests build it, so that wasmtime is compiled once for both.
    run::run(test::of_host().args(["--test", "it", "--no-run"]))?;
    fuzz(cases, seed)
}

/// The same with the daemon that was built last.
pub fn fuzz(cases: u32, seed: u64) -> Result<()> {
    let (folder, project) = (run::target().join("schemathesis"), run::root().join("tests/schemathesis"));
    let programs = python::environment(&folder.join("python"), &project.join("requirements.txt"), "Schemathesis")?;
    let data = tempfile::Builder::new().prefix("pelton-fuzz-").tempdir()?;
    let mut daemon = Daemon::start(data.path(), false)?;
    run::step(format_args!("fuzzing {} with the seed {seed}", daemon.url));
    // What it remembers goes where it runs.
    let memory = folder.join("run");
    fs::create_dir_all(&memory)?;
    let mut schemathesis = Command::new(programs.join("schemathesis"));
    schemathesis.arg("--config-file").arg(project.join("schemathesis.toml")).arg("run").arg(format!("{}/api/openapi.json", daemon.url));
    schemathesis.args(["--no-color", "--generation-database", "none", "--max-examples", &cases.to_string(), "--seed", &seed.to_string()]);
    schemathesis.env("SCHEMATHESIS_HOOKS", project.join("hooks.py"));
    run::run(schemathesis.current_dir(memory)).context("the answers above are not as the document says")?;
    daemon.stop()
}
