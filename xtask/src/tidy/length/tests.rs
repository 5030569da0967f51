//! Planted long files and stale entries.

use super::*;

#[test]
fn long_files_need_an_entry_with_a_reason() {
    let long = "x\n".repeat(LIMIT + 1);
    let tree = Tree::planted(&[("a.rs", &long), ("b.rs", "x\n"), ("c.md", &long)]);
    assert_eq!(
        find(&tree, &[]),
        [Finding::new("a.rs", 501, "501 lines; look for the second concept beyond 500")]
    );
    assert_eq!(find(&tree, &[("a.rs", "one table")]), []);
    assert_eq!(find(&tree, &[("a.rs", "")]).len(), 1);
}

#[test]
fn stale_entries_are_found() {
    let tree = Tree::planted(&[("b.rs", "x\n")]);
    assert_eq!(find(&tree, &[("b.rs", "one table"), ("gone.rs", "one table")]).len(), 2);
}
