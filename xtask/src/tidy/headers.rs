//! Every Rust file starts with `//!` and a sentence: what this is.
//!
//! Unit tests are the exception: `foo/tests.rs` tests `foo.rs`, and says so with its path.

use super::Finding;
use super::tree::Tree;

/// Reports files without a header, and headers without words.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let bad = |text: &str| {
        let first = text.lines().next().unwrap_or_default();
        first.strip_prefix("//! ").is_none_or(|sentence| sentence.trim().split(' ').count() < 2)
    };
    let files = tree.rust().filter(|(file, _)| !file.is_unit_test() && bad(&file.text));
    files.map(|(file, _)| Finding::new(&file.path, 1, "does not start with `//!` and a sentence")).collect()
}

#[cfg(test)]
mod tests;
