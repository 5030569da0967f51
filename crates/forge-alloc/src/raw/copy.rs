//! Copying a few bytes without a call.
//!
//! ```text
//!   n bytes, 16 < n <= 32:   |<----- 16 ----->|
//!                                  |<----- 16 ----->|     two overlapping moves
//! ```
//!
//! # Design
//!
//! A `memcpy` of a run-time length is a call, and for the strings and small slices that arenas are full of the call
//! costs more than the copy. Two possibly overlapping loads of the largest power of two below `n` cover any `n`; all
//! loads of a step come before its stores. Words are moved as `MaybeUninit`, so padding and provenance survive.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;

/// The longest copy that is done inline, in bytes.
const INLINE: usize = 64;

/// Copies `len` bytes. O(len).
///
/// # Safety
///
/// `src` is valid for reads and `dst` for writes of `len` bytes, and they do not overlap.
#[inline(always)]
pub(crate) unsafe fn copy_bytes(src: *const u8, dst: *mut u8, len: usize) {
    // SAFETY: each step covers exactly `len` bytes, given the bounds that its branch checked.
    unsafe {
        if len > INLINE {
            src.copy_to_nonoverlapping(dst, len);
        } else if len >= 16 {
            if len > 32 {
                copy_pair::<[u128; 2]>(src, dst, len);
            } else {
                copy_pair::<u128>(src, dst, len);
            }
        } else if len >= 8 {
            copy_pair::<u64>(src, dst, len);
        } else if len >= 4 {
            copy_pair::<u32>(src, dst, len);
        } else if len >= 2 {
            copy_pair::<u16>(src, dst, len);
        } else if len == 1 {
            copy_pair::<u8>(src, dst, len);
        }
    }
}

/// Copies the first and the last `W` of `len` bytes.
///
/// # Safety
///
/// As [`copy_bytes`], and `size_of::<W>() <= len <= 2 * size_of::<W>()`.
#[inline(always)]
unsafe fn copy_pair<W>(src: *const u8, dst: *mut u8, len: usize) {
    let tail = len - size_of::<W>();
    // SAFETY: both words lie within `len` bytes, and the unaligned accesses carry no validity demand.
    unsafe {
        let first = src.cast::<MaybeUninit<W>>().read_unaligned();
        let last = src.add(tail).cast::<MaybeUninit<W>>().read_unaligned();
        dst.cast::<MaybeUninit<W>>().write_unaligned(first);
        dst.add(tail).cast::<MaybeUninit<W>>().write_unaligned(last);
    }
}

#[cfg(test)]
mod tests;
