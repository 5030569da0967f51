//! How a slab takes a slot back: where it has stayed, and where it has moved. Invariants are those of the slab.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{Allocator, FixedRange, FreelistProtection};

use super::Slab;
use super::shape::Keeps;
use crate::raw::freelist::Slots;
use crate::report;

impl<T, B: Allocator + FixedRange, M: FreelistProtection> Slab<T, B, M> {
    /// Frees the slot that starts at `ptr`. O(1).
    ///
    /// # Safety
    ///
    /// If a slot that was issued starts at `ptr`, nobody uses it any more, and it is live, unless the policy tracks. One does,
    /// unless the policy checks.
    #[inline(always)]
    pub(super) unsafe fn free_at(&self, ptr: NonNull<u8>) {
        let slots = self.slots();
        if slots.shift != 0 {
            return self.free_moved(ptr);
        }
        // A constant: see `take_moved`.
        self.free_in(Slots { shift: 0, ..slots }, ptr);
    }

    /// Frees the slot that starts at `ptr`, of a slab that has moved since its free list was last known to be empty.
    #[cold]
    #[inline(never)]
    fn free_moved(&self, ptr: NonNull<u8>) {
        self.settle();
        self.free_in(self.slots(), ptr);
    }

    /// Frees the slot that starts at `ptr`, where the slots are.
    #[inline(always)]
    fn free_in(&self, slots: Slots, ptr: NonNull<u8>) {
        let number = self.number_in(slots, ptr);
        if Keeps::<B, M>::CHECKS && number.is_none() {
            return self.refuse_foreign(ptr);
        }
        debug_assert!(number.is_some(), "a pointer is freed that is no slot of the slab");
        self.put_in(slots, ptr, number.map_or(0, |number| number + 1));
    }

    /// Frees a live slot by its number, counted from 0. O(1).
    ///
    /// # Safety
    ///
    /// The slot was issued, and nobody uses it any more. It is live, unless the policy tracks.
    #[cfg(all(feature = "std", any(unix, windows)))]
    #[inline(always)]
    pub(crate) unsafe fn put(&self, number: u32) {
        self.put_in(self.slots(), self.slot(number), number + 1);
    }

    /// Frees a live slot, where the slots are.
    #[inline(always)]
    fn put_in(&self, slots: Slots, slot: NonNull<u8>, number: u32) {
        if !Self::is_aligned(&slots) {
            self.lost.set(self.lost.get() + 1);
            return;
        }
        if Keeps::<B, M>::TRACKS {
            if !self.is_live(slots, number) {
                report::fatal_double_free(slot);
            }
            self.mark(slots, number, false);
        }
        self.link(slots, slot.addr().get().wrapping_sub(slots.shift), number);
    }
}
