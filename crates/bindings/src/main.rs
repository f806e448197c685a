//! Writes what wit-bindgen makes of the contract into the SDKs of languages whose compilers have no plugin for it: `cargo run -p pelton-bindings`. What it
//! writes is committed, so that an SDK is whole as it stands; a test says when it is not what the contract says.

use std::path::{Path, PathBuf};

use anyhow::Result;
use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};

fn main() -> Result<()> {
    for (path, bytes) in bindings()? {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, bytes)?;
    }
    Ok(())
}

/// The files of all languages. Each SDK's module paths and includes expect them there.
fn bindings() -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let go = wit_bindgen_go::Opts {
        // The committed text must not depend on whether a gofmt is installed.
        format: wit_bindgen_go::Format::False,
        pkg_name: Some("pelton.dev/pelton/internal/bindings".to_owned()),
        export_pkg_name: Some("pelton.dev/pelton/internal".to_owned()),
        ..wit_bindgen_go::Opts::default()
    };
    let c = wit_bindgen_c::Opts { rename_world: Some("bindings".to_owned()), ..wit_bindgen_c::Opts::default() };
    let mut files = generate(&mut *go.build(), "plugins/sdk/go/internal/bindings")?;
    files.extend(generate(&mut *c.build(), "plugins/sdk/c/bindings")?);
    Ok(files)
}

fn generate(generator: &mut dyn WorldGenerator, folder: &str) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit"))?;
    let world = resolve.select_world(&[package], Some("stream-processor-wasi"))?;
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files)?;
    let folder = root().join(folder);
    Ok(files.iter().map(|(name, bytes)| (folder.join(name), bytes.to_vec())).collect())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_bindings_are_what_the_contract_says() {
        for (path, bytes) in bindings().unwrap() {
            let committed = std::fs::read(&path).unwrap_or_default();
            assert!(committed == bytes, "{} is out of date; run `cargo run -p pelton-bindings`", path.display());
        }
    }
}
