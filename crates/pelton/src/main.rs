//! `pelton`: the daemon. HTTP in front of an engine that keeps event streams and runs stream processors.

mod http;
mod serve;

use clap::Parser;

/// Append-only event streams that react: upload a compiled plugin as an event, and the stream runs it.
#[derive(Parser)]
#[command(version, about)]
enum Command {
    /// Run the daemon.
    Serve(Box<serve::Options>),
}

fn main() -> std::process::ExitCode {
    let Command::Serve(options) = Command::parse();
    match serve::run(*options) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pelton: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
