//! C: clang or zig makes a core module, whose types the generated bindings have in an object file.

use super::Build;
use crate::cli::Failure;

/// A project in C has no name but its folder's.
pub fn name(_compile_flags: &str) -> Option<String> {
    None
}

pub fn build(_build: &mut Build<'_>) -> Result<Vec<u8>, Failure> {
    Err(Failure::new(1, "projects in C cannot be built yet"))
}
