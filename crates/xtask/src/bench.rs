//! The smoke benchmark: Pelton beside the bare parts it is made of, in one run.

use std::process::Command;

use anyhow::Result;

use crate::{plugins, run};

pub fn bench() -> Result<()> {
    plugins::build(&["effects".to_owned(), "ping-pong".to_owned()])?;
    run::step("building the benchmark");
    // The dev profile has the code generation of release, and wasmtime is compiled for it already.
    let bench = ["bench", "--package", "pelton", "--bench", "smoke", "--profile", "dev"];
    run::run(Command::new("cargo").args(bench).current_dir(run::root()))
}
