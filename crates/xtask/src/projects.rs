//! Plugins in other languages than Rust: projects as a user has them, which `pelton plugin build` makes components of.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cases::{Case, Difference, Report};
use crate::{node, python, run};

/// The file that says in which language a project is, and the language's folder in `plugins/sdk`.
const LANGUAGES: [(&str, &str); 4] = [("package.json", "js"), ("pyproject.toml", "python"), ("go.mod", "go"), ("compile_flags.txt", "c")];

/// What tools make in a project's folder, by the names that they give it.
pub const MADE: [&str; 7] = [".pelton", ".venv", "__pycache__", "build", "node_modules", "target", "zig-cache"];

/// A project in `plugins/examples/NAME/LANGUAGE`, `plugins/conformance/LANGUAGE` or `plugins/http/LANGUAGE`, or the one in which an SDK is tested.
#[derive(Debug)]
pub struct Project {
    /// Name and language: `ping-pong-go`.
    pub name: String,
    pub folder: PathBuf,
    sdk: &'static str,
}

/// What projects are built and run with.
pub struct Tools {
    pelton: PathBuf,
    /// Folders of programs.
    path: Vec<PathBuf>,
    /// Why a toolchain is not there, by the SDK's folder.
    missing: BTreeMap<&'static str, String>,
}

/// All projects, by name.
pub fn all() -> Result<Vec<Project>> {
    let plugins = run::root().join("plugins");
    let mut parents = folders_in(&plugins.join("examples"))?;
    parents.extend(["conformance", "http"].map(|name| plugins.join(name)));
    let mut projects = Vec::from_iter(Project::at(&plugins.join("sdk/js/test-starlingmonkey")));
    for parent in parents {
        projects.extend(folders_in(&parent)?.into_iter().filter_map(|folder| Project::at(&folder)));
    }
    projects.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(projects)
}

impl Project {
    /// The project in a folder, if it holds one.
    pub fn at(folder: &Path) -> Option<Project> {
        let (_, sdk) = LANGUAGES.into_iter().find(|(file, _)| folder.join(file).is_file())?;
        let name = format!("{}-{}", folder.parent()?.file_name()?.to_str()?, folder.file_name()?.to_str()?);
        Some(Project { name, folder: folder.to_owned(), sdk })
    }

    /// Where its component is put.
    pub fn component(&self) -> PathBuf {
        run::target().join("plugins").join(format!("{}.wasm", self.name))
    }

    /// Builds its component. Nothing is done where neither its own files have changed nor those of the SDK, the contract or the builder.
    pub fn build(&self, tools: &Tools) -> Result<()> {
        let (component, stamp) = (self.component(), self.component().with_extension("stamp"));
        let sources = self.fingerprint()?;
        // Written last, and so says that the component is of these sources.
        if component.is_file() && fs::read_to_string(&stamp).is_ok_and(|built| built == sources) {
            eprintln!("    {:<24} {:>5} kB  (unchanged)", self.name, fs::metadata(&component)?.len().div_ceil(1000));
            return Ok(());
        }
        if let Some(reason) = tools.missing.get(self.sdk) {
            bail!("{reason}");
        }
        run::step(format_args!("building {}", self.name));
        let built = run::read(tools.pelton()?.args(["--json", "plugin", "build"]).arg(&self.folder))?;
        let built: serde_json::Value = serde_json::from_str(&built).context("reading what `pelton plugin build` printed")?;
        let path = built["path"].as_str().context("`pelton plugin build` names no component")?;
        fs::create_dir_all(run::target().join("plugins"))?;
        fs::copy(path, &component).with_context(|| format!("cannot copy {path}"))?;
        eprintln!("    {:<24} {:>5} kB", self.name, fs::metadata(&component)?.len().div_ceil(1000));
        Ok(fs::write(stamp, sources)?)
    }

    fn fingerprint(&self) -> Result<String> {
        let (root, mut hasher) = (run::root(), DefaultHasher::new());
        hash(&self.folder, &mut hasher)?;
        let shared = ["wit", "crates/pelton/src/plugin/build", "plugins/requirements.txt", "plugins/package-lock.json"];
        for part in shared.map(PathBuf::from).into_iter().chain([Path::new("plugins/sdk").join(self.sdk)]) {
            hash(&root.join(part), &mut hasher)?;
        }
        Ok(format!("{:016x}\n", hasher.finish()))
    }
}

impl Tools {
    /// Builds Pelton, and installs the toolchains of all languages. One that cannot be installed is missed only by projects in its languages.
    pub fn ensure() -> Result<Tools> {
        let mut missing = BTreeMap::new();
        if let Err(error) = node::ensure_node_tools() {
            missing.insert("js", format!("{error:#}"));
        }
        let path = match python::ensure_python_tools() {
            Ok(programs) => vec![programs],
            Err(error) => {
                missing.extend(["python", "go", "c"].map(|sdk| (sdk, format!("{error:#}"))));
                Vec::new()
            }
        };
        Ok(Tools { pelton: pelton()?, path, missing })
    }

    /// A call of Pelton with all tools on its PATH. Compiled code is kept, for Python's takes ten seconds.
    pub fn pelton(&self) -> Result<Command> {
        let mut command = Command::new(&self.pelton);
        command.env("PELTON_COMPILE_CACHE", run::target().join("test-compiled"));
        run::with_path(&mut command, &self.path)?;
        Ok(command)
    }

    /// Runs a component on the cases, and says for each in what it is not as it should be.
    pub fn play(&self, component: &Path, cases: &[Case]) -> Result<Vec<Option<Difference>>> {
        let output = self.pelton()?.args(["--json", "plugin", "test"]).arg(component).args(cases.iter().map(|case| &case.file)).output()?;
        let reports = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Report>();
        let reports = reports.collect::<Result<Vec<_>, _>>().context("reading what `pelton plugin test` printed")?;
        // Its exit says whether all is as in golden files beside the events, which is not what is asked here.
        ensure!(reports.len() == cases.len(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        cases.iter().zip(&reports).map(|(case, report)| case.check(report)).collect()
    }
}

/// Builds Pelton's binary.
pub fn pelton() -> Result<PathBuf> {
    run::step("building pelton (the first time this compiles wasmtime: some minutes)");
    run::run(Command::new("cargo").args(["build", "--package", "pelton"]).current_dir(run::root()))?;
    Ok(run::cargo_target().join("debug/pelton"))
}

/// Names and contents of all files in a folder, or of a file. What is not there has none.
fn hash(path: &Path, hasher: &mut impl Hasher) -> Result<()> {
    if path.is_file() {
        path.hash(hasher);
        fs::read(path)?.hash(hasher);
    } else if path.is_dir() {
        let mut entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        entries.sort();
        for entry in entries {
            if !MADE.iter().any(|made| entry.ends_with(made)) {
                hash(&entry, hasher)?;
            }
        }
    }
    Ok(())
}

pub fn folders_in(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut folders = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    folders.retain(|path| path.is_dir());
    folders.sort();
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(path: &Path) -> u64 {
        let mut hasher = DefaultHasher::new();
        hash(path, &mut hasher).unwrap();
        hasher.finish()
    }

    #[test]
    fn a_project_is_known_by_its_file_and_changes_with_its_sources_alone() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("greet/go");
        fs::create_dir_all(project.join("build")).unwrap();
        assert!(Project::at(&project).is_none());
        fs::write(project.join("go.mod"), "module greet").unwrap();
        let found = Project::at(&project).unwrap();
        assert_eq!((found.name.as_str(), found.sdk), ("greet-go", "go"));

        let before = hash_of(&project);
        fs::write(project.join("build/greet.wasm"), "made").unwrap();
        assert_eq!(hash_of(&project), before);
        fs::write(project.join("main.go"), "package main").unwrap();
        assert_ne!(hash_of(&project), before);
    }
}
