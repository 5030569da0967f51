//! One block of the global allocator as a range of bytes.
//!
//! ```text
//!   +------+-----+--------+
//!   | base | len | layout |        global allocator
//!   +---|--+-----+--------+     +-----------------------+
//!       +---------------------> | len bytes, align >= 16 |
//!                               +-----------------------+
//! ```
//!
//! # Invariants
//!
//! - (I1) `base` is a live block of the global allocator with the layout `block`; the value is its only owner.
//! - (I2) `block.align() >= HEAP_ALIGN`.
//!
//! # Operations
//!
//! One call of the global allocator to build and one to drop; the rest is O(1).
//!
//! # Design
//!
//! The range has no allocator of its own: whoever wants blocks of the heap has [`System`](super::System), and whoever
//! wants an arena puts one over it. Alignments below 16 are raised to 16, so that layouts know the base's alignment at
//! compile time; every global allocator gives 16 for nothing.
#![allow(unsafe_code)]

use alloc::alloc::{alloc, alloc_zeroed, dealloc};
use core::ptr::NonNull;

use forge_alloc_core::{AllocError, FixedRange, NonZeroLayout, StableAddress};

/// The alignment in bytes that every block has at least.
const HEAP_ALIGN: usize = 16;

/// A range of bytes from the global allocator, freed when dropped.
///
/// # Examples
///
/// ```
/// use forge_alloc::{AllocError, FixedRange, HeapBytes};
///
/// # fn main() -> Result<(), AllocError> {
/// let backing = HeapBytes::with_align(1000, 64)?;
/// assert_eq!(backing.size(), 1000);
/// assert_eq!(backing.base().addr().get() % 64, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct HeapBytes {
    base: NonNull<u8>,
    block: NonZeroLayout,
}

impl HeapBytes {
    /// Returns `size` uninitialised bytes, aligned to 16.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if `size` is zero or exceeds `isize::MAX - 15`, or the global allocator has no such block.
    pub fn new(size: usize) -> Result<Self, AllocError> {
        Self::with_align(size, HEAP_ALIGN)
    }

    /// Returns `size` zero bytes, aligned to 16.
    ///
    /// # Errors
    ///
    /// As [`HeapBytes::new`].
    pub fn new_zeroed(size: usize) -> Result<Self, AllocError> {
        Self::with_align_zeroed(size, HEAP_ALIGN)
    }

    /// Returns `size` uninitialised bytes at a multiple of `align` bytes.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if `size` is zero, `align` is not a power of two, both together exceed `isize::MAX`, or the
    /// global allocator has no such block.
    pub fn with_align(size: usize, align: usize) -> Result<Self, AllocError> {
        let block = block_layout(size, align)?;
        // SAFETY: the size of a `NonZeroLayout` is not zero.
        Self::own(unsafe { alloc(block.to_layout()) }, block)
    }

    /// Returns `size` zero bytes at a multiple of `align` bytes.
    ///
    /// # Errors
    ///
    /// As [`HeapBytes::with_align`].
    pub fn with_align_zeroed(size: usize, align: usize) -> Result<Self, AllocError> {
        let block = block_layout(size, align)?;
        // SAFETY: the size of a `NonZeroLayout` is not zero.
        Self::own(unsafe { alloc_zeroed(block.to_layout()) }, block)
    }

    /// Returns the size asked for, in bytes.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.block.size().get()
    }

    fn own(base: *mut u8, block: NonZeroLayout) -> Result<Self, AllocError> {
        Ok(Self { base: NonNull::new(base).ok_or(AllocError)?, block })
    }
}

/// Returns the layout of the block: the one asked for, at an alignment of at least `HEAP_ALIGN` (I2).
fn block_layout(size: usize, align: usize) -> Result<NonZeroLayout, AllocError> {
    let asked = NonZeroLayout::from_size_align(size, align).map_err(|_| AllocError)?;
    NonZeroLayout::from_size_align(size, asked.align().get().max(HEAP_ALIGN)).map_err(|_| AllocError)
}

impl Drop for HeapBytes {
    fn drop(&mut self) {
        // SAFETY: the block is live and ours, with this layout (I1), and the value's end is the end of its use.
        unsafe { dealloc(self.base.as_ptr(), self.block.to_layout()) };
    }
}

// SAFETY: the value owns its block alone (I1), and the global allocator frees from any thread.
unsafe impl Send for HeapBytes {}

// SAFETY: the block stays where it is when the value moves.
unsafe impl StableAddress for HeapBytes {}

// SAFETY: the block is live, exclusively ours and aligned (I1, I2), with the provenance of its allocation; both answers
// are plain fields that never change; the type has no allocator of its own.
unsafe impl FixedRange for HeapBytes {
    const BASE_ALIGN: usize = HEAP_ALIGN;
    const STAYS: bool = true;

    #[inline(always)]
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    #[inline(always)]
    fn size(&self) -> usize {
        self.block.size().get()
    }
}

#[cfg(test)]
mod tests;
