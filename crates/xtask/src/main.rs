//! What people who work on Pelton run: `cargo xtask <command>`. `cargo xtask --help` is the menu.

mod bench;
mod cases;
mod conformance;
mod daemon;
mod demo;
mod docs;
mod fuzz_http;
mod gallery;
mod guest;
mod js_types;
mod node;
mod plugins;
mod projects;
mod python;
mod run;
mod sdks;
mod test;
mod webhooks;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "What people who work on Pelton run")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build everything, start a daemon in a temporary folder, upload a plugin as an event, and show what it does
    Demo {
        /// Leave the daemon running and print what to try next
        #[arg(long)]
        keep: bool,
    },
    /// Install what the tests need and run all of them
    Test {
        /// Only the host's tests whose names contain this; further words are options of the test binaries
        filter: Vec<String>,
    },
    /// Measure Pelton beside the bare parts it is made of, or what its readers cost
    Bench {
        #[arg(value_enum, default_value_t = bench::What::Smoke)]
        what: bench::What,
    },
    /// Write docs/gallery.md from the sources of the examples
    Gallery,
    /// Run every language's conformance processor on the same cases, and print the table language × case
    Conformance {
        /// Only these; all of them when none is named
        languages: Vec<String>,
    },
    /// Send a daemon what its own OpenAPI document allows, and what it does not, and check the answers (Schemathesis)
    FuzzHttp {
        /// Requests that are made up for each operation, in turns valid and not
        #[arg(long, default_value_t = fuzz_http::CASES)]
        cases: u32,
        /// Another seed sends other requests
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Build the plugins in plugins/examples, plugins/conformance and plugins/fixtures to target/plugins/NAME.wasm
    Plugins {
        /// Only these; all of them when none is named
        names: Vec<String>,
        /// Run them on the events in their folders `tests` too
        #[arg(long)]
        test: bool,
    },
    /// Write the TypeScript declarations of the contract, plugins/sdk/js/types/wit.d.ts
    JsTypes,
    /// Install the toolchains of the languages other than Rust into target/toolchains, and print the folders for the PATH
    Toolchains,
    /// Install the GitHub webhook payloads that the github-triage example is run on, and print their folder
    WebhookExamples,
}

fn main() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // On one line and without a backtrace: what fails here is a program that was run, not this one.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<()> {
    match command {
        Command::Demo { keep } => demo::demo(keep),
        Command::Test { filter } => test::test(&filter),
        Command::Bench { what } => bench::bench(what),
        Command::Gallery => gallery::write(),
        Command::Conformance { languages } => conformance::conformance(&languages),
        Command::FuzzHttp { cases, seed } => fuzz_http::fuzz_http(cases, seed),
        Command::Plugins { names, test } => {
            plugins::build(&names)?;
            if test { plugins::test(&names) } else { Ok(()) }
        }
        Command::JsTypes => js_types::write(),
        Command::Toolchains => {
            println!("{}", python::ensure_python_tools()?.display());
            Ok(())
        }
        Command::WebhookExamples => {
            println!("{}", webhooks::ensure_webhook_examples()?.display());
            Ok(())
        }
    }
}
