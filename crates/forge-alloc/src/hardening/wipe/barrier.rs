//! Stores that stay, by ordinary stores before a piece of assembly that may read them.
#![allow(unsafe_code)]

use core::arch::asm;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// Fills `len` bytes at `ptr` with `byte`, and the bytes stay. O(len).
///
/// # Safety
///
/// The bytes are valid for writes, and nobody else uses them.
#[inline(always)]
pub(in super::super) unsafe fn fill(ptr: NonNull<u8>, byte: u8, len: usize) {
    // SAFETY: the caller promises the first. The second is a comment; it does not say `nomem`, so it counts as a reader of
    // all that `ptr` leads to.
    unsafe {
        ptr.write_bytes(byte, len);
        asm!("/* {0} */", in(reg) ptr.as_ptr(), options(nostack, preserves_flags));
    }
}

/// Returns whether a block of `len` bytes at `ptr`, of which some may never have been written, can be one that was filled
/// with `byte`: a `false` is sure. O(1).
///
/// # Safety
///
/// The bytes are valid for reads.
#[inline(always)]
pub(in super::super) unsafe fn may_start_with(ptr: NonNull<u8>, byte: u8, len: usize) -> bool {
    if len < size_of::<usize>() {
        return true;
    }
    // SAFETY: the block holds a word, and one that may be uninitialised is read as such.
    let word = unsafe { ptr.cast::<MaybeUninit<usize>>().read_unaligned() };
    let word_read: usize;
    // SAFETY: the assembly is a comment; what is in the register is a value to it, also if the compiler knows of none.
    unsafe {
        asm!("/* {0} */", inlateout(reg) word => word_read, options(pure, nomem, nostack, preserves_flags));
    };
    word_read == usize::from_ne_bytes([byte; size_of::<usize>()])
}
