//! Planted links.

use super::*;

fn lines(text: &str) -> Vec<usize> {
    let tree = Tree::planted(&[("docs/A.md", text), ("README.md", ""), ("crates/b/src/lib.rs", "")]);
    check(&tree).iter().map(|finding| finding.line).collect()
}

#[test]
fn links_to_files_directories_and_elsewhere_are_clean() {
    let text = "[a](../README.md#top) [b](../crates/b) [c](https://x.org/y) [d](#here) [e](A.md \"title\")\n```\n[f](no)\n```\n";
    assert_eq!(lines(text), [0; 0]);
}

#[test]
fn links_to_nothing_are_found() {
    assert_eq!(lines("fine\n[a](README.md) and [b](../crates/c)\n"), [2, 2]);
}
