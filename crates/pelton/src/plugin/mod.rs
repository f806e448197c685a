//! `pelton plugin`: from an idea to a running processor, in any language.

mod build;
mod deploy;
mod inspect;
mod kit;
mod language;
mod new;
mod pretty;
mod run;
mod target;
mod test;

use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::{self, Failure, Global};

#[derive(Subcommand)]
pub enum Command {
    /// Make a small project that builds as it stands.
    New(new::Options),
    /// Build the component of a project.
    Build(build::Options),
    /// Run a plugin on files of events, without a server, and compare with what is expected.
    Test(test::Options),
    /// Show what a plugin is, what it asks for and what it may use.
    Inspect(inspect::Options),
    /// Attach a plugin to a stream, where it then runs.
    Deploy(deploy::Options),
    /// Deploy a project, and again whenever a file of it changes, and follow the stream meanwhile.
    Run(run::Options),
}

pub fn run(global: &Global, command: Command) -> ExitCode {
    let format = cli::Format::of(global);
    cli::finish(match command {
        Command::New(options) => new::run(&options),
        Command::Build(options) => build::run(format, &options),
        Command::Test(options) => test::run(format, &options),
        Command::Inspect(options) => inspect::run(format, &options),
        Command::Deploy(options) => cli::with_client(global, async |client| deploy::run(&client, format, &options).await),
        Command::Run(options) => cli::with_client(global, async |client| run::run(&client, format, &options).await),
    })
}

/// A host's fault while running a plugin.
fn host_failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(1, error.to_string())
}
