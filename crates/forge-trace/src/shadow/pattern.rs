//! The bytes that the shadow model writes into blocks: known from the number of the block and the position.
//!
//! ```text
//!   size <= 64 KiB:   |################################|                       all of it
//!   larger:           |####|  #  #  #  #  #  #  |  ####|   first and last 4 KiB, 62 probes of 8 bytes between
//! ```
//!
//! # Design
//!
//! Contents are computed instead of stored, a word at a time, so a check costs what a `memcmp` costs. Large blocks are
//! sampled: a test that asks for half of the address space must not make half of the memory resident.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::random::mix;

const WORD: usize = 8;
/// Blocks of up to this many bytes are written and compared whole.
const WHOLE: usize = 64 << 10;
/// How many bytes at each end of a larger block are written and compared.
const END: usize = 4 << 10;
/// How many words between the ends of a larger block are written and compared.
const PROBES: usize = 62;
/// How many of the usable bytes behind a block are written.
const BEHIND: usize = 4 << 10;
const SCRIBBLE: u8 = 0xA5;

/// Returns the sampled spans of a block of `size` bytes as offset and length; every offset is a multiple of 8.
fn spans(size: usize) -> impl Iterator<Item = (usize, usize)> {
    let (head, probes) = if size <= WHOLE { (size, 0) } else { (END, PROBES) };
    let stride = size.saturating_sub(2 * END) / (PROBES + 1);
    let tail = if size <= WHOLE { size } else { (size - END) & !(WORD - 1) };
    core::iter::once((0, head))
        .chain((1..=probes).map(move |probe| ((head + probe * stride) & !(WORD - 1), WORD)))
        .chain(core::iter::once((tail, size - tail)))
}

/// Returns the eight bytes at word `index` of block `id`.
#[inline]
fn word(id: u32, index: usize) -> [u8; WORD] {
    (mix(u64::from(id)) ^ (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)).to_le_bytes()
}

/// Writes the pattern of block `id` to the sampled spans of its `size` bytes.
///
/// # Safety
///
/// `size` bytes at `ptr` are writable and nobody else's.
pub(super) unsafe fn fill(ptr: NonNull<u8>, size: usize, id: u32) {
    for (offset, length) in spans(size) {
        for at in (offset..offset + length).step_by(WORD) {
            let bytes = word(id, at / WORD);
            let count = WORD.min(offset + length - at);
            // SAFETY: `at + count` does not exceed the span, which does not exceed the block; `count <= 8`.
            unsafe { bytes.as_ptr().copy_to_nonoverlapping(ptr.as_ptr().add(at), count) };
        }
    }
}

/// Returns the first offset below `length` that differs from the pattern that [`fill`] wrote for `size` bytes.
///
/// # Safety
///
/// `length <= size`, and the first `length` bytes at `ptr` are readable and, in the sampled spans, initialised.
pub(super) unsafe fn first_difference(
    ptr: NonNull<u8>,
    size: usize,
    length: usize,
    id: u32,
) -> Option<usize> {
    for (offset, span) in spans(size) {
        let end = length.min(offset + span);
        for at in (offset..end).step_by(WORD) {
            let expected = word(id, at / WORD);
            let count = WORD.min(end - at);
            let mut held = expected;
            // SAFETY: `at + count` does not exceed `length`; `count <= 8`.
            unsafe { held.as_mut_ptr().copy_from_nonoverlapping(ptr.as_ptr().add(at), count) };
            if held != expected {
                return held
                    .iter()
                    .zip(&expected)
                    .position(|(held, expected)| held != expected)
                    .map(|byte| at + byte);
            }
        }
    }
    None
}

/// Returns the first sampled offset from `from` up to `size` that does not hold zero.
///
/// # Safety
///
/// The bytes from `from` up to `size` at `ptr` are readable and initialised.
pub(super) unsafe fn first_nonzero(ptr: NonNull<u8>, from: usize, size: usize) -> Option<usize> {
    spans(size - from).find_map(|(offset, length)| {
        let start = from + offset;
        // SAFETY: the offsets lie between `from` and `size`.
        (start..start + length).find(|at| unsafe { *ptr.as_ptr().add(*at) } != 0)
    })
}

/// Writes bytes of no meaning from `from` on, up to `end` or as far as is worthwhile.
///
/// # Safety
///
/// `end` bytes at `ptr` are writable and nobody else's.
pub(super) unsafe fn scribble(ptr: NonNull<u8>, from: usize, end: usize) {
    let count = end.saturating_sub(from).min(BEHIND);
    // SAFETY: `from + count` does not exceed `end` if `count` is not 0, and stays in the block otherwise.
    unsafe { ptr.as_ptr().add(from).write_bytes(SCRIBBLE, count) };
}

#[cfg(test)]
mod tests;
