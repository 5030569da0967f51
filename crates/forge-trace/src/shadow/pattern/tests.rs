#![allow(unsafe_code)]

use alloc::vec;
use core::ptr::NonNull;

use super::{END, WHOLE, fill, first_difference, first_nonzero, scribble, spans};

#[test]
fn spans_lie_in_the_block_in_order_and_start_at_words() {
    for size in [1, 7, 8, 9, 4096, WHOLE - 1, WHOLE, WHOLE + 1, WHOLE + 8, 1 << 20, isize::MAX as usize] {
        let mut end = 0;
        for (offset, length) in spans(size) {
            assert!(length == 0 || offset % 8 == 0, "{size}: {offset}");
            assert!(offset >= end, "{size}: {offset} after {end}");
            end = offset + length;
        }
        assert_eq!(end, size);
        let sampled: usize = spans(size).map(|(_, length)| length).sum();
        if size <= WHOLE {
            assert_eq!(sampled, size);
        } else {
            assert!((2 * END..3 * END).contains(&sampled), "{size}: {sampled}");
        }
    }
}

#[test]
fn each_changed_byte_is_found_at_its_offset() {
    let mut bytes = vec![0u8; 61];
    let size = bytes.len();
    let ptr = NonNull::from(bytes.as_mut_slice()).cast::<u8>();
    for offset in 0..size {
        // SAFETY: the bytes are ours, `size` of them, and initialised.
        unsafe {
            fill(ptr, size, 9);
            assert_eq!(first_difference(ptr, size, size, 9), None);
            assert!(first_difference(ptr, size, size, 10).is_some());
            ptr.add(offset).write(!ptr.add(offset).read());
            assert_eq!(first_difference(ptr, size, size, 9), Some(offset));
            assert_eq!(first_difference(ptr, size, offset, 9), None);
            ptr.write_bytes(0, size);
            ptr.add(offset).write(1);
            assert_eq!(first_nonzero(ptr, 0, size), Some(offset));
            assert_eq!(first_nonzero(ptr, offset + 1, size), None);
        }
    }
}

#[test]
fn scribbling_stays_between_its_bounds() {
    let mut bytes = vec![0u8; 32];
    let ptr = NonNull::from(bytes.as_mut_slice()).cast::<u8>();
    // SAFETY: the bytes are ours and there are 32 of them.
    unsafe {
        scribble(ptr, 10, 20);
        scribble(ptr, 5, 5);
    }
    assert!(bytes.iter().enumerate().all(|(at, byte)| (*byte != 0) == (10..20).contains(&at)), "{bytes:?}");
}
