//! Secrets that end: whatever a block gives up is wiped, when it is freed, shrunk, moved, reset or dropped.
//!
//! ```text
//!   free, move     |0000000000000000|      the block, up to its usable size
//!   shrink         | kept |000000000|      its tail
//!   reset, drop    |0000|0000|00000 ..     every span that may hold bytes of blocks, live ones too
//! ```
//!
//! # Invariants
//!
//! - (I1) As for [`scrub`](super::scrub): the inner allocator takes back no byte that was not wiped.
//! - (I2) A reset wipes everything or changes nothing.
//!
//! # Operations
//!
//! | operation | cost beside the inner allocator's |
//! |---|---|
//! | allocate, grow in place | nothing |
//! | free | O(size), a `memset` |
//! | shrink in place | O(what is given up) |
//! | resize that moves | allocate, copy, free: O(size) |
//! | reset, drop | O(bytes in use), if the inner allocator knows where they are |
//!
//! # Design
//!
//! The stores are a `memset` that the optimiser keeps; see [`wipe`].
//!
//! *Fails closed.* A reset is passed on only if the inner allocator can be reset and knows its spans; else it is an error. A
//! drop has nobody to tell: over an allocator that does not know its spans (the global one, a shared reference) it wipes
//! nothing, and the blocks that were not freed keep what they hold.
//!
//! *What it does not see.* Copies in registers, on the stack, or made by the program; a value that is moved into a block
//! stays where it came from. Blocks that were taken from the inner allocator directly are wiped at a reset and a drop only.
//! Pages that were swapped out or dumped: put a `LockedMmapBacked` beneath.
//!
//! *No way out.* The inner allocator cannot be taken out again, because it would take secrets along.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, StableAddress, relocate,
};

use super::scrub::{scrub_then_deallocate, scrub_when_resized};
use super::wipe;
use crate::SlotBox;
use crate::forward::{forward_totals, forward_uncarvable_range, forward_visit};

/// An allocator whose blocks are wiped when they are freed, shrunk or moved, and all of them when it is reset or dropped.
///
/// # Examples
///
/// ```
/// use forge_alloc::{InlineBacked, Slab, ZeroizeOnFree};
///
/// let keys = ZeroizeOnFree::new(Slab::<[u8; 32], _>::new(4, InlineBacked::<128>::new())?);
/// let mut key = keys.insert([0_u8; 32])?;
/// key.fill(0x42);
/// let place = key.as_ptr();
/// drop(key);
/// // SAFETY: the slot is free, and still memory of the slab; its first word holds the link of the free list.
/// let left = unsafe { place.add(8).cast::<[u8; 24]>().read() };
/// assert_eq!(left, [0; 24]);
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
///
/// A reset that cannot wipe is an error:
///
/// ```
/// use forge_alloc::{Allocator, BumpArena, InlineBacked, ZeroizeOnFree};
///
/// let mut arena = ZeroizeOnFree::new(BumpArena::new(InlineBacked::<64>::new())?);
/// assert!(arena.reset().is_ok());
/// let mut borrowed = ZeroizeOnFree::new(&mut arena); // wiping what others own is not for a borrower
/// assert!(borrowed.reset().is_err());
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
#[derive(Debug)]
pub struct ZeroizeOnFree<I: Allocator> {
    inner: I,
}

impl<I: Allocator> ZeroizeOnFree<I> {
    /// Returns `inner` with blocks that are wiped. O(1).
    pub const fn new(inner: I) -> Self {
        Self { inner }
    }

    /// Returns what is inside. A block that is freed there directly is not wiped.
    #[must_use]
    pub const fn inner(&self) -> &I {
        &self.inner
    }

    /// Puts `value` into a block and returns the box that owns it, whose end wipes the block. O(size), plus the allocation.
    ///
    /// The place that `value` is moved from is not wiped: fill the box in place where that matters.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if no block is free; `value` is dropped and nothing else changes.
    #[inline]
    pub fn insert<T>(&self, value: T) -> Result<SlotBox<'_, T, Self>, AllocError> {
        let place = match NonZeroLayout::for_type::<T>() {
            Some(layout) => self.inner.allocate(layout)?.cast::<T>(),
            None => NonNull::dangling(),
        };
        // SAFETY: the block is fresh, ours alone, and has the layout of a value, or a value takes no bytes; the borrow keeps
        // the allocator from moving until the box has freed the block.
        unsafe {
            place.write(value);
            Ok(SlotBox::from_raw(place, self))
        }
    }

    /// Wipes `len` bytes at `ptr`.
    ///
    /// # Safety
    ///
    /// The bytes are valid for writes, and nobody else uses them.
    #[inline(always)]
    unsafe fn scrub(&self, ptr: NonNull<u8>, len: usize) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { wipe::zeroize(ptr, len) };
    }

    /// Wipes every span that may hold bytes of blocks.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the inner allocator does not know them; nothing changes.
    ///
    /// # Safety
    ///
    /// As [`Allocator::visit_spans`].
    unsafe fn wipe_spans(&mut self) -> Result<(), AllocError> {
        // SAFETY: the caller's promise is the callee's; a span that is passed to the closure may be overwritten.
        unsafe { self.inner.visit_spans(&mut |span| wipe::zeroize(span.cast(), span.len())) }
    }
}

impl<I: Allocator> Drop for ZeroizeOnFree<I> {
    /// Wipes what is left, if the inner allocator knows where it is.
    fn drop(&mut self) {
        // An allocator that does not know its spans is left alone: nobody is there to be told.
        // SAFETY: the inner allocator is dropped next.
        let _ = unsafe { self.wipe_spans() };
    }
}

// SAFETY: a block reaches the inner allocator that issued it, with its layout, after its last use.
unsafe impl<I: Allocator> Deallocator for ZeroizeOnFree<I> {
    scrub_then_deallocate!();
}

// SAFETY: blocks are those of the inner allocator; only bytes that a block gives up are written, all of them at a reset.
unsafe impl<I: Allocator> Allocator for ZeroizeOnFree<I> {
    scrub_when_resized!();
    forward_totals!(inner);

    /// Wipes every block and forgets it. O(bytes in use).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the inner allocator cannot be reset or does not know its spans; nothing changes.
    fn reset(&mut self) -> Result<(), AllocError> {
        if !self.inner.can_reset() {
            return Err(AllocError);
        }
        // SAFETY: a reset ends every block, and follows; it will succeed.
        unsafe { self.wipe_spans() }?;
        self.inner.reset()
    }

    forward_visit!(inner);
}

// SAFETY: the range is the inner one, whose promises carry over.
unsafe impl<I: Allocator + FixedRange> FixedRange for ZeroizeOnFree<I> {
    forward_uncarvable_range!(inner: I);
}

// SAFETY: a move of the wrapper moves the inner allocator.
unsafe impl<I: Allocator + StableAddress> StableAddress for ZeroizeOnFree<I> {}

#[cfg(test)]
mod tests;
