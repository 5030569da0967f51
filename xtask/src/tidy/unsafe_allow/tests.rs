//! Planted files with one of the two.

use super::*;

fn lines(text: &str) -> Vec<usize> {
    check(&Tree::planted(&[("a.rs", text)])).iter().map(|finding| finding.line).collect()
}

#[test]
fn both_or_neither_is_clean() {
    assert_eq!(lines("//! x\n#![allow(unsafe_code)]\nunsafe impl A for B {}"), [0; 0]);
    assert_eq!(lines("//! unsafe\nconst A: &str = \"unsafe\";\nfn unsafe_name() {}"), [0; 0]);
}

#[test]
fn one_of_both_is_found() {
    assert_eq!(lines("//! x\nfn f() { unsafe { g() } }"), [2]);
    assert_eq!(lines("//! x\n#![allow(unsafe_code)]\nfn f() {}"), [2]);
}

#[test]
fn unit_tests_may_inherit_and_integration_tests_may_not() {
    let (with, without) = ("#![allow(unsafe_code)]\nfn f() {}", "fn f() { unsafe { g() } }");
    let unit = [("a/src/b/tests.rs", with), ("a/src/b/tests/c.rs", without)];
    assert_eq!(check(&Tree::planted(&unit)), []);
    assert_eq!(check(&Tree::planted(&[("a/tests/b.rs", with), ("a/tests/c.rs", without)])).len(), 2);
}

#[test]
fn expansions_are_clean_only_beside_their_macro() {
    let (path, source) = EXPANDS[1];
    let text = "//! x\n#![allow(unsafe_code)]\nimplement!(A);";
    let with = Tree::planted(&[
        (path, text),
        (source, "//! x\n#![allow(unsafe_code)]\nmacro_rules! implement { () => { unsafe {} } }"),
    ]);
    assert_eq!(check(&with), []);
    assert_eq!(check(&Tree::planted(&[(path, text)])).len(), 1);
}
