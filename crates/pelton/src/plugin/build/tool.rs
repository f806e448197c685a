//! Running a language's own tools: what runs is shown while it runs, and what it said once it has failed.

use std::io::{IsTerminal as _, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::Build;
use crate::cli::Failure;

/// What a tool that ended well has said.
pub struct Said {
    pub stdout: Vec<u8>,
    #[allow(dead_code, reason = "for drivers whose tools warn there")]
    pub stderr: Vec<u8>,
}

/// How a tool ended.
pub struct Ended {
    pub success: bool,
    pub status: String,
    pub said: Said,
}

impl Build<'_> {
    /// Runs a tool that must succeed, in the project's folder unless the command says another; where it fails, what it said is passed on.
    pub fn run(&self, command: &mut Command) -> Result<Said, Failure> {
        let ended = self.try_run(command)?;
        if !ended.success {
            pass_on(&ended.said.stdout);
            pass_on(&ended.said.stderr);
            return Err(failed(command, &ended));
        }
        Ok(ended.said)
    }

    /// Runs a tool, however it ends, and leaves what it said to the caller.
    pub fn try_run(&self, command: &mut Command) -> Result<Ended, Failure> {
        if command.get_current_dir().is_none() {
            command.current_dir(&self.project.root);
        }
        let shown = shown(command);
        let bar = Bar::start(&shown);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::new(1, format!("`{shown}` does not start: {error}")))?;
        let (lines, last_line) = channel();
        let stdout = child.stdout.take().map(|pipe| std::thread::spawn(move || read(pipe, None)));
        let stderr = child.stderr.take().map(|pipe| std::thread::spawn(move || read(pipe, Some(&lines))));
        // Ends when the tool closes its standard error.
        for line in last_line {
            bar.says(&line);
        }
        let status = child.wait()?;
        let all = |thread: Option<std::thread::JoinHandle<Vec<u8>>>| thread.and_then(|thread| thread.join().ok()).unwrap_or_default();
        bar.finish(status.success());
        Ok(Ended { success: status.success(), status: status.to_string(), said: Said { stdout: all(stdout), stderr: all(stderr) } })
    }
}

/// The failure that a tool's own is; it has said why.
pub fn failed(command: &Command, ended: &Ended) -> Failure {
    Failure::new(1, format!("`{}` failed ({})", shown(command), ended.status))
}

/// Writes what a tool said to standard error, as it is: it is the user's own tool.
pub fn pass_on(bytes: &[u8]) {
    let mut stderr = std::io::stderr().lock();
    let is_whole = bytes.is_empty() || bytes.ends_with(b"\n");
    // Who closes standard error does not want to know.
    stderr.write_all(bytes).and_then(|()| stderr.write_all(if is_whole { b"" } else { b"\n" })).ok();
}

/// The program of this name on PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| is_program(file))
}

/// A program as Python's tools find theirs: in the active virtual environment, in the `.venv` of the folder or of one above it, or on PATH.
pub fn in_venv_or_on_path(folder: &Path, name: &str) -> Option<PathBuf> {
    let program = Path::new("bin").join(name);
    let active = std::env::var_os("VIRTUAL_ENV").map(|venv| PathBuf::from(venv).join(&program)).filter(|file| is_program(file));
    active.or_else(|| upward(folder, &format!(".venv/bin/{name}"))).or_else(|| on_path(name))
}

/// The first of these relative paths that is in the folder or in one above it.
pub fn upward(folder: &Path, relative: &str) -> Option<PathBuf> {
    folder.ancestors().map(|folder| folder.join(relative)).find(|path| path.exists())
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn read(mut pipe: impl Read, lines: Option<&Sender<String>>) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 8192]);
    while let Ok(count) = pipe.read(&mut buffer) {
        if count == 0 {
            break;
        }
        all.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
        let line = text.lines().rev().find(|line| !line.trim().is_empty());
        if let (Some(lines), Some(line)) = (lines, line) {
            // Whoever showed it may have stopped.
            lines.send(line.trim().to_owned()).ok();
        }
    }
    all
}

/// Program and arguments as one would type them, without the folders of the program and shortened.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args()).map(|word| word.to_string_lossy());
    let line = words.collect::<Vec<_>>().join(" ");
    const CHARS_MAX: usize = 100;
    if line.chars().count() <= CHARS_MAX { line } else { line.chars().take(CHARS_MAX).chain(['…']).collect() }
}

/// What runs, for how long, and what it said last. On what is no terminal, one line when it starts.
struct Bar {
    bar: Option<ProgressBar>,
    what: String,
    started: Instant,
}

impl Bar {
    fn start(what: &str) -> Self {
        let started = Instant::now();
        let what = what.to_owned();
        if !std::io::stderr().is_terminal() {
            eprintln!("    {what}");
            return Self { bar: None, what, started };
        }
        let style = ProgressStyle::with_template("  {spinner} {prefix}  {elapsed}  {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::new_spinner().with_style(style).with_prefix(what.clone());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar: Some(bar), what, started }
    }

    fn says(&self, line: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(crate::cli::printable(line).into_owned());
        }
    }

    fn finish(&self, success: bool) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            let mark = if success { ' ' } else { '✗' };
            eprintln!("  {mark} {}  {:.1} s", self.what, self.started.elapsed().as_secs_f64());
        }
    }
}
