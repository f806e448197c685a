//! The npm packages that projects in JavaScript and TypeScript are built and tested with, in `plugins/node_modules`.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run;

/// The oldest Node.js that the packages and the SDK's builder run on.
const MAJOR_MIN: u32 = 20;

/// Installs what `plugins/package-lock.json` pins with hashes, unless that very lock is installed.
pub fn ensure_node_tools() -> Result<()> {
    run::ensure_tools(&["node", "npm"], &["nodejs", "npm"])?;
    ensure_version()?;
    // The copy of the lock file is written last, and so says that the installation it describes is complete.
    let folder = run::root().join("plugins");
    let path = folder.join("package-lock.json");
    let lock = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let installed = folder.join("node_modules/.installed.json");
    if std::fs::read(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    run::step(format_args!("installing npm packages (390 MB, most of it StarlingMonkey's) to {}/node_modules", folder.display()));
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder);
    run::run(&mut npm).context("installing npm packages")?;
    Ok(std::fs::write(installed, lock)?)
}

/// Checks the types of the SDK for JavaScript and runs its tests.
pub fn test_sdk() -> Result<()> {
    ensure_node_tools()?;
    let sdk = run::root().join("plugins/sdk/js");
    run::run(Command::new("npm").args(["run", "--silent", "check"]).current_dir(&sdk))?;
    run::run(Command::new("npm").args(["test", "--silent"]).current_dir(&sdk))
}

fn ensure_version() -> Result<()> {
    let version = run::read(Command::new("node").arg("--version"))?;
    if major(&version).is_some_and(|major| major >= MAJOR_MIN) {
        return Ok(());
    }
    bail!("node is {}; install Node.js {MAJOR_MIN} or newer and run this again", version.trim())
}

fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        assert_eq!((major("v20.20.2\n"), major("v9"), major("20")), (Some(20), Some(9), None));
    }

    #[test]
    fn every_package_is_pinned_with_its_hash() {
        let lock = std::fs::read(run::root().join("plugins/package-lock.json")).unwrap();
        let lock: serde_json::Value = serde_json::from_slice(&lock).unwrap();
        for (name, package) in lock["packages"].as_object().unwrap() {
            // The rest is what is here.
            let is_fetched = name.contains("node_modules/") && package["link"] != true;
            assert!(!is_fetched || package["integrity"].is_string(), "{name}");
        }
    }
}
