//! Stores that stay, by volatile stores of words: for targets without stable inline assembly, and for interpreters.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, compiler_fence};

/// Fills `len` bytes at `ptr` with `byte`, and the bytes stay. O(len).
///
/// # Safety
///
/// The bytes are valid for writes, and nobody else uses them.
#[inline]
pub(in super::super) unsafe fn fill(ptr: NonNull<u8>, byte: u8, len: usize) {
    // SAFETY: the bytes are valid for writes, and nobody else uses them; any bytes are values of both types.
    unsafe {
        let bytes = core::slice::from_raw_parts_mut(ptr.cast::<MaybeUninit<u8>>().as_ptr(), len);
        let (head, words, tail) = bytes.align_to_mut::<MaybeUninit<usize>>();
        for end in head.iter_mut().chain(tail) {
            core::ptr::write_volatile(end, MaybeUninit::new(byte));
        }
        for word in words {
            core::ptr::write_volatile(
                word,
                MaybeUninit::new(usize::from_ne_bytes([byte; size_of::<usize>()])),
            );
        }
    }
    // Keeps the stores ahead of whatever frees the memory.
    compiler_fence(Ordering::SeqCst);
}

/// Returns whether a block of `len` bytes at `ptr`, of which some may never have been written, can be one that was filled
/// with `byte`: a `false` is sure. Always `true` here, where no instruction may look at such bytes.
///
/// # Safety
///
/// The bytes are valid for reads.
#[inline(always)]
pub(in super::super) unsafe fn may_start_with(_: NonNull<u8>, _: u8, _: usize) -> bool {
    true
}
