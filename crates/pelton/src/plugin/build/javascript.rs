//! JavaScript and TypeScript: esbuild bundles, componentize-qjs puts the bundle into a QuickJS that is a component.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::{Build, World, tool};
use crate::cli::Failure;

pub fn name(package_json: &str) -> Option<String> {
    let package: Value = serde_json::from_str(package_json).ok()?;
    package["name"].as_str().map(str::to_owned)
}

pub fn build(build: &mut Build<'_>) -> Result<Vec<u8>, Failure> {
    let root = &build.project.root;
    let entry = entry(build)?;
    install(build)?;
    let (bundle, output) = (build.scratch()?.join("bundle.js"), build.scratch()?.join("component.wasm"));
    let mut esbuild = Command::new(tool_of(build, "esbuild")?);
    esbuild.arg(root.join(entry)).args(["--bundle", "--format=esm", "--external:pelton:*", "--external:wasi:*", "--log-level=warning"]);
    build.run(esbuild.arg(format!("--outfile={}", bundle.display())))?;
    let mut componentize = Command::new(tool_of(build, "componentize-qjs")?);
    componentize.arg("--sync").arg("-w").arg(build.wit()).args(["-n", World::Wasi.name()]);
    build.run(componentize.arg("-j").arg(&bundle).arg("-o").arg(&output))?;
    std::fs::read(&output).map_err(|error| Failure::new(1, format!("{}: {error}", output.display())))
}

/// `"pelton": { "entry": … }` of package.json.
fn entry(build: &Build<'_>) -> Result<String, Failure> {
    let file = build.project.root.join("package.json");
    let text = std::fs::read_to_string(&file)?;
    let package: Value = serde_json::from_str(&text).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    let entry = package["pelton"]["entry"].as_str();
    entry.map(str::to_owned).ok_or_else(|| {
        Failure::usage(format!(
            "{}: expected `\"pelton\": {{ \"entry\": \"src/processor.js\" }}`, which says where the processor is",
            file.display()
        ))
    })
}

/// Installs what the project declares, where that is not installed.
fn install(build: &Build<'_>) -> Result<(), Failure> {
    if tool::upward(&build.project.root, "node_modules/.bin/esbuild").is_some() {
        return Ok(());
    }
    let npm = tool::on_path("npm").ok_or_else(|| {
        Failure::new(1, "npm is not installed; it comes with Node.js 20 or newer (https://nodejs.org; Debian: apt install nodejs npm)")
    })?;
    let is_locked = build.project.root.join("package-lock.json").is_file();
    let mut command = Command::new(npm);
    command.arg(if is_locked { "ci" } else { "install" }).args(["--no-audit", "--no-fund", "--loglevel=error"]);
    build.run(&mut command).map(drop)
}

fn tool_of(build: &Build<'_>, name: &str) -> Result<PathBuf, Failure> {
    tool::upward(&build.project.root, &format!("node_modules/.bin/{name}")).ok_or_else(|| {
        let file = build.project.root.join("package.json");
        Failure::new(1, format!("{name} is not installed; name it among the devDependencies of {} and run `npm install`", file.display()))
    })
}
