//! Stores that stay, by volatile stores of words: for targets without stable inline assembly, and for interpreters.
#![allow(unsafe_code)]

use core::ptr::NonNull;
use core::sync::atomic::{Ordering, compiler_fence};

/// Fills `len` bytes at `ptr` with `byte`, and the bytes stay. O(len).
///
/// # Safety
///
/// The bytes are valid for writes, and nobody else uses them.
#[inline]
pub(in super::super) unsafe fn fill(ptr: NonNull<u8>, byte: u8, len: usize) {
    const WORD: usize = size_of::<usize>();
    let head = (ptr.addr().get().wrapping_neg() % WORD).min(len);
    let words = (len - head) / WORD;
    // SAFETY: `head` bytes, then `words` words from the first aligned address on, then the rest: all within `len` bytes.
    unsafe {
        for index in (0..head).chain(head + words * WORD..len) {
            ptr.add(index).write_volatile(byte);
        }
        let first = ptr.add(head).cast::<usize>();
        for index in 0..words {
            first.add(index).write_volatile(usize::from_ne_bytes([byte; WORD]));
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
