//! `pelton tail`

use std::fs::File;
use std::future::pending;
use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt as _;
use indicatif::ProgressBar;
use pelton_model::StreamPath;
use reqwest::header::{ACCEPT, HeaderName};
use reqwest::{Method, Response};
use serde::Deserialize;
use tokio::io::Interest;
use tokio::net::unix::pipe;
use url::Url;

use super::Failure;
use super::client::{Client, read, target};
use super::output::{Format, print};

#[derive(Args)]
pub struct Options {
    /// The stream.
    #[arg(value_parser = super::stream_path)]
    path: StreamPath,
    /// Begin after this offset (with --children: position), at the `start` or the `end`.
    #[arg(long, default_value = "start")]
    after: String,
    /// Stop before this offset (with --children: position), or at the `end`.
    #[arg(long)]
    before: Option<String>,
    /// Stop at what there is now.
    #[arg(long, conflicts_with = "before")]
    no_follow: bool,
    /// Only events of these types, separated by commas; `*` for any run of characters.
    #[arg(long)]
    types: Option<String>,
    /// The stream and all below it, in the order of their commits.
    #[arg(long)]
    children: bool,
    /// Stop after so many events.
    #[arg(long)]
    limit: Option<u64>,
}

impl Options {
    /// A stream from this offset on, for ever.
    pub fn from(path: StreamPath, offset: u64) -> Self {
        let after = offset.saturating_sub(1).to_string();
        Self { path, after, before: None, no_follow: false, types: None, children: false, limit: None }
    }
}

const RECONNECT_FIRST: Duration = Duration::from_millis(200);
const RECONNECT_MAX: Duration = Duration::from_secs(10);
/// The progress of a history that is read through without being shown at once.
const PROGRESS_EVERY: u64 = 1000;

/// How a connection ended.
enum End {
    /// Everything that was asked for came.
    Complete,
    Cut(String),
}

/// Somebody who reads a stream over as many connections as it takes.
struct Reader<'a> {
    client: &'a Client,
    format: Format,
    options: &'a Options,
    /// Where reading has come to.
    last_id: Option<String>,
    /// The stream that is read, from when it is known.
    incarnation: Option<String>,
    was_connected: bool,
    printed: u64,
    bar: ProgressBar,
}

pub async fn run(client: &Client, format: Format, options: &Options) -> Result<(), Failure> {
    // What goes past on the terminal is its own progress.
    let shows = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
    let bar = if shows { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let mut reader = Reader { client, format, options, last_id: None, incarnation: None, was_connected: false, printed: 0, bar };
    tokio::select! {
        result = reader.read_all() => result?,
        // Both are how a person ends it.
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        () = output_closed() => {}
    }
    reader.bar.finish_and_clear();
    Ok(())
}

/// Returns once nobody reads standard output any more, where it is a pipe. On a quiet stream no write would tell.
async fn output_closed() {
    let stdout = std::io::stdout().as_fd().try_clone_to_owned().map(File::from);
    if let Ok(stdout) = stdout
        && stdout.metadata().is_ok_and(|kind| kind.file_type().is_fifo())
        // Unchecked, for the pipe stays as it is, which is blocking: this waits for its end and writes nothing.
        && let Ok(pipe) = pipe::Sender::from_file_unchecked(stdout)
        && pipe.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    pending().await
}

impl Reader<'_> {
    async fn read_all(&mut self) -> Result<(), Failure> {
        if self.options.limit == Some(0) {
            return Ok(());
        }
        if self.options.after == "end" {
            // Where the end is now: after a cut it would be another one, and what came meanwhile would be lost.
            self.last_id = Some(self.end().await?);
        }
        let mut wait = RECONNECT_FIRST;
        loop {
            let before = (self.was_connected, self.last_id.clone());
            let why = match self.read_once().await {
                Ok(End::Complete) => return Ok(()),
                Ok(End::Cut(why)) => why,
                // A server that was there once may come back; one that never answered is a failure.
                Err(failure) if failure.code == 6 && self.was_connected => failure.message,
                Err(failure) => return Err(failure),
            };
            if self.ends() {
                return Err(Failure::new(6, format!("the connection was cut: {why}")));
            }
            let went_on = before != (self.was_connected, self.last_id.clone());
            wait = if went_on { RECONNECT_FIRST } else { (wait * 2).min(RECONNECT_MAX) };
            eprintln!("pelton: the connection was cut ({why}); connecting again");
            tokio::time::sleep(wait).await;
        }
    }

    /// Whether it stops at a place in the log instead of going on live.
    fn ends(&self) -> bool {
        self.options.no_follow || self.options.before.is_some()
    }

    fn place(&self) -> &'static str {
        if self.options.children { "Position" } else { "Offset" }
    }

    /// The place of the last event there is.
    async fn end(&self) -> Result<String, Failure> {
        #[derive(Deserialize)]
        struct Page {
            events: Vec<Placed>,
            next: Option<String>,
        }
        #[derive(Deserialize)]
        struct Placed {
            offset: u64,
            position: Option<u64>,
        }
        let children = if self.options.children { "&includeChildren=true" } else { "" };
        let first = format!("{}?limit=1{children}", target(&self.options.path));
        let page: Page = read(&self.client.text(Method::GET, &first, None).await?)?;
        let Some(next) = page.next else {
            return Ok(page.events.last().map_or(0, |event| event.position.unwrap_or(event.offset)).to_string());
        };
        // Pages stop where the log ended when the first of them was read.
        let before = format!("before{}", self.place());
        let next = Url::parse("http://server").and_then(|server| server.join(&next)).map_err(|error| Failure::new(1, error.to_string()))?;
        let end = next.query_pairs().find(|(name, _)| *name == before).and_then(|(_, value)| value.parse::<u64>().ok());
        end.map(|end| (end - 1).to_string()).ok_or_else(|| Failure::new(1, format!("the server's next page has no {before}")))
    }

    async fn connect(&mut self) -> Result<Response, Failure> {
        let place = self.place();
        let mut query = Vec::new();
        let mut headers = vec![(ACCEPT, "text/event-stream")];
        match &self.last_id {
            Some(id) => headers.push((HeaderName::from_static("last-event-id"), id)),
            None => query.push(format!("after{place}={}", escape(&self.options.after))),
        }
        if let Some(before) = self.options.before.as_deref().or(self.options.no_follow.then_some("end")) {
            query.push(format!("before{place}={}", escape(before)));
        }
        if let Some(types) = &self.options.types {
            query.push(format!("types={}", escape(types)));
        }
        if self.options.children {
            query.push("includeChildren=true".to_owned());
        }
        query.extend(self.incarnation.as_ref().map(|incarnation| format!("incarnation={incarnation}")));
        let target = format!("{}?{}", target(&self.options.path), query.join("&"));
        let response = self.client.send(Method::GET, &target, &headers, None).await.map_err(|failure| match failure.code {
            // The only condition of this request is the stream's incarnation.
            4 => Failure::new(5, format!("the stream was destroyed while the connection was cut: {}", failure.message)),
            _ => failure,
        })?;
        self.was_connected = true;
        // A tree goes on when the stream on top of it is gone.
        if !self.options.children {
            let incarnation = response.headers().get("pelton-incarnation").and_then(|value| value.to_str().ok());
            self.incarnation = incarnation.map(str::to_owned).or(self.incarnation.take());
        }
        Ok(response)
    }

    async fn read_once(&mut self) -> Result<End, Failure> {
        let mut chunks = self.connect().await?.bytes_stream();
        let (mut unread, mut frame) = (Vec::new(), Frame::default());
        while let Some(chunk) = chunks.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => return Ok(End::Cut(error.to_string())),
            };
            let Some(end) = chunk.iter().rposition(|byte| *byte == b'\n') else {
                unread.extend_from_slice(&chunk);
                continue;
            };
            unread.extend_from_slice(&chunk[..=end]);
            let is_enough = self.show(&String::from_utf8_lossy(&unread), &mut frame)?;
            if is_enough {
                return Ok(End::Complete);
            }
            unread.clear();
            unread.extend_from_slice(&chunk[end + 1..]);
        }
        Ok(if self.ends() { End::Complete } else { End::Cut("the server ended it".to_owned()) })
    }

    /// Prints the events of whole lines at once; true when that was as many as were wanted.
    fn show(&mut self, lines: &str, frame: &mut Frame) -> Result<bool, Failure> {
        let mut text = String::new();
        let mut last_id = None;
        for line in lines.lines() {
            if !line.is_empty() {
                frame.field(line);
                continue;
            }
            let Frame { id, kind, data } = std::mem::take(frame);
            match kind.as_deref() {
                Some("destroyed") => {
                    print(&text)?;
                    return Err(Failure::new(5, format!("the stream was destroyed: {data}")));
                }
                _ if data.is_empty() => {}
                _ => {
                    text.push_str(&self.format.event(&data));
                    self.printed += 1;
                }
            }
            last_id = id.or(last_id);
            if self.printed.is_multiple_of(PROGRESS_EVERY) {
                self.bar.set_message(format!("{} events", self.printed));
                self.bar.tick();
            }
            if self.options.limit.is_some_and(|limit| self.printed >= limit) {
                print(&text)?;
                return Ok(true);
            }
        }
        print(&text)?;
        self.last_id = last_id.or(self.last_id.take());
        Ok(false)
    }
}

/// What of a Server-Sent Event has come.
#[derive(Default)]
struct Frame {
    id: Option<String>,
    kind: Option<String>,
    data: String,
}

impl Frame {
    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => self.id = Some(value.to_owned()),
            "event" => self.kind = Some(value.to_owned()),
            "data" => self.data.push_str(value),
            // Comments, which keep the connection, and fields of a later version.
            _ => {}
        }
    }
}

fn escape(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
