//! What stands for `wasi_snapshot_preview1` in a component, for compilers whose library is made for that system.

use wit_component::{StringEncoding, embed_component_metadata};

use super::{Build, not_encoded};
use crate::cli::Failure;

/// What a module calls it.
pub const NAME: &str = "wasi_snapshot_preview1";

const MODULE: &str = include_str!("preview1.wat");

/// What that module imports.
const WORLD: &str = "package pelton:preview1;
world adapter {
    import pelton:processor/context@0.1.0;
    import wasi:clocks/monotonic-clock@0.2.12;
    import wasi:clocks/wall-clock@0.2.12;
    import wasi:io/poll@0.2.12;
    import wasi:random/random@0.2.12;
}";

pub fn adapter(build: &Build<'_>) -> Result<Vec<u8>, Failure> {
    let (mut resolve, _) = build.contract()?;
    let package = resolve.push_str("preview1.wit", WORLD).map_err(|error| not_encoded(&error))?;
    let world = resolve.select_world(&[package], None).map_err(|error| not_encoded(&error))?;
    let mut module = wat::parse_str(MODULE).map_err(|error| not_encoded(&error))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).map_err(|error| not_encoded(&error))?;
    Ok(module)
}
