//! The GitHub webhook payloads that the github-triage example is demonstrated and tested on.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run;

/// Installs `@octokit/webhooks-examples`, as pinned with its hash in plugins/examples/github-triage/package-lock.json, and
/// returns the package's folder. Does nothing when that very version is there.
pub fn ensure_webhook_examples() -> Result<PathBuf> {
    let project = run::root().join("plugins/examples/github-triage");
    let folder = run::target().join("webhooks-examples");
    let package = folder.join("node_modules/@octokit/webhooks-examples");
    // The copy of the lock file is written last, and so says that the installation it describes is complete.
    let lock = std::fs::read(project.join("package-lock.json"))?;
    let installed = folder.join("installed.json");
    if std::fs::read(&installed).is_ok_and(|installed| installed == lock) && package.is_dir() {
        return Ok(package);
    }
    run::ensure_tools(&["node", "npm"], &["nodejs", "npm"])?;
    run::step("installing the GitHub webhook examples with npm");
    std::fs::create_dir_all(&folder)?;
    std::fs::copy(project.join("package.json"), folder.join("package.json"))?;
    std::fs::write(folder.join("package-lock.json"), &lock)?;
    run::run(Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder))
        .context("installing the webhook examples")?;
    std::fs::write(installed, lock)?;
    Ok(package)
}
