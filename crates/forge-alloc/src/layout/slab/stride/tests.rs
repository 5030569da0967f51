//! The multiplication against the division.

use super::Stride;

/// Strides of every shape: small, odd, powers of two, lattice sizes and the largest.
fn strides() -> impl Iterator<Item = usize> {
    let large =
        (5..usize::BITS - 1).flat_map(|bit| [1 << bit, 3 << (bit - 2), 7 << (bit - 3), (1 << bit) + 1]);
    (1..200).chain(large)
}

#[test]
fn a_multiple_of_the_stride_has_its_number() {
    for bytes in strides() {
        let stride = Stride::new(bytes);
        let largest = usize::MAX / bytes;
        for number in (0..50).chain([largest / 2, largest - 1, largest]).filter(|number| *number <= largest) {
            assert_eq!(stride.number(number * bytes), number, "stride {bytes}");
        }
    }
}

#[test]
fn any_other_distance_has_no_number_of_a_slot() {
    for bytes in strides() {
        let stride = Stride::new(bytes);
        let slots = (usize::MAX / bytes).min(1000);
        let end = slots * bytes;
        let around = [1, 2, 3, 4, bytes / 2, bytes - 1].into_iter();
        for offset in around.filter(|offset| offset % bytes != 0) {
            for distance in [offset, (slots / 2) * bytes + offset, 0_usize.wrapping_sub(offset)] {
                assert!(distance % bytes == 0 || stride.number(distance) > slots, "{distance} by {bytes}");
            }
        }
        for distance in [end.wrapping_add(bytes), 0_usize.wrapping_sub(bytes)] {
            assert!(distance <= end || stride.number(distance) > slots, "{distance} by {bytes}");
        }
    }
}

#[test]
fn every_distance_of_a_span_is_told_apart() {
    for bytes in (4..=64).step_by(4) {
        let stride = Stride::new(bytes);
        for distance in 0..40 * bytes {
            let number = stride.number(distance);
            assert_eq!(number < 40, distance % bytes == 0, "{distance} by {bytes}");
        }
    }
}
