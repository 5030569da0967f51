//! The slab as an allocator of everything that fits a slot, and as the range of its slots. Invariants are those of the slab.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, FreelistProtection, NonZeroLayout, StableAddress,
};

use super::Slab;
use super::shape::fits;

impl<T, B: Allocator + FixedRange, M: FreelistProtection> Slab<T, B, M> {
    /// Returns the block of a live slot at `ptr` if `layout` fits a slot. O(1).
    #[inline(always)]
    fn in_place(&self, ptr: NonNull<u8>, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        if !fits::<T>(layout) {
            return Err(AllocError);
        }
        debug_assert!(self.number_of(ptr).is_some(), "a live block starts at a slot that was issued");
        let slots = self.slots();
        // SAFETY: the block is live, so it is one of our slots.
        let slot = unsafe { slots.at(ptr.addr().get().wrapping_sub(slots.shift)) };
        Ok(NonNull::slice_from_raw_parts(slot, Self::STRIDE))
    }

    /// Returns how many bytes of a split span a slab of `capacity` slots claims at most; 0 if there is no such slab. O(1).
    #[cfg(all(feature = "std", any(unix, windows)))]
    pub(crate) fn split_bytes(capacity: usize) -> usize {
        use super::shape::{LINE, Plan};

        let count = u32::try_from(capacity).ok();
        // Where the slots end at a guard, two lines more may be left out.
        count.and_then(|count| Plan::new::<T, B, M>(count, None)).map_or(0, |plan| plan.split + 2 * LINE)
    }
}

// SAFETY: every slot is issued to one owner at a time (I3) and comes back by its own address.
unsafe impl<T, B: Allocator + FixedRange, M: FreelistProtection> Deallocator for Slab<T, B, M> {
    /// Frees a slot. O(1). Never runs the destructor of a `T`.
    ///
    /// A pointer that is not the start of an issued slot is counted as a corruption event; debug builds panic, others
    /// ignore it, and under a policy that tracks the process ends. Under one that does not check, only debug builds notice.
    #[inline(always)]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, _: NonZeroLayout) {
        // SAFETY: the caller promises that the block is live and not used afterwards.
        unsafe { self.free_at(ptr) };
    }
}

// SAFETY: slots are disjoint, aligned to `ALIGN` and `STRIDE` long, and stay issued until they are freed (I3).
unsafe impl<T, B: Allocator + FixedRange, M: FreelistProtection> Allocator for Slab<T, B, M> {
    /// Returns a slot, all of it. O(1).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if `layout` does not fit a slot, or if no slot is free.
    #[inline(always)]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        if !fits::<T>(layout) {
            return Err(AllocError);
        }
        match self.take() {
            Some(slot) => Ok(NonNull::slice_from_raw_parts(slot, Self::STRIDE)),
            None => Err(AllocError),
        }
    }

    /// Lengthens a block within its slot. O(1); the block stays in place.
    #[inline(always)]
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
    #[inline(always)]
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
    unsafe fn stays_in_place(&self, _: NonNull<u8>, _: NonZeroLayout, new: NonZeroLayout) -> bool {
        fits::<T>(new)
    }

    unsafe fn visit_spans(&mut self, visit: &mut dyn FnMut(NonNull<[u8]>)) -> Result<(), AllocError> {
        if self.fresh.get() != 0 {
            visit(NonNull::slice_from_raw_parts(self.slot(0), self.fresh.get() * Self::STRIDE));
        }
        Ok(())
    }

    #[inline]
    unsafe fn usable_size(&self, _: NonNull<u8>, _: NonZeroLayout) -> Option<usize> {
        Some(Self::STRIDE)
    }

    #[inline]
    fn capacity_bytes(&self) -> Option<usize> {
        Some(self.size())
    }

    #[inline]
    fn corruption_events(&self) -> u64 {
        self.corruptions.get().saturating_add(self.backing.corruption_events())
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

// SAFETY: the slots lie in one live block of the backing (I1), whose promises carry over; all of it is writable, because
// the backing issued it. `first` and the capacity change only with the backing's base, and touch no cell.
unsafe impl<T, B: Allocator + FixedRange, M: FreelistProtection> FixedRange for Slab<T, B, M> {
    /// Slots are the only shape that the range has.
    const CARVABLE: bool = false;
    const STAYS: bool = B::STAYS;

    #[inline]
    fn base(&self) -> NonNull<u8> {
        self.slot(0)
    }

    #[inline]
    fn size(&self) -> usize {
        self.capacity * Self::STRIDE
    }

    /// Refuses: the range has the shape of slots.
    fn claim(&mut self) -> Result<(), AllocError> {
        Err(AllocError)
    }
}

// SAFETY: state is offsets from the base of the backing, whose bytes stay where they are.
unsafe impl<T, B: Allocator + FixedRange + StableAddress, M: FreelistProtection> StableAddress
    for Slab<T, B, M>
{
}
