//! Go: the stock compiler makes a core module for wasip1, whose imports of that system are then taken by an adapter.

use super::Build;
use crate::cli::Failure;

pub fn name(go_mod: &str) -> Option<String> {
    go_mod.lines().find_map(|line| line.trim().strip_prefix("module ")).map(|name| name.trim().to_owned())
}

pub fn build(_build: &mut Build<'_>) -> Result<Vec<u8>, Failure> {
    Err(Failure::new(1, "projects in Go cannot be built yet"))
}
