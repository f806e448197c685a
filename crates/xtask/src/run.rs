//! Helpers that every command needs: where things are, and running other programs so that one sees what happens.
//!
//! Progress goes to standard error; standard output is for what a command was asked for.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/xtask is two folders deep")
}

/// Where built plugins and private toolchains go: `target/` of the repository even when CARGO_TARGET_DIR points elsewhere,
/// for tests and the README look there.
pub fn target() -> PathBuf {
    root().join("target")
}

/// Where cargo puts what it builds of the host.
pub fn cargo_target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(target, |folder| root().join(folder))
}

/// Says what is being done.
pub fn step(what: impl std::fmt::Display) {
    eprintln!("==> {what}");
}

/// Runs a command with its output shown on standard error; an error names the command and how it ended.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.stdout(std::io::stderr()).status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// What a command prints on standard output; an error carries what it said on standard error.
pub fn read(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        bail!("{} ended with {}: {}", shown(command), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a command for at most this long and then kills it with everything it started. An error carries the end of what it said.
pub fn run_for(limit: Duration, command: &mut Command) -> Result<()> {
    let mut child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    // The reader ends when the last process that holds the pipe does, so it must not be waited for before the kill.
    let mut pipe = child.stderr.take().expect("standard error is piped");
    let (said, hears) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        if let Err(error) = pipe.read_to_string(&mut text) {
            text.push_str(&format!("(the rest could not be read: {error})"));
        }
        // Whoever asked may have stopped listening.
        said.send(text).ok();
    });

    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            None => break None,
        }
    };
    if status.is_none() {
        // The group bears the id of its first process, which is not yet waited for, so the id is still ours.
        run(Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]))?;
        child.wait()?;
    }
    if status.is_some_and(|status| status.success()) {
        return Ok(());
    }
    let text = hears.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
    let end: Vec<&str> = text.lines().rev().filter(|line| !line.trim().is_empty()).take(3).collect();
    let end = end.into_iter().rev().collect::<Vec<_>>().join(" | ");
    match status {
        Some(status) => bail!("{} ended with {status}: {end}", shown(command)),
        None => bail!("{} was killed after {} s: {end}", shown(command), limit.as_secs()),
    }
}

/// Whether a program of this name can be started.
pub fn has(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Lets a command find programs in these folders first.
pub fn with_path<'a>(command: &'a mut Command, folders: &[PathBuf]) -> Result<&'a mut Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = folders.iter().cloned().chain(std::env::split_paths(&path));
    Ok(command.env("PATH", std::env::join_paths(folders)?))
}

/// Makes sure that these programs are there: on Debian, as root, by installing these packages; elsewhere by saying what to install.
pub fn ensure_tools(programs: &[&str], debian_packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = programs.iter().copied().filter(|program| !has(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing.join(" and "), debian_packages)
}

/// Installs Debian packages that hold what is missing, or says what to install.
pub fn install(missing: &str, debian_packages: &[&str]) -> Result<()> {
    let packages = debian_packages.join(" ");
    if !has("apt-get") {
        bail!("{missing} not found; install {missing} and run this again (Debian packages: {packages})");
    }
    if read(Command::new("id").arg("-u"))?.trim() != "0" {
        bail!("{missing} not found; run `apt-get install -y {packages}` as root and then this again");
    }
    step(format_args!("{missing} not found: apt-get update && apt-get install -y {packages}"));
    // A new machine may have no package lists, or old ones.
    run(Command::new("apt-get").arg("update"))?;
    let mut install = Command::new("apt-get");
    install.args(["install", "-y", "--no-install-recommends"]).args(debian_packages).env("DEBIAN_FRONTEND", "noninteractive");
    run(&mut install)
}

/// Program and arguments, as they would be typed.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    format!("`{}`", words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_hangs_is_killed_with_its_children() {
        let started = Instant::now();
        let hang = run_for(Duration::from_millis(300), Command::new("sh").args(["-c", "echo waiting >&2; sleep 60 & wait"]));
        assert!(hang.unwrap_err().to_string().ends_with("was killed after 0 s: waiting"));
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_command_that_fails_says_its_last_words() {
        let fail = run_for(Duration::from_secs(10), Command::new("sh").args(["-c", "echo no such target >&2; exit 3"]));
        assert!(fail.unwrap_err().to_string().ends_with("exit status: 3: no such target"));
    }
}
