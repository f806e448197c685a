//! `pelton plugin build`: from a project to a component. What is particular to a language is in its own file here.

pub mod c;
pub mod go;
pub mod javascript;
mod preview1;
pub mod python;
pub mod rust;
mod tool;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use pelton_model::{Digest, Quotas};
use pelton_wasm::Interfaces;
use serde_json::json;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

use super::kit;
use super::language::Project;
use super::target::told;
use crate::cli::{Failure, Format, print, printable};

#[derive(Args)]
pub struct Options {
    /// The project's folder.
    #[arg(default_value = ".")]
    dir: PathBuf,
}

/// One run of a language's driver: which project, and how to run its tools.
pub struct Build<'a> {
    pub project: &'a Project,
}

/// The world of the contract that components are built for: with what a language's own library needs of WASI.
pub const WORLD: &str = "stream-processor-wasi";

pub fn run(format: Format, options: &Options) -> Result<(), Failure> {
    let project = Project::find(&options.dir)?;
    let started = Instant::now();
    let bytes = build(&project)?;
    let seconds = started.elapsed().as_secs_f64();
    let Interfaces { imports, exports } = check(&project.output(), &bytes)?;
    let path = project.output();
    if format.is_asked {
        let built = json!({
            "path": path, "language": project.language.name, "size": bytes.len(), "digest": Digest::of(&bytes).to_string(),
            "imports": imports, "exports": exports, "seconds": (seconds * 1000.0).round() / 1000.0,
        });
        return print(&format.document(&built.to_string()));
    }
    let mut text = format!("{}  {}  {seconds:.1} s\n", shown(&path).display(), size(bytes.len()));
    text.push_str(&format!("  {}\n", Digest::of(&bytes)));
    text.push_str(&list("imports", &imports));
    text.push_str(&list("exports", &exports));
    print(&text)
}

/// Builds a project and writes its component, which is then known to be one of a processor.
pub fn build(project: &Project) -> Result<Vec<u8>, Failure> {
    kit::write(&project.root, project.language)?;
    let bytes = (project.language.build)(&mut Build { project })?;
    check(&project.output(), &bytes)?;
    let output = project.output();
    // A component that is the same keeps its time, which says when it changed.
    if std::fs::read(&output).is_ok_and(|present| present == bytes) {
        return Ok(bytes);
    }
    let written = output.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&output, &bytes));
    written.map_err(|error| Failure::new(1, format!("{}: {error}", output.display())))?;
    Ok(bytes)
}

/// Whether a host with default quotas would take it.
fn check(path: &Path, bytes: &[u8]) -> Result<Interfaces, Failure> {
    let refused = |error: pelton_wasm::LoadError| {
        Failure::new(1, format!("{}: a host would not take this component: {}", path.display(), told(&error.reason())))
    };
    pelton_wasm::verify(bytes, &Quotas::default()).map_err(refused)
}

pub fn size(bytes: usize) -> String {
    bytesize::ByteSize(bytes as u64).display().si().to_string()
}

/// As seen from here.
pub fn shown(path: &Path) -> PathBuf {
    let here = std::env::current_dir().ok().and_then(|here| here.canonicalize().ok());
    here.and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path).to_owned()
}

/// `imports  a, b`, a name a line.
pub fn list(what: &str, names: &[String]) -> String {
    if names.is_empty() {
        return format!("  {what}  nothing\n");
    }
    let rows = names.iter().enumerate().map(|(nth, name)| {
        let what = if nth == 0 { what } else { "" };
        format!("  {what:7}  {}\n", printable(name))
    });
    rows.collect()
}

impl Build<'_> {
    /// Where the project's copy of the contract is.
    pub fn wit(&self) -> PathBuf {
        self.project.root.join(kit::FOLDER).join("wit")
    }

    /// Where the project's copy of its language's SDK is.
    pub fn sdk(&self) -> PathBuf {
        self.project.root.join(kit::FOLDER).join("plugins/sdk").join(self.project.language.sdk)
    }

    /// A folder for what is made on the way, which tools of this project have to themselves.
    pub fn scratch(&self) -> Result<PathBuf, Failure> {
        let folder = self.project.root.join(kit::FOLDER).join("made");
        std::fs::create_dir_all(&folder).map_err(|error| Failure::new(1, format!("{}: {error}", folder.display())))?;
        Ok(folder)
    }

    /// The contract, parsed, and the world in it.
    pub fn contract(&self) -> Result<(Resolve, WorldId), Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::new(1, format!("{}: {error}", self.wit().display()));
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(self.wit()).map_err(|error| failed(&error))?;
        let world = resolve.select_world(&[package], Some(WORLD)).map_err(|error| failed(&error))?;
        Ok((resolve, world))
    }

    /// Writes into a core module what its imports and exports mean, for [`encode`]. What a language's bindings have written already need not
    /// be written again.
    pub fn embed(&self, module: &mut Vec<u8>) -> Result<(), Failure> {
        let (resolve, world) = self.contract()?;
        embed_component_metadata(module, &resolve, world, StringEncoding::UTF8).map_err(|error| not_encoded(&error))
    }
}

/// Makes a component of a core module. `adapters` are modules that stand for what the core module imports, by the name of the import.
pub fn encode(module: &[u8], adapters: &[(&str, &[u8])]) -> Result<Vec<u8>, Failure> {
    let encode = || {
        let mut encoder = ComponentEncoder::default();
        let mut encoder = encoder.validate(true).module(module)?;
        for (name, adapter) in adapters {
            encoder = encoder.adapter(name, adapter)?;
        }
        encoder.encode()
    };
    encode().map_err(|error| not_encoded(&error))
}

fn not_encoded(error: &dyn std::fmt::Debug) -> Failure {
    Failure::new(1, format!("the module cannot be made a component: {error:?}"))
}
