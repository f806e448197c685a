//! `pelton plugin deploy`

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use pelton_model::{Digest, Json, JsonObject, Slug, StreamPath};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::host_failed;
use super::target::component_of;
use crate::cli::client::{Client, Recorded, read, target};
use crate::cli::{Failure, Format, Shape, print};

#[derive(Args)]
pub struct Options {
    /// The stream to attach it to.
    #[arg(value_parser = crate::cli::stream_path)]
    pub path: StreamPath,
    /// A project's folder, which is built, or a component.
    #[arg(default_value = ".")]
    pub plugin: PathBuf,
    #[command(flatten)]
    pub fields: Fields,
}

/// What a configuration says besides the component.
#[derive(Args)]
pub struct Fields {
    /// What it is called in this stream; the name of the project or file unless given.
    #[arg(long)]
    slug: Option<Slug>,
    /// Its configuration, a JSON object, or `@FILE`.
    #[arg(long, value_name = "JSON")]
    config: Option<String>,
    /// What it may call, `[METHOD:]SCHEME://HOST[:PORT]`; once for each rule. Nothing unless given.
    #[arg(long, value_name = "RULE")]
    egress: Vec<String>,
    /// Event types it gets instead of those in its manifest, separated by commas.
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    consumes: Vec<String>,
    /// Where its effects begin: `configured`, `start` or an offset.
    #[arg(long, value_name = "WHERE")]
    effects_from: Option<String>,
    /// Attach it to the stream and all below it.
    #[arg(long)]
    include_children: bool,
}

/// What became of an upload.
pub struct Deployed {
    pub slug: Slug,
    /// `stream/processor/configured`
    pub configured: Recorded,
    pub offset: u64,
    /// `stream/processor/activated`
    pub outcome: Recorded,
}

pub async fn run(client: &Client, format: Format, options: &Options) -> Result<(), Failure> {
    let plugin = options.plugin.clone();
    let (path, bytes) = tokio::task::spawn_blocking(move || component_of(&plugin)).await.map_err(host_failed)??;
    let deployed = deploy(client, &options.path, &options.fields, &path, &bytes).await?;
    if format.shape != Shape::Line {
        return print(&[deployed.configured, deployed.outcome].iter().map(|event| format.event(event.get())).collect::<String>());
    }
    print(&told(&deployed, &options.path)?)
}

/// One line that says what runs now.
pub fn told(deployed: &Deployed, path: &StreamPath) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Activated {
        offset: u64,
        payload: Payload,
    }
    #[derive(Deserialize)]
    struct Payload {
        manifest: Manifest,
        digest: String,
    }
    #[derive(Deserialize)]
    struct Manifest {
        name: String,
        version: Option<String>,
    }
    let Activated { offset, payload: Payload { manifest, digest } } = read(deployed.outcome.get())?;
    let what = format!("{} {}", manifest.name, manifest.version.unwrap_or_default());
    let what = crate::cli::printable(what.trim()).into_owned();
    Ok(format!("{path}: {} is activated at offset {offset}: {what}, {digest}\n", deployed.slug))
}

/// Uploads a component and waits for what comes of it. A rejection is a failure with the reason.
pub async fn deploy(client: &Client, stream: &StreamPath, fields: &Fields, plugin: &Path, bytes: &[u8]) -> Result<Deployed, Failure> {
    const WAIT_SECONDS: u64 = 50;
    let (slug, event) = fields.event(plugin)?;
    let boundary = boundary(bytes);
    let body = multipart(&boundary, &event, bytes);
    let headers = [(ACCEPT, "application/json"), (CONTENT_TYPE, &*format!("multipart/form-data; boundary={boundary}"))];
    let target = format!("{}?wait={WAIT_SECONDS}", target(stream));
    let response = client.send(Method::POST, &target, &headers, Some(body)).await?;
    let text = response.text().await.map_err(|error| client.unreachable(&error))?;
    #[derive(Deserialize)]
    struct Answer {
        event: Recorded,
        outcome: Option<Recorded>,
    }
    #[derive(Deserialize)]
    struct Placed {
        offset: u64,
    }
    let Answer { event: configured, outcome } = read(&text)?;
    if let Some(invalid) = crate::cli::client::invalid(&configured) {
        return Err(invalid);
    }
    let Placed { offset } = read(configured.get())?;
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => outcome_of(client, stream, &slug, offset).await?,
    };
    Ok(Deployed { slug, configured, offset, outcome })
}

/// The first event that decides on the version configured at `offset`, once there is one: a large component takes its time to compile.
async fn outcome_of(client: &Client, stream: &StreamPath, slug: &Slug, offset: u64) -> Result<Recorded, Failure> {
    #[derive(Deserialize)]
    struct Page {
        events: Vec<Recorded>,
    }
    #[derive(Deserialize)]
    struct Decision<'a> {
        #[serde(rename = "type")]
        event_type: String,
        #[serde(borrow)]
        payload: &'a RawValue,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload {
        slug: String,
        configured_offset: u64,
        reason: Option<pelton_model::Reason>,
    }
    let target = format!("{}?afterOffset={offset}&types=stream/processor/activated,stream/processor/rejected", target(stream));
    loop {
        let Page { events } = read(&client.text(Method::GET, &target, None).await?)?;
        for event in events {
            let decision: Decision<'_> = read(event.get())?;
            let payload: Payload = read(decision.payload.get())?;
            if payload.slug != slug.as_str() || payload.configured_offset != offset {
                continue;
            }
            return match payload.reason {
                Some(reason) => Err(Failure::new(3, super::target::told(&reason))),
                None if decision.event_type.ends_with("rejected") => Err(Failure::new(3, "rejected")),
                None => Ok(event),
            };
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

impl Fields {
    /// The slug, and the event that configures it.
    fn event(&self, plugin: &Path) -> Result<(Slug, String), Failure> {
        let slug = match &self.slug {
            Some(slug) => slug.clone(),
            None => slug_of(plugin)?,
        };
        let mut payload = format!(r#"{{"slug":{}"#, Json::of(&slug).as_str());
        let mut put = |name: &str, json: &str| payload.push_str(&format!(r#","{name}":{json}"#));
        if let Some(config) = &self.config {
            let text = crate::cli::append::text_of(config)?;
            let config = JsonObject::parse(&text).map_err(|error| Failure::usage(format!("--config: {error}")))?;
            put("config", config.as_str());
        }
        if !self.egress.is_empty() {
            put("egress", Json::of(&self.egress).as_str());
        }
        if !self.consumes.is_empty() {
            put("consumes", Json::of(&self.consumes).as_str());
        }
        match self.effects_from.as_deref().map(|from| (from, from.parse::<u64>())) {
            None => {}
            Some((_, Ok(offset))) => put("effectsFrom", &format!(r#"{{"offset":{offset}}}"#)),
            Some((from, Err(_))) => put("effectsFrom", Json::of(&from).as_str()),
        }
        if self.include_children {
            put("includeChildren", "true");
        }
        payload.push('}');
        Ok((slug, format!(r#"{{"type":"stream/processor/configured","payload":{payload}}}"#)))
    }
}

/// `ping-pong` for `build/ping-pong.wasm`.
fn slug_of(plugin: &Path) -> Result<Slug, Failure> {
    let name = plugin.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    Slug::new(&name).map_err(|error| Failure::usage(format!("--slug: the plugin's name is none ({error}); say one")))
}

/// Made of the component's digest, which no component has in it.
fn boundary(component: &[u8]) -> String {
    let digest = Digest::of(component).to_string();
    format!("pelton-{}", digest.trim_start_matches("sha256:").get(..32).unwrap_or(&digest))
}

fn multipart(boundary: &str, event: &str, component: &[u8]) -> Vec<u8> {
    let part = |name: &str, media_type: &str| {
        format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\ncontent-type: {media_type}\r\n\r\n"
        )
    };
    let mut body = part("event", "application/json").into_bytes();
    body.extend_from_slice(event.as_bytes());
    body.extend_from_slice(b"\r\n");
    body.extend_from_slice(part("component", "application/wasm").as_bytes());
    body.extend_from_slice(component);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    body
}
