//! `pelton append`

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use clap::Args;
use indicatif::ProgressBar;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::Failure;
use super::client::{Client, invalid, target};
use super::output::{Format, print};

#[derive(Args)]
pub struct Options {
    /// The stream.
    path: String,
    /// The event as JSON or YAML, `@FILE`, or `-` for standard input, which is also read where nothing is given.
    event: Option<String>,
    /// Build the event: its type.
    #[arg(long = "type", value_name = "TYPE", conflicts_with_all = ["event", "batch"])]
    event_type: Option<String>,
    /// Its payload, a JSON object.
    #[arg(long, requires = "event_type")]
    payload: Option<String>,
    /// Its metadata, a JSON object.
    #[arg(long, requires = "event_type")]
    metadata: Option<String>,
    /// The idempotency key: a repeat under it finds the first event.
    #[arg(long, conflicts_with = "batch")]
    key: Option<String>,
    /// Append only if the event gets this offset.
    #[arg(long, requires = "event_type")]
    expect_offset: Option<u64>,
    /// Read NDJSON, an event a line, and append atomic batches of it.
    #[arg(long)]
    batch: bool,
    /// Events of one batch.
    #[arg(long, default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch_size: u32,
}

pub async fn run(client: &Client, format: Format, options: Options) -> Result<(), Failure> {
    if options.batch {
        return batches(client, format, &options).await;
    }
    let body = match &options.event_type {
        Some(event_type) => built(event_type, &options)?,
        None => input(options.event.as_deref())?,
    };
    // Every JSON text is YAML as well, but only JSON keeps every number as it is.
    let media_type = if serde_json::from_str::<Value>(&body).is_ok() { "application/json" } else { "application/yaml" };
    let mut headers = vec![(CONTENT_TYPE, media_type.to_owned())];
    if let Some(key) = &options.key {
        headers.push((reqwest::header::HeaderName::from_static("idempotency-key"), key.clone()));
    }
    let response = client.send(Method::POST, &target(&options.path), &headers, Some(body)).await?;
    let answer: Value = response.json().await.map_err(|error| client.unreachable(&error))?;
    match answer.get("events").and_then(Value::as_array) {
        Some(events) => events.iter().try_for_each(|event| print(&format.event(&event.to_string())))?,
        None => print(&format.event(&answer["event"].to_string()))?,
    }
    let events = answer.get("events").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![answer["event"].clone()]);
    events.iter().find_map(invalid).map_or(Ok(()), Err)
}

fn built(event_type: &str, options: &Options) -> Result<String, Failure> {
    let object = |name: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => match serde_json::from_str::<serde_json::Map<String, Value>>(text) {
            // As it was written, so that no number is rounded.
            Ok(_) => Ok(Some(format!(r#","{name}":{text}"#))),
            Err(error) => Err(Failure::usage(format!("--{name}: expected a JSON object: {error}"))),
        },
    };
    let (payload, metadata) = (object("payload", &options.payload)?, object("metadata", &options.metadata)?);
    let offset = options.expect_offset.map(|offset| format!(r#","offset":{offset}"#));
    Ok(format!(
        r#"{{"type":{}{}{}{}}}"#,
        json!(event_type),
        payload.unwrap_or_default(),
        metadata.unwrap_or_default(),
        offset.unwrap_or_default()
    ))
}

/// The text that an argument stands for.
pub fn input(given: Option<&str>) -> Result<String, Failure> {
    match given {
        None | Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            Ok(text)
        }
        Some(text) => match text.strip_prefix('@') {
            Some(file) => std::fs::read_to_string(file).map_err(|error| Failure::usage(format!("{file}: {error}"))),
            None => Ok(text.to_owned()),
        },
    }
}

async fn batches(client: &Client, format: Format, options: &Options) -> Result<(), Failure> {
    let progress = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let source: Box<dyn std::io::BufRead> = match options.event.as_deref().and_then(|given| given.strip_prefix('@')) {
        Some(file) => {
            Box::new(std::io::BufReader::new(std::fs::File::open(file).map_err(|error| Failure::usage(format!("{file}: {error}")))?))
        }
        None => Box::new(std::io::stdin().lock()),
    };
    let (mut lines, mut waiting, mut appended, mut kept) = (source.lines(), Vec::new(), 0_u64, None);
    loop {
        let line = lines.next().transpose()?;
        let is_last = line.is_none();
        waiting.extend(line.filter(|line| !line.trim().is_empty()));
        if waiting.len() >= options.batch_size as usize || (is_last && !waiting.is_empty()) {
            let headers = [(CONTENT_TYPE, "application/x-ndjson".to_owned())];
            let body = std::mem::take(&mut waiting).join("\n");
            let response = client.send(Method::POST, &target(&options.path), &headers, Some(body)).await?;
            let answer: Value = response.json().await.map_err(|error| client.unreachable(&error))?;
            let events = answer["events"].as_array().map_or(&[][..], Vec::as_slice);
            appended += events.len() as u64;
            kept = kept.or_else(|| events.iter().find_map(invalid));
            if format.is_asked {
                events.iter().try_for_each(|event| print(&format.event(&event.to_string())))?;
            }
            progress.set_message(format!("{appended} events"));
            progress.tick();
        }
        if is_last {
            break;
        }
    }
    progress.finish_and_clear();
    if !format.is_asked {
        print(&format!("{appended} events appended to {}\n", options.path))?;
    }
    kept.map_or(Ok(()), Err)
}
