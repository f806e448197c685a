//! `pelton tail`

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt as _;
use indicatif::ProgressBar;
use reqwest::Method;
use reqwest::header::{ACCEPT, HeaderName};

use super::Failure;
use super::client::{Client, target};
use super::output::{Format, print};

#[derive(Args)]
pub struct Options {
    /// The stream.
    path: String,
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

/// Where reading has come to.
struct Progress {
    last_id: Option<String>,
    printed: u64,
    bar: ProgressBar,
}

pub async fn run(client: &Client, format: Format, options: &Options) -> Result<(), Failure> {
    // What goes past on the terminal is its own progress.
    let shows = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
    let bar = if shows { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let mut progress = Progress { last_id: None, printed: 0, bar };
    let mut wait = RECONNECT_FIRST;
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        let before = progress.last_id.clone();
        let end = tokio::select! {
            _ = &mut interrupted => return Ok(()),
            end = follow(client, format, options, &mut progress) => end,
        };
        let why = match end {
            Ok(End::Complete) => break,
            Ok(End::Cut(why)) => why,
            // A server that was there once may come back; one that never answered is a failure.
            Err(failure) if failure.code == 6 && progress.last_id.is_some() => failure.message,
            Err(failure) => return Err(failure),
        };
        if options.no_follow || options.before.is_some() {
            return Err(Failure::new(6, format!("the connection was cut: {why}")));
        }
        wait = if progress.last_id == before { (wait * 2).min(RECONNECT_MAX) } else { RECONNECT_FIRST };
        eprintln!("pelton: the connection was cut ({why}); connecting again");
        tokio::select! {
            _ = &mut interrupted => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
    }
    progress.bar.finish_and_clear();
    Ok(())
}

async fn follow(client: &Client, format: Format, options: &Options, progress: &mut Progress) -> Result<End, Failure> {
    let place = if options.children { "Position" } else { "Offset" };
    let mut query = Vec::new();
    let mut headers = vec![(ACCEPT, "text/event-stream".to_owned())];
    match &progress.last_id {
        Some(id) => headers.push((HeaderName::from_static("last-event-id"), id.clone())),
        None => query.push(format!("after{place}={}", escape(&options.after))),
    }
    if let Some(before) = options.before.as_deref().or(options.no_follow.then_some("end")) {
        query.push(format!("before{place}={}", escape(before)));
    }
    if let Some(types) = &options.types {
        query.push(format!("types={}", escape(types)));
    }
    if options.children {
        query.push("includeChildren=true".to_owned());
    }
    let response = client.send(Method::GET, &format!("{}?{}", target(&options.path), query.join("&")), &headers, None).await?;
    let ends = options.no_follow || options.before.is_some();
    let mut chunks = response.bytes_stream();
    let (mut unread, mut kind, mut data) = (Vec::new(), String::new(), String::new());
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => unread.extend_from_slice(&chunk),
            Err(error) => return Ok(End::Cut(error.to_string())),
        }
        while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = unread.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => progress.last_id = Some(id.to_owned()),
                Some(("event", name)) => name.clone_into(&mut kind),
                Some(("data", text)) => text.clone_into(&mut data),
                _ if line.trim_end().is_empty() && !data.is_empty() => {
                    if kind == "destroyed" {
                        return Err(Failure::new(5, format!("the stream was destroyed: {data}")));
                    }
                    print(&format.event(&data))?;
                    data.clear();
                    progress.printed += 1;
                    if progress.printed.is_multiple_of(PROGRESS_EVERY) {
                        progress.bar.set_message(format!("{} events", progress.printed));
                        progress.bar.tick();
                    }
                    if options.limit.is_some_and(|limit| progress.printed >= limit) {
                        return Ok(End::Complete);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(if ends { End::Complete } else { End::Cut("the server ended it".to_owned()) })
}

fn escape(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
