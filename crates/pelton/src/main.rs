//! `pelton`: the daemon. HTTP in front of an engine that keeps event streams and runs stream processors.

mod egress;
mod http;
mod listen;
mod push;
mod serve;

use clap::Parser;

/// Events are allocated on one thread and freed on another all the time, which this allocator is better at than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
