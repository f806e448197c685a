//! Puts into the binary what it needs besides its own code, so that it needs nothing but itself:
//!
//! - the contract, the SDKs and their project templates, for `pelton plugin`;
//! - the JavaScript runtime, if it is built: the file that `PELTON_JAVASCRIPT_RUNTIME` names, else the one that `cargo xtask plugins` makes.
//!   Without it the daemon is complete but for programs in JavaScript, for which it then asks for a file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const RUNTIME_VARIABLE: &str = "PELTON_JAVASCRIPT_RUNTIME";

/// What is made from other files, by a tool or in a test run, and belongs to nobody's SDK.
const MADE: &[&str] = &["node_modules", "target", "build", "__pycache__", ".venv", ".pelton", ".pytest_cache", ".mypy_cache"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let folder = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let root = folder.ancestors().nth(2).expect("crates/pelton is two folders deep");
    let out = PathBuf::from(variable("OUT_DIR"));
    write(&out.join("kit.rs"), kit(root).as_bytes());
    write(&out.join("javascript.wasm"), &javascript_runtime(&root.join("target/plugins")));
}

/// `&[(path in the repository, its bytes), …]` as Rust.
fn kit(root: &Path) -> String {
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
    text
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

fn javascript_runtime(plugins: &Path) -> Vec<u8> {
    println!("cargo:rerun-if-env-changed={RUNTIME_VARIABLE}");
    if let Some(file) = std::env::var_os(RUNTIME_VARIABLE) {
        return read(Path::new(&file));
    }
    let file = plugins.join("javascript.wasm");
    if file.is_file() {
        return read(&file);
    }
    // To watch a file that is not there would mean to run each time; the folder changes when the file comes.
    if plugins.parent().is_some_and(Path::is_dir) && std::fs::create_dir_all(plugins).is_ok() {
        println!("cargo:rerun-if-changed={}", plugins.display());
    }
    Vec::new()
}

fn read(file: &Path) -> Vec<u8> {
    println!("cargo:rerun-if-changed={}", file.display());
    std::fs::read(file).unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()))
}

fn write(file: &Path, bytes: &[u8]) {
    std::fs::write(file, bytes).unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}
