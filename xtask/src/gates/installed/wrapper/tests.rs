//! Which calls of the compiler are changed, and how.

use std::ffi::OsString;
use std::path::Path;

use super::{added, has_allocator};
use crate::workspace::root;

fn words(source: &str, more: &[&str]) -> Vec<String> {
    let source = root().join(source).into_os_string();
    let arguments: Vec<OsString> = [OsString::from("--crate-name"), "x".into(), source]
        .into_iter()
        .chain(more.iter().map(Into::into))
        .collect();
    let words = added(&arguments, Path::new("/t/debug/basic/libinstalled.rlib"));
    words.into_iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

#[test]
fn a_test_is_linked_with_the_allocator() {
    let words = words("crates/forge-malloc/src/lib.rs", &["--test"]);
    assert!(words.contains(&"force:installed=/t/debug/basic/libinstalled.rlib".to_string()));
    assert!(words.contains(&"dependency=/t/debug/deps".to_string()));
}

#[test]
fn other_crates_and_tests_with_their_own_allocator_are_compiled_as_ever() {
    assert!(words("crates/forge-malloc/src/lib.rs", &[]).is_empty());
    assert!(words("crates/forge-malloc/tests/global.rs", &["--test"]).is_empty());
}

#[test]
fn an_allocator_in_a_comment_is_none() {
    assert!(has_allocator(&root().join("crates/forge-lab/src/main.rs")));
    let documented = root().join("crates/forge-alloc/src/share/static_heap.rs");
    assert!(!has_allocator(&documented));
    assert!(!has_allocator(Path::new("/no/such/file.rs")));
}
