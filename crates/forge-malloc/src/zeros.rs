//! Whether memory is zero, looked at a word at a time and without a branch for each, and how a little of it becomes so without a call.
//!
//! ```text
//!   | grain  | grain  |
//!                | grain  |              16 to 63 bytes: up to four grains of 16, which may overlap
//!
//!   | line          | line          |
//!             | line          |          more: whole lines of 64, and the last, which may overlap
//! ```
//!
//! # Operations
//!
//! All O(length). What is done to up to two lines takes two branches, whatever the length.
#![allow(unsafe_code)]
#![cfg_attr(not(target_has_atomic = "64"), allow(dead_code, reason = "armed blocks need wide atomics"))]

use core::sync::atomic::{Ordering, compiler_fence};

/// The bytes that are looked at or cleared together where there is less than a line.
const GRAIN: usize = 16;
/// The bytes that are looked at or cleared together.
const LINE: usize = 64;

/// Returns whether all bytes are zero. O(length).
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    // SAFETY: every pattern is a value of a word.
    let (front, words, behind) = unsafe { bytes.align_to::<u64>() };
    front.iter().chain(behind).fold(0, |all, byte| all | byte) == 0 && words_are_zero(words)
}

/// Returns whether all words are zero. O(length).
#[inline(always)]
fn words_are_zero(words: &[u64]) -> bool {
    words.iter().fold(0, |all, word| all | word) == 0
}

/// Returns where the grains are that cover up to a line: each starts as far behind the one before as it may.
#[inline(always)]
fn grains(len: usize) -> [usize; LINE / GRAIN] {
    let last = len - GRAIN;
    [0, last.min(GRAIN), last.min(2 * GRAIN), last]
}

/// Returns whether the bytes from `start` on are zero. O(`len`).
///
/// # Safety
///
/// `len` is at least 16, and as many bytes are valid for reading.
#[inline(always)]
pub(crate) unsafe fn are_zero(start: *const u8, len: usize) -> bool {
    // SAFETY: every part lies within the caller's bytes: the last one ends where they end.
    unsafe {
        if len < LINE {
            let parts = grains(len).map(|offset| start.add(offset).cast::<[u64; 2]>().read_unaligned());
            return parts.iter().fold(0, |all, part| all | part[0] | part[1]) == 0;
        }
        let line = |offset| start.add(offset).cast::<[u64; LINE / 8]>().read_unaligned();
        let (mut all, mut offset) = (line(len - LINE), 0);
        while offset + LINE < len {
            all.iter_mut().zip(line(offset)).for_each(|(all, word)| *all |= word);
            offset += LINE;
        }
        words_are_zero(&all)
    }
}

/// Clears the bytes from `start` on, without a call: meant for a few lines. O(`len`).
///
/// # Safety
///
/// `len` is at least 16, and as many bytes are valid for writing.
#[inline(always)]
pub(crate) unsafe fn clear(start: *mut u8, len: usize) {
    // SAFETY: as in `are_zero`.
    unsafe {
        if len < LINE {
            let clear = |offset| start.add(offset).cast::<[u64; 2]>().write_unaligned([0; 2]);
            return grains(len).into_iter().for_each(clear);
        }
        let clear = |offset| start.add(offset).cast::<[u64; LINE / 8]>().write_unaligned([0; LINE / 8]);
        let mut offset = 0;
        while offset + LINE < len {
            clear(offset);
            offset += LINE;
            // The compiler makes no call of a loop that it must not reorder.
            compiler_fence(Ordering::Release);
        }
        clear(len - LINE);
    }
}

#[cfg(test)]
mod tests;
