//! What the SDKs for Go and C do natively, and whether their bindings are those of the contract.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::run;

/// `toolchains` are folders with `go` and `zig`.
pub fn test(toolchains: &[PathBuf]) -> Result<()> {
    run::step("testing the bindings of the contract");
    run::run(Command::new("cargo").args(["test", "--package", "pelton-bindings"]).current_dir(run::root()))?;

    run::step("testing the SDK and the examples in Go, natively");
    let mut go = Command::new("go");
    go.args(["test", "./..."]).current_dir(run::root().join("plugins/sdk/go"));
    run::run(run::with_path(&mut go, toolchains)?)?;
    let workspace = go_workspace()?;
    for example in go_projects()? {
        let mut go = Command::new("go");
        go.args(["test", "./..."]).current_dir(example).env("GOWORK", &workspace);
        run::run(run::with_path(&mut go, toolchains)?)?;
    }

    run::step("testing the SDK in C, natively");
    let sdk = run::root().join("plugins/sdk/c");
    let program = run::target().join("toolchains/c-sdk-test");
    let mut zig = Command::new("zig");
    zig.args(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined", "-Iinclude"]);
    zig.args(["test/test.c", "src/json.c", "src/text.c", "-lm", "-o"]).arg(&program).current_dir(sdk);
    run::run(run::with_path(&mut zig, toolchains)?)?;
    run::run(&mut Command::new(program))
}

/// Projects have their own copy of the SDK, but here it is this repository's that is to be tested.
fn go_workspace() -> Result<PathBuf> {
    let sdk = run::root().join("plugins/sdk/go");
    let mut text = "go 1.25\n".to_owned();
    for project in go_projects()? {
        text.push_str(&format!("use {}\n", project.display()));
    }
    text.push_str(&format!("replace pelton.dev/pelton => {}\n", sdk.display()));
    let support = "third_party/go.bytecodealliance.org/pkg";
    text.push_str(&format!("replace go.bytecodealliance.org/pkg => {}\n", sdk.join(support).display()));
    let file = run::target().join("toolchains/go.work");
    fs::write(&file, text)?;
    Ok(file)
}

fn go_projects() -> Result<Vec<PathBuf>> {
    let mut projects = vec![run::root().join("plugins/sdk/go/template")];
    for example in fs::read_dir(run::root().join("plugins/examples"))? {
        projects.push(example?.path().join("go"));
    }
    projects.extend(["conformance", "http"].map(|name| run::root().join("plugins").join(name).join("go")));
    projects.retain(|project| project.join("go.mod").is_file());
    projects.sort();
    Ok(projects)
}
