//! The map of live slots of a slab whose policy tracks: a byte per slot, beside the slots. Invariants are those of the slab.
//!
//! # Design
//!
//! A byte and not a bit: what is stored depends on nothing that was loaded, so an allocation does not wait for the free before
//! it, and nothing shifts or masks. Seven bits a slot are little beside the word a slot that the list in a split span has.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{Allocator, FixedRange, FreelistProtection};

use super::Slab;
use crate::raw::freelist::Slots;

impl<T, B: Allocator + FixedRange, M: FreelistProtection> Slab<T, B, M> {
    /// Returns the byte of the map for the slot with this number. O(1).
    #[inline(always)]
    fn state(&self, slots: Slots, number: u32) -> NonNull<u8> {
        // SAFETY: the map lies in the block or in the split span (I1), with a byte for each slot; numbers start at 1.
        unsafe { slots.aside.add(self.map + number as usize - 1) }
    }

    /// Returns whether a slot that was issued is live, under a policy that tracks. O(1).
    #[inline(always)]
    pub(super) fn is_live(&self, slots: Slots, number: u32) -> bool {
        // SAFETY: the byte is initialised, because the slot was issued (I5).
        unsafe { self.state(slots, number).read() != 0 }
    }

    /// Marks a slot as live or as not live, under a policy that tracks (I5). O(1).
    #[inline(always)]
    pub(super) fn mark(&self, slots: Slots, number: u32, live: bool) {
        // SAFETY: the byte is that of the slot, and only this thread uses it.
        unsafe { self.state(slots, number).write(u8::from(live)) };
    }
}
