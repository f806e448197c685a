//! `docs/gallery.md`: the examples in their languages, made from the sources as they stand.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::projects::{MADE, folders_in};
use crate::run;

/// The folder of a language, what people call it, and the extension of its sources.
const LANGUAGES: [(&str, &str, &str); 6] = [
    ("rust", "Rust", "rs"),
    ("ts", "TypeScript", "ts"),
    ("js", "JavaScript", "js"),
    ("python", "Python", "py"),
    ("go", "Go", "go"),
    ("c", "C", "c"),
];

/// Lines of one language's sources that are shown; longer ones are linked to.
const LINES_MAX: usize = 200;

const INTRODUCTION: &str = "\
# Gallery

Every example, in every language that it is written in, as the sources stand; `cargo xtask gallery` writes this page. Each folder is an ordinary project: build
it with `pelton plugin build`, run its tests with `pelton plugin test`, begin one of your own with `pelton plugin new`.
";

pub fn write() -> Result<()> {
    fs::write(page(), gallery()?).with_context(|| format!("cannot write {}", page().display()))
}

fn page() -> PathBuf {
    run::root().join("docs/gallery.md")
}

fn gallery() -> Result<String> {
    let folders = folders_in(&run::root().join("plugins/examples"))?;
    let mut examples = Vec::new();
    for folder in &folders {
        examples.extend(Example::read(folder)?);
    }
    let heads: String = LANGUAGES.iter().map(|(_, language, _)| format!(" {language} |")).collect();
    let mut text = format!("{INTRODUCTION}\n| |{heads}\n|{}\n", " --- |".repeat(LANGUAGES.len() + 1));
    for example in &examples {
        text.push_str(&format!("| [{0}](#{0}) |", example.name));
        for (folder, ..) in LANGUAGES {
            let version = example.versions.iter().find(|version| version.folder == folder);
            let cell = version.map(|version| format!("[{} lines](../plugins/examples/{}/{folder})", version.lines(), example.name));
            text.push_str(&format!(" {} |", cell.unwrap_or_default()));
        }
        text.push('\n');
    }
    text.extend(examples.iter().map(Example::section));
    Ok(text)
}

struct Example {
    name: String,
    description: String,
    versions: Vec<Version>,
}

/// An example in one language.
struct Version {
    folder: &'static str,
    language: &'static str,
    extension: &'static str,
    /// Paths within the version's folder, and texts without tests.
    sources: Vec<(String, String)>,
}

impl Example {
    /// `None` where there are no sources.
    fn read(folder: &Path) -> Result<Option<Example>> {
        let name = folder.file_name().context("an example has a name")?.to_string_lossy().into_owned();
        let mut versions = Vec::new();
        for (language_folder, language, extension) in LANGUAGES {
            let folder = folder.join(language_folder);
            let mut sources = Vec::new();
            gather(&folder, &folder, extension, &mut sources)?;
            if !sources.is_empty() {
                versions.push(Version { folder: language_folder, language, extension, sources });
            }
        }
        if versions.is_empty() {
            return Ok(None);
        }
        let description = description(folder, &versions).with_context(|| format!("{name}: nothing says in a sentence what it does"))?;
        Ok(Some(Example { name, description, versions }))
    }

    fn section(&self) -> String {
        let mut text = format!("\n## {}\n\n{}\n", self.name, self.description);
        for version in &self.versions {
            let folder = format!("../plugins/examples/{}/{}", self.name, version.folder);
            if version.lines() > LINES_MAX {
                let files: Vec<String> = version.sources.iter().map(|(path, _)| format!("[{path}]({folder}/{path})")).collect();
                text.push_str(&format!("\n{}, {} lines: {}\n", version.language, version.lines(), files.join(", ")));
                continue;
            }
            text.push_str(&format!("\n<details><summary>{}, {} lines</summary>\n", version.language, version.lines()));
            for (path, source) in &version.sources {
                text.push_str(&format!("\n[{path}]({folder}/{path})\n\n```{}\n{}\n```\n", version.extension, source.trim()));
            }
            text.push_str("\n</details>\n");
        }
        text
    }
}

impl Version {
    fn lines(&self) -> usize {
        self.sources.iter().map(|(_, text)| text.trim().lines().count()).sum()
    }
}

fn gather(root: &Path, folder: &Path, extension: &str, sources: &mut Vec<(String, String)>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let mut entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    for path in entries {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() && name != "tests" && !MADE.contains(&name.as_str()) {
            gather(root, &path, extension, sources)?;
        }
        let is_test = name.starts_with("test_") || name.contains("_test.") || name.contains(".test.") || name.ends_with(".d.ts");
        if path.is_file() && path.extension().is_some_and(|found| found == extension) && !is_test {
            let text = fs::read_to_string(&path)?;
            let code = text.split("\n#[cfg(test)]").next().unwrap_or_default();
            sources.push((path.strip_prefix(root)?.to_string_lossy().into_owned(), code.to_owned()));
        }
    }
    Ok(())
}

/// The first paragraph of the comment at the top of its source in Rust, else of its README, else what a project file says.
fn description(folder: &Path, versions: &[Version]) -> Option<String> {
    let rust = versions.iter().find(|version| version.extension == "rs").and_then(|version| version.sources.first());
    if let Some(paragraph) = rust.and_then(|(_, text)| paragraph(text.lines().map_while(|line| line.strip_prefix("//!")))) {
        return Some(paragraph);
    }
    let readme = fs::read_to_string(folder.join("README.md")).ok();
    if let Some(paragraph) = readme.as_deref().and_then(|text| paragraph(text.lines().filter(|line| !line.starts_with('#')))) {
        return Some(paragraph);
    }
    let said = |line: &str| {
        let rest = line.trim().trim_start_matches('"').strip_prefix("description")?.trim_start_matches([' ', '"', ':', '=']);
        Some(rest.trim_end_matches([',', '"']).to_owned())
    };
    let files = versions.iter().flat_map(|version| ["package.json", "pyproject.toml"].map(|file| folder.join(version.folder).join(file)));
    files.filter_map(|file| fs::read_to_string(file).ok()).find_map(|text| text.lines().find_map(said))
}

fn paragraph<'a>(lines: impl Iterator<Item = &'a str>) -> Option<String> {
    let lines: Vec<&str> = lines.map(str::trim).skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty()).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gallery_is_made_of_the_sources_as_they_stand() {
        let present = fs::read_to_string(page()).unwrap();
        assert!(present == gallery().unwrap(), "docs/gallery.md is not of these sources; run `cargo xtask gallery`");
    }

    #[test]
    fn tests_are_no_part_of_an_example() {
        let folder = tempfile::tempdir().unwrap();
        let go = folder.path().join("go");
        fs::create_dir_all(go.join("build")).unwrap();
        for (path, text) in
            [("go/main.go", "package main\n"), ("go/main_test.go", "package main\n"), ("go/build/made.go", "package made\n")]
        {
            fs::write(folder.path().join(path), text).unwrap();
        }
        fs::create_dir_all(folder.path().join("rust/src")).unwrap();
        fs::write(folder.path().join("rust/src/lib.rs"), "//! Greets.\n//!\n//! More.\n\nfn a() {}\n\n#[cfg(test)]\nmod tests {}\n")
            .unwrap();
        let example = Example::read(folder.path()).unwrap().unwrap();
        assert_eq!(example.description, "Greets.");
        let sources: Vec<_> = example.versions.iter().map(|version| (version.language, version.sources.len(), version.lines())).collect();
        assert_eq!(sources, [("Rust", 1, 5), ("Go", 1, 1)]);
    }
}
