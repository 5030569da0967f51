//! The extendable slab as an allocator of everything that fits a slot. Invariants are those of the slab.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FreelistProtection, NonZeroLayout, StableAddress,
};
use forge_os::Os;

use super::ExtendableSlab;
use super::magazine::Magazine;
use super::segment::SegmentSlab;
use crate::layout::slab::typed::shape::fits;

impl<T, M: FreelistProtection, O: Os> ExtendableSlab<T, M, O> {
    /// Returns the block of a live slot at `ptr` if `layout` fits a slot. O(1).
    #[inline]
    fn in_place(&self, ptr: NonNull<u8>, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        if !fits::<T>(layout) {
            return Err(AllocError);
        }
        let slot = self.slot_of(ptr).ok_or(AllocError)?;
        Ok(NonNull::slice_from_raw_parts(slot, SegmentSlab::<T, M, O>::STRIDE))
    }
}

// SAFETY: a freed slot goes to the magazine of the calling thread, which nobody else uses (I3), or to the pool under the
// lock, so concurrent calls are safe.
unsafe impl<T: Send, M: FreelistProtection + Send, O: Os> Deallocator for ExtendableSlab<T, M, O> {
    /// Frees a slot. O(1). Never runs the destructor of a `T`.
    ///
    /// A pointer that is not the start of a slot that was handed out is counted as a corruption event; debug builds panic,
    /// others ignore it, and under a policy that tracks the process ends.
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, _: NonZeroLayout) {
        if let Some(magazine) = self.own_magazine().filter(|magazine| magazine.len() < self.magazine_limit) {
            if let Some(slot) = self.slot_at(ptr) {
                debug_assert!(!magazine.contains(slot), "a slot is freed twice");
                magazine.push(slot);
                return;
            }
        }
        self.put_shared(ptr);
    }
}

// SAFETY: a slot is handed out to one owner at a time (I2), is aligned and long enough for what `fits` lets pass, and its
// segment stays mapped while it is live; nothing moves or frees a live block.
unsafe impl<T: Send, M: FreelistProtection + Send, O: Os> Allocator for ExtendableSlab<T, M, O> {
    /// Returns a slot, all of it. O(1), except that it may map a segment.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if `layout` does not fit a slot, before anything is mapped, or if the system refuses a segment.
    #[inline]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        if !fits::<T>(layout) {
            return Err(AllocError);
        }
        let slot = match self.own_magazine().and_then(Magazine::pop) {
            Some(slot) => slot,
            None => self.take_shared()?,
        };
        Ok(NonNull::slice_from_raw_parts(slot, SegmentSlab::<T, M, O>::STRIDE))
    }

    /// Lengthens a block within its slot. O(1); the block stays in place.
    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(new.size() >= old.size());
        self.in_place(ptr, new)
    }

    /// Shortens a block. O(1); the block stays in place.
    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(new.size() <= old.size());
        self.in_place(ptr, new)
    }

    #[inline]
    unsafe fn stays_in_place(&self, ptr: NonNull<u8>, _: NonZeroLayout, new: NonZeroLayout) -> bool {
        fits::<T>(new) && self.slot_of(ptr).is_some()
    }

    #[inline]
    unsafe fn usable_size(&self, _: NonNull<u8>, _: NonZeroLayout) -> Option<usize> {
        Some(SegmentSlab::<T, M, O>::STRIDE)
    }

    /// Returns the bytes of the slots that are mapped now; it grows and shrinks with the segments.
    #[inline]
    fn capacity_bytes(&self) -> Option<usize> {
        self.capacity().checked_mul(SegmentSlab::<T, M, O>::STRIDE)
    }

    #[inline]
    fn blocks_stay(&self) -> bool {
        true
    }

    /// Returns how many corruptions the segments have noticed, and how many frees of foreign pointers.
    #[inline]
    fn corruption_events(&self) -> u64 {
        self.shared.counters.corruptions() as u64
    }
}

// SAFETY: every block lies in a mapping, which stays where it is.
unsafe impl<T, M: FreelistProtection, O: Os> StableAddress for ExtendableSlab<T, M, O> {}
