#![allow(unsafe_code)]

use forge_alloc_core::{Allocator, FixedRange};

use super::NullBacked;
use crate::RangeSource;
use crate::backing::testing::{layout, request};

#[test]
fn every_request_is_refused() {
    for (size, align) in [(1, 1), (4096, 4096), (isize::MAX as usize, 1)] {
        assert!(NullBacked.allocate(layout(size, align)).is_err());
        assert!(NullBacked.allocate_zeroed(layout(size, align)).is_err());
    }
    assert_eq!(NullBacked.capacity_bytes(), Some(0));
    let mut backing = NullBacked;
    assert_eq!(backing.reset(), Ok(()));
}

#[test]
fn the_range_is_empty_and_aligned() {
    assert_eq!(NullBacked.size(), 0);
    assert!(!NullBacked.contains(NullBacked.base()));
    assert_eq!(NullBacked.base().addr().get() % NullBacked::BASE_ALIGN, 0);
}

#[test]
fn a_source_over_nothing_has_nothing() {
    let source = RangeSource::new(NullBacked).unwrap();
    assert!(request(&source, layout(1, 1)).is_err());
    assert_eq!(source.remaining(), 0);
}
