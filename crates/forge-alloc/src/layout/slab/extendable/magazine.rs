//! A few free slots that one thread keeps at hand.
//!
//! ```text
//!   slots   | oldest | .. | newest | - unused - |
//!                                  ^ count
//! ```
//!
//! # Invariants
//!
//! - (I1) Only the thread that holds the magazine's thread slot changes it, or whoever has the pool for itself; holders
//!   follow each other in happens-before order.
//! - (I2) The first `count` entries are slots of segments, taken there and not handed out; they are distinct.
//!
//! # Operations
//!
//! `push` and `pop`: O(1), plain loads and stores. `remove_oldest`: O(magazine).
//!
//! # Design
//!
//! The addresses lie outside the slots, so that nothing that is written to a free slot can reach them, and a free touches
//! no memory of the slot. The entries are atomic for the sake of `len`, which other threads read; every access is relaxed.

use core::array;
use core::ptr::{self, NonNull};

use forge_alloc_core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// The largest number of slots in a magazine. The model checker needs few.
pub(super) const MAGAZINE: usize = if cfg!(loom) { 2 } else { 31 };

/// The free slots of one thread.
pub(super) struct Magazine {
    count: AtomicUsize,
    slots: [AtomicPtr<u8>; MAGAZINE],
}

impl Magazine {
    /// Returns an empty magazine.
    pub(super) fn new() -> Self {
        Self { count: AtomicUsize::new(0), slots: array::from_fn(|_| AtomicPtr::new(ptr::null_mut())) }
    }

    /// Returns how many slots are in it; approximate if another thread holds it. O(1).
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        // Relaxed: the holder reads what it, or its predecessor, wrote (I1).
        self.count.load(Ordering::Relaxed)
    }

    /// Takes the slot that was put in last. O(1).
    #[inline(always)]
    pub(super) fn pop(&self) -> Option<NonNull<u8>> {
        // The count of an empty magazine wraps to an entry that does not exist.
        let newest = self.len().wrapping_sub(1);
        let slot = self.slots.get(newest)?.load(Ordering::Relaxed);
        self.count.store(newest, Ordering::Relaxed);
        NonNull::new(slot)
    }

    /// Puts a slot in, or returns `false` if the magazine is full. O(1).
    #[inline(always)]
    pub(super) fn push(&self, slot: NonNull<u8>) -> bool {
        let count = self.len();
        let Some(entry) = self.slots.get(count) else { return false };
        entry.store(slot.as_ptr(), Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Relaxed);
        true
    }

    /// Returns the slot with this place, counted from the oldest. O(1).
    pub(super) fn get(&self, place: usize) -> Option<NonNull<u8>> {
        if place < self.len() { NonNull::new(self.slots.get(place)?.load(Ordering::Relaxed)) } else { None }
    }

    /// Returns whether a slot is in it. O(magazine).
    pub(super) fn contains(&self, slot: NonNull<u8>) -> bool {
        (0..self.len()).any(|place| self.get(place) == Some(slot))
    }

    /// Forgets the `count` oldest slots, or all if there are fewer. O(magazine).
    pub(super) fn remove_oldest(&self, count: usize) {
        let kept = self.len().saturating_sub(count);
        for (to, from) in self.slots.iter().zip(self.slots.iter().skip(count)).take(kept) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.count.store(kept, Ordering::Relaxed);
    }
}
