//! Toolchain names as rustup prints them.

use super::is_toolchain;

#[test]
fn toolchain_names_are_matched_without_the_machine() {
    assert!(is_toolchain("nightly-x86_64-unknown-linux-gnu", "nightly"));
    assert!(is_toolchain("1.85.0-aarch64-apple-darwin", "1.85.0"));
    assert!(is_toolchain("1.85.0", "1.85.0"));
    assert!(!is_toolchain("stable-x86_64-unknown-linux-gnu", "nightly"));
    assert!(!is_toolchain("nightly-2025-01-01-x86_64-unknown-linux-gnu", "nightly"));
    assert!(!is_toolchain("1.85.01-x86_64", "1.85.0"));
}
