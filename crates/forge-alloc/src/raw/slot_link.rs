//! The link of a free slot: the index of the next free slot, in the slot's own first bytes.
//!
//! ```text
//!   free slot   | link: u32 |  stale bytes ..  |
//!   live slot   | value ..                     |
//! ```
//!
//! # Design
//!
//! An index, not an address: four bytes in a slot that may be as small as that, and right after a move of the memory.
#![allow(unsafe_code)]

use core::ptr::NonNull;

/// The index of no slot: the end of a list of free slots.
pub(crate) const NO_SLOT: u32 = u32::MAX;

/// Writes the index of the next free slot into a free slot. O(1).
///
/// # Safety
///
/// `slot` is valid for writing four bytes, aligned to four, and holds no value.
#[inline(always)]
pub(crate) unsafe fn write_link(slot: NonNull<u8>, next: u32) {
    // SAFETY: the caller promises room and alignment for a `u32`, and that nobody needs the bytes.
    unsafe { slot.cast::<u32>().write(next) }
}

/// Reads the index that [`write_link`] left in a slot. O(1).
///
/// # Safety
///
/// `write_link` was called on `slot`, and nothing has written to the slot since.
#[inline(always)]
#[must_use]
pub(crate) unsafe fn read_link(slot: NonNull<u8>) -> u32 {
    // SAFETY: the caller promises that a `u32` was written here and is still there.
    unsafe { slot.cast::<u32>().read() }
}
