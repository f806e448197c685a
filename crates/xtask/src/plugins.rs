//! Builds the plugins workspace: core modules by cargo, components from those by the component encoder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use wit_component::{ComponentEncoder, DecodedWasm};

use crate::guest::{TARGET, Toolchain};
use crate::run;

/// Builds these plugins, or all, to `target/plugins/NAME.wasm`. Only what changed is compiled or written.
pub fn build(names: &[String]) -> Result<()> {
    let plugins = chosen(all()?, names)?;
    let toolchain = Toolchain::find()?;
    toolchain.write_environment()?;
    let compiled = run::target().join("guest");
    let mut cargo = toolchain.cargo_build();
    cargo.arg("--locked").arg("--target-dir").arg(&compiled).current_dir(workspace());
    for plugin in &plugins {
        cargo.args(["--package", &plugin.name]);
    }
    run::step(format_args!("compiling {} plugins", plugins.len()));
    run::run(&mut cargo)?;

    let folder = run::target().join("plugins");
    fs::create_dir_all(&folder)?;
    for plugin in &plugins {
        let module = compiled.join(TARGET).join("release").join(format!("{}.wasm", plugin.name.replace('-', "_")));
        let module = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
        let output = folder.join(format!("{}.wasm", plugin.name));
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
    /// Whether it becomes a component. `package.metadata.pelton.encode = false` in its Cargo.toml keeps it a core module.
    encode: bool,
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
        Ok(Plugin { name, encode: package["metadata"]["pelton"]["encode"] != false })
    };
    packages.iter().filter(makes_cdylib).map(plugin).collect()
}

fn chosen(all: Vec<Plugin>, names: &[String]) -> Result<Vec<Plugin>> {
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|plugin| plugin.name != **name)) {
        let known: Vec<&str> = all.iter().map(|plugin| plugin.name.as_str()).collect();
        bail!("no plugin `{unknown}`; there are {}", known.join(", "));
    }
    Ok(all.into_iter().filter(|plugin| names.is_empty() || names.contains(&plugin.name)).collect())
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
            { "name": "pelton-sdk", "metadata": null, "targets": [{ "crate_types": ["lib"] }] },
            { "name": "ping-pong", "metadata": null, "targets": [{ "crate_types": ["cdylib"] }] },
            { "name": "core-module", "metadata": { "pelton": { "encode": false } }, "targets": [{ "crate_types": ["cdylib"] }] },
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
        assert_eq!(chosen(plugins(), &[]).unwrap().len(), 2);
        assert_eq!(chosen(plugins(), &["core-module".into()]).unwrap()[0].name, "core-module");
        let error = chosen(plugins(), &["pong".into()]).unwrap_err().to_string();
        assert_eq!(error, "no plugin `pong`; there are ping-pong, core-module");
    }
}
