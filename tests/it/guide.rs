//! Every command of the guide does what the guide says.

use std::path::Path;
use std::process::Command;

use crate::support::*;

/// The commands of a page, each with the exit code that it says: lines that begin with `$` in indented blocks, with the indented lines that follow.
fn commands(page: &str) -> Vec<(String, i32)> {
    let mut commands: Vec<String> = Vec::new();
    let mut open = false;
    for line in page.lines() {
        match (line.strip_prefix("    $ "), line.strip_prefix("      ")) {
            (Some(command), _) => {
                commands.push(command.to_owned());
                open = true;
            }
            (None, Some(more)) if open => {
                let last = commands.last_mut().unwrap();
                last.push('\n');
                last.push_str(more);
            }
            _ => open = false,
        }
    }
    let with_code = |command: String| match command.split_once("# exit ") {
        Some((command, code)) => (command.trim().to_owned(), code.trim().parse().unwrap()),
        None => (command, 0),
    };
    commands.into_iter().map(with_code).collect()
}

fn run(page: &str, count: usize) {
    let server = Server::start();
    let text = std::fs::read_to_string(repository().join("docs/guide").join(page)).unwrap();
    let commands = commands(&text);
    assert_eq!(commands.len(), count, "{page}: {commands:#?}");
    let bin = Path::new(env!("CARGO_BIN_EXE_pelton")).parent().unwrap().display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
    let folder = tempfile::tempdir().unwrap();
    for (command, code) in commands {
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).current_dir(folder.path()).env("PATH", &path).env("PELTON_URL", &server.base);
        let output = shell.envs(guest_environment()).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{page}: {command}\n{said}");
    }
}

#[test]
fn events() {
    run("events.md", 16);
}

#[test]
fn schedules() {
    run("schedules.md", 6);
}

#[test]
fn subscriptions() {
    run("subscriptions.md", 8);
}

#[test]
fn javascript() {
    run("javascript.md", 10);
}

#[test]
fn secrets() {
    run("secrets.md", 4);
}

#[test]
fn plugins() {
    run("plugins.md", 10);
}

#[test]
fn every_page_is_run() {
    let pages = std::fs::read_dir(repository().join("docs/guide")).unwrap();
    let mut names: Vec<_> = pages.map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["README.md", "events.md", "javascript.md", "plugins.md", "schedules.md", "secrets.md", "subscriptions.md"]);
}
