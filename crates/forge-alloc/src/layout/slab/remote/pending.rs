//! The batches that the owner has taken over and does not use yet: one for each lane.
//!
//! ```text
//!   lane       0              1    2
//!   batch   head, count       -    head, count          filled: 0b101
//!            |
//!            v
//!   slots   newest --> .. --> the newest of the batch before, if that waits still
//! ```
//!
//! # Invariants
//!
//! - (I1) Bit `n` of `filled` says whether a batch of lane `n` waits. `slots` is the sum of the counts of those.
//! - (I2) The slots of a batch belong to the owner, and are linked as their lane linked them. Nobody has written to them.
//!
//! # Operations
//!
//! Everything is O(1).
//!
//! # Design
//!
//! The slots of a lane are one list from the first free on: a batch ends where the one before it begins. Two batches of a lane
//! that both wait are therefore one already, whatever their lengths. Only batches of different lanes are different lists, and
//! are used one after another: none is poured onto another, so the cost of a free is the same for any number of threads.

use core::array;
use core::cell::Cell;

use super::lane::Batch;
use crate::thread_slot::SLOTS;

const _: () = assert!(SLOTS <= u32::BITS as usize, "there is a bit for each lane");

/// The batches that wait for the owner.
pub(super) struct Pending {
    filled: Cell<u32>,
    slots: Cell<u32>,
    batches: [Cell<Batch>; SLOTS],
}

impl Pending {
    /// Returns no batches.
    pub(super) fn new() -> Self {
        let none = Batch { head: 0, count: 0 };
        Self { filled: Cell::new(0), slots: Cell::new(0), batches: array::from_fn(|_| Cell::new(none)) }
    }

    /// Returns whether no batch waits.
    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.filled.get() == 0
    }

    /// Returns how many slots wait.
    pub(super) fn slots(&self) -> u32 {
        self.slots.get()
    }

    /// Adds the next batch of a lane, which continues in the one that waits, if one does.
    pub(super) fn add(&self, lane: usize, batch: Batch) {
        let Some(place) = self.batches.get(lane) else { return };
        // A slot waits once, so the sums are at most the number of slots.
        place.set(Batch { head: batch.head, count: place.get().count + batch.count });
        self.slots.set(self.slots.get() + batch.count);
        self.filled.set(self.filled.get() | 1 << lane);
    }

    /// Takes a batch, and says of which lane.
    pub(super) fn take(&self) -> Option<(usize, Batch)> {
        let lane = self.filled.get().trailing_zeros() as usize;
        let batch = self.batches.get(lane)?.replace(Batch { head: 0, count: 0 });
        self.slots.set(self.slots.get() - batch.count);
        self.filled.set(self.filled.get() & !(1 << lane));
        Some((lane, batch))
    }
}
