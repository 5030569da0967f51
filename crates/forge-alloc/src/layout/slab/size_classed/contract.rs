//! Size classes as an allocator: who serves a request, a free and a resize.
//!
//! The invariants are those of [`size_classed`](super).
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, StableAddress, relocate,
};

use super::{Place, SizeClassed};

impl<B: Allocator + FixedRange, const CLASSES: usize> SizeClassed<B, CLASSES> {
    /// Resizes a block: in its slot, or in the backing by `within`, and by a move where that is refused.
    ///
    /// # Safety
    ///
    /// As [`Allocator::grow`] or [`Allocator::shrink`], whichever `within` calls.
    #[inline(always)]
    unsafe fn resized(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
        within: impl FnOnce(&B) -> Result<NonNull<[u8]>, AllocError>,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the block is live in the place found for it, with its layout; the caller promises the rest.
        unsafe {
            match self.place_of(ptr, old) {
                Place::Slot(class, number) => match self.kept(class, ptr, number, new) {
                    Some(slot) => Ok(slot),
                    None => relocate(self, ptr, old, new),
                },
                Place::Backing => match within(&self.backing) {
                    Ok(block) => Ok(block),
                    Err(_) => self.leave_backing(ptr, old, new),
                },
                Place::Nowhere => Err(AllocError),
            }
        }
    }
}

// SAFETY: an address of a slot that was handed out is found in its class, and everything else outside of the regions
// reaches the backing, with the layout that the backing knows (I2). The type is not `Sync`.
unsafe impl<B: Allocator + FixedRange, const CLASSES: usize> Deallocator for SizeClassed<B, CLASSES> {
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the block is a slot that was just found, or is searched; the caller promises the rest.
        unsafe {
            match self.guess(self.backing.base(), ptr, layout) {
                Some((class, number)) => self.free_slot(class, ptr, number),
                None => self.free_elsewhere(ptr, layout),
            }
        }
    }
}

// SAFETY: a slot is as long as its class and as aligned as the table says, or, if the bytes may have moved, as its address
// says. Free slots are handed out once, from regions that nobody else uses (I1); the backing keeps the contract for its
// own blocks, which lie outside of the regions (I2). In place means within the slot. A move frees the old block after the
// new one is there, so an error changes nothing.
unsafe impl<B: Allocator + FixedRange, const CLASSES: usize> Allocator for SizeClassed<B, CLASSES> {
    #[inline]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let base = self.backing.base();
        let class = self.class_for(base, layout);
        match class.and_then(|class| self.take_freed(base, class)) {
            Some(slot) => Ok(slot),
            None => self.allocate_otherwise(class, layout),
        }
    }

    #[inline]
    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let Some(slot) = self.take_slot(layout) else { return self.backing.allocate_zeroed(layout) };
        // SAFETY: the slot was just taken, and is at least as long as the layout.
        unsafe { slot.cast::<u8>().write_bytes(0, layout.size().get()) };
        Ok(slot)
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's; the backing is asked about a live block of its own.
        unsafe { self.resized(ptr, old, new, |backing| backing.grow(ptr, old, new)) }
    }

    #[inline]
    unsafe fn grow_zeroed(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the block is live in the place found for it, with its layout; the caller promises the rest. A block that is
        // cleared holds `new.size() >= old.size()` bytes.
        unsafe {
            let block = match self.place_of(ptr, old) {
                Place::Slot(class, number) => match self.kept(class, ptr, number, new) {
                    Some(slot) => slot,
                    None => relocate(self, ptr, old, new)?,
                },
                Place::Backing => match self.backing.grow_zeroed(ptr, old, new) {
                    Ok(block) => return Ok(block),
                    Err(_) => self.leave_backing(ptr, old, new)?,
                },
                Place::Nowhere => return Err(AllocError),
            };
            clear(block, old, new);
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
        // SAFETY: the caller's promises are the callee's; the backing is asked about a live block of its own.
        unsafe { self.resized(ptr, old, new, |backing| backing.shrink(ptr, old, new)) }
    }

    #[inline]
    unsafe fn stays_in_place(&self, ptr: NonNull<u8>, old: NonZeroLayout, new: NonZeroLayout) -> bool {
        match self.place_of(ptr, old) {
            Place::Slot(class, number) => self.kept(class, ptr, number, new).is_some(),
            // SAFETY: the block is live in the backing (I2), with this layout.
            Place::Backing => unsafe { self.backing.stays_in_place(ptr, old, new) },
            Place::Nowhere => false,
        }
    }

    /// Returns the size of the slot, or what the backing says about a block of its own.
    #[inline]
    unsafe fn usable_size(&self, ptr: NonNull<u8>, layout: NonZeroLayout) -> Option<usize> {
        match self.place_of(ptr, layout) {
            Place::Slot(class, _) => Some(class.slot_bytes()),
            // SAFETY: the block is live in the backing (I2), with this layout.
            Place::Backing => unsafe { self.backing.usable_size(ptr, layout) },
            Place::Nowhere => None,
        }
    }

    /// Returns the bytes of all slots. What the backing serves comes on top.
    #[inline]
    fn capacity_bytes(&self) -> Option<usize> {
        Some(self.slot_bytes)
    }

    /// Returns the overwritten links and misplaced frees of all classes, plus what the backing counts.
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

// SAFETY: slots are bytes of the backing, as its own blocks are; a move of the pool moves the backing and nothing else.
unsafe impl<B: Allocator + FixedRange + StableAddress, const CLASSES: usize> StableAddress
    for SizeClassed<B, CLASSES>
{
}

/// Fills the bytes of a block between two sizes with zeros.
///
/// # Safety
///
/// The block is exclusively the caller's, and holds `to` bytes; `from <= to`.
#[inline]
unsafe fn clear(block: NonNull<[u8]>, from: NonZeroLayout, to: NonZeroLayout) {
    let added = to.size().get() - from.size().get();
    // SAFETY: the caller's promise covers the bytes from the one size to the other.
    unsafe { block.cast::<u8>().add(from.size().get()).write_bytes(0, added) };
}
