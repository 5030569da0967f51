//! The map of live slots of a slab whose policy tracks: a bit per slot, in words beside the slots. Invariants are those of
//! the slab.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{Allocator, FixedRange, FreelistProtection};

use super::Slab;
use crate::raw::freelist::Slots;

impl<T, B: Allocator + FixedRange, M: FreelistProtection> Slab<T, B, M> {
    /// Returns the word of the map, and the bit in it, for the slot with this number. O(1).
    #[inline(always)]
    fn bit(&self, slots: Slots, number: u32) -> (NonNull<u32>, u32) {
        let index = number - 1;
        // SAFETY: the map lies in the block or in the split span (I1), with a bit for each slot.
        let word = unsafe { slots.aside.add(self.map).cast::<u32>().add(index as usize / 32) };
        (word, 1 << (index % 32))
    }

    /// Returns whether a slot that was issued is live, under a policy that tracks. O(1).
    pub(super) fn is_live(&self, slots: Slots, number: u32) -> bool {
        let (word, bit) = self.bit(slots, number);
        // SAFETY: the word is initialised, because the slot was issued (I4).
        unsafe { word.read() & bit != 0 }
    }

    /// Marks a slot that was issued as live or as not live, and returns whether it was not, under a policy that tracks
    /// (I4). O(1).
    #[inline(always)]
    pub(super) fn mark(&self, slots: Slots, number: u32, live: bool) -> bool {
        let (word, bit) = self.bit(slots, number);
        // SAFETY: the word is initialised, because the slot was issued (I4), and only this thread uses it.
        unsafe {
            let bits = word.read();
            word.write(if live { bits | bit } else { bits & !bit });
            (bits & bit != 0) != live
        }
    }

    /// Marks a slot that is issued for the first time as live (I4). O(1).
    #[inline(always)]
    pub(super) fn mark_first(&self, slots: Slots, number: u32) {
        let (word, bit) = self.bit(slots, number);
        // SAFETY: the word lies in the block or the split span (I1); slots are issued in order, so the first of a word initialises it.
        unsafe { word.write(if bit == 1 { 1 } else { word.read() | bit }) };
    }
}
