#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use super::{fill, forget, may_start_with, zeroize};

#[test]
fn exactly_the_bytes_that_were_asked_for_are_filled() {
    for start in 0..9 {
        for len in 0..if cfg!(miri) { 20 } else { 70 } {
            let mut bytes = [0xEEu8; 96];
            let block = NonNull::from(&mut bytes[start..start + len]).cast::<u8>();
            // SAFETY: the block has this length.
            unsafe { fill(block, 0x5A, len) };
            for (index, byte) in bytes.iter().enumerate() {
                let inside = (start..start + len).contains(&index);
                assert_eq!(*byte, if inside { 0x5A } else { 0xEE }, "{start} {len} {index}");
            }
        }
    }
}

#[test]
fn zeros_replace_what_was_there() {
    let mut bytes = [7u8; 40];
    // SAFETY: the array has this length.
    unsafe { zeroize(NonNull::from(&mut bytes).cast(), 40) };
    assert_eq!(bytes, [0; 40]);
    let mut secret = [1, 2, 3];
    forget(&mut secret);
    assert_eq!(secret, [0; 3]);
}

#[test]
fn a_block_that_was_filled_may_start_with_the_pattern_and_one_that_was_never_written_can_be_asked() {
    let mut bytes = [0u8; 24];
    let block = NonNull::from(&mut bytes).cast::<u8>();
    // SAFETY: the array has this length.
    unsafe {
        fill(block, 0xDE, 24);
        assert!(may_start_with(block, 0xDE, 24) && may_start_with(block, 0xDE, 3));
        if !cfg!(miri) {
            block.add(5).write(0);
            assert!(!may_start_with(block, 0xDE, 24));
        }
    }
    let mut unwritten = MaybeUninit::<[u64; 2]>::uninit();
    // SAFETY: the bytes are there, whatever they are.
    let _ = unsafe { may_start_with(NonNull::from(&mut unwritten).cast(), 0xDE, 16) };
}
