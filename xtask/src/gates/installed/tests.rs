//! The command line, the record with a planted gap, and what the compiler is told.

use std::collections::BTreeMap;

use super::{ALLOCATORS, binaries, judge, parse};
use crate::workspace::root;

#[test]
fn allocators_are_named_and_have_files() {
    assert_eq!(parse(&[]), Ok(ALLOCATORS.to_vec()));
    assert_eq!(parse(&["basic"]), Ok(vec!["basic"]));
    assert!(parse(&["system"]).is_err());
    for name in ALLOCATORS {
        assert!(super::wrapper::has_allocator(&root().join(format!("xtask/installed/{name}.rs"))));
    }
}

#[test]
fn test_binaries_are_read_from_the_messages_of_cargo() {
    let messages = r#"{"reason":"compiler-artifact","target":{"src_path":"/a/lib.rs"},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","target":{"src_path":"/a/tests/x.rs"},"profile":{"test":true},"executable":"/t/x-1"}
{"reason":"build-finished","success":true}
"#;
    let expected = BTreeMap::from([("/t/x-1".to_string(), "/a/tests/x.rs".to_string())]);
    assert_eq!(binaries(messages), expected);
}

#[test]
fn a_binary_without_a_line_or_with_a_broken_heap_is_found() {
    let binaries = BTreeMap::from([("/t/x-1".to_string(), "/a/tests/x.rs".to_string())]);
    assert_eq!(judge(&binaries, "/t/x-1\t4096\ttrue\n/t/x-1\t4096\ttrue\n"), Ok((2, 0)));
    for record in [
        "",
        "/t/y-1\t4096\ttrue\n",
        "/t/x-1\t0\ttrue\n",
        "/t/x-1\t4096\tfalse\n",
        "/t/x-1\t4096\tfalse\n/t/x-1\t4096\ttrue\n",
        "/t/x-1\n",
    ] {
        assert!(judge(&binaries, record).is_err(), "{record}");
    }
    assert!(judge(&BTreeMap::new(), "").is_err(), "nothing was tested");
}

#[test]
fn a_binary_with_an_allocator_of_its_own_needs_no_line() {
    let own = root().join("crates/forge-malloc/tests/global.rs").to_string_lossy().into_owned();
    let binaries = BTreeMap::from([
        ("/t/global-1".to_string(), own),
        ("/t/x-1".to_string(), "/a/tests/x.rs".to_string()),
    ]);
    assert_eq!(judge(&binaries, "/t/x-1\t4096\ttrue\n"), Ok((1, 1)));
}
