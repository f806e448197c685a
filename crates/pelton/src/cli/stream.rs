//! `pelton state`, `streams`, `pause`, `resume`, `destroy`

use std::collections::BTreeMap;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::Failure;
use super::client::{Client, target};
use super::output::{Format, Shape, print};

#[derive(Args)]
pub struct PathOnly {
    /// The stream.
    pub path: String,
}

#[derive(Args)]
pub struct TreeOptions {
    /// The stream to begin with.
    #[arg(default_value = "/")]
    path: String,
}

#[derive(Args)]
pub struct ReasonOptions {
    /// The stream.
    path: String,
    /// Why; recorded in the log.
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Args)]
pub struct DestroyOptions {
    /// The stream.
    path: String,
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

pub async fn read_state(client: &Client, path: &str) -> Result<String, Failure> {
    let target = format!("/api/streams/__state/{}", path.trim_start_matches('/'));
    client.text(Method::GET, &target, "application/json", None).await
}

/// One part of a state, for the commands that list it.
pub async fn print_part(client: &Client, format: Format, path: &str, part: &str) -> Result<(), Failure> {
    let state: Value = serde_json::from_str(&read_state(client, path).await?).map_err(|error| Failure::new(1, error.to_string()))?;
    let part = state.get(part).cloned().unwrap_or_else(|| json!({}));
    print(&format.document(&part.to_string()))
}

pub async fn tree(client: &Client, format: Format, options: &TreeOptions) -> Result<(), Failure> {
    let target = format!("/api/streams/__children/{}", options.path.trim_start_matches('/'));
    let listed = client.json(Method::GET, &target, None).await?;
    if format.shape != Shape::Line {
        return print(&format.document(&listed.to_string()));
    }
    let streams: BTreeMap<&str, &str> = listed
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|stream| Some((stream["path"].as_str()?, stream["createdAt"].as_str().unwrap_or_default())))
        .collect();
    if streams.is_empty() {
        return Err(Failure::new(5, format!("{}: no such stream", options.path)));
    }
    let mut text = String::new();
    for (path, created_at) in &streams {
        let name = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("/");
        let depth = if *path == "/" { 0 } else { path.matches('/').count() };
        let base =
            if options.path.trim_matches('/').is_empty() { 0 } else { format!("/{}", options.path.trim_matches('/')).matches('/').count() };
        let (dim, reset) = if format.color { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        let shown = if depth <= base { *path } else { name };
        text.push_str(&format!("{}{shown}  {dim}{created_at}{reset}\n", "  ".repeat(depth.saturating_sub(base))));
    }
    print(&text)
}

pub async fn pause(client: &Client, format: Format, options: &ReasonOptions, event_type: &str) -> Result<(), Failure> {
    let payload = options.reason.as_ref().map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
    let event = client.append(&options.path, event_type, &payload).await?;
    print(&format.event(&event.to_string()))
}

pub async fn destroy(client: &Client, format: Format, options: &DestroyOptions) -> Result<(), Failure> {
    debug_assert!(options.yes, "clap requires it");
    let target = format!("{}?destroyChildren={}", target(&options.path), options.children);
    let answer = client.json(Method::DELETE, &target, None).await?;
    if format.is_asked {
        return print(&format.document(&answer.to_string()));
    }
    let count = answer["destroyedStreamCount"].as_u64().unwrap_or_default();
    if count == 0 {
        return Err(Failure::new(5, format!("{}: no such stream", options.path)));
    }
    print(&format!("{count} streams destroyed\n"))
}
