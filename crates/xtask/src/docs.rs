//! Parts of the documentation that a command writes, between two comments that name it.

use anyhow::{Context, Result};

/// `page` with the block of this command replaced.
pub fn with_block(page: &str, command: &str, block: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- made by `{command}` -->\n"), "<!-- end -->\n");
    let (before, rest) = page.split_once(&begin).with_context(|| format!("expected a line {}", begin.trim()))?;
    let (_, after) = rest.split_once(end).with_context(|| format!("expected a line {} after {}", end.trim(), begin.trim()))?;
    Ok(format!("{before}{begin}\n{}\n\n{end}{after}", block.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_replaced_and_all_around_it_stays() {
        let page = "a\n<!-- made by `x` -->\nold\n<!-- end -->\nb\n";
        let replaced = with_block(page, "x", "new\n").unwrap();
        assert_eq!(replaced, "a\n<!-- made by `x` -->\n\nnew\n\n<!-- end -->\nb\n");
        assert_eq!(with_block(&replaced, "x", "new").unwrap(), replaced);
        assert!(with_block(page, "y", "").is_err());
    }
}
