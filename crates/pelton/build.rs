//! Puts the contract, the SDKs and their project templates into the binary, so that `pelton plugin` needs nothing but itself.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What is made from other files, by a tool or in a test run, and belongs to nobody's SDK.
const MADE: &[&str] = &["node_modules", "target", "build", "__pycache__", ".venv", ".pelton", ".pytest_cache", ".mypy_cache"];

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/pelton is two folders deep");
    let mut files = Vec::new();
    for folder in ["wit", "plugins/sdk"] {
        println!("cargo:rerun-if-changed={}", root.join(folder).display());
        collect(&root.join(folder), &mut files);
    }
    files.sort();
    let mut text = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(root).expect("it was found below the root").to_str().expect("the repository's names are UTF-8");
        writeln!(text, "    ({name:?}, include_bytes!({:?})),", file.display().to_string()).expect("writing to a string does not fail");
    }
    text.push_str("]\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it")).join("kit.rs");
    std::fs::write(out, text).expect("cargo's own folder can be written to");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if MADE.iter().any(|made| name == *made) {
            continue;
        }
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}
