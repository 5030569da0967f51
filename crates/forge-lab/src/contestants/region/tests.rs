use forge_trace::{Op, Trace};

use super::*;

#[test]
fn a_region_without_reuse_holds_every_request_with_its_padding() {
    let ops =
        (0..100).map(|id| Op::Allocate { id, size: 100, align: 64, zeroed: false, thread: 0 }).collect();
    let stats = Trace::new("test", ops).unwrap().stats();
    assert!(bytes_without_reuse(&stats) >= 100 * 128);
}

#[test]
fn a_huge_trace_asks_for_no_more_than_the_address_space() {
    let large = isize::MAX as usize - 4096;
    let ops =
        (0..8).map(|id| Op::Allocate { id, size: large, align: 16, zeroed: false, thread: 0 }).collect();
    let stats = Trace::new("test", ops).unwrap().stats();
    assert!(bytes_without_reuse(&stats) >= large);
    assert!(lasting_mapping(usize::MAX).is_err());
}
