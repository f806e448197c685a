//! `pelton subscribe`

use clap::{Args, Subcommand};
use pelton_model::StreamPath;
use serde_json::{Map, Value, json};

use super::Failure;
use super::client::Client;
use super::output::{Format, print};
use super::stream::{must_have, print_part};

#[derive(Subcommand)]
pub enum Command {
    /// Send every event of a stream somewhere.
    Add(Box<Add>),
    /// Show the subscriptions of a stream, how far they are and why they are parked.
    List {
        /// The stream.
        #[arg(value_parser = super::stream_path)]
        path: StreamPath,
    },
    /// Let a parked subscription try again.
    Resume {
        /// The stream.
        #[arg(value_parser = super::stream_path)]
        path: StreamPath,
        slug: String,
        /// Pass over the event that it is parked at.
        #[arg(long)]
        skip: bool,
    },
    /// End a subscription.
    Remove {
        /// The stream.
        #[arg(value_parser = super::stream_path)]
        path: StreamPath,
        slug: String,
    },
}

#[derive(Args)]
pub struct Add {
    /// The stream.
    #[arg(value_parser = super::stream_path)]
    path: StreamPath,
    /// The subscription's name; one of that name is replaced.
    #[arg(long)]
    slug: String,
    #[command(flatten)]
    target: Target,
    /// Where to begin: `now`, `start` or an offset; where it was unless given.
    #[arg(long)]
    from: Option<String>,
    /// Only events of these types, separated by commas; `*` for any run of characters.
    #[arg(long)]
    types: Option<String>,
    /// A JSONata expression on the event; sent where truthy.
    #[arg(long)]
    filter: Option<String>,
    /// A JSONata expression whose value is sent in place of the event.
    #[arg(long)]
    transform: Option<String>,
    /// Name of the secret that webhooks are signed with.
    #[arg(long)]
    secret: Option<String>,
    /// `NAME=VALUE`, sent with each request.
    #[arg(long = "header", value_name = "NAME=VALUE")]
    headers: Vec<String>,
    /// Attempts at one event before the subscription is parked.
    #[arg(long)]
    attempts: Option<u32>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// `POST` to this URL.
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// Dial this URL.
    #[arg(long, value_name = "URL")]
    websocket: Option<String>,
}

pub async fn run(client: &Client, format: Format, command: Command) -> Result<(), Failure> {
    let (path, event_type, payload) = match command {
        Command::List { path } => return print_part(client, format, &path, "subscriptions").await,
        Command::Add(add) => (add.path.clone(), "stream/subscription/configured", add.payload()?),
        Command::Resume { path, slug, skip } => {
            must_have(client, &path, "subscriptions", &slug).await?;
            (path, "stream/subscription/resumed", json!({ "slug": slug, "skip": skip }))
        }
        Command::Remove { path, slug } => {
            must_have(client, &path, "subscriptions", &slug).await?;
            (path, "stream/subscription/removed", json!({ "slug": slug }))
        }
    };
    let event = client.append(&path, event_type, &payload).await?;
    print(&format.event(event.get()))
}

impl Add {
    fn payload(&self) -> Result<Value, Failure> {
        let (kind, url) = match (&self.target.webhook, &self.target.websocket) {
            (Some(url), _) => ("webhook", url),
            (None, Some(url)) => ("websocket", url),
            (None, None) => return Err(Failure::usage("expected --webhook or --websocket")),
        };
        let mut payload = json!({ "slug": self.slug, "type": kind, "callbackUrl": url });
        let mut put = |name: &str, value: Option<Value>| {
            if let (Some(value), Some(fields)) = (value, payload.as_object_mut()) {
                fields.insert(name.to_owned(), value);
            }
        };
        put("from", self.from.as_ref().map(|from| from.parse::<u64>().map_or_else(|_| json!(from), |offset| json!({ "offset": offset }))));
        put("types", self.types.as_ref().map(|types| json!(types.split(',').map(str::trim).collect::<Vec<_>>())));
        put("jsonataFilter", self.filter.as_ref().map(|filter| json!(filter)));
        put("jsonataTransform", self.transform.as_ref().map(|transform| json!(transform)));
        put("signingSecret", self.secret.as_ref().map(|secret| json!(secret)));
        put("attemptsMax", self.attempts.map(|attempts| json!(attempts)));
        let mut headers = Map::new();
        for header in &self.headers {
            let (name, value) =
                header.split_once('=').ok_or_else(|| Failure::usage(format!("--header: expected NAME=VALUE, found {header:?}")))?;
            headers.insert(name.to_owned(), json!(value));
        }
        put("headers", (!headers.is_empty()).then_some(Value::Object(headers)));
        Ok(payload)
    }
}
