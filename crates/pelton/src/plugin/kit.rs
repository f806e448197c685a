//! The contract and the SDKs, as they are in the repository that this binary was built from.

use std::fs;
use std::path::Path;

use super::language::Language;
use crate::cli::Failure;

/// Paths within the repository, and what is in the files.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/kit.rs"));

/// Where a project has its copy. Its own `.gitignore` keeps it out of the project's repository.
pub const FOLDER: &str = ".pelton";

/// Writes the contract and a language's SDK to `.pelton/` of a project, in the layout of the repository, so that their paths to each other
/// hold. A file that is as it should be is left alone, for its time tells the language's tools whether to build again.
pub fn write(project: &Path, language: &Language) -> Result<(), Failure> {
    let folder = project.join(FOLDER);
    put(&folder.join(".gitignore"), b"*\n")?;
    let sdk = format!("plugins/sdk/{}/", language.sdk);
    for (name, bytes) in FILES {
        let is_sdk = name.strip_prefix(&sdk).is_some_and(|rest| !is_internal(rest));
        if is_sdk || name.starts_with("wit/") {
            put(&folder.join(name), bytes)?;
        }
    }
    Ok(())
}

/// The files of a language's template, by their paths in a new project.
pub fn template(language: &Language) -> Vec<(&'static str, &'static [u8])> {
    let folder = format!("plugins/sdk/{}/{}/", language.sdk, language.template);
    FILES.iter().filter_map(|(name, bytes)| Some((name.strip_prefix(&folder)?, *bytes))).collect()
}

/// What an SDK has for its own sake: templates, and its tests.
fn is_internal(path: &str) -> bool {
    let folder = path.split_once('/').map_or("", |(folder, _)| folder);
    matches!(folder, "test" | "tests") || folder.starts_with("template") || folder.starts_with("test-")
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, bytes));
    written.map_err(|error| Failure::new(1, format!("{}: {error}", path.display())))
}
