//! Where the slots of a slab that stays in place lie: what both ends know of it.
//!
//! # Invariants
//!
//! - (I1) `first` leads to `capacity` slots of `STRIDE` bytes each, and carries provenance over them, for as long as the
//!   slab lives.
//!
//! # Design
//!
//! A copy beside each handle, so that finding a slot reads nothing that belongs to the slab: its own state is the owner's
//! alone.
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::ptr::NonNull;

use forge_alloc_core::{Allocator, FixedRange};

use crate::layout::slab::typed::Slab;
use crate::layout::slab::typed::shape::Shape;

/// The places of the slots of one slab for values of type `T`.
pub(super) struct Slots<T, B> {
    first: NonNull<u8>,
    capacity: u32,
    of: PhantomData<fn() -> (T, B)>,
}

impl<T, B> Clone for Slots<T, B> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, B> Copy for Slots<T, B> {}

// SAFETY: an address and a number; whoever reaches through the address argues for that itself.
unsafe impl<T, B> Send for Slots<T, B> {}
// SAFETY: as for `Send`.
unsafe impl<T, B> Sync for Slots<T, B> {}

impl<T, B: Allocator + FixedRange> Slots<T, B> {
    /// The distance between two slots in bytes.
    pub(super) const STRIDE: usize = Shape::<T>::STRIDE;

    /// Returns the places of the slots of `slab`, which is not moved any more. O(1).
    pub(super) fn of(slab: &Slab<T, B>) -> Self {
        // A slab has at most `u32::MAX` slots.
        let capacity = u32::try_from(slab.capacity()).unwrap_or(u32::MAX);
        Self { first: slab.base(), capacity, of: PhantomData }
    }

    /// Returns how many slots there are. O(1).
    #[inline(always)]
    pub(super) fn capacity(self) -> u32 {
        self.capacity
    }

    /// Returns the place of the slot with a number below the capacity. O(1).
    #[inline(always)]
    pub(super) fn place(self, number: u32) -> NonNull<u8> {
        debug_assert!(number < self.capacity);
        // SAFETY: `first` leads to `capacity` slots (I1), and the caller's number is that of one of them.
        unsafe { self.first.add(number as usize * Self::STRIDE) }
    }

    /// Returns the place and the number of the slot that starts at `ptr`, if one does. O(1).
    ///
    /// The place is derived from the slab: `ptr` may be allowed to reach no more than a value.
    #[inline(always)]
    pub(super) fn find(self, ptr: NonNull<u8>) -> Option<(NonNull<u8>, u32)> {
        let offset = ptr.addr().get().wrapping_sub(self.first.addr().get());
        let number = Shape::<T>::number_at(offset);
        if number >= self.capacity as usize {
            return None;
        }
        // SAFETY: a slot starts at this offset (I1).
        let place = unsafe { self.first.add(offset) };
        // Below the capacity, so the number fits.
        Some((place, number as u32))
    }
}
