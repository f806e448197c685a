//! Builds all plugins: those in Rust as one workspace (core modules by cargo, components from those by the component encoder), those in other
//! languages as the projects that they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use wit_component::{ComponentEncoder, DecodedWasm};

use crate::guest::{TARGET, Toolchain};
use crate::projects::{self, Project, Tools};
use crate::{cases, run};

/// Builds these plugins, or all, to `target/plugins/NAME.wasm`; a name ends in the language where that is not Rust. Only what changed is
/// compiled or written.
pub fn build(names: &[String]) -> Result<()> {
    let (rust, projects) = chosen(all()?, projects::all()?, names)?;
    build_plugins(&rust)?;
    if projects.is_empty() {
        return Ok(());
    }
    // Pelton may contain a plugin, so it comes after those in Rust.
    let tools = Tools::ensure()?;
    let build = |project: &Project| project.build(&tools).err().map(|error| format!("{}: {error:#}", project.name));
    let failed: Vec<String> = projects.iter().filter_map(build).collect();
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

/// Builds these plugins in Rust.
pub fn build_rust(names: &[String]) -> Result<()> {
    build_plugins(&chosen(all()?, Vec::new(), names)?.0)
}

/// Runs these plugins, or all, on the events in their folders `tests`, as [`build`] has left them. Compared is what the JSON means: one set of
/// golden files serves all languages of an example.
pub fn test(names: &[String]) -> Result<()> {
    let tools = Tools::ensure()?;
    let (rust, others) = chosen(all()?, projects::all()?, names)?;
    let rust = rust.into_iter().map(|plugin| (plugin.component(), plugin.name, plugin.folder));
    let others = others.into_iter().map(|project| (project.component(), project.name, project.folder));
    let mut failed = Vec::new();
    for (component, name, folder) in rust.chain(others).filter(|(.., folder)| folder.join("tests").is_dir()) {
        let cases = cases::in_folder(&folder.join("tests"), &run::target().join("plugins/tests").join(&name))?;
        let differences = tools.play(&component, &cases).with_context(|| name.clone())?;
        let different = cases.iter().zip(&differences).filter_map(|(case, difference)| Some((case, difference.as_ref()?)));
        let before = failed.len();
        failed.extend(different.map(|(case, difference)| format!("{name}, {}: {difference}", case.name)));
        eprintln!("    {name:<24} {} of {} tests passed", cases.len() - (failed.len() - before), cases.len());
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

fn build_plugins(plugins: &[Plugin]) -> Result<()> {
    if plugins.is_empty() {
        return Ok(());
    }
    let toolchain = Toolchain::find()?;
    toolchain.write_environment()?;
    let compiled = run::target().join("guest");
    let mut cargo = toolchain.cargo_build();
    cargo.arg("--locked").arg("--target-dir").arg(&compiled).current_dir(workspace());
    for plugin in plugins {
        cargo.args(["--package", &plugin.name]);
    }
    run::step(format_args!("compiling {} plugins", plugins.len()));
    run::run(&mut cargo)?;

    let folder = run::target().join("plugins");
    fs::create_dir_all(&folder)?;
    for plugin in plugins {
        let module = compiled.join(TARGET).join("release").join(format!("{}.wasm", plugin.name.replace('-', "_")));
        let module = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
        let output = plugin.component();
        let (bytes, what) =
            if plugin.encode { encode(&module).with_context(|| plugin.name.clone())? } else { (module, "core module".into()) };
        let news = if write_if_changed(&output, &bytes)? { "" } else { " (unchanged)" };
        eprintln!("    {:<24} {:>5} kB  {what}{news}", plugin.name, bytes.len().div_ceil(1000));
    }
    run::step(format_args!("plugins are in {}", folder.display()));
    Ok(())
}

#[derive(Debug, PartialEq)]
struct Plugin {
    name: String,
    folder: PathBuf,
    /// Whether it becomes a component. `package.metadata.pelton.encode = false` in its Cargo.toml keeps it a core module.
    encode: bool,
}

impl Plugin {
    fn component(&self) -> PathBuf {
        run::target().join("plugins").join(format!("{}.wasm", self.name))
    }
}

fn workspace() -> PathBuf {
    run::root().join("plugins")
}

fn all() -> Result<Vec<Plugin>> {
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(workspace());
    plugins_in(&serde_json::from_str(&run::read(&mut cargo)?)?)
}

/// The packages that make a `cdylib`, out of what `cargo metadata` says.
fn plugins_in(metadata: &Value) -> Result<Vec<Plugin>> {
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let makes_cdylib = |package: &&Value| {
        let targets = package["targets"].as_array().into_iter().flatten();
        targets.flat_map(|target| target["crate_types"].as_array().into_iter().flatten()).any(|kind| kind == "cdylib")
    };
    let plugin = |package: &Value| {
        let name = package["name"].as_str().context("cargo metadata names no package")?.to_owned();
        let manifest = package["manifest_path"].as_str().context("cargo metadata names no folder")?;
        let folder = Path::new(manifest).parent().context("a manifest is in a folder")?.to_owned();
        Ok(Plugin { name, folder, encode: package["metadata"]["pelton"]["encode"] != false })
    };
    packages.iter().filter(makes_cdylib).map(plugin).collect()
}

/// Those of these names, or all.
fn chosen(rust: Vec<Plugin>, projects: Vec<Project>, names: &[String]) -> Result<(Vec<Plugin>, Vec<Project>)> {
    let known: Vec<&str> =
        rust.iter().map(|plugin| plugin.name.as_str()).chain(projects.iter().map(|project| project.name.as_str())).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("no plugin `{unknown}`; there are {}", known.join(", "));
    }
    let is_chosen = |name: &String| names.is_empty() || names.contains(name);
    Ok((
        rust.into_iter().filter(|plugin| is_chosen(&plugin.name)).collect(),
        projects.into_iter().filter(|project| is_chosen(&project.name)).collect(),
    ))
}

/// A validated component, and what it imports and exports.
fn encode(module: &[u8]) -> Result<(Vec<u8>, String)> {
    let component = ComponentEncoder::default().validate(true).module(module)?.encode()?;
    let DecodedWasm::Component(resolve, world) = wit_component::decode(&component)? else {
        bail!("the encoder made no component");
    };
    let world = &resolve.worlds[world];
    let names = |items: Vec<String>| if items.is_empty() { "nothing".to_owned() } else { items.join(", ") };
    let imports = names(world.imports.keys().map(|key| resolve.name_world_key(key)).collect());
    let exports = names(world.exports.keys().map(|key| resolve.name_world_key(key)).collect());
    Ok((component, format!("{imports} -> {exports}")))
}

/// Leaves a file with the same content alone, so that its time says when the plugin changed.
fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(false);
    }
    fs::write(path, bytes)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plugins() -> Vec<Plugin> {
        plugins_in(&json!({ "packages": [
            { "name": "pelton-sdk", "manifest_path": "/sdk/Cargo.toml", "metadata": null, "targets": [{ "crate_types": ["lib"] }] },
            { "name": "ping-pong", "manifest_path": "/ping-pong/Cargo.toml", "metadata": null, "targets": [{ "crate_types": ["cdylib"] }] },
            { "name": "core-module", "manifest_path": "/core-module/Cargo.toml", "metadata": { "pelton": { "encode": false } }, "targets": [{ "crate_types": ["cdylib"] }] },
        ] }))
        .unwrap()
    }

    #[test]
    fn plugins_are_the_packages_that_make_a_cdylib() {
        let names: Vec<(String, bool)> = plugins().into_iter().map(|plugin| (plugin.name, plugin.encode)).collect();
        assert_eq!(names, [("ping-pong".to_owned(), true), ("core-module".to_owned(), false)]);
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_the_known() {
        assert_eq!(chosen(plugins(), vec![], &[]).unwrap().0.len(), 2);
        assert_eq!(chosen(plugins(), vec![], &["core-module".into()]).unwrap().0[0].name, "core-module");
        let error = chosen(plugins(), vec![], &["pong".into()]).unwrap_err().to_string();
        assert_eq!(error, "no plugin `pong`; there are ping-pong, core-module");
    }
}
