//! Tests of what a tail tells; that armed blocks keep their promises is tested in `house`, and by `tests/attacks.rs`.
#![allow(unsafe_code)]

use super::*;

#[test]
fn a_tail_tells_slack_and_alignment_and_belongs_to_one_address() {
    let keys = [0x9E37_79B9_7F4A_7C15, 0x1234_5678_9ABC_DEF1, 0xD1B5_4A32_D192_ED03];
    let (mut same, mut compared) = (0, 0);
    for key in keys {
        for slack in [8, 9, 24, 1000, (1 << SLACK_BITS) - 1] {
            for align in (0..=15).map(|bit| 1 << bit) {
                let word = tail(key, 0x7F00_1234_5670, slack, align);
                assert_eq!(told(word), (slack, align));
                assert_eq!(word & 0xFF, 0, "a string ends there");
                for bit in 4..47 {
                    let other = tail(key, 0x7F00_1234_5670 ^ (1 << bit), slack, align);
                    compared += 1;
                    same += usize::from(other == word);
                }
            }
        }
    }
    assert!(same * 1000 < compared, "{same} of {compared}");
}

#[test]
fn the_class_of_an_armed_layout_has_room_for_the_tail() {
    for size in (1..5000).chain([32 << 10, (1 << 20) - 8]) {
        for align in [1, 8, 64, 4096] {
            let layout = Layout::from_size_align(size, align).unwrap();
            let slot = class_of(layout).unwrap().shape::<crate::fast::Hardened>().size;
            assert!(slot >= size + TAIL && slot % GRAIN == 0 && slot - size < 1 << SLACK_BITS);
        }
    }
    assert_eq!(class_of(Layout::new::<()>()), None);
    assert_eq!(class_of(Layout::from_size_align(1 << 20, 1).unwrap()), None);
    assert_eq!(class_of(Layout::from_size_align(isize::MAX as usize, 1).unwrap()), None);
}

#[test]
fn a_bit_anywhere_in_a_gap_is_seen_and_none_of_the_block_is_taken_for_one() {
    let mut words = [0_u128; 24];
    let address = words.as_mut_ptr().expose_provenance();
    for slot in [16, 32, 48, 64, 160, 320] {
        let slot = Slot { address, size: slot };
        for size in 1..=slot.size - TAIL {
            let behind = slot.size - TAIL;
            // SAFETY: the slot lies in the array.
            unsafe {
                slot.at(0).write_bytes(0xFF, size);
                slot.at(behind).write_bytes(0xFF, TAIL);
                assert!(slot.gap_is_zero(size), "{size} of {}", slot.size);
                for place in (size..behind).step_by(if cfg!(miri) { 5 } else { 1 }) {
                    slot.at(place).write(0x80);
                    assert!(!slot.gap_is_zero(size), "byte {place} behind {size} of {}", slot.size);
                    slot.at(place).write(0);
                }
                slot.at(0).write_bytes(0, slot.size);
            }
        }
    }
}
