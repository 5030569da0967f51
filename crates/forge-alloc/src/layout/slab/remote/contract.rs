//! The owner as an allocator of everything that fits a slot, and as the range of its slots. Invariants are those of the owner.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, StableAddress};

use super::SlabOwner;
use super::slots::Slots;
use crate::layout::slab::typed::shape::fits;

// SAFETY: every slot is issued to one owner at a time (I2) and comes back by its own address. The type is not `Sync`.
unsafe impl<T, B: Allocator + FixedRange> Deallocator for SlabOwner<T, B> {
    /// Frees a block. O(1), plus a batch where one is due. Never runs the destructor of a `T`.
    ///
    /// A pointer that is not the start of an issued slot is counted as a corruption event; debug builds panic, others
    /// ignore it.
    #[inline(always)]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, _: NonZeroLayout) {
        self.tick();
        match self.slots.find(ptr) {
            Some((place, number)) if number < self.issued.get() => self.push(place, number),
            _ => self.shared.refuse_foreign(),
        }
    }
}

// SAFETY: slots are disjoint, aligned, `STRIDE` long, and stay issued until they are freed (I2). Whatever the alarm and the
// policy do moves free slots only.
unsafe impl<T, B: Allocator + FixedRange> Allocator for SlabOwner<T, B> {
    /// Returns a slot, all of it. O(1), plus a batch where one is due.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if `layout` does not fit a slot, or if no slot is free, here or waiting in a lane.
    #[inline(always)]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.tick();
        if !fits::<T>(layout) {
            return Err(AllocError);
        }
        match self.take() {
            Some(slot) => Ok(NonNull::slice_from_raw_parts(slot, Slots::<T, B>::STRIDE)),
            None => Err(AllocError),
        }
    }

    /// Lengthens a block within its slot. O(1); the block stays in place.
    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's: a live block of ours is a live block of the slab.
        unsafe { self.shared.slab.grow(ptr, old, new) }
    }

    /// Shortens a block. O(1); the block stays in place.
    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as in `grow`.
        unsafe { self.shared.slab.shrink(ptr, old, new) }
    }

    #[inline]
    unsafe fn stays_in_place(&self, _: NonNull<u8>, _: NonZeroLayout, new: NonZeroLayout) -> bool {
        fits::<T>(new)
    }

    #[inline]
    unsafe fn usable_size(&self, _: NonNull<u8>, _: NonZeroLayout) -> Option<usize> {
        Some(Slots::<T, B>::STRIDE)
    }

    #[inline]
    fn capacity_bytes(&self) -> Option<usize> {
        self.shared.slab.capacity_bytes()
    }

    #[inline]
    fn corruption_events(&self) -> u64 {
        let ours = self.corruptions.get().saturating_add(self.shared.foreign_frees());
        self.shared.slab.corruption_events().saturating_add(ours)
    }

    #[inline]
    fn is_single_threaded(&self) -> bool {
        true
    }

    #[inline]
    fn blocks_stay(&self) -> bool {
        true
    }
}

// SAFETY: the range is that of the slab, which does not move (I1), and whose promises carry over. `base` and `size` read
// nothing that changes.
unsafe impl<T, B: Allocator + FixedRange> FixedRange for SlabOwner<T, B> {
    /// Slots are the only shape that the range has.
    const CARVABLE: bool = false;
    const STAYS: bool = true;

    #[inline]
    fn base(&self) -> NonNull<u8> {
        self.shared.slab.base()
    }

    #[inline]
    fn size(&self) -> usize {
        self.shared.slab.size()
    }

    /// Refuses: the range has the shape of slots.
    fn claim(&mut self) -> Result<(), AllocError> {
        Err(AllocError)
    }
}

// SAFETY: the slots lie in the shared part, which is not moved (I1).
unsafe impl<T, B: Allocator + FixedRange> StableAddress for SlabOwner<T, B> {}
