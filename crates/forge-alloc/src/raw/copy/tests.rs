use super::{INLINE, copy_bytes};

#[test]
#[allow(unsafe_code)]
fn every_length_copies_its_bytes_and_no_others() {
    let source: Vec<u8> = (0..=200).map(|value| value ^ 0x5a).collect();
    for len in 0..=2 * INLINE + 3 {
        for offset in 0..9 {
            let mut target = vec![0xee_u8; len + 32];
            // SAFETY: the source holds `len` bytes from `offset`, the target `len` bytes from 16; they are distinct.
            unsafe { copy_bytes(source.as_ptr().add(offset), target.as_mut_ptr().add(16), len) };
            assert_eq!(target[16..16 + len], source[offset..offset + len], "length {len}");
            assert!(target[..16].iter().chain(&target[16 + len..]).all(|&byte| byte == 0xee), "length {len}");
        }
    }
}
