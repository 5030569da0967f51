//! Planted paths and hosts.

use super::*;

fn lines(text: &str) -> Vec<usize> {
    check(&Tree::planted(&[("notes.md", text)])).iter().map(|finding| finding.line).collect()
}

#[test]
fn paths_and_hosts_are_found() {
    assert_eq!(lines("see /work/main\n\nexport HOME=/root\n"), [1, 3]);
    assert_eq!(lines("`/home/me/x`"), [1]);
    assert_eq!(lines("a\nhttps://index.crates.io/x"), [2]);
}

#[test]
fn other_paths_are_free() {
    assert_eq!(
        lines("a/work/b $ROOT/home ./root /workspace /home-made https://docs.rs/root {x}/root"),
        [0; 0]
    );
    assert_eq!(lines("registry+https://github.com/rust-lang/crates.io-index"), [0; 0]);
}
