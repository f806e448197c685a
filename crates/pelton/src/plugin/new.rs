//! `pelton plugin new`

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::kit;
use super::language::Lang;
use crate::cli::{Failure, print};

#[derive(Args)]
pub struct Options {
    /// The name, which is also that of the new folder: lower-case letters, digits and dashes.
    #[arg(value_parser = name)]
    name: String,
    #[arg(long, value_enum)]
    lang: Lang,
    /// The folder to make it in.
    #[arg(long, default_value = ".", value_name = "DIR")]
    into: PathBuf,
}

/// What a name looks like where it stands.
type Form = fn(&str) -> String;

/// The template's own name. The files of a template are valid in their language, so that they can be read and formatted where they are.
const PLACEHOLDERS: [(&str, Form); 3] = [("plugin-name", str::to_owned), ("plugin_name", snake_case), ("PluginName", pascal_case)];

pub fn run(options: &Options) -> Result<(), Failure> {
    let language = options.lang.language();
    let folder = if options.into == Path::new(".") { PathBuf::from(&options.name) } else { options.into.join(&options.name) };
    if folder.exists() {
        return Err(Failure::usage(format!(
            "{}: it is there already, and nothing is overwritten; take another name or folder",
            folder.display()
        )));
    }
    let template = kit::template(language);
    if template.is_empty() {
        return Err(Failure::new(1, format!("this pelton has no template for {}", language.name)));
    }
    for (path, bytes) in template {
        let file = folder.join(named(path, &options.name));
        let text = std::str::from_utf8(bytes).map_err(|error| Failure::new(1, format!("template {path}: {error}")))?;
        let written = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, named(text, &options.name)));
        written.map_err(|error| Failure::new(1, format!("{}: {error}", file.display())))?;
    }
    kit::write(&folder, language)?;
    let folder = folder.display();
    print(&format!(
        "{folder}: a processor in {}\n\n    cd {folder}\n    pelton plugin test            # builds it and runs tests/\n    \
         pelton plugin run /a/stream   # deploys it, and again whenever a file changes\n",
        language.name
    ))
}

fn named(text: &str, name: &str) -> String {
    PLACEHOLDERS.iter().fold(text.to_owned(), |text, (placeholder, form)| text.replace(placeholder, &form(name)))
}

/// A name that is one in every language, in one form or another.
fn name(text: &str) -> Result<String, String> {
    /// Names of what every project of some language has or needs, or that its compiler refuses.
    const TAKEN: &[&str] =
        &["test", "tests", "core", "std", "alloc", "proc-macro", "pelton", "pelton-sdk", "processor", "main", "build", "node-modules"];
    const KEYWORDS: &[&str] = &[
        "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else", "enum", "extern",
        "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override",
        "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized",
        "use", "virtual", "where", "while", "yield", "and", "assert", "class", "def", "del", "elif", "except", "finally", "from", "global",
        "import", "is", "lambda", "none", "nonlocal", "not", "or", "pass", "raise", "with",
    ];
    let fits = (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.ends_with('-')
        && !text.contains("--");
    if !fits {
        return Err(format!("expected 1 to 64 lower-case letters, digits and single dashes, beginning with a letter, found {text:?}"));
    }
    if TAKEN.contains(&text) || KEYWORDS.contains(&text) {
        return Err(format!("{text:?} means something else to a language or its tools; take another name"));
    }
    Ok(text.to_owned())
}

fn snake_case(name: &str) -> String {
    name.replace('-', "_")
}

fn pascal_case(name: &str) -> String {
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    name.split('-').map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_takes_the_form_of_its_place() {
        assert_eq!(named("plugin-name plugin_name PluginName", "ping-pong-2"), "ping-pong-2 ping_pong_2 PingPong2");
    }

    #[test]
    fn names_that_some_language_cannot_take_are_refused() {
        for good in ["a", "ping-pong", "v2"] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for bad in ["", "A", "2a", "-a", "a-", "a--b", "a_b", "a/b", "..", "fn", "class", "test", "ä"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
