//! `pelton schedule`

use clap::{Args, Subcommand, ValueEnum};
use pelton_model::StreamPath;
use serde_json::{Value, json};

use super::Failure;
use super::append::{is_json, text_of};
use super::client::Client;
use super::output::{Format, print};
use super::stream::{must_have, print_part};

#[derive(Subcommand)]
pub enum Command {
    /// Append an event at a time, or at many.
    Add(Box<Add>),
    /// Show the schedules of a stream.
    List {
        /// The stream.
        #[arg(value_parser = super::stream_path)]
        path: StreamPath,
    },
    /// End a schedule.
    Cancel {
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
    /// The event as JSON or YAML, `@FILE`, or `-` for standard input.
    event: String,
    /// The schedule's name; one of that name is replaced.
    #[arg(long)]
    slug: String,
    #[command(flatten)]
    when: When,
    /// The zone that a cron pattern means, such as `Europe/Berlin`.
    #[arg(long, requires = "cron")]
    time_zone: Option<String>,
    /// What becomes of ticks that could not fire in time.
    #[arg(long, value_enum, default_value_t)]
    missed: Missed,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct When {
    /// Once, at an instant such as `2030-01-31T09:00:00Z`.
    #[arg(long)]
    at: Option<String>,
    /// Once, after a while such as `90s`, `5m` or `2h`.
    #[arg(long = "in", value_name = "DURATION")]
    delay: Option<String>,
    /// Every so often, such as `5m`.
    #[arg(long, value_name = "DURATION")]
    every: Option<String>,
    /// By a cron pattern of 5 fields, or 6 that begin with seconds.
    #[arg(long)]
    cron: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Missed {
    /// The last of them fires, late.
    #[default]
    One,
    /// Each of them fires.
    All,
    /// None of them fires.
    Skip,
}

pub async fn run(client: &Client, format: Format, command: Command) -> Result<(), Failure> {
    match command {
        Command::Add(add) => {
            let missed = match add.missed {
                Missed::One => "one",
                Missed::All => "all",
                Missed::Skip => "skip",
            };
            let payload = json!({ "slug": add.slug, "schedule": add.schedule()?, "missed": missed });
            let (media_type, body) = scheduled(&payload, &text_of(&add.event)?);
            let event = client.append_one(&add.path, media_type, body).await?;
            print(&format.event(event.get()))
        }
        Command::List { path } => print_part(client, format, &path, "schedules").await,
        Command::Cancel { path, slug } => {
            must_have(client, &path, "schedules", &slug).await?;
            let event = client.append(&path, "stream/schedule/cancelled", &json!({ "slug": slug })).await?;
            print(&format.event(event.get()))
        }
    }
}

/// The event around the one to be appended, whose text stays as it was written, so that no number in it is rounded.
fn scheduled(payload: &Value, append: &str) -> (&'static str, String) {
    let (slug, schedule, missed) = (&payload["slug"], &payload["schedule"], &payload["missed"]);
    if is_json(append.as_bytes()) {
        let fields = format!(r#""slug":{slug},"append":{append},"schedule":{schedule},"missed":{missed}"#);
        return ("application/json", format!(r#"{{"type":"stream/append-scheduled","payload":{{{fields}}}}}"#));
    }
    // JSON is YAML, and YAML that is indented further says the same, except for the mark that begins a document.
    let append = append.strip_prefix("---").unwrap_or(append).lines().map(|line| format!("    {line}\n")).collect::<String>();
    let fields = format!("  slug: {slug}\n  schedule: {schedule}\n  missed: {missed}\n  append:\n{append}");
    ("application/yaml", format!("type: stream/append-scheduled\npayload:\n{fields}"))
}

impl Add {
    fn schedule(&self) -> Result<Value, Failure> {
        let When { at, delay, every, cron } = &self.when;
        Ok(match (at, delay, every, cron) {
            (Some(at), ..) => json!({ "kind": "once-at", "at": at }),
            (_, Some(delay), ..) => json!({ "kind": "once-in", "delaySeconds": seconds("in", delay)? }),
            (_, _, Some(every), _) => json!({ "kind": "every", "intervalSeconds": seconds("every", every)? }),
            (.., Some(cron)) => match &self.time_zone {
                Some(zone) => json!({ "kind": "cron", "cron": cron, "timeZone": zone }),
                None => json!({ "kind": "cron", "cron": cron }),
            },
            _ => return Err(Failure::usage("expected --at, --in, --every or --cron")),
        })
    }
}

fn seconds(option: &str, text: &str) -> Result<i64, Failure> {
    let wrong = || Failure::usage(format!("--{option}: expected whole seconds such as 30s, 5m, 2h or 1h30m, found {text:?}"));
    let duration: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    if duration.as_secs() < 1 || duration.subsec_nanos() != 0 { Err(wrong()) } else { Ok(duration.as_secs()) }
}
