//! `pelton`: the daemon, HTTP in front of an engine that keeps event streams and runs stream processors; and the client for it.

mod cli;
mod connect;
mod egress;
mod gate;
mod http;
mod listen;
mod mask;
mod placeholder;
mod plugin;
mod push;
mod serve;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

/// Events are allocated on one thread and freed on another all the time, which this allocator is better at than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Append-only event streams that react: upload a compiled plugin as an event, and the stream runs it.
#[derive(Parser)]
#[command(version, about, after_help = cli::EXIT_CODES)]
struct Arguments {
    #[command(flatten)]
    global: cli::Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon.
    Serve(Box<serve::Options>),
    #[command(flatten)]
    Client(cli::Command),
    /// Write a processor: from a new project to one that runs.
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Print the completions of a shell, to be put where it looks for them.
    Completions { shell: clap_complete::Shell },
}

fn main() -> ExitCode {
    let Arguments { global, command } = Arguments::parse();
    match command {
        Command::Serve(options) => match serve::run(*options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("pelton: {error}");
                ExitCode::FAILURE
            }
        },
        Command::Client(command) => cli::run(&global, command),
        Command::Plugin(command) => plugin::run(&global, command),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "pelton", &mut text);
            cli::show(&String::from_utf8_lossy(&text))
        }
    }
}
