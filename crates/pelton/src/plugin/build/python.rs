//! Python: componentize-py puts the modules and a CPython into one component.

use std::path::PathBuf;
use std::process::Command;

use super::{Build, World, tool};
use crate::cli::Failure;

pub fn name(pyproject: &str) -> Option<String> {
    let table: toml::Table = pyproject.parse().ok()?;
    table.get("project")?.get("name")?.as_str().map(str::to_owned)
}

pub fn build(build: &mut Build<'_>) -> Result<Vec<u8>, Failure> {
    let module = module(build)?;
    let componentize = componentize_py(build)?;
    let output = build.scratch()?.join("component.wasm");
    let mut command = Command::new(componentize);
    command.arg("-q").arg("-d").arg(build.wit()).args(["-w", World::Wasi.name(), "componentize"]);
    command.arg("-p").arg(&build.project.root).arg("-p").arg(build.sdk());
    build.run(command.arg(module).arg("-o").arg(&output))?;
    std::fs::read(&output).map_err(|error| Failure::new(1, format!("{}: {error}", output.display())))
}

/// `[tool.pelton] module = …` of pyproject.toml.
fn module(build: &Build<'_>) -> Result<String, Failure> {
    let file = build.project.root.join("pyproject.toml");
    let table: toml::Table =
        std::fs::read_to_string(&file)?.parse().map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    let module = || table.get("tool")?.get("pelton")?.get("module")?.as_str();
    module().map(str::to_owned).ok_or_else(|| {
        Failure::usage(format!(
            "{}: expected `module = \"processor\"` in `[tool.pelton]`, which says where the processor is",
            file.display()
        ))
    })
}

fn componentize_py(build: &Build<'_>) -> Result<PathBuf, Failure> {
    const NAME: &str = "bin/componentize-py";
    let active = std::env::var_os("VIRTUAL_ENV").map(|folder| PathBuf::from(folder).join(NAME)).filter(|file| file.is_file());
    let found = active.or_else(|| tool::upward(&build.project.root, &format!(".venv/{NAME}"))).or_else(|| tool::on_path("componentize-py"));
    found.ok_or_else(|| {
        Failure::new(
            1,
            "componentize-py is not installed; run `python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1` in the project",
        )
    })
}
