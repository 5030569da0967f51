#![allow(unsafe_code)]

use forge_alloc_core::{AllocError, FixedRange};

use super::HeapBytes;

#[test]
fn sizes_and_alignments_are_met() {
    for size in [1, 7, 16, 100, 5000] {
        for align in [1, 2, 8, 16, 64, 4096] {
            let backing = HeapBytes::with_align(size, align).unwrap();
            assert_eq!((backing.size(), backing.capacity()), (size, size));
            let address = backing.base().addr().get();
            assert_eq!(address % align, 0);
            assert_eq!(address % HeapBytes::BASE_ALIGN, 0, "the promised alignment holds below it too");
            // SAFETY: the bytes are exclusively ours.
            unsafe { backing.base().write_bytes(3, size) };
        }
    }
}

#[test]
fn a_gigabyte_of_alignment_is_met_or_refused() {
    // The model checker has no blocks beyond half of that.
    let align = if cfg!(miri) { 1 << 28 } else { 1 << 30 };
    if let Ok(backing) = HeapBytes::with_align(16, align) {
        assert_eq!(backing.base().addr().get() % align, 0);
    }
}

#[test]
fn zeroed_bytes_are_zero() {
    for backing in [HeapBytes::new_zeroed(300).unwrap(), HeapBytes::with_align_zeroed(300, 256).unwrap()] {
        // SAFETY: the bytes are initialised and exclusively ours.
        let bytes = unsafe { core::slice::from_raw_parts(backing.base().as_ptr(), 300) };
        assert!(bytes.iter().all(|&byte| byte == 0));
    }
}

#[test]
fn unusable_requests_are_errors() {
    let largest = isize::MAX as usize;
    assert!(HeapBytes::new(0).is_err());
    assert!(HeapBytes::new_zeroed(0).is_err());
    for align in [0, 3, 24, usize::MAX] {
        assert!(matches!(HeapBytes::with_align(64, align), Err(AllocError)), "alignment {align}");
        assert!(HeapBytes::with_align_zeroed(64, align).is_err());
    }
    for size in [largest, largest + 1, usize::MAX, largest - 14] {
        assert!(HeapBytes::new(size).is_err(), "size {size}");
    }
    assert!(HeapBytes::with_align(largest - 62, 64).is_err());
    assert!(HeapBytes::with_align(1, 1 << (usize::BITS - 1)).is_err());
}

#[test]
fn the_block_stays_when_the_value_moves_to_another_thread() {
    let backing = HeapBytes::new(64).unwrap();
    let address = backing.base().addr();
    // SAFETY: the bytes are exclusively ours.
    unsafe { backing.base().write_bytes(8, 64) };
    let thread = std::thread::spawn(move || {
        assert_eq!(backing.base().addr(), address);
        // SAFETY: the bytes are exclusively ours and were written before the thread started.
        unsafe { backing.base().read() }
    });
    assert_eq!(thread.join().unwrap(), 8);
}
