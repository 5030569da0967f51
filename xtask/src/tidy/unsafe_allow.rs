//! A file says `#![allow(unsafe_code)]` exactly if it contains `unsafe`, so that one search prints the audit surface.
//!
//! Unit tests are left out: they are no part of what is shipped, and inherit the permission of the module that they test.

use super::Finding;
use super::lexer::{line_of, word_places};
use super::tree::Tree;

const ALLOW: &str = "#![allow(unsafe_code)]";

/// Files whose `unsafe` is written in a macro of another file and expanded in them, each with that file.
const EXPANDS: [(&str, &str); 2] = [
    ("crates/forge-alloc-core/src/compat/mirror_", "crates/forge-alloc-core/src/compat/implement.rs"),
    ("crates/forge-alloc-core/src/compat/nightly.rs", "crates/forge-alloc-core/src/compat/implement.rs"),
];

/// Reports files with one and without the other.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, split) in tree.rust().filter(|(file, _)| !file.is_unit_test()) {
        let first = word_places(&split.code, "unsafe").next();
        let allow = split.code.find(ALLOW);
        match (first, allow) {
            (Some(index), None) => {
                findings.push(Finding::new(
                    &file.path,
                    line_of(&split.code, index),
                    format!("`unsafe` without {ALLOW}"),
                ));
            }
            (None, Some(index)) if !expands(tree, &file.path) => {
                findings.push(Finding::new(
                    &file.path,
                    line_of(&split.code, index),
                    "allows unsafe code and has none",
                ));
            }
            _ => {}
        }
    }
    findings
}

/// Returns whether `path` expands a macro with `unsafe` of another file.
fn expands(tree: &Tree, path: &str) -> bool {
    let mut sources = EXPANDS.iter().filter(|(start, _)| path.starts_with(start)).map(|(_, source)| source);
    sources.any(|source| {
        tree.get(source)
            .is_some_and(|file| file.text.contains("macro_rules!") && file.text.contains("unsafe"))
    })
}

#[cfg(test)]
mod tests;
