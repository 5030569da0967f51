//! Tests of what a tail tells and of what is seen in a gap.
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
fn a_bit_anywhere_in_a_gap_is_seen_and_none_of_the_block_is_taken_for_one() {
    let mut words = [0_u128; 24];
    let state = AtomicU8::new(0);
    let address = words.as_mut_ptr().expose_provenance();
    for slot in [16, 32, 48, 64, 160, 320].into_iter().take(if cfg!(miri) { 3 } else { 6 }) {
        let slot = Slot::new(address, slot, &state);
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
