//! `pelton secret`

use std::io::Read as _;

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::Failure;
use super::client::Client;
use super::output::{Format, Shape, print, printable};

#[derive(Subcommand)]
pub enum Command {
    /// Keep a secret, or replace the one of that name. The value is read from standard input unless given.
    Set {
        name: String,
        /// The value. Other users of this machine may see it among the arguments: better leave it to standard input.
        #[arg(long)]
        value: Option<String>,
        /// A host that the value may be sent to.
        #[arg(long = "host", value_name = "HOST")]
        hosts: Vec<String>,
        #[arg(long)]
        description: Option<String>,
    },
    /// Show the secrets, without their values.
    List,
    /// Delete a secret by its name or id.
    Delete { name: String },
}

pub async fn run(client: &Client, format: Format, command: Command) -> Result<(), Failure> {
    match command {
        Command::Set { name, value, hosts, description } => {
            let value = match value {
                Some(value) => value,
                None => {
                    let mut text = String::new();
                    std::io::stdin().read_to_string(&mut text)?;
                    // The end of the line is the shell's, not the value's.
                    text.trim_end_matches(['\n', '\r']).to_owned()
                }
            };
            let mut body = json!({ "name": name, "value": value, "hosts": hosts });
            if let (Some(description), Some(fields)) = (description, body.as_object_mut()) {
                fields.insert("description".to_owned(), json!(description));
            }
            let answer = client.json(Method::POST, "/api/secrets", Some(body.to_string())).await?;
            print(&format.document(&answer["secret"].to_string()))
        }
        Command::List => {
            let mut secrets = Vec::new();
            loop {
                let page = client.json(Method::GET, &format!("/api/secrets?limit=100&offset={}", secrets.len()), None).await?;
                let more = page["secrets"].as_array().cloned().unwrap_or_default();
                if more.is_empty() {
                    break;
                }
                secrets.extend(more);
            }
            if format.shape != Shape::Line {
                return print(&format.document(&json!(secrets).to_string()));
            }
            let line = |secret: &serde_json::Value| {
                let text = |field: &str| secret[field].as_str().unwrap_or_default().to_owned();
                format!("{}  {}  {}  {}\n", text("id"), text("name"), text("updatedAt"), printable(&text("description")))
            };
            print(&secrets.iter().map(line).collect::<String>())
        }
        Command::Delete { name } => {
            let escaped = percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC);
            let answer = client.json(Method::DELETE, &format!("/api/secrets/{escaped}"), None).await?;
            if answer["deleted"] == true { print("deleted\n") } else { Err(Failure::new(5, format!("no secret named {name:?}"))) }
        }
    }
}
