use core::alloc::Layout;

use super::*;
use crate::fast::back::segment::MAP_WORDS;
use crate::fast::profile::Fast;

/// Returns the first class whose slots are long and aligned enough: what the table must find.
fn oracle(size: usize, align: usize) -> Option<usize> {
    SIZES.iter().position(|&slot| slot >= size && (slot & slot.wrapping_neg()).min(UNIT) >= align)
}

fn class(size: usize, align: usize) -> Option<usize> {
    Class::of(Layout::from_size_align(size, align).ok()?).map(Class::index)
}

#[test]
fn every_layout_gets_the_shortest_class_that_is_long_and_aligned_enough() {
    let (sizes, step) = if cfg!(miri) { (600, 7) } else { (70 << 10, 1) };
    for shift in 0..=17 {
        let mut last = 0;
        for size in (1..=sizes).step_by(step) {
            let found = class(size, 1 << shift);
            assert_eq!(found, oracle(size, 1 << shift), "{size} bytes aligned to {}", 1 << shift);
            // Monotone: more bytes never get a shorter class.
            let index = found.unwrap_or(CLASSES);
            assert!(index >= last);
            last = index;
        }
    }
}

#[test]
fn no_class_wastes_more_than_the_header_says() {
    let step = if cfg!(miri) { 9973 } else { 1 };
    for size in (1..=SIZES[CLASSES - 1]).step_by(step) {
        let slot = SIZES[class(size, 8).unwrap()];
        let share = if slot <= 64 {
            slot
        } else if slot <= LARGEST_SHARED {
            slot / 5
        } else {
            slot / 3
        };
        assert!(slot - size <= share && (slot > 64 || slot - size < 8), "{size} bytes in {slot}");
    }
}

#[test]
fn what_no_class_serves_gets_a_mapping_of_its_own() {
    let largest = SIZES[CLASSES - 1];
    assert_eq!(class(largest, 1), Some(CLASSES - 1));
    assert_eq!(class(largest + 1, 1), None);
    assert_eq!(class(isize::MAX as usize, 1), None);
    assert_eq!(class(1, UNIT), oracle(1, UNIT));
    assert_eq!(class(1, 2 * UNIT), None);
    assert_eq!(class(1, 1 << (usize::BITS - 2)), None);
    assert_eq!(class(0, 1), None);
}

#[test]
fn slots_fit_into_their_span_and_its_map() {
    for class in Class::all() {
        let shape = class.shape::<Fast>();
        assert_eq!(shape.size, SIZES[class.index()]);
        assert_eq!(Class::of(Layout::from_size_align(shape.size, 8).unwrap()), Some(class));
        let bytes = shape.units * UNIT;
        assert!(shape.slots >= 1 && shape.slots * shape.size <= bytes, "{shape:?}");
        assert!(shape.slots <= 64 * MAP_WORDS, "{shape:?}");
        let rest = bytes - shape.slots * shape.size;
        assert!(rest * 8 <= bytes || shape.size > LARGEST_SHARED, "{shape:?}");
        assert!((1..=LARGEST_BATCH).contains(&shape.batch) && shape.first <= shape.capacity);
        assert!(shape.capacity == 1 || shape.capacity >= 2 * shape.batch, "{shape:?}");
    }
}

#[test]
fn the_reciprocal_divides_every_offset_of_a_span() {
    for class in Class::all() {
        let shape = class.shape::<Fast>();
        let step = if cfg!(miri) { 4099 } else { 1 };
        for offset in (0..shape.units * UNIT).step_by(step) {
            let expected = (offset % shape.size == 0).then_some(offset / shape.size);
            assert_eq!(shape.index_of(offset), expected, "offset {offset} of {shape:?}");
        }
        for beyond in [usize::MAX, 0_usize.wrapping_sub(shape.size), usize::MAX / 3, 1 << 40] {
            assert!(
                shape
                    .index_of(beyond)
                    .is_none_or(|index| index >= shape.slots && index * shape.size == beyond)
            );
        }
    }
}
