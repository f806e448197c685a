//! From a name to a component: `pelton plugin new`, `build` and `inspect`, and what they say of what is not as it should be.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::*;

#[track_caller]
fn ok(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn built(name: &str) -> String {
    repository().join(format!("target/plugins/{name}.wasm")).display().to_string()
}

#[test]
fn a_new_project_builds_and_passes_its_test_as_it_stands() {
    let folder = folder();
    let project = rust_project(folder.path(), "first-steps");
    let said: Value = serde_json::from_str(&ok(&mut pelton(folder.path(), &["plugin", "build", "first-steps", "--json"]))).unwrap();
    let component = fs::read(project.join("build/first-steps.wasm")).unwrap();
    assert_eq!(said["size"], component.len());
    assert_eq!(said["exports"], json!(["pelton:processor/processor@0.1.0"]));
    let imports = said["imports"].as_array().unwrap();
    assert!(imports.iter().all(|name| name.as_str().unwrap().starts_with("pelton:processor/")), "{said:#}");
    let tested = ok(&mut pelton(&project, &["plugin", "test"]));
    mentions(&tested, &["state    {\"count\":2}", "append   pong", "info: ping 2", "fuel", "ok as in pings.golden.json", "not consumed"]);
    let ignored = fs::read_to_string(project.join(".gitignore")).unwrap();
    mentions(&ignored, &["/.pelton/", "/build/"]);
    mentions(&fs::read_to_string(project.join("src/lib.rs")).unwrap(), &["struct FirstSteps", "\"first-steps\""]);
}

#[test]
fn nothing_is_overwritten_and_names_are_checked() {
    let folder = folder();
    fs::create_dir(folder.path().join("there")).unwrap();
    mentions(
        &said(2, &mut pelton(folder.path(), &["plugin", "new", "there", "--lang", "rust"])),
        &["there already", "nothing is overwritten"],
    );
    for name in ["Upper", "a/b", "..", "fn", "class"] {
        said(2, &mut pelton(folder.path(), &["plugin", "new", name, "--lang", "rust"]));
    }
    mentions(&said(2, &mut pelton(folder.path(), &["plugin", "new", "a", "--lang", "cobol"])), &["rust", "python"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_copy_of_the_sdk_that_was_changed_is_put_right_by_the_next_build() {
    let folder = folder();
    let project = rust_project(folder.path(), "sdk-copy");
    let copy = project.join(".pelton/wit/processor.wit");
    fs::write(&copy, "nonsense").unwrap();
    ok(&mut pelton(&project, &["plugin", "build"]));
    assert_eq!(fs::read(copy).unwrap(), fs::read(repository().join("wit/processor.wit")).unwrap());
}

#[test]
fn inspect_tells_what_a_component_is_and_may_use() {
    let shown: Value = serde_json::from_str(&ok(&mut pelton(repository(), &["plugin", "inspect", &built("ping-pong"), "--json"]))).unwrap();
    assert_eq!(shown["manifest"]["name"], "ping-pong");
    assert!(shown["compileMs"].as_f64() > Some(0.0) && shown["quotas"]["reduceFuelMax"].as_u64() > Some(0), "{shown:#}");
    let text = ok(&mut pelton(repository(), &["plugin", "inspect", &built("ping-pong")]));
    mentions(
        &text,
        &["sha256:", "compiled in", "pelton:processor/outbox@0.1.0", "\"consumes\": [\"ping\"]", "128.0 MiB an instance", "30,000 ms"],
    );
}

#[test]
fn a_folder_without_a_project_or_with_two_is_refused() {
    let folder = folder();
    let path = folder.path();
    mentions(
        &said(2, &mut pelton(path, &["plugin", "build"])),
        &["no project is here", "Cargo.toml (Rust)", "go.mod (Go)", "pelton plugin new"],
    );
    fs::write(path.join("Cargo.toml"), "").unwrap();
    fs::write(path.join("go.mod"), "").unwrap();
    mentions(&said(2, &mut pelton(path, &["plugin", "build"])), &["both Cargo.toml (Rust) and go.mod (Go)", "keep one"]);
    mentions(&said(2, &mut pelton(path, &["plugin", "build", "nowhere"])), &["nowhere"]);
}

#[test]
fn an_error_of_the_compiler_is_passed_on() {
    let folder = folder();
    let project = rust_project(folder.path(), "type-error");
    let source = project.join("src/lib.rs");
    let text = fs::read_to_string(&source).unwrap().replace("state.count += 1;", "state.count += \"one\";");
    fs::write(&source, text).unwrap();
    let told = said(1, &mut pelton(&project, &["plugin", "build"]));
    mentions(&told, &["error[E0277]", "src/lib.rs:", "`cargo build --release", "failed"]);
    assert!(!told.contains("Compiling"), "progress is no error: {told}");
    assert!(!project.join("build").exists());
}

#[test]
fn a_crate_that_exports_nothing_is_told_what_it_lacks() {
    let folder = folder();
    let project = rust_project(folder.path(), "no-export");
    let source = project.join("src/lib.rs");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(&source, text.replace("pelton_sdk::export!(NoExport);", "")).unwrap();
    mentions(&said(1, &mut pelton(&project, &["plugin", "build"])), &["src/lib.rs: ", "pelton_sdk::export!"]);
    fs::write(&source, "#![no_std]\n").unwrap();
    let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap().replace("crate-type = [\"cdylib\"]", "");
    fs::write(project.join("Cargo.toml"), manifest).unwrap();
    mentions(&said(1, &mut pelton(&project, &["plugin", "build"])), &["makes no WebAssembly", "cdylib"]);
}

#[test]
fn what_is_not_installed_is_named_with_what_to_do() {
    let folder = folder();
    rust_project(folder.path(), "no-tools");
    let bare = |args: &[&str]| {
        let mut command = pelton(folder.path(), args);
        command.env("PATH", folder.path()).env_remove("CARGO").env_remove("CARGO_UNSTABLE_BUILD_STD");
        command
    };
    mentions(&said(1, &mut bare(&["plugin", "build", "no-tools"])), &["cargo is not installed", "rustup"]);
    fake_program(folder.path(), "cargo", "");
    let rustc = fake_program(folder.path(), "rustc", &format!("echo '{}'", folder.path().display()));
    let told = said(1, bare(&["plugin", "build", "no-tools"]).env("RUSTC", rustc));
    mentions(&told, &["rustup target add wasm32-unknown-unknown", "Debian"]);
}

#[test]
fn a_component_that_no_host_would_take_is_told_why() {
    let inspect = |name: &str| said(3, &mut pelton(repository(), &["plugin", "inspect", &built(name)]));
    mentions(&inspect("other-contract"), &["pelton:processor@0.2.0", "speaks pelton:processor@0.1", "build it with the SDK"]);
    mentions(&inspect("undeclared-import"), &["evil:corp/secrets@1.0.0", "not granted", "leave out", "expected: only"]);
    mentions(&inspect("wrong-world"), &["does not export `pelton:processor/processor`", "greet"]);
    mentions(&inspect("core-module"), &["core WebAssembly module", "wasm-tools component new"]);
    mentions(&inspect("trap-in-describe"), &["trapped", "(trap)"]);
    mentions(&said(3, &mut pelton(repository(), &["plugin", "inspect", "README.md"])), &["not a WebAssembly component", "# Pelton"]);
}
