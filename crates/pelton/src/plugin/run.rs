//! `pelton plugin run`: the loop of somebody who writes a processor.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use pelton_model::StreamPath;

use super::build::{shown, size};
use super::deploy::{Deployed, Fields, deploy, told};
use super::host_failed;
use super::language::Project;
use crate::cli::client::Client;
use crate::cli::{Failure, Format, tail};

#[derive(Args)]
pub struct Options {
    /// The stream to attach it to.
    #[arg(value_parser = crate::cli::stream_path)]
    path: StreamPath,
    /// The project's folder.
    #[arg(default_value = ".")]
    dir: PathBuf,
    #[command(flatten)]
    fields: Fields,
}

/// How often the source is looked at. Looking works on every file system, and a project has few files.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// A project whose latest source is kept running in a stream.
struct Loop<'a> {
    client: &'a Client,
    options: &'a Options,
    project: Arc<Project>,
    /// The source as it was when it was last built.
    built: u64,
    was_deployed: bool,
}

pub async fn run(client: &Client, format: Format, options: &Options) -> Result<(), Failure> {
    let project = Arc::new(Project::find(&options.dir)?);
    let mut this = Loop { client, options, built: 0, was_deployed: false, project };
    let work = async {
        let first = loop {
            match this.deploy_next().await? {
                Some(deployed) => break deployed,
                None => continue,
            }
        };
        let followed = tail::Options::from(options.path.clone(), first.offset);
        tokio::select! {
            ended = tail::run(client, format, &followed) => ended,
            failed = this.go_on() => failed,
        }
    };
    tokio::select! {
        ended = work => ended,
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

impl Loop<'_> {
    async fn go_on(&mut self) -> Result<(), Failure> {
        loop {
            self.deploy_next().await?;
        }
    }

    /// Waits for a source that was not built yet, builds and deploys it. What is wrong with it is told, and leaves what runs as it is.
    async fn deploy_next(&mut self) -> Result<Option<Deployed>, Failure> {
        self.built = self.changed().await;
        let project = Arc::clone(&self.project);
        let built = tokio::task::spawn_blocking(move || super::build::build(&project)).await.map_err(host_failed)?;
        let deployed = match built {
            Ok(bytes) => {
                eprintln!("built {}, {}", shown(&self.project.output()).display(), size(bytes.len()));
                deploy(self.client, &self.options.path, &self.options.fields, &self.project.output(), &bytes).await
            }
            Err(failure) => Err(failure),
        };
        match deployed {
            Ok(deployed) => {
                self.was_deployed = true;
                eprint!("{}", told(&deployed, &self.options.path)?);
                Ok(Some(deployed))
            }
            // Neither a source that is wrong nor a server that is away for a moment ends it; what cannot be meant does.
            Err(failure) if failure.code == 2 || (failure.code == 6 && !self.was_deployed) => Err(failure),
            Err(failure) => {
                crate::cli::tell(&failure);
                eprintln!("waiting for a change in {}", self.project.root.display());
                Ok(None)
            }
        }
    }

    /// The source, once it is another one and has stood still for a moment.
    async fn changed(&self) -> u64 {
        let mut seen = look(&self.project.root);
        loop {
            if seen != self.built {
                return seen;
            }
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let now = look(&self.project.root);
                if std::mem::replace(&mut seen, now) == now {
                    break;
                }
            }
        }
    }
}

/// Names, sizes and times of the source's files, as one number.
fn look(root: &Path) -> u64 {
    /// What is made from the source, or installed.
    const MADE: &[&str] = &["build", "target", "node_modules", "__pycache__", "Cargo.lock", "package-lock.json", "go.sum"];
    let mut folders = vec![root.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // Hidden files belong to tools: of this one, of the editor, of version control.
            if name.starts_with('.') || name.ends_with('~') || MADE.contains(&&*name) {
                continue;
            }
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => files.push((entry.path(), metadata.len(), metadata.modified().ok())),
                Err(_) => {}
            }
        }
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    hasher.finish()
}
