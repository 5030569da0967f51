//! Planted tests in the wrong place.

use super::*;

fn lines(path: &str, text: &str) -> Vec<usize> {
    check(&Tree::planted(&[(path, text)])).iter().map(|finding| finding.line).collect()
}

#[test]
fn tests_beside_the_module_are_clean() {
    assert_eq!(lines("crates/a/src/b.rs", "fn f() {}\n#[cfg(test)]\nmod tests;\n"), [0; 0]);
    assert_eq!(lines("crates/a/src/b.rs", "#[cfg(test)]\nfn planted() { }\n"), [0; 0]);
    assert_eq!(lines("crates/a/src/b.rs", "#[cfg(test)]\npub(crate) mod testing;\n"), [0; 0]);
    assert_eq!(lines("crates/a/src/b.rs", "#[cfg(test)]\npub(crate) mod doubles;\n"), [0; 0]);
    assert_eq!(lines("crates/a/src/b/tests.rs", "#[test]\nfn f() {}\n"), [0; 0]);
    assert_eq!(lines("crates/a/tests/b.rs", "#[test]\nfn f() {}\n"), [0; 0]);
}

#[test]
fn tests_inside_the_file_are_found() {
    assert_eq!(
        lines("crates/a/src/b.rs", "#[cfg(test)]\nmod tests {\n    #[test]\n    fn f() {}\n}\n"),
        [3, 1]
    );
    assert_eq!(lines("crates/a/src/b.rs", "#[cfg(test)]\npub(crate) mod checks {}\n"), [1]);
}
