//! Rust: cargo makes a core module for `wasm32-unknown-unknown`, whose types wit-bindgen has written into it.

use std::path::{Path, PathBuf};
use std::process::Command;

use pelton_model::Quotas;
use pelton_wasm::LoadError;
use serde::Deserialize;

use super::{Build, encode, tool};
use crate::cli::Failure;

const TARGET: &str = "wasm32-unknown-unknown";

pub fn name(cargo_toml: &str) -> Option<String> {
    let table: toml::Table = cargo_toml.parse().ok()?;
    table.get("package")?.get("name")?.as_str().map(str::to_owned)
}

pub fn build(build: &mut Build<'_>) -> Result<Vec<u8>, Failure> {
    let cargo = program("CARGO", "cargo");
    if tool::on_path(&cargo).is_none() && !Path::new(&cargo).is_file() {
        return Err(Failure::new(1, "cargo is not installed; https://rustup.rs installs Rust"));
    }
    check_target()?;
    let mut command = Command::new(&cargo);
    command.args(["build", "--release", "--target", TARGET, "--message-format", "json"]);
    let ended = build.try_run(&mut command)?;
    let (module, diagnostics) = read_messages(&ended.said.stdout, &build.project.root);
    tool::pass_on(diagnostics.as_bytes());
    if !ended.success {
        tool::pass_on(errors_of(&String::from_utf8_lossy(&ended.said.stderr)).as_bytes());
        return Err(tool::failed(&command, &ended));
    }
    let module = module.ok_or_else(|| {
        Failure::new(1, format!("{}: the package makes no WebAssembly; add `[lib]` with `crate-type = [\"cdylib\"]`", cargo_toml(build)))
    })?;
    let bytes = std::fs::read(&module).map_err(|error| Failure::new(1, format!("{}: {error}", module.display())))?;
    let component = encode(&bytes, &[])?;
    match pelton_wasm::verify(&component, &Quotas::default()) {
        Err(LoadError::MissingExport { .. }) => {
            let source = build.project.root.join("src/lib.rs");
            Err(Failure::new(1, format!("{}: the crate exports no processor; write `pelton_sdk::export!(…);` in it", source.display())))
        }
        _ => Ok(component),
    }
}

fn cargo_toml(build: &Build<'_>) -> String {
    build.project.root.join("Cargo.toml").display().to_string()
}

/// A tool that cargo lets one choose by a variable.
fn program(variable: &str, default: &str) -> String {
    std::env::var(variable).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
}

/// The target's libraries are there, unless cargo is told to build them itself.
fn check_target() -> Result<(), Failure> {
    if std::env::var_os("CARGO_UNSTABLE_BUILD_STD").is_some() {
        return Ok(());
    }
    let output = Command::new(program("RUSTC", "rustc")).args(["--print", "target-libdir", "--target", TARGET]).output();
    let folder =
        output.ok().filter(|output| output.status.success()).map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let is_there = |folder: &String| {
        let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.into_iter().any(|name| name.to_string_lossy().starts_with("libcore-"))
    };
    if folder.as_ref().is_some_and(is_there) {
        return Ok(());
    }
    Err(Failure::new(
        1,
        format!(
            "the compiler has no standard library for {TARGET}; run `rustup target add {TARGET}`\n\
             (a Rust of your distribution's: install its package for that target. Debian: apt install libstd-rust-dev-wasm32)"
        ),
    ))
}

/// The WebAssembly that cargo has made of this project, and what the compiler said of it.
fn read_messages(stdout: &[u8], root: &Path) -> (Option<PathBuf>, String) {
    #[derive(Deserialize)]
    #[serde(tag = "reason")]
    enum Message {
        #[serde(rename = "compiler-artifact")]
        Made { manifest_path: PathBuf, filenames: Vec<PathBuf> },
        #[serde(rename = "compiler-message")]
        Said { message: Diagnostic },
        #[serde(other)]
        Other,
    }
    #[derive(Deserialize)]
    struct Diagnostic {
        rendered: Option<String>,
    }
    let (mut module, mut diagnostics) = (None, String::new());
    for line in stdout.split(|byte| *byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(Message::Made { manifest_path, filenames }) if manifest_path.parent() == Some(root) => {
                let wasm = filenames.into_iter().find(|file| file.extension().is_some_and(|extension| extension == "wasm"));
                module = wasm.or(module);
            }
            Ok(Message::Said { message }) => diagnostics.push_str(&message.rendered.unwrap_or_default()),
            _ => {}
        }
    }
    (module, diagnostics)
}

/// What cargo itself says on failure, without the lines that tell of its progress.
fn errors_of(stderr: &str) -> String {
    let is_problem = |line: &str| line.starts_with("error") || line.starts_with("warning");
    let lines = stderr.lines().skip_while(|line| !is_problem(line));
    lines.map(|line| format!("{line}\n")).collect()
}
