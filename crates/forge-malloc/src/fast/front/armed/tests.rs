//! Tests of what a tail tells; that armed blocks keep their promises is tested in `house`, and by `tests/attacks.rs`.
use super::*;

#[test]
fn a_tail_tells_slack_and_alignment_and_belongs_to_one_address() {
    let keys = [0x9E37_79B9_7F4A_7C15, 0x1234_5678_9ABC_DEF0, 0xD1B5_4A32_D192_ED03];
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
