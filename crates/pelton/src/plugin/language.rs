//! The languages that a processor can be written in.

use std::path::{Path, PathBuf};

use super::build::{self, Build};
use crate::cli::Failure;

/// How projects of a language look, and how they are built.
pub struct Language {
    /// What people call it.
    pub name: &'static str,
    /// The file at the top of a project that says it is one of this language.
    pub project_file: &'static str,
    /// Its folder in `plugins/sdk`.
    pub sdk: &'static str,
    /// The folder in there from which new projects are made.
    pub template: &'static str,
    /// The project's own name in its project file.
    pub name_of: fn(&str) -> Option<String>,
    /// Makes the component.
    pub build: fn(&mut Build<'_>) -> Result<Vec<u8>, Failure>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Lang {
    Rust,
    Js,
    Ts,
    Python,
    Go,
    C,
}

impl Lang {
    pub fn language(self) -> &'static Language {
        match self {
            Self::Rust => &RUST,
            Self::Js => &JAVASCRIPT,
            Self::Ts => &TYPESCRIPT,
            Self::Python => &PYTHON,
            Self::Go => &GO,
            Self::C => &C,
        }
    }
}

static RUST: Language = Language {
    name: "Rust",
    project_file: "Cargo.toml",
    sdk: "rust",
    template: "template",
    name_of: build::rust::name,
    build: build::rust::build,
};
static JAVASCRIPT: Language = Language {
    name: "JavaScript",
    project_file: "package.json",
    sdk: "js",
    template: "template",
    name_of: build::javascript::name,
    build: build::javascript::build,
};
/// A project in TypeScript is built as one in JavaScript is; only what it begins with differs.
static TYPESCRIPT: Language = Language {
    name: "TypeScript",
    project_file: "package.json",
    sdk: "js",
    template: "template-ts",
    name_of: build::javascript::name,
    build: build::javascript::build,
};
static PYTHON: Language = Language {
    name: "Python",
    project_file: "pyproject.toml",
    sdk: "python",
    template: "template",
    name_of: build::python::name,
    build: build::python::build,
};
static GO: Language =
    Language { name: "Go", project_file: "go.mod", sdk: "go", template: "template", name_of: build::go::name, build: build::go::build };
static C: Language = Language {
    name: "C",
    project_file: "compile_flags.txt",
    sdk: "c",
    template: "template",
    name_of: build::c::name,
    build: build::c::build,
};

/// Those that have a project file of their own.
static ALL: [&Language; 5] = [&RUST, &JAVASCRIPT, &PYTHON, &GO, &C];

/// A folder with a processor's source in it.
pub struct Project {
    pub root: PathBuf,
    pub language: &'static Language,
    /// What the project calls itself; else what its folder is called.
    pub name: String,
}

impl Project {
    /// The project in this folder.
    pub fn find(folder: &Path) -> Result<Self, Failure> {
        let io = |path: &Path, error: std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
        let root = folder.canonicalize().map_err(|error| io(folder, error))?;
        let found: Vec<_> = ALL.into_iter().filter(|language| root.join(language.project_file).is_file()).collect();
        let language = match *found.as_slice() {
            [language] => language,
            [] => return Err(no_project(&root)),
            [first, second, ..] => {
                return Err(Failure::usage(format!(
                    "{}: there are both {} ({}) and {} ({}), so that the language of the project is unclear; keep one of them in this folder and \
                     move the other elsewhere",
                    root.display(),
                    first.project_file,
                    first.name,
                    second.project_file,
                    second.name
                )));
            }
        };
        let file = root.join(language.project_file);
        let text = std::fs::read_to_string(&file).map_err(|error| io(&file, error))?;
        let folder = || root.file_name().map_or_else(|| "processor".to_owned(), |name| name.to_string_lossy().into_owned());
        let name = (language.name_of)(&text).unwrap_or_else(folder);
        Ok(Self { name: tame(&name), root, language })
    }

    /// Where the component is put.
    pub fn output(&self) -> PathBuf {
        self.root.join("build").join(format!("{}.wasm", self.name))
    }
}

fn no_project(root: &Path) -> Failure {
    let files: Vec<_> = ALL.into_iter().map(|language| format!("{} ({})", language.project_file, language.name)).collect();
    let root = root.display();
    Failure::usage(format!(
        "{root}: no project is here; expected one of {}. `pelton plugin new NAME --lang rust|js|ts|python|go|c` makes one",
        files.join(", ")
    ))
}

/// A name of any project as a file name: `@scope/name` and `example.com/name` are known by their last part.
fn tame(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.chars().map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' }).collect()
}
