//! The free list of a slab, of the kind that its policy and its backing ask for. Invariants are those of the slab.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{Allocator, FixedRange, FreelistCorruption, FreelistProtection};

use super::Slab;
use super::shape::Keeps;
use crate::raw::freelist::Slots;

impl<T, B: Allocator + FixedRange, M: FreelistProtection> Slab<T, B, M> {
    /// Takes the top, which is at this offset, off the free list, which is not empty; one beside the slots has lost it already.
    /// O(1).
    #[inline(always)]
    pub(super) fn unlink(&self, slots: Slots, top: usize) -> Result<(), FreelistCorruption> {
        // SAFETY: the list is not empty, and lies in these slots or beside them (I1).
        unsafe {
            if Keeps::<B, M>::OFF_SLAB {
                Ok(())
            } else if Keeps::<B, M>::SIGNS {
                let verify = |next, tag| self.verify(self.number_at(top), next, tag);
                self.free.pop_signed(slots, self.fresh.get(), verify)
            } else if Self::UNLINKED {
                self.free.pop_unlinked();
                Ok(())
            } else {
                self.free.pop_linked(slots, |offset| self.number_at(offset))
            }
        }
    }

    /// Takes a slot from the list after its magazine was filled again.
    #[inline(never)]
    pub(super) fn refill(&self) -> Option<NonNull<u8>> {
        // SAFETY: the magazine is drained, and the list has groups and lies in these slots (I1).
        match unsafe { self.free.refill(self.slots(), self.fresh.get()) } {
            Ok(()) => self.take(),
            Err(FreelistCorruption) => self.take_after_corruption(None),
        }
    }

    /// Makes room in the magazine of the list.
    #[inline(never)]
    fn spill(&self) {
        // SAFETY: the magazine is full, and the list lies in these slots (I1).
        unsafe { self.free.spill(self.slots(), |offset| self.number_at(offset)) };
    }

    /// Puts a slot that is neither live nor on the free list on that list. O(1).
    #[inline(always)]
    pub(super) fn link(&self, slots: Slots, offset: usize, number: u32) {
        if Self::LINKED && self.free.is_full() {
            self.spill();
        }
        // SAFETY: the slot has at least eight bytes, is aligned to four, and nobody uses it; the list lies in these slots or
        // beside them (I1).
        unsafe {
            if Keeps::<B, M>::OFF_SLAB {
                self.free.push_beside(slots, offset);
            } else if Keeps::<B, M>::SIGNS {
                let next = if self.free.is_drained() { 0 } else { self.number_at(self.free.top_signed()) };
                self.free.push_signed(slots, offset, next, self.sign(number, next));
            } else if Self::UNLINKED {
                self.free.push_unlinked(offset);
            } else {
                self.free.push_linked(slots, offset, |offset| self.number_at(offset));
            }
        }
    }

    /// Returns the tag of a link from one slot to another.
    #[inline(always)]
    fn sign(&self, number: u32, next: u32) -> u32 {
        let [last_number, last_next, last_tag] = &self.signed;
        if last_number.get() == number && last_next.get() == next {
            return last_tag.get();
        }
        let tag = self.policy.sign(next, self.origin.wrapping_add(number as usize));
        last_number.set(number);
        last_next.set(next);
        last_tag.set(tag);
        tag
    }

    /// Checks the tag of a link from one slot to another.
    #[inline(always)]
    fn verify(&self, number: u32, next: u32, tag: u32) -> Result<(), FreelistCorruption> {
        let [last_number, last_next, last_tag] = &self.signed;
        if last_number.get() == number && last_next.get() == next && last_tag.get() == tag {
            return Ok(());
        }
        self.policy.verify(next, tag, self.origin.wrapping_add(number as usize))
    }
}
