//! What a command is given: a project, which is then built, or a component.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use pelton_model::{Digest, JsonObject, Quotas};
use pelton_wasm::{Component, Identity, Manifest, Sandbox, SandboxOptions};

use super::host_failed;
use super::language::Project;
use crate::cli::Failure;

#[derive(Args)]
pub struct CompileCache {
    /// Where compiled code is kept; whoever can write to it can run machine code as you.
    #[arg(long, value_name = "DIR", env = "PELTON_COMPILE_CACHE")]
    compile_cache: Option<PathBuf>,
}

/// A component, ready to be run.
pub struct Plugin {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    pub digest: Digest,
    pub component: Component,
    /// How long compiling took, or reading what was compiled before.
    pub load_time: Duration,
}

/// The component at this path, or that of the project there, built if it is not up to date.
pub fn component_of(path: &Path) -> Result<(PathBuf, Vec<u8>), Failure> {
    if path.is_file() {
        let bytes = std::fs::read(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        return Ok((path.to_owned(), bytes));
    }
    let project = Project::find(path)?;
    let bytes = super::build::build(&project)?;
    Ok((project.output(), bytes))
}

impl Plugin {
    /// Compiles it, unless that was done before.
    pub fn load(path: &Path, cache: &CompileCache, quotas: &Quotas) -> Result<Self, Failure> {
        Self::load_in(&sandbox(cache)?, path, quotas)
    }

    /// Compiles it, whatever was done before.
    pub fn compile(path: &Path, quotas: &Quotas) -> Result<Self, Failure> {
        Self::load_in(&Sandbox::new(&SandboxOptions::default()).map_err(host_failed)?, path, quotas)
    }

    fn load_in(sandbox: &Sandbox, path: &Path, quotas: &Quotas) -> Result<Self, Failure> {
        let (path, bytes) = component_of(path)?;
        let started = Instant::now();
        let component = sandbox.load(&bytes, quotas).map_err(|error| refused(&path, &error.reason()))?;
        let load_time = started.elapsed();
        Ok(Self { path, digest: Digest::of(&bytes), bytes, component, load_time })
    }

    /// What it says of itself, which may depend on its configuration.
    pub fn manifest(&self, identity: Option<Identity>, config: &JsonObject, quotas: &Quotas) -> Result<Manifest, Failure> {
        self.component.describe(identity, config.clone(), quotas).map_err(|error| refused(&self.path, &error.reason()))
    }
}

fn refused(path: &Path, reason: &pelton_model::Reason) -> Failure {
    Failure::new(3, format!("{}: {}", path.display(), told(reason)))
}

/// A home without room for a cache is no reason to do nothing.
fn sandbox(cache: &CompileCache) -> Result<Sandbox, Failure> {
    let with = |compile_cache: Option<PathBuf>| Sandbox::new(&SandboxOptions { compile_cache });
    match &cache.compile_cache {
        Some(folder) => with(Some(folder.clone())),
        None => with(default_cache()).or_else(|_| with(None)),
    }
    .map_err(host_failed)
}

/// A reason on several lines: what, what was expected and found, and where.
pub fn told(reason: &pelton_model::Reason) -> String {
    let mut text = format!("{} ({})", reason.message, reason.code);
    for (what, part) in [("expected", &reason.expected), ("found", &reason.found), ("at", &reason.location)] {
        if let Some(part) = part {
            text.push_str(&format!("\n  {what}: {}", part.trim_end().replace('\n', "\n    ")));
        }
    }
    text
}

/// The user's own cache folder.
fn default_cache() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let caches = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(caches.join("pelton").join("compiled"))
}
