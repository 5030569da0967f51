//! A cache as an allocator of everything that fits a slot, for raw blocks and for collections.
//!
//! # Design
//!
//! A slot finds its slab by the address, with the provenance of the pointer that `allocate` returned; a pointer that was made
//! of a reference to the block's content reaches less, and cannot be freed by.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, Deallocator, NonZeroLayout, StableAddress};

use super::SlabCache;
use super::locks::LockTrait;
use super::root;
use super::source::SlabSource;

/// Returns whether a slot for a `T` has room for `layout`. O(1).
#[inline(always)]
pub(super) const fn fits<T>(layout: NonZeroLayout) -> bool {
    layout.align().get() <= align_of::<T>() && layout.size().get() <= size_of::<T>()
}

/// Expands to the items of `Allocator` that say something about a block, of an allocator of slots for a `T`.
macro_rules! slot_facts {
    ($value:ident) => {
        /// Lengthens a block within its slot. O(1); the block stays in place.
        #[inline]
        unsafe fn grow(
            &self,
            ptr: NonNull<u8>,
            old: NonZeroLayout,
            new: NonZeroLayout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            debug_assert!(new.size() >= old.size());
            if !$crate::cache::contract::fits::<$value>(new) {
                return Err(AllocError);
            }
            Ok(NonNull::slice_from_raw_parts(ptr, size_of::<$value>()))
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
            if !$crate::cache::contract::fits::<$value>(new) {
                return Err(AllocError);
            }
            Ok(NonNull::slice_from_raw_parts(ptr, size_of::<$value>()))
        }

        #[inline]
        unsafe fn stays_in_place(&self, _: NonNull<u8>, _: NonZeroLayout, new: NonZeroLayout) -> bool {
            $crate::cache::contract::fits::<$value>(new)
        }

        #[inline]
        unsafe fn usable_size(&self, _: NonNull<u8>, _: NonZeroLayout) -> Option<usize> {
            Some(size_of::<$value>())
        }
    };
}

#[cfg(all(feature = "std", any(unix, windows)))]
pub(super) use slot_facts;

// SAFETY: a slot finds its slab by itself, and changes it under the lock, which is shared if the handle is `Sync`.
unsafe impl<T, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> Deallocator
    for SlabCache<T, L, SLAB_SIZE, S>
{
    /// Gives a slot back. O(1). Never runs the destructor of a `T`.
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, _: NonZeroLayout) {
        // SAFETY: the block is a slot that was taken, by the caller's promise.
        unsafe { root::give::<L, SLAB_SIZE>(ptr) };
    }
}

// SAFETY: a slot is taken by one owner at a time, is aligned and long enough for what `fits` lets pass, and its slab stays
// while it is taken; nothing moves or frees a live block.
unsafe impl<T, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> Allocator
    for SlabCache<T, L, SLAB_SIZE, S>
{
    /// Returns a slot, all of it. O(1), and at the boundary of a slab a call of the provider.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if `layout` does not fit a slot, or if the provider has no fit slab.
    #[inline]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        if !fits::<T>(layout) {
            return Err(AllocError);
        }
        let slot = self.take().map_err(|_| AllocError)?;
        Ok(NonNull::slice_from_raw_parts(slot.cast(), size_of::<T>()))
    }

    slot_facts!(T);
}

// SAFETY: every block lies in a slab, which stays where it is.
unsafe impl<T, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> StableAddress
    for SlabCache<T, L, SLAB_SIZE, S>
{
}
