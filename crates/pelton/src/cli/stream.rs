//! `pelton state`, `streams`, `pause`, `resume`, `destroy`

use std::collections::BTreeMap;

use clap::Args;
use pelton_model::StreamPath;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::Failure;
use super::client::{Client, read, target};
use super::output::{Format, Shape, print};

#[derive(Args)]
pub struct PathOnly {
    /// The stream.
    #[arg(value_parser = super::stream_path)]
    pub path: StreamPath,
}

#[derive(Args)]
pub struct TreeOptions {
    /// The stream to begin with.
    #[arg(default_value = "/", value_parser = super::stream_path)]
    path: StreamPath,
}

#[derive(Args)]
pub struct ReasonOptions {
    /// The stream.
    #[arg(value_parser = super::stream_path)]
    path: StreamPath,
    /// Why; recorded in the log.
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Args)]
pub struct DestroyOptions {
    /// The stream.
    #[arg(value_parser = super::stream_path)]
    path: StreamPath,
    /// Also all streams below it.
    #[arg(long)]
    children: bool,
    /// It cannot be undone.
    #[arg(long, required = true)]
    yes: bool,
}

pub async fn state(client: &Client, format: Format, options: &PathOnly) -> Result<(), Failure> {
    print(&format.document(&read_state(client, &options.path).await?))
}

async fn read_state(client: &Client, path: &StreamPath) -> Result<String, Failure> {
    client.text(Method::GET, &format!("/api/streams/__state{path}"), None).await
}

/// One part of a state, for the commands that list it.
pub async fn print_part(client: &Client, format: Format, path: &StreamPath, part: &str) -> Result<(), Failure> {
    let state = read_state(client, path).await?;
    let parts: BTreeMap<&str, &RawValue> = read(&state)?;
    print(&format.document(parts.get(part).map_or("{}", |part| part.get())))
}

/// Fails where a part of the state has nothing of this name: an event about it would be recorded and do nothing.
pub async fn must_have(client: &Client, path: &StreamPath, part: &str, slug: &str) -> Result<(), Failure> {
    let state = client.json(Method::GET, &format!("/api/streams/__state{path}"), None).await?;
    let is_there = state[part].get(slug).is_some();
    is_there.then_some(()).ok_or_else(|| Failure::new(5, format!("{path}: there is no {slug:?} among its {part}")))
}

pub async fn tree(client: &Client, format: Format, options: &TreeOptions) -> Result<(), Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Listed {
        path: StreamPath,
        #[serde(default)]
        created_at: String,
    }
    let text = client.text(Method::GET, &format!("/api/streams/__children{}", options.path), None).await?;
    let listed: Vec<Listed> = read(&text)?;
    if listed.is_empty() {
        return Err(Failure::new(5, format!("{}: no such stream", options.path)));
    }
    if format.shape != Shape::Line {
        return print(&format.document(&text));
    }
    let streams: BTreeMap<_, _> = listed.iter().map(|stream| (stream.path.as_str(), &stream.created_at)).collect();
    let mut text = String::new();
    for (path, created_at) in &streams {
        let name = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("/");
        let depth = if *path == "/" { 0 } else { path.matches('/').count() };
        let base = options.path.depth();
        let (dim, reset) = if format.color { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        let shown = if depth <= base { *path } else { name };
        text.push_str(&format!("{}{shown}  {dim}{created_at}{reset}\n", "  ".repeat(depth.saturating_sub(base))));
    }
    print(&text)
}

pub async fn pause(client: &Client, format: Format, options: &ReasonOptions, event_type: &str) -> Result<(), Failure> {
    let payload = options.reason.as_ref().map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
    let event = client.append(&options.path, event_type, &payload).await?;
    print(&format.event(event.get()))
}

pub async fn destroy(client: &Client, format: Format, options: &DestroyOptions) -> Result<(), Failure> {
    debug_assert!(options.yes, "clap requires it");
    let target = format!("{}?destroyChildren={}", target(&options.path), options.children);
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Destroyed {
        destroyed_stream_count: u64,
    }
    let answer = client.text(Method::DELETE, &target, None).await?;
    match read(&answer)? {
        Destroyed { destroyed_stream_count: 0 } => Err(Failure::new(5, format!("{}: no such stream", options.path))),
        _ if format.is_asked => print(&format.document(&answer)),
        Destroyed { destroyed_stream_count: 1 } => print("1 stream destroyed\n"),
        Destroyed { destroyed_stream_count: count } => print(&format!("{count} streams destroyed\n")),
    }
}
