//! Puts the JavaScript runtime into the daemon, if it is built: the file that `PELTON_JAVASCRIPT_RUNTIME` names, else the one that
//! `cargo xtask plugins` makes. Without it the daemon is complete but for programs in JavaScript, for which it then asks for a file.

use std::path::{Path, PathBuf};

const VARIABLE: &str = "PELTON_JAVASCRIPT_RUNTIME";

fn main() {
    println!("cargo:rerun-if-env-changed={VARIABLE}");
    println!("cargo:rerun-if-changed=build.rs");
    let output = PathBuf::from(variable("OUT_DIR")).join("javascript.wasm");
    let bytes = match std::env::var_os(VARIABLE) {
        Some(file) => read(Path::new(&file)),
        None => built(&Path::new(&variable("CARGO_MANIFEST_DIR")).join("../../target/plugins")),
    };
    std::fs::write(&output, bytes).unwrap_or_else(|error| panic!("cannot write {}: {error}", output.display()));
}

fn built(plugins: &Path) -> Vec<u8> {
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

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}
