//! The allocator half of a backing: the bump cursor over its own bytes, and what is known about their contents.
//!
//! ```text
//!   0            next            dirty                     size
//!   | handed out |   used before   |   never handed out      |
//!                ^ blocks start here ^ zero from here on, where the storage began as zero
//! ```
//!
//! # Invariants
//!
//! - (I1) While `dirty <= isize::MAX`: bytes at and past `max(next, dirty)` were never handed out and are zero.
//! - (I2) `dirty == UNKNOWN`: nothing is known about the contents.
//! - (I3) `dirty == CLAIMED`: a layout carves the range; the cursor stands at the end and never moves again, so every
//!   request fails.
//!
//! # Operations
//!
//! All O(1), except that [`allocate_zeroed`](OwnCursor::allocate_zeroed) and [`grow_zeroed`](OwnCursor::grow_zeroed)
//! clear the bytes that were used before.
//!
//! # Design
//!
//! Pages fresh from a system are zero, so a zeroed block of them needs no clearing. The mark moves only where the
//! cursor falls (a free, a shrink, a reset), so allocating pays nothing for it. Both special states share the word of
//! the mark, because this struct is part of every inline backing.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ptr::NonNull;

use forge_alloc_core::{AllocError, FixedRange, NonZeroLayout};

use crate::raw::cursor::BumpCursor;

/// The mark of storage whose contents are not known.
const UNKNOWN: usize = usize::MAX;
/// The mark of storage that a layout has taken over.
const CLAIMED: usize = usize::MAX - 1;

/// The largest alignment of a cursor that serves every alignment.
const ANY_ALIGN: usize = usize::MAX;

/// The bump cursor that a backing runs over its own bytes; it refuses alignments above `MAX_ALIGN` bytes.
#[derive(Debug)]
pub(crate) struct OwnCursor<const MAX_ALIGN: usize = ANY_ALIGN> {
    cursor: BumpCursor,
    dirty: Cell<usize>,
}

impl<const MAX_ALIGN: usize> OwnCursor<MAX_ALIGN> {
    /// Returns the cursor of storage with unknown contents.
    pub(crate) const fn over_unknown() -> Self {
        Self { cursor: BumpCursor::new(), dirty: Cell::new(UNKNOWN) }
    }

    /// Returns the cursor of storage that is zero throughout.
    #[cfg(all(feature = "std", any(unix, windows)))]
    pub(crate) const fn over_zeroes() -> Self {
        Self { cursor: BumpCursor::new(), dirty: Cell::new(0) }
    }

    /// Returns how many bytes are handed out or lost to padding.
    #[inline]
    pub(crate) fn allocated(&self) -> usize {
        self.cursor.offset()
    }

    /// Turns the cursor off for good; an error if bytes are handed out or it was turned off before.
    #[inline]
    pub(crate) fn claim(&mut self, size: usize) -> Result<(), AllocError> {
        if self.is_claimed() {
            return Err(AllocError);
        }
        self.cursor.claim(size)?;
        self.dirty.set(CLAIMED);
        Ok(())
    }

    /// Forgets every block; an error, and no change, if the cursor is turned off.
    #[inline]
    pub(crate) fn reset(&mut self) -> Result<(), AllocError> {
        if self.is_claimed() {
            return Err(AllocError);
        }
        self.soil();
        self.cursor.rewind_to(0);
        Ok(())
    }

    /// Hands out a block of exactly `layout.size()` bytes.
    #[inline(always)]
    pub(crate) fn allocate<R: FixedRange>(
        &self,
        range: &R,
        layout: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if !Self::serves(layout) {
            return Err(AllocError);
        }
        self.cursor.allocate(range, layout)
    }

    /// Hands out a block of `layout.size()` zero bytes.
    #[inline]
    pub(crate) fn allocate_zeroed<R: FixedRange>(
        &self,
        range: &R,
        layout: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.allocate(range, layout)?;
        // SAFETY: the block is fresh and ends at the cursor.
        unsafe { self.clear(range, block, 0) };
        Ok(block)
    }

    /// Takes a block back: the last one becomes free again, others wait for a reset.
    ///
    /// # Safety
    ///
    /// As `Deallocator::deallocate`, for a block of this cursor over `range`.
    #[inline(always)]
    pub(crate) unsafe fn free<R: FixedRange>(&self, range: &R, ptr: NonNull<u8>, layout: NonZeroLayout) {
        self.soil();
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.cursor.free_last(range, ptr, layout) };
    }

    /// Lengthens the last block in place, or returns `None`.
    ///
    /// # Safety
    ///
    /// As `Allocator::grow`, for a block of this cursor over `range`.
    #[inline(always)]
    pub(crate) unsafe fn grow<R: FixedRange>(
        &self,
        range: &R,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Option<NonNull<[u8]>> {
        if !Self::serves(new) {
            return None;
        }
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.cursor.grow_in_place(range, ptr, old, new) }
    }

    /// Lengthens the last block in place with zero bytes, or returns `None`.
    ///
    /// # Safety
    ///
    /// As [`OwnCursor::grow`].
    #[inline]
    pub(crate) unsafe fn grow_zeroed<R: FixedRange>(
        &self,
        range: &R,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Option<NonNull<[u8]>> {
        // SAFETY: the caller's promises are the callee's.
        let block = unsafe { self.grow(range, ptr, old, new) }?;
        // SAFETY: the block was the last one and ends at the cursor; `old.size() <= new.size()`.
        unsafe { self.clear(range, block, old.size().get()) };
        Some(block)
    }

    /// Shortens a block in place, or returns `None`.
    ///
    /// # Safety
    ///
    /// As `Allocator::shrink`, for a block of this cursor over `range`.
    #[inline(always)]
    pub(crate) unsafe fn shrink<R: FixedRange>(
        &self,
        range: &R,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Option<NonNull<[u8]>> {
        if !Self::serves(new) {
            return None;
        }
        self.soil();
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.cursor.shrink_in_place(range, ptr, old, new) }
    }

    /// Returns whether a resize would leave the block where it is.
    ///
    /// # Safety
    ///
    /// `ptr` is a live block of this cursor over `range`, and `old` its layout.
    #[inline]
    pub(crate) unsafe fn stays_in_place<R: FixedRange>(
        &self,
        range: &R,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> bool {
        // SAFETY: the caller's promises are the callee's.
        Self::serves(new) && unsafe { self.cursor.stays_in_place(range, ptr, old, new) }
    }

    /// Passes the bytes up to the cursor to `visit`; an error if the cursor is turned off.
    pub(crate) fn visit_used<R: FixedRange>(
        &self,
        range: &R,
        visit: &mut dyn FnMut(NonNull<[u8]>),
    ) -> Result<(), AllocError> {
        if self.is_claimed() {
            return Err(AllocError);
        }
        self.cursor.visit_used(range, visit);
        Ok(())
    }

    /// Returns whether the alignment of `layout` is within the bound.
    #[inline(always)]
    fn serves(layout: NonZeroLayout) -> bool {
        layout.align().get() <= MAX_ALIGN
    }

    #[inline]
    pub(crate) fn is_claimed(&self) -> bool {
        self.dirty.get() == CLAIMED
    }

    /// Notes that everything below the cursor has been used, before the cursor may fall.
    #[inline(always)]
    fn soil(&self) {
        // Both special marks exceed every offset, so they stay.
        self.dirty.set(self.dirty.get().max(self.cursor.offset()));
    }

    /// Clears the bytes of `block` from its byte `from` on that are not known to be zero.
    ///
    /// # Safety
    ///
    /// `block` is live, exclusively ours, part of `range` and ends at the cursor; its bytes from `from` on were not
    /// handed out since the cursor last stood below them; `from <= block.len()`.
    #[inline(always)]
    unsafe fn clear<R: FixedRange>(&self, range: &R, block: NonNull<[u8]>, from: usize) {
        let start = block.addr().get() - range.base().addr().get() + from;
        let end = self.cursor.offset();
        let dirty = self.dirty.get().min(end).saturating_sub(start);
        // SAFETY: `from + dirty <= block.len()`, because the block ends at offset `end`; past `dirty` the bytes are
        // zero (I1).
        unsafe { block.cast::<u8>().add(from).write_bytes(0, dirty) };
    }
}

/// Implements the contract for a backing with a field `own: OwnCursor` over its own [`FixedRange`].
macro_rules! bump_its_own_bytes {
    ([$($generics:tt)*] $backing:ty) => {
        // SAFETY: blocks that `allocate`, `allocate_zeroed`, `grow` and `shrink` return all come from the one cursor,
        // which `free` accepts them back into; the type is not `Sync`.
        unsafe impl<$($generics)*> Deallocator for $backing {
            #[inline]
            unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
                // SAFETY: the caller's promises are the callee's.
                unsafe { self.own.free(self, ptr, layout) };
            }
        }

        // SAFETY: blocks come from one bump cursor over the range that this value owns: aligned, long enough and
        // disjoint; nothing moves a live block, and every failure precedes the change of the cursor.
        unsafe impl<$($generics)*> Allocator for $backing {
            #[inline]
            fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
                self.own.allocate(self, layout)
            }

            #[inline]
            fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
                self.own.allocate_zeroed(self, layout)
            }

            #[inline]
            unsafe fn grow(
                &self,
                ptr: NonNull<u8>,
                old: NonZeroLayout,
                new: NonZeroLayout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: the caller's promises are the callees'.
                unsafe {
                    match self.own.grow(self, ptr, old, new) {
                        Some(block) => Ok(block),
                        None => relocate(self, ptr, old, new),
                    }
                }
            }

            #[inline]
            unsafe fn grow_zeroed(
                &self,
                ptr: NonNull<u8>,
                old: NonZeroLayout,
                new: NonZeroLayout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: the caller's promises are the callees'. The moved block holds `new.size()` bytes, of which
                // those past `old.size()` are cleared.
                unsafe {
                    if let Some(block) = self.own.grow_zeroed(self, ptr, old, new) {
                        return Ok(block);
                    }
                    let block = relocate(self, ptr, old, new)?;
                    let kept = old.size().get();
                    block.cast::<u8>().add(kept).write_bytes(0, new.size().get() - kept);
                    Ok(block)
                }
            }

            #[inline]
            unsafe fn shrink(
                &self,
                ptr: NonNull<u8>,
                old: NonZeroLayout,
                new: NonZeroLayout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: the caller's promises are the callees'.
                unsafe {
                    match self.own.shrink(self, ptr, old, new) {
                        Some(block) => Ok(block),
                        None => relocate(self, ptr, old, new),
                    }
                }
            }

            #[inline]
            unsafe fn stays_in_place(
                &self,
                ptr: NonNull<u8>,
                old: NonZeroLayout,
                new: NonZeroLayout,
            ) -> bool {
                // SAFETY: the caller's promises are the callee's.
                unsafe { self.own.stays_in_place(self, ptr, old, new) }
            }

            #[inline]
            fn reset(&mut self) -> Result<(), AllocError> {
                self.own.reset()
            }

            #[inline]
            fn can_reset(&self) -> bool {
                !self.own.is_claimed()
            }

            unsafe fn visit_spans(
                &mut self,
                visit: &mut dyn FnMut(NonNull<[u8]>),
            ) -> Result<(), AllocError> {
                self.own.visit_used(self, visit)
            }

            #[inline]
            fn capacity_bytes(&self) -> Option<usize> {
                Some(self.size())
            }

            #[inline]
            fn is_single_threaded(&self) -> bool {
                true
            }

            #[inline]
            fn blocks_stay(&self) -> bool {
                <Self as FixedRange>::STAYS
            }
        }
    };
}

pub(crate) use bump_its_own_bytes;

#[cfg(test)]
mod tests;
