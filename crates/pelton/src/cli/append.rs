//! `pelton append`

use std::io::{BufRead, BufReader, IsTerminal as _, Read as _};

use clap::Args;
use indicatif::ProgressBar;
use pelton_model::StreamPath;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::Failure;
use super::client::{Client, Recorded, invalid};
use super::output::{Format, print};

#[derive(Args)]
pub struct Options {
    /// The stream.
    #[arg(value_parser = super::stream_path)]
    path: StreamPath,
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
    let (body, key) = match &options.event_type {
        // In the body a key may have any characters.
        Some(event_type) => (built(event_type, &options)?.into_bytes(), None),
        None => (bytes_of(options.event.as_deref())?, options.key.as_deref()),
    };
    if key.is_some_and(|key| !key.bytes().all(|byte| (b' '..=b'~').contains(&byte))) {
        return Err(Failure::usage("--key: expected visible ASCII characters; with --type it may have any"));
    }
    // Every JSON text is YAML as well, but what is wrong with it is better said of JSON.
    let media_type = if is_json(&body) { "application/json" } else { "application/yaml" };
    let events = client.append_body(&options.path, media_type, key, body).await?;
    print(&shown(format, &events))?;
    events.iter().find_map(|event| invalid(event)).map_or(Ok(()), Err)
}

fn shown(format: Format, events: &[Recorded]) -> String {
    events.iter().map(|event| format.event(event.get())).collect()
}

pub fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(text).is_ok()
}

fn built(event_type: &str, options: &Options) -> Result<String, Failure> {
    let object = |name: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => match serde_json::from_str::<Map<String, Value>>(text) {
            // As it was written, so that no number is rounded.
            Ok(_) => Ok(Some(format!(r#","{name}":{text}"#))),
            Err(error) => Err(Failure::usage(format!("--{name}: expected a JSON object: {error}"))),
        },
    };
    let (payload, metadata) = (object("payload", &options.payload)?, object("metadata", &options.metadata)?);
    let key = options.key.as_ref().map(|key| format!(r#","idempotencyKey":{}"#, json!(key)));
    let offset = options.expect_offset.map(|offset| format!(r#","offset":{offset}"#));
    Ok(format!(
        r#"{{"type":{}{}{}{}{}}}"#,
        json!(event_type),
        payload.unwrap_or_default(),
        metadata.unwrap_or_default(),
        key.unwrap_or_default(),
        offset.unwrap_or_default()
    ))
}

/// What an argument stands for.
fn bytes_of(given: Option<&str>) -> Result<Vec<u8>, Failure> {
    match given {
        None | Some("-") => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes)?;
            Ok(bytes)
        }
        Some(text) => match text.strip_prefix('@') {
            Some(file) => std::fs::read(file).map_err(|error| Failure::usage(format!("{file}: {error}"))),
            None => Ok(text.into()),
        },
    }
}

pub fn text_of(given: &str) -> Result<String, Failure> {
    String::from_utf8(bytes_of(Some(given))?).map_err(|error| Failure::usage(format!("the event: expected UTF-8: {error}")))
}

fn lines_of(given: Option<&str>) -> Result<Box<dyn BufRead>, Failure> {
    match given {
        None | Some("-") => Ok(Box::new(std::io::stdin().lock())),
        Some(text) => {
            let file = text.strip_prefix('@').ok_or_else(|| Failure::usage(format!("--batch: expected @FILE or -, found {text:?}")))?;
            let opened = std::fs::File::open(file).map_err(|error| Failure::usage(format!("{file}: {error}")))?;
            Ok(Box::new(BufReader::new(opened)))
        }
    }
}

async fn batches(client: &Client, format: Format, options: &Options) -> Result<(), Failure> {
    let mut source = lines_of(options.event.as_deref())?;
    let progress = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let (mut appended, mut kept, mut first_kept) = (0, 0, None);
    loop {
        let (body, is_last) = next_batch(&mut source, options.batch_size)?;
        if !body.is_empty() {
            let sent = client.append_body(&options.path, "application/x-ndjson", None, body).await;
            let events = sent.map_err(|failure| match appended {
                0 => failure,
                // Whoever repeats the command must know where to begin.
                _ => Failure::new(failure.code, format!("{}\nthe {appended} events before this batch were appended", failure.message)),
            })?;
            appended += events.len();
            let invalid = events.iter().filter_map(|event| invalid(event));
            for failure in invalid {
                kept += 1;
                first_kept.get_or_insert(failure.message);
            }
            if format.is_asked {
                print(&shown(format, &events))?;
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
    match first_kept {
        None => Ok(()),
        Some(first) => Err(Failure::new(3, format!("{kept} of {appended} events are invalid; the first was {first}"))),
    }
}

/// So many lines that are not blank, as they are: what is wrong with one is for the server to say. Also whether they are the last.
fn next_batch(source: &mut dyn BufRead, events_max: u32) -> Result<(Vec<u8>, bool), Failure> {
    let (mut body, mut count) = (Vec::new(), 0);
    while count < events_max {
        let start = body.len();
        if source.read_until(b'\n', &mut body)? == 0 {
            return Ok((body, true));
        }
        if body[start..].trim_ascii().is_empty() {
            body.truncate(start);
        } else {
            count += 1;
        }
    }
    Ok((body, false))
}
