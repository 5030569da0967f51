//! [`StackAlloc`]: an arena that takes blocks back in the reverse order of their allocation.
//!
//! ```text
//!   base                        allocated()                                        size
//!    | block 0 | block 1 | .. | top block |   remaining()   | one record per live block |
//! ```
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | allocate, free or resize the top block | O(1) |
//! | free a block below the top | O(log n): it is marked, and comes back with the blocks above it |
//! | grow a block below the top | O(size): a new block on top, the old one marked |
//! | reset | O(1) |
//!
//! Each live block takes [`RECORD_BYTES`](StackAlloc::RECORD_BYTES) bytes at the far end of the range beside its own;
//! nothing is allocated anywhere else. On a backing that commits its range lazily from the start, these records commit
//! all of it.
//!
//! # Design
//!
//! Blocks may be freed in any order, because collections do that: a `Vec` that grows frees its old buffer after it has
//! the new one. Such a free is legal and silent; the bytes come back when the blocks above are gone, as they do in a
//! call stack. See `raw::frame` for the records.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, StableAddress, relocate,
};

use crate::forward::forward_range;
use crate::raw::frame::{FrameStack, RECORD};

/// A stack of blocks in one backing.
///
/// # Examples
///
/// ```
/// use forge_alloc::{Allocator, Deallocator, InlineBacked, NonZeroLayout, StackAlloc};
///
/// let stack = StackAlloc::new(InlineBacked::<256>::new())?;
/// let layout = NonZeroLayout::for_type::<[u64; 4]>().unwrap();
/// let below = stack.allocate(layout)?;
/// let top = stack.allocate(layout)?;
/// assert_eq!(stack.allocated(), 64);
/// // SAFETY: both blocks are live and not used afterwards.
/// unsafe {
///     stack.deallocate(below.cast(), layout);
///     assert_eq!(stack.allocated(), 64); // waits for the block above it
///     stack.deallocate(top.cast(), layout);
/// }
/// assert_eq!(stack.allocated(), 0);
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
#[derive(Debug)]
pub struct StackAlloc<B: FixedRange> {
    backing: B,
    frames: FrameStack,
}

impl<B: FixedRange> StackAlloc<B> {
    /// The bytes that the record of one live block takes from the range.
    pub const RECORD_BYTES: usize = RECORD;

    /// Returns an empty stack over the whole range of `backing`. O(1).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the range is empty or the backing has handed out blocks of its own.
    pub fn new(mut backing: B) -> Result<Self, AllocError> {
        const { assert!(B::CARVABLE, "an arena would bypass this wrapper: put the wrapper around the arena") }
        if backing.size() == 0 {
            return Err(AllocError);
        }
        backing.claim()?;
        let frames = FrameStack::new(backing.size());
        Ok(Self { backing, frames })
    }

    /// Returns an empty stack whose first `max_depth` records are committed. The depth is a hint and not a limit.
    ///
    /// # Errors
    ///
    /// As [`StackAlloc::new`]; also if the backing cannot commit the records, or if so many records would exceed
    /// `isize::MAX` bytes. More records than the range holds are as many as it holds.
    pub fn with_max_depth(backing: B, max_depth: usize) -> Result<Self, AllocError> {
        let stack = Self::new(backing)?;
        let records = max_depth.checked_mul(RECORD).filter(|&bytes| bytes <= isize::MAX as usize);
        let bytes = records.ok_or(AllocError)?.min(stack.backing.size());
        stack.backing.commit(stack.backing.size() - bytes, bytes)?;
        Ok(stack)
    }

    /// Returns how many bytes the blocks take, padding and dead blocks below the top included. O(1).
    #[inline]
    pub fn allocated(&self) -> usize {
        self.frames.offset()
    }

    /// Returns the size of the largest block of alignment 1 that would fit now, its record accounted for. O(1).
    #[inline]
    pub fn remaining(&self) -> usize {
        self.frames.room()
    }

    /// Returns the backing. Its own allocator, if it is one, is turned off.
    #[inline]
    pub fn backing(&self) -> &B {
        &self.backing
    }
}

// SAFETY: a block is freed by its address alone, wherever it lies in the stack.
unsafe impl<B: FixedRange> Deallocator for StackAlloc<B> {
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, _layout: NonZeroLayout) {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.frames.free(&self.backing, ptr) }
    }
}

// SAFETY: the frames place blocks one above the other, below their records, in a range that is claimed and ours alone;
// nothing moves a live block, and a failed request changes nothing.
unsafe impl<B: FixedRange> Allocator for StackAlloc<B> {
    #[inline]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.frames.push(&self.backing, layout)
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(new.size() >= old.size());
        // SAFETY: the caller's promises are the callee's.
        match unsafe { self.frames.grow_in_place(&self.backing, ptr, new) } {
            Some(block) => Ok(block),
            // SAFETY: the caller's promises are the callee's.
            None => unsafe { relocate(self, ptr, old, new) },
        }
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(new.size() <= old.size());
        // SAFETY: the caller's promises are the callee's.
        match unsafe { self.frames.shrink_in_place(&self.backing, ptr, new) } {
            Some(block) => Ok(block),
            // SAFETY: the caller's promises are the callee's.
            None => unsafe { relocate(self, ptr, old, new) },
        }
    }

    #[inline]
    unsafe fn stays_in_place(&self, ptr: NonNull<u8>, old: NonZeroLayout, new: NonZeroLayout) -> bool {
        self.frames.stays_in_place(&self.backing, ptr, old, new)
    }

    /// Forgets every block. O(1).
    fn reset(&mut self) -> Result<(), AllocError> {
        self.frames.clear(self.backing.size())
    }

    fn can_reset(&self) -> bool {
        !self.frames.is_claimed()
    }

    unsafe fn visit_spans(&mut self, visit: &mut dyn FnMut(NonNull<[u8]>)) -> Result<(), AllocError> {
        if self.frames.is_claimed() {
            return Err(AllocError);
        }
        self.frames.visit_used(&self.backing, visit);
        Ok(())
    }

    fn capacity_bytes(&self) -> Option<usize> {
        Some(self.backing.size())
    }

    #[inline]
    fn is_single_threaded(&self) -> bool {
        true
    }

    #[inline]
    fn blocks_stay(&self) -> bool {
        B::STAYS
    }
}

// SAFETY: the range is the backing's, which this value owns; a claim makes every later request fail.
unsafe impl<B: FixedRange> FixedRange for StackAlloc<B> {
    forward_range!(backing: B);

    fn claim(&mut self) -> Result<(), AllocError> {
        self.frames.claim(self.backing.size())
    }
}

// SAFETY: every block lies in the backing's range, which stays where it is.
unsafe impl<B: FixedRange + StableAddress> StableAddress for StackAlloc<B> {}

#[cfg(test)]
mod tests;
