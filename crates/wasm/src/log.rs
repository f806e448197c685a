//! What a guest says: `context.log`, standard output and standard error, as log lines that name the processor.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pelton_model::{Offset, Quotas};
use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::Identity;

/// The log of one instance, shared by its three sources.
#[derive(Clone)]
pub(crate) struct Log(Arc<Mutex<State>>);

/// Standard output or standard error of one instance.
#[derive(Clone)]
pub(crate) struct Output {
    log: Log,
    which: Which,
}

#[derive(Clone, Copy)]
pub(crate) enum Which {
    Stdout,
    Stderr,
}

struct State {
    /// Absent for `describe`, which belongs to no stream yet.
    identity: Option<Identity>,
    phase: &'static str,
    lines_max: usize,
    line_bytes_max: usize,
    offset: Option<Offset>,
    lines: usize,
    dropped: usize,
    /// What each output has begun and not ended with a new line, at most one line long.
    begun: [Vec<u8>; 2],
}

impl Log {
    pub(crate) fn new(identity: Option<Identity>, phase: &'static str, quotas: &Quotas) -> Self {
        Self(Arc::new(Mutex::new(State {
            identity,
            phase,
            lines_max: quotas.log_lines_max,
            line_bytes_max: quotas.log_line_bytes_max,
            offset: None,
            lines: 0,
            dropped: 0,
            begun: [Vec::new(), Vec::new()],
        })))
    }

    /// Starts a call anew: nothing said in one call shows in the next.
    pub(crate) fn begin_call(&self, offset: Option<Offset>) {
        let mut state = self.lock();
        state.offset = offset;
        state.lines = 0;
        state.dropped = 0;
    }

    /// Writes what was begun, and how much was dropped.
    pub(crate) fn end_call(&self) {
        let mut state = self.lock();
        for which in [Which::Stdout, Which::Stderr] {
            let rest = std::mem::take(&mut state.begun[which as usize]);
            if !rest.is_empty() {
                state.line(which.level(), &String::from_utf8_lossy(&rest));
            }
        }
        if state.dropped > 0 {
            let text = format!("{} more log lines of this call were dropped, the limit is {}", state.dropped, state.lines_max);
            state.write(Level::WARN, &text);
        }
    }

    pub(crate) fn line(&self, level: Level, text: &str) {
        self.lock().line(level, text);
    }

    pub(crate) fn output(&self, which: Which) -> Output {
        Output { log: self.clone(), which }
    }

    /// A line lost to a panic elsewhere is no reason for another.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn line(&mut self, level: Level, text: &str) {
        if self.lines >= self.lines_max {
            self.dropped += 1;
            return;
        }
        self.lines += 1;
        let line = one_line(text, self.line_bytes_max);
        self.write(level, &line);
    }

    fn output(&mut self, which: Which, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.begin(which, &bytes[..end]);
            let line = std::mem::take(&mut self.begun[which as usize]);
            self.line(which.level(), &String::from_utf8_lossy(&line));
            bytes = &bytes[end + 1..];
        }
        self.begin(which, bytes);
    }

    /// Keeps one byte more than a line may have, so that it shows as cut.
    fn begin(&mut self, which: Which, bytes: &[u8]) {
        let begun = &mut self.begun[which as usize];
        let room = self.line_bytes_max.saturating_add(1).saturating_sub(begun.len());
        begun.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn write(&self, level: Level, text: &str) {
        let tenant = self.identity.as_ref().map(|identity| identity.tenant.as_str());
        let stream = self.identity.as_ref().map(|identity| identity.stream.as_str());
        let slug = self.identity.as_ref().map(|identity| identity.slug.as_str());
        let offset = self.offset.map(Offset::get);
        let phase = self.phase;
        // The macros take a level only as a constant.
        macro_rules! write_at {
            ($level:ident) => {
                tracing::event!(target: "pelton::guest", Level::$level, tenant, stream, slug, offset, phase, "{text}")
            };
        }
        match level {
            Level::ERROR => write_at!(ERROR),
            Level::WARN => write_at!(WARN),
            Level::INFO => write_at!(INFO),
            _ => write_at!(DEBUG),
        }
    }
}

impl Which {
    fn level(self) -> Level {
        match self {
            Self::Stdout => Level::INFO,
            Self::Stderr => Level::WARN,
        }
    }
}

/// Cut to its limit, and with control characters escaped, so that a guest can neither forge lines nor move a terminal's cursor.
fn one_line(text: &str, bytes_max: usize) -> String {
    let cut = crate::error::clamp(text.trim_end_matches(['\r', '\n']), bytes_max);
    if !cut.chars().any(char::is_control) {
        return cut;
    }
    cut.chars().map(|c| if c.is_control() && c != '\t' { c.escape_default().to_string() } else { c.to_string() }).collect()
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    /// Asked for by WASI 0.3 only, which is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        StdoutStream::async_stream(&std::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log.lock().output(self.which, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl Pollable for Output {
    /// Always ready, so that writing never waits.
    fn ready<'a, 'b>(&'a mut self) -> Pin<Box<dyn Future<Output = ()> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_has_its_limit() {
        assert_eq!(one_line("plain\n", 100), "plain");
        assert_eq!(one_line("a\nb\u{1b}[2J", 100), "a\\nb\\u{1b}[2J");
        assert_eq!(one_line("aäb", 2), "a… (4 bytes)");
    }

    #[test]
    fn output_is_kept_up_to_one_line() {
        let log = Log::new(None, "reduce", &Quotas { log_line_bytes_max: 3, log_lines_max: 1, ..Quotas::default() });
        let mut state = log.lock();
        state.output(Which::Stdout, b"abcdef");
        assert_eq!(state.begun[0], b"abcd");
        state.output(Which::Stdout, b"\nx\ny");
        assert_eq!((state.lines, state.dropped, state.begun[0].as_slice()), (1, 1, &b"y"[..]));
    }
}
