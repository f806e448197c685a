//! A daemon to try things on: the binary that was built, on a free port.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::run;

/// Its log, in its data folder, where it has one.
pub const LOG: &str = "daemon.log";

pub struct Daemon {
    process: Child,
    pub url: String,
}

impl Daemon {
    /// Starts it in `data`. With `logs_to_file` it says nothing on this program's standard error, also once this program has
    /// ended: whoever reads that must not wait for the daemon's.
    pub fn start(data: &Path, logs_to_file: bool) -> Result<Self> {
        let binary = run::cargo_target().join("debug/pelton");
        let mut command = Command::new(&binary);
        if logs_to_file {
            command.stdin(Stdio::null()).stderr(fs::File::create(data.join(LOG))?);
        }
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).env("PELTON_LOG", "warn").stdout(Stdio::piped());
        let mut process = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        let output = process.stdout.take().context("standard output is piped")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        match line.trim().strip_prefix("listening on ") {
            Some(url) => Ok(Self { process, url: url.to_owned() }),
            None => bail!("expected the daemon to say where it listens, found {line:?}"),
        }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn stop(&mut self) -> Result<()> {
        run::step("stopping the daemon");
        run::run(Command::new("kill").arg(self.process.id().to_string()))?;
        let status = self.process.wait()?;
        ensure!(status.success(), "the daemon ended with {status}");
        Ok(())
    }
}

/// What fails half way leaves no daemon behind.
impl Drop for Daemon {
    fn drop(&mut self) {
        if let Err(error) = self.process.kill() {
            eprintln!("the daemon could not be stopped: {error}");
        }
    }
}
