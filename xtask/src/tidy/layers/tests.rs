//! Planted names of rooms to the right, by every way to write them.

use super::*;

fn lines(path: &str, text: &str) -> Vec<usize> {
    let lib = "pub use backing::{InlineBacked, mmap::MmapBacked};\npub use layout::arena::BumpArena;\n";
    let tree = Tree::planted(&[("crates/forge-alloc/src/lib.rs", lib), (path, text)]);
    check(&tree).iter().map(|finding| finding.line).collect()
}

#[test]
fn names_to_the_left_are_clean() {
    let text = "use crate::raw::cursor::Cursor;\nuse crate::{backing::InlineBacked, sync};\nuse super::bump::Bump;\n";
    assert_eq!(lines("crates/forge-alloc/src/layout/arena/pool.rs", text), [0; 0]);
    assert_eq!(lines("crates/forge-alloc/src/hardening/canary.rs", "use crate::observe::Watermark;"), [0; 0]);
}

#[test]
fn names_to_the_right_are_found_in_paths_groups_and_code() {
    assert_eq!(lines("crates/forge-alloc/src/raw/cursor.rs", "//! x\nuse crate::layout::Arena;\n"), [2]);
    assert_eq!(
        lines("crates/forge-alloc/src/raw/a.rs", "use crate::{\n    raw::{b, c},\n    share::Locked,\n};"),
        [1]
    );
    assert_eq!(lines("crates/forge-alloc/src/backing/a.rs", "fn f() {\n    crate::cache::slab()\n}"), [2]);
}

#[test]
fn names_to_the_right_are_found_through_super_and_re_exports() {
    assert_eq!(lines("crates/forge-alloc/src/raw/cursor.rs", "use super::super::layout::X;"), [1]);
    assert_eq!(lines("crates/forge-alloc/src/raw/mod.rs", "use super::layout::X;"), [1]);
    assert_eq!(lines("crates/forge-alloc/src/raw/cursor.rs", "use super::layout::X;"), [0; 0]);
    assert_eq!(lines("crates/forge-alloc/src/raw/a.rs", "use crate::MmapBacked;"), [1]);
    assert_eq!(
        lines("crates/forge-alloc/src/backing/a.rs", "use crate::MmapBacked;\nuse crate::BumpArena;"),
        [2]
    );
}

#[test]
fn comments_strings_and_tests_are_free_and_unknown_rooms_are_found() {
    assert_eq!(
        lines(
            "crates/forge-alloc/src/raw/a.rs",
            "//! [`X`](crate::layout::X)\nconst A: &str = \"crate::share\";"
        ),
        [0; 0]
    );
    assert_eq!(lines("crates/forge-alloc/src/raw/cursor/tests.rs", "use crate::layout::X;"), [0; 0]);
    assert_eq!(lines("crates/forge-alloc/src/attic.rs", "//! x"), [1]);
}
