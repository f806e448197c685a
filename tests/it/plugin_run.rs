//! `pelton plugin deploy` and `run`: a project becomes a processor that runs, and stays what its source says.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::*;

fn at(server: &Server, folder: &Path, args: &[&str]) -> Command {
    let mut command = pelton(folder, args);
    command.env("PELTON_URL", &server.base);
    command
}

#[track_caller]
fn output(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

fn built(name: &str) -> String {
    repository().join(format!("target/plugins/{name}.wasm")).display().to_string()
}

#[test]
fn a_component_is_deployed_with_what_its_configuration_says() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), "{\"name\":\"\u{fc}\", \"n\":1.10}").unwrap();
    let deploy = ["plugin", "deploy", "a", &built("ping-pong"), "--slug", "p", "--config", "@config.json", "--consumes", "ping,poke"];
    let said = output(&mut at(&server, folder.path(), &deploy), 0);
    assert!(said.starts_with("/a: p is activated at offset 3: ping-pong 0.1.0, sha256:"), "{said}");
    let configured = &server.log_text("/a")[1];
    assert!(configured.get().contains("\"config\":{\"name\":\"\u{fc}\",\"n\":1.1"), "{configured}");
    assert!(configured.get().contains(r#""consumes":["ping","poke"]"#), "{configured}");
    let said = output(&mut at(&server, folder.path(), &["plugin", "deploy", "/b", &built("ping-pong"), "--json"]), 0);
    let events: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(types(&events), ["stream/processor/configured", "stream/processor/activated"]);
    assert_eq!(events[0]["payload"]["slug"], "ping-pong", "the file's name unless another is given");
}

#[test]
fn a_rejected_component_is_told_with_the_reason() {
    let server = Server::start();
    let said = output(&mut at(&server, repository(), &["plugin", "deploy", "/a", &built("other-contract")]), 3);
    for part in ["pelton:processor@0.2.0", "component-rejected", "code: other-contract", "expected: pelton:processor@0.1"] {
        assert!(said.contains(part), "without {part:?}: {said}");
    }
    let said = output(&mut at(&server, repository(), &["plugin", "deploy", "/a", &built("trap-in-describe")]), 3);
    assert!(said.contains("trapped") && said.contains("location: "), "{said}");
    output(&mut at(&server, repository(), &["plugin", "deploy", "/a", &built("ping-pong"), "--config", "[]"]), 2);
    output(&mut at(&server, repository(), &["plugin", "deploy", "/a", &built("ping-pong"), "--slug", "no slug"]), 2);
    output(&mut at(&server, repository(), &["plugin", "deploy", "/a", &built("ping-pong"), "--url", "http://127.0.0.1:1"]), 6);
}

/// `pelton plugin run` on a project, and what it says on standard error.
struct Running {
    child: Child,
    said: BufReader<std::process::ChildStderr>,
}

impl Running {
    fn start(server: &Server, project: &Path) -> Self {
        let mut command = at(server, project, &["plugin", "run", "/a"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        Self { child, said }
    }

    /// Everything up to the first line with this in it.
    fn until(&mut self, part: &str) -> String {
        let mut all = String::new();
        loop {
            let start = all.len();
            assert!(self.said.read_line(&mut all).unwrap() > 0, "{part:?} did not come: {all}");
            if all[start..].contains(part) {
                return all;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, as it should.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn what_is_changed_runs_and_what_is_broken_leaves_the_old_version() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let project = rust_project(folder.path(), "watched");
    let mut running = Running::start(&server, &project);
    running.until("watched is activated");
    let answer = |answer: &str| {
        let ping = server.append("/a", &event("ping"))["offset"].clone();
        let answered = server.wait_for("/a", |event| event["payload"]["to"] == ping);
        assert_eq!(answered["type"], answer);
    };
    answer("pong");

    let source = project.join("src/lib.rs");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(&source, text.replace("NewEvent::new(\"pong\")", "NewEvent::new(\"pang\")")).unwrap();
    running.until("watched is activated");
    answer("pang");

    fs::write(&source, text.replace("count += 1", "count +=")).unwrap();
    let said = running.until("waiting for a change");
    assert!(said.contains("error: ") && said.contains("src/lib.rs:"), "{said}");
    answer("pang");

    fs::write(&source, &text).unwrap();
    running.until("watched is activated");
    answer("pong");
    assert_eq!(server.state("/a")["processors"]["watched"]["state"], json!({ "count": 4 }), "the history is folded by each version");

    assert!(Command::new("sh").args(["-c", &format!("kill -INT {}", running.child.id())]).status().unwrap().success());
    assert!(running.child.wait().unwrap().success());
    let mut shown = String::new();
    running.child.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    assert!(shown.contains("  pang  ") && shown.contains("stream/processor/activated"), "the stream is followed: {shown}");
}

#[test]
fn run_needs_a_project_and_a_server() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    assert!(output(&mut at(&server, folder.path(), &["plugin", "run", "/a"]), 2).contains("no project is here"));
    let project = rust_project(folder.path(), "unserved");
    let said = output(&mut at(&server, &project, &["plugin", "run", "/a", "--url", "http://127.0.0.1:1"]), 6);
    assert!(said.contains("cannot be reached"), "{said}");
}
