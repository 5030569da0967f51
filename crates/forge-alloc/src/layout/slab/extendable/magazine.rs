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
//! `push` and `pop`: O(1), plain loads and stores. `move_oldest` and `fill`: O(magazine).
//!
//! # Design
//!
//! The addresses lie outside the slots, so that nothing that is written to a free slot can reach them, and a free touches
//! no memory of the slot. The entries are atomic for the sake of `len`, which other threads read; every access is relaxed.

use core::array;
use core::ptr::{self, NonNull};

use forge_alloc_core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// The largest number of slots in a magazine. The model checker needs few.
pub(crate) const MAGAZINE: usize = if cfg!(loom) { 2 } else { 127 };
/// The largest number of slots that enter or leave a magazine at a time.
pub(crate) const BUNDLE: usize = MAGAZINE.div_ceil(2);

/// Slots on their way between a magazine and the pool, the one freed last at the end.
#[derive(Clone, Copy)]
pub(crate) struct Bundle {
    count: usize,
    slots: [*mut u8; BUNDLE],
}

impl Bundle {
    /// No slots.
    pub(crate) const EMPTY: Self = Self { count: 0, slots: [ptr::null_mut(); BUNDLE] };

    /// Returns whether there are no slots. O(1).
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the slots, the one freed last at the end.
    #[inline]
    pub(crate) fn slots(&self) -> impl DoubleEndedIterator<Item = NonNull<u8>> + Clone {
        self.slots.iter().take(self.count).filter_map(|&slot| NonNull::new(slot))
    }

    /// Returns how many slots there are. O(1).
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Takes the slot that was freed last. O(1).
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<NonNull<u8>> {
        self.count = self.count.checked_sub(1)?;
        NonNull::new(*self.slots.get(self.count)?)
    }
}

/// The free slots of one thread.
pub(crate) struct Magazine {
    count: AtomicUsize,
    slots: [AtomicPtr<u8>; MAGAZINE],
}

impl Magazine {
    /// Returns an empty magazine.
    pub(crate) fn new() -> Self {
        Self { count: AtomicUsize::new(0), slots: array::from_fn(|_| AtomicPtr::new(ptr::null_mut())) }
    }

    /// Returns how many slots are in it; approximate if another thread holds it. O(1).
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        // Relaxed: the holder reads what it, or its predecessor, wrote (I1).
        self.count.load(Ordering::Relaxed)
    }

    /// Takes the slot that was put in last. O(1).
    #[inline(always)]
    pub(crate) fn pop(&self) -> Option<NonNull<u8>> {
        // The count of an empty magazine wraps to an entry that does not exist.
        let newest = self.len().wrapping_sub(1);
        let slot = self.slots.get(newest)?.load(Ordering::Relaxed);
        self.count.store(newest, Ordering::Relaxed);
        NonNull::new(slot)
    }

    /// Puts a slot in, or returns `false` if the magazine is full. O(1).
    #[inline(always)]
    pub(crate) fn push(&self, slot: NonNull<u8>) -> bool {
        let count = self.len();
        let Some(entry) = self.slots.get(count) else { return false };
        entry.store(slot.as_ptr(), Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Relaxed);
        true
    }

    /// Returns whether a slot is in it. O(magazine).
    pub(crate) fn contains(&self, slot: NonNull<u8>) -> bool {
        self.slots.iter().take(self.len()).any(|entry| entry.load(Ordering::Relaxed) == slot.as_ptr())
    }

    /// Moves the `count` oldest slots, or as many as there are and as a bundle holds, into `bundle`, whose slots they
    /// replace. O(magazine).
    pub(crate) fn move_oldest(&self, count: usize, bundle: &mut Bundle) {
        let len = self.len();
        let count = count.min(len).min(BUNDLE);
        bundle.count = count;
        for (to, from) in bundle.slots.iter_mut().zip(&self.slots).take(count) {
            *to = from.load(Ordering::Relaxed);
        }
        for (to, from) in self.slots.iter().zip(self.slots.iter().skip(count)).take(len - count) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.count.store(len - count, Ordering::Relaxed);
    }

    /// Puts the slots of a bundle into the empty magazine, and returns the one freed last instead. O(magazine).
    pub(crate) fn fill(&self, bundle: &Bundle) -> Option<NonNull<u8>> {
        debug_assert!(self.len() == 0);
        let kept = bundle.count.checked_sub(1)?;
        for (to, from) in self.slots.iter().zip(&bundle.slots).take(kept) {
            to.store(*from, Ordering::Relaxed);
        }
        self.count.store(kept, Ordering::Relaxed);
        NonNull::new(*bundle.slots.get(kept)?)
    }
}
