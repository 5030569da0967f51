//! Planted panics, and the places where they are welcome.

use super::*;

fn lines(path: &str, text: &str) -> Vec<usize> {
    check(&Tree::planted(&[(path, text)])).iter().map(|finding| finding.line).collect()
}

#[test]
fn panics_on_library_paths_are_found() {
    let text = "fn f() {\n    a.unwrap();\n    b\n        .expect(\"c\");\n}\n";
    assert_eq!(lines("crates/forge-alloc/src/a.rs", text), [2, 4]);
    assert_eq!(lines("crates/forge-os/src/a.rs", "fn f() { panic!(\"x\") }"), [1]);
}

#[test]
fn tests_examples_and_other_crates_are_free() {
    let text = "/// a.unwrap()\nfn f() {}\n#[cfg(test)]\nfn g() { a.unwrap() }\n";
    assert_eq!(lines("crates/forge-alloc/src/a.rs", text), [0; 0]);
    assert_eq!(lines("crates/forge-alloc/src/a/tests.rs", "a.unwrap()"), [0; 0]);
    assert_eq!(lines("crates/forge-alloc/tests/a.rs", "a.unwrap()"), [0; 0]);
    assert_eq!(lines("crates/forge-lab/src/main.rs", "a.unwrap()"), [0; 0]);
    assert_eq!(lines("crates/forge-alloc-core/src/testing/a.rs", "panic!(\"x\")"), [0; 0]);
    assert_eq!(lines("crates/forge-alloc/src/a.rs", "a.unwrap_or(b); no_panic!(c)"), [0; 0]);
}
