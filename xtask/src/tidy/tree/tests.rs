//! Which files only tests compile.

use super::*;

#[test]
fn modules_declared_for_tests_are_tests_with_all_below_them() {
    let tree = Tree::planted(&[
        ("a/src/lib.rs", "#[cfg(test)]\nmod doubles;\nmod shipped;\n#[cfg(test)]\nfn f() {}\n"),
        ("a/src/doubles.rs", ""),
        ("a/src/doubles/strict.rs", ""),
        ("a/src/doubles_not.rs", ""),
        ("a/src/shipped.rs", "#[cfg(test)]\npub(crate) mod planted;"),
        ("a/src/shipped/planted.rs", ""),
        ("a/src/shipped/tests.rs", ""),
    ]);
    let tests: Vec<&str> =
        tree.files().iter().filter(|file| file.is_test()).map(|file| &*file.path).collect();
    assert_eq!(
        tests,
        ["a/src/doubles.rs", "a/src/doubles/strict.rs", "a/src/shipped/planted.rs", "a/src/shipped/tests.rs"]
    );
}

#[test]
fn unit_tests_are_those_inside_the_sources() {
    let tree = Tree::planted(&[
        ("a/src/b/tests.rs", ""),
        ("a/src/b/tests/linux.rs", ""),
        ("src/tests.rs", ""),
        ("a/src/b.rs", ""),
        ("a/src/latests.rs", ""),
        ("a/tests/conformance.rs", ""),
        ("a/other_src/tests.rs", ""),
    ]);
    let tests: Vec<&str> =
        tree.files().iter().filter(|file| file.is_unit_test()).map(|file| &*file.path).collect();
    assert_eq!(tests, ["a/src/b/tests.rs", "a/src/b/tests/linux.rs", "src/tests.rs"]);
}
