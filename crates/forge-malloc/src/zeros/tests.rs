use super::*;

#[test]
fn one_bit_anywhere_is_seen_and_what_is_outside_is_not() {
    let mut bytes = [0_u8; 40];
    for start in 0..9 {
        for end in start..bytes.len() {
            for place in 0..bytes.len() {
                bytes[place] = 1 << (place % 8);
                assert_eq!(is_zero(&bytes[start..end]), !(start..end).contains(&place));
                bytes[place] = 0;
            }
        }
    }
    assert!(words_are_zero(&[]) && words_are_zero(&[0, 0]) && !words_are_zero(&[0, 1 << 63]));
}
