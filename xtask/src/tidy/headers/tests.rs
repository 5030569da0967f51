//! Planted files without a header.

use super::*;

#[test]
fn missing_and_empty_headers_are_found() {
    let tree = Tree::planted(&[
        ("good.rs", "//! A sentence here.\n"),
        ("late.rs", "use core::fmt;\n//! A sentence here.\n"),
        ("outer.rs", "/// A sentence here.\nfn f() {}\n"),
        ("wordless.rs", "//!\n"),
        ("empty.rs", ""),
        ("notes.md", "no header needed"),
    ]);
    let paths: Vec<String> = check(&tree).into_iter().map(|finding| finding.path).collect();
    assert_eq!(paths, ["late.rs", "outer.rs", "wordless.rs", "empty.rs"]);
}

#[test]
fn unit_tests_need_none_and_integration_tests_do() {
    let tree = Tree::planted(&[
        ("a/src/b/tests.rs", "use super::*;\n"),
        ("a/src/b/tests/linux.rs", "use super::*;\n"),
        ("a/tests/c.rs", "use a::b;\n"),
    ]);
    let paths: Vec<String> = check(&tree).into_iter().map(|finding| finding.path).collect();
    assert_eq!(paths, ["a/tests/c.rs"]);
}
