//! What `LogHandler` writes, in a process whose standard error output is a pipe.
#![cfg(all(unix, feature = "std", not(miri)))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "the other half is for the tests against the operating system")]
mod support;

use forge_alloc::{Allocator, InlineBacked, LogHandler, NonZeroLayout, Slab, Watermark};

/// The variable that tells this program that it is the process that writes.
const CHILD: &str = "FORGE_WATERMARK_LOG";

#[test]
fn each_event_is_a_line_with_its_prefix() {
    if std::env::var_os(CHILD).is_some() {
        let slab = Watermark::new(Slab::<u64, _>::new(16, InlineBacked::<128>::new()).unwrap(), LogHandler);
        let layout = NonZeroLayout::for_type::<u64>().unwrap();
        assert_eq!((0..17).filter(|_| slab.allocate(layout).is_ok()).count(), 16);
        return;
    }
    let child =
        support::only("each_event_is_a_line_with_its_prefix").arg("--nocapture").env(CHILD, "1").output();
    let child = child.unwrap();
    let errors = String::from_utf8(child.stderr).unwrap();
    let lines: Vec<&str> = errors.lines().filter(|line| line.starts_with("[forge-alloc]")).collect();
    assert!(child.status.success());
    assert_eq!(
        lines,
        [
            "[forge-alloc] watermark WARN: 96 of 128 bytes are used",
            "[forge-alloc] watermark CRITICAL: 120 of 128 bytes are used",
            "[forge-alloc] watermark OOM: a request for 8 bytes, aligned to 8, was refused; 128 of 128 bytes are used",
        ]
    );
}
