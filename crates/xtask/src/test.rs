//! All tests, after installing what they need.

use std::process::Command;

use anyhow::Result;

use crate::{conformance, fuzz_http, node, plugins, python, run, sdks, webhooks};

/// Packages that share one build of wasmtime; xtask and the plugins have their own, small ones.
const HOST: &[&str] = &["pelton-model", "pelton-store", "pelton-wasm", "pelton-engine", "pelton"];

/// Installs and builds what the tests need and runs all of them; `filter` and further words go to the test binaries of the host.
pub fn test(filter: &[String]) -> Result<()> {
    plugins::build(&[])?;
    if filter.is_empty() {
        // First, since it fills the cache of compiled code that the host's tests use too.
        run::step("testing the plugins on their events");
        plugins::test(&[])?;
        conformance::conformance(&[])?;
    }
    let examples = webhooks::ensure_webhook_examples()?;
    let toolchains = [python::ensure_python_tools()?];

    run::step("testing the host");
    let mut host = of_host();
    host.env("PELTON_WEBHOOK_EXAMPLES", examples);
    run::with_path(&mut host, &toolchains)?;
    if !filter.is_empty() {
        host.arg("--").args(filter);
        return run::run(&mut host);
    }
    run::run(&mut host)?;

    run::step("testing the SDK and the examples, natively");
    let mut plugins = Command::new("cargo");
    plugins.args(["test", "--locked", "--target-dir"]).arg(run::target().join("guest-native")).current_dir(run::root().join("plugins"));
    run::run(&mut plugins)?;
    sdks::test(&toolchains)?;

    run::step("testing the SDK for Python");
    python::test_sdk()?;

    run::step("testing the SDK for JavaScript");
    node::test_sdk()?;

    run::step("testing xtask");
    run::run(Command::new("cargo").args(["test", "--package", "xtask"]).current_dir(run::root()))?;

    run::step("checking that the fuzz targets compile");
    let mut fuzz = Command::new("cargo");
    fuzz.args(["check", "--locked", "--manifest-path", "fuzz/Cargo.toml", "--target-dir"]).arg(run::target().join("fuzz"));
    run::run(fuzz.current_dir(run::root()))?;

    fuzz_http::fuzz(fuzz_http::CASES, 1)
}

/// `cargo test` of the packages that share a build of wasmtime.
pub fn of_host() -> Command {
    let mut host = Command::new("cargo");
    host.arg("test").args(HOST.iter().flat_map(|package| ["--package", package])).current_dir(run::root());
    host
}
