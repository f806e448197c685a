//! A server in a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Ended when dropped.
pub struct Server {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub authority: String,
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts a server that says where it listens on its first line.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        stdout.read_line(&mut first).unwrap();
        let authority = first.trim().strip_prefix("listening on http://").unwrap_or_else(|| panic!("{command:?} said {first:?}"));
        Self { child, authority: authority.to_owned(), _stdout: stdout }
    }

    pub fn pelton(data: &std::path::Path) -> Self {
        Self::start(Command::new(env!("CARGO_BIN_EXE_pelton")).args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data))
    }

    /// What it holds in memory, as the kernel counts it.
    pub fn resident_bytes(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line with the resident set");
        line.trim().strip_suffix(" kB").and_then(|kib| kib.parse::<usize>().ok()).expect("a number of KiB") << 10
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already, which is as good.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
