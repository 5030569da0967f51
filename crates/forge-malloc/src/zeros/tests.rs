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

#[test]
fn bytes_are_looked_at_and_cleared_and_their_neighbours_are_not() {
    let mut words = [0_u64; 44];
    let lengths = [16, 17, 23, 31, 32, 33, 48, 63, 64, 65, 100, 127, 128, 129, 191, 200, 300];
    for (len, from) in lengths.into_iter().zip([16, 17, 24, 23].into_iter().cycle()) {
        // SAFETY: all that is looked at, written and cleared lies in the array.
        unsafe {
            let start: *mut u8 = words.as_mut_ptr().cast::<u8>().add(from);
            for place in (0..len).step_by(if cfg!(miri) { 41 } else { 1 }) {
                start.add(place).write(1);
                assert!(!are_zero(start, len), "byte {place} of {len}");
                start.add(place).write(0);
            }
            start.sub(1).write(1);
            start.add(len).write(1);
            assert!(are_zero(start, len));
            start.sub(16).write_bytes(0xFF, len + 32);
            clear(start, len);
            assert!(are_zero(start, len));
            assert!([start.sub(1).read(), start.add(len).read()] == [0xFF; 2]);
            start.sub(16).write_bytes(0, len + 32);
        }
    }
}
