//! The client: every command talks HTTP to a server.

pub mod append;
pub mod client;
mod output;
mod push;
mod schedule;
mod secret;
mod stream;
pub mod tail;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use pelton_model::{NameError, StreamPath};

use client::Client;
pub use output::{Format, Shape, print, printable};

/// What every client command needs to know.
#[derive(Args)]
pub struct Global {
    /// The server.
    #[arg(long, global = true, env = "PELTON_URL", default_value = "http://127.0.0.1:7070")]
    url: String,
    /// Sent as a bearer token.
    #[arg(long, global = true, env = "PELTON_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The tenant; the server's default one unless named.
    #[arg(long, global = true, env = "PELTON_TENANT")]
    tenant: Option<String>,
    /// Print JSON, one line for each thing.
    #[arg(long, global = true, conflicts_with = "yaml")]
    json: bool,
    /// Print YAML.
    #[arg(long, global = true)]
    yaml: bool,
    /// Colour on a terminal, always or never; `NO_COLOR` is heeded.
    #[arg(long, global = true, value_enum, default_value_t)]
    color: output::Color,
}

#[derive(Subcommand)]
pub enum Command {
    /// Append an event, or many.
    Append(append::Options),
    /// Follow a stream: history, then live.
    Tail(tail::Options),
    /// Show what a stream and its processors know.
    State(stream::PathOnly),
    /// Show the streams as a tree.
    Streams(stream::TreeOptions),
    /// Make a stream refuse appends until it is resumed.
    Pause(stream::ReasonOptions),
    /// End the pause of a stream.
    Resume(stream::ReasonOptions),
    /// Destroy a stream and all that belongs to it.
    Destroy(stream::DestroyOptions),
    /// Append events at a time, or at many.
    #[command(subcommand)]
    Schedule(schedule::Command),
    /// Send the events of a stream to a webhook or WebSocket.
    #[command(subcommand)]
    Subscribe(push::Command),
    /// Keep values that the host uses and never shows.
    #[command(subcommand)]
    Secret(secret::Command),
}

pub const EXIT_CODES: &str = "Exit codes: 0 done; 1 another failure; 2 wrong usage; 3 kept as an invalid event, or a component rejected; \
4 refused by the stream's conditions (409, 412); 5 not found; 6 the server cannot be reached or is unavailable";

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub struct Failure {
    pub code: u8,
    pub message: String,
}

impl Failure {
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// What the user gave cannot be meant.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(2, message)
    }
}

/// The reader of standard output has gone, as `head` does: no failure.
const OUTPUT_CLOSED: u8 = 0;

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let code = if error.kind() == std::io::ErrorKind::BrokenPipe { OUTPUT_CLOSED } else { 1 };
        Self::new(code, error.to_string())
    }
}

/// Prints what another part of the program has made.
pub fn show(text: &str) -> ExitCode {
    finish(print(text))
}

pub fn run(global: &Global, command: Command) -> ExitCode {
    let format = Format::of(global);
    finish(with_client(global, async |client: Client| match command {
        Command::Append(options) => append::run(&client, format, options).await,
        Command::Tail(options) => tail::run(&client, format, &options).await,
        Command::State(options) => stream::state(&client, format, &options).await,
        Command::Streams(options) => stream::tree(&client, format, &options).await,
        Command::Pause(options) => stream::pause(&client, format, &options, "stream/paused").await,
        Command::Resume(options) => stream::pause(&client, format, &options, "stream/resumed").await,
        Command::Destroy(options) => stream::destroy(&client, format, &options).await,
        Command::Schedule(command) => schedule::run(&client, format, command).await,
        Command::Subscribe(command) => push::run(&client, format, command).await,
        Command::Secret(command) => secret::run(&client, format, command).await,
    }))
}

/// Does what talks to a server. What it leaves unfinished is not waited for.
pub fn with_client(global: &Global, act: impl AsyncFnOnce(Client) -> Result<(), Failure>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async { act(Client::new(global)?).await });
    runtime.shutdown_background();
    result
}

/// The exit code of a command, which tells its failure.
pub fn finish(result: Result<(), Failure>) -> ExitCode {
    result.map_or_else(|failure| report(&failure), |()| ExitCode::SUCCESS)
}

/// Tells a failure and its exit code.
fn report(failure: &Failure) -> ExitCode {
    if failure.code != OUTPUT_CLOSED {
        tell(failure);
    }
    ExitCode::from(failure.code)
}

pub fn tell(failure: &Failure) {
    // A message may have several lines, but what the server quotes in it is from anybody.
    let lines: Vec<_> = failure.message.trim_end().lines().map(output::printable).collect();
    eprintln!("pelton: {}", lines.join("\n"));
}

/// The path of a stream; the slash in front may be left out. Checked here, for within a URL `#`, `?` and `..` would make it the path of another.
pub fn stream_path(text: &str) -> Result<StreamPath, NameError> {
    if text.is_empty() || text.starts_with('/') { StreamPath::new(text) } else { StreamPath::new(&format!("/{text}")) }
}
