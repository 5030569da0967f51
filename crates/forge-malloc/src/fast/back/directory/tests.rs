use core::ptr::NonNull;

use forge_os::SimOs;
use forge_os::sim::SimCall;

use super::*;
use crate::fast::back::segment::UNITS;
use crate::fast::front::sizes::CLASSES;

/// Returns a run at an address, of which only the address is used.
fn run(segment: usize, first: usize, count: usize) -> Run {
    Run { segment: NonNull::dangling(), base: segment, first, count, zero: false }
}

fn class(number: u8) -> Class {
    Class::all().nth(number.into()).unwrap()
}

#[test]
fn each_unit_of_a_span_has_the_class_and_no_other_unit_has() {
    let (directory, os) = (Directory::new(), SimOs::new(4 << 10));
    let segment = 7 * SEGMENT;
    directory.cover(segment, &os).unwrap();
    directory.name(&run(segment, 5, 3), class(CLASSES as u8 - 1));
    directory.name(&run(segment, 8, 1), class(0));
    for unit in 0..UNITS {
        let expected = match unit {
            5..8 => Some(class(CLASSES as u8 - 1)),
            8 => Some(class(0)),
            _ => None,
        };
        for byte in [0, 1, UNIT - 1] {
            assert_eq!(directory.class_at(segment + unit * UNIT + byte), expected, "unit {unit}");
        }
    }
    directory.forget(&run(segment, 5, 3));
    assert_eq!(directory.class_at(segment + 5 * UNIT), None);
    assert_eq!(directory.class_at(segment + 8 * UNIT), Some(class(0)));
}

#[test]
fn addresses_of_nobody_have_no_class() {
    let (directory, os) = (Directory::new(), SimOs::new(4 << 10));
    directory.cover(SEGMENT, &os).unwrap();
    for address in [0, 1, UNIT, SEGMENT - 1, SEGMENT, SPANNED - 1, SPANNED, usize::MAX / 2, usize::MAX] {
        assert_eq!(directory.class_at(address), None, "{address:#x}");
    }
}

#[test]
fn a_segment_without_a_leaf_is_refused() {
    let (directory, os) = (Directory::new(), SimOs::new(4 << 10));
    os.fail_nth(Some(SimCall::Map), 1, 12);
    assert_eq!(directory.cover(SEGMENT, &os), None);
    os.clear_failures();
    assert_eq!(directory.cover(SEGMENT, &os), Some(()));
    if usize::BITS > ADDRESS_BITS {
        assert_eq!(directory.cover(1 << (usize::BITS - 1), &os), None);
    }
}
