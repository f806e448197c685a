//! JavaScript and TypeScript. The builder is part of the SDK and runs on the project's own Node.js: it checks types, bundles, and puts the bundle into an
//! engine that is a component.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{Build, tool};
use crate::cli::Failure;

pub fn name(package_json: &str) -> Option<String> {
    let package: Value = serde_json::from_str(package_json).ok()?;
    package["name"].as_str().map(str::to_owned)
}

pub fn build(build: &mut Build<'_>) -> Result<Vec<u8>, Failure> {
    let node = node()?;
    install(build)?;
    let output = build.scratch()?.join("component.wasm");
    // It is run in the project's folder.
    let within = |path: &Path| path.strip_prefix(&build.project.root).unwrap_or(path).to_owned();
    let mut builder = Command::new(node);
    builder.arg(within(&build.sdk().join("builder/build.mjs"))).args(["--project", ".", "--wit"]).arg(within(&build.wit()));
    builder.arg("--out").arg(within(&output));
    let ended = build.try_run(&mut builder)?;
    if !ended.success {
        let found = String::from_utf8_lossy(&ended.said.stdout);
        // Without a finding it is the builder itself that failed.
        return Err(if found.trim().is_empty() {
            tool::pass_on(&ended.said.stderr);
            tool::failed(&builder, &ended)
        } else {
            Failure::new(1, found.trim_end().to_owned())
        });
    }
    tool::pass_on(warnings(&ended.said.stderr).as_bytes());
    std::fs::read(&output).map_err(|error| Failure::new(1, format!("{}: {error}", output.display())))
}

/// What a builder that ended well wants to be read, among the lines that tell of its progress.
fn warnings(stderr: &[u8]) -> String {
    let lines = String::from_utf8_lossy(stderr);
    lines.lines().filter(|line| line.starts_with("warning: ")).map(|line| format!("{line}\n")).collect()
}

/// Installs what the project declares, where some of that is not installed.
fn install(build: &Build<'_>) -> Result<(), Failure> {
    let root = &build.project.root;
    if declared(root)?.iter().all(|package| tool::upward(root, &format!("node_modules/{package}/package.json")).is_some()) {
        return Ok(());
    }
    // Not `npm ci`, to which a lock file is incomplete where a package for some other machine was never published. What a lock file pins is what comes.
    let mut command = Command::new(program("npm")?);
    command.args(["install", "--no-audit", "--no-fund", "--loglevel=error"]);
    build.run(&mut command).map(drop)
}

/// The packages that the project's package.json names.
fn declared(root: &Path) -> Result<Vec<String>, Failure> {
    let file = root.join("package.json");
    let package: Value =
        serde_json::from_str(&std::fs::read_to_string(&file)?).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    let names = |field: &str| package[field].as_object().into_iter().flat_map(|packages| packages.keys().cloned()).collect::<Vec<_>>();
    Ok([names("dependencies"), names("devDependencies")].concat())
}

/// The oldest Node.js that the builder runs on.
const NODE_MIN: (u32, u32) = (20, 11);

fn node() -> Result<PathBuf, Failure> {
    let node = program("node")?;
    let said = Command::new(&node).arg("--version").output().map_err(|error| Failure::new(1, format!("{}: {error}", node.display())))?;
    let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    if version_of(&version).is_none_or(|version| version < NODE_MIN) {
        let ((major, minor), node) = (NODE_MIN, node.display());
        return Err(Failure::new(1, format!("{node} is {version}; install Node.js {major}.{minor} or newer (https://nodejs.org)")));
    }
    Ok(node)
}

/// Major and minor version of `v20.11.0`.
fn version_of(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.strip_prefix('v')?.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

fn program(name: &str) -> Result<PathBuf, Failure> {
    let missing = format!(
        "{name} is not installed; it comes with Node.js, version 20.11 or newer (https://nodejs.org; Debian: apt install nodejs npm)"
    );
    tool::on_path(name).ok_or_else(|| Failure::new(1, missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_node_is_read() {
        assert_eq!(version_of("v20.11.0"), Some((20, 11)));
        assert!(version_of("v18.19.0").is_some_and(|old| old < NODE_MIN));
        assert_eq!((version_of("20.11.0"), version_of("v20")), (None, None));
    }

    #[test]
    fn warnings_are_told_from_progress() {
        assert_eq!(warnings(b"bundling\nwarning: it is slow\nout.wasm: 3 bytes\n"), "warning: it is slow\n");
    }

    #[test]
    fn all_kinds_of_dependencies_are_installed() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{ "dependencies": { "a": "1" }, "devDependencies": { "@b/c": "file:x" }, "peerDependencies": { "d": "1" } }"#;
        std::fs::write(folder.path().join("package.json"), text).unwrap();
        assert_eq!(declared(folder.path()).unwrap(), ["a", "@b/c"]);
    }

    #[test]
    fn a_package_file_that_is_no_json_says_where() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("package.json"), "{").unwrap();
        assert!(declared(folder.path()).unwrap_err().message.contains("package.json: EOF"));
    }
}
