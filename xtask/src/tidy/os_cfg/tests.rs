//! Planted predicates, and the one that is allowed.

use super::*;

fn lines(path: &str, text: &str) -> Vec<usize> {
    check(&Tree::planted(&[(path, text)])).iter().map(|finding| finding.line).collect()
}

#[test]
fn operating_systems_are_found_in_every_form() {
    let text = "#[cfg(unix)]\nmod a;\n#[cfg(all(feature = \"std\",\n  target_os = \"linux\"))]\nmod b;\n#![cfg_attr(windows, x)]\n\
                const C: bool = cfg!(target_family = \"wasm\");\n";
    assert_eq!(lines("crates/forge-alloc-core/src/a.rs", text), [1, 3, 6, 7]);
}

#[test]
fn one_spelling_is_allowed_in_one_crate() {
    let text = "#[cfg(all(feature = \"std\", any(unix, windows)))]\nmod a;\n";
    assert_eq!(lines("crates/forge-alloc/src/a.rs", text), [0; 0]);
    assert_eq!(lines("crates/forge-alloc/src/a.rs", "#[cfg(any(windows, unix))]\nmod a;"), [1, 1]);
    assert_eq!(lines("crates/forge-trace/src/a.rs", text), [1, 1]);
}

#[test]
fn other_words_and_other_crates_are_free() {
    assert_eq!(lines("crates/forge-alloc/tests/limits.rs", "#![cfg(unix)]"), [0; 0]);
    assert_eq!(lines("crates/forge-os/src/a.rs", "#[cfg(unix)]\nmod a;"), [0; 0]);
    assert_eq!(
        lines("crates/forge-alloc/src/a.rs", "fn f(windows: u8) {}\n// cfg(unix)\n#[cfg(loom)]\nmod unix;"),
        [0; 0]
    );
}
