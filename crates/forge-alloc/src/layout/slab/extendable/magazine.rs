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
//! no memory of the slot. The count is atomic for the sake of `len`, which other threads read; the entries are not, so that
//! moving a bundle is one copy of memory.
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};

use forge_alloc_core::sync::atomic::{AtomicUsize, Ordering};
use forge_alloc_core::sync::cell::UnsafeCell;

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

/// The free slots of one thread. What holds it is shared between threads, and lets each reach its own (I1).
pub(crate) struct Magazine {
    count: AtomicUsize,
    slots: UnsafeCell<[*mut u8; MAGAZINE]>,
}

impl Magazine {
    /// Returns an empty magazine.
    pub(crate) fn new() -> Self {
        Self { count: AtomicUsize::new(0), slots: UnsafeCell::new([ptr::null_mut(); MAGAZINE]) }
    }

    /// Calls `read` with the entries.
    #[inline(always)]
    fn entries<R>(&self, read: impl FnOnce(&[*mut u8; MAGAZINE]) -> R) -> R {
        // SAFETY: the caller's thread is the only one here (I1), and no `read` of this module changes the entries.
        self.slots.with(|slots| read(unsafe { &*slots }))
    }

    /// Calls `change` with the entries.
    #[inline(always)]
    fn entries_mut<R>(&self, change: impl FnOnce(&mut [*mut u8; MAGAZINE]) -> R) -> R {
        // SAFETY: as in `entries`, and no `change` of this module comes here again.
        self.slots.with_mut(|slots| change(unsafe { &mut *slots }))
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
        let slot = self.entries(|slots| slots.get(newest).copied())?;
        self.count.store(newest, Ordering::Relaxed);
        NonNull::new(slot)
    }

    /// Puts a slot in, or returns `false` if the magazine is full. O(1).
    #[inline(always)]
    pub(crate) fn push(&self, slot: NonNull<u8>) -> bool {
        let count = self.len();
        let room =
            self.entries_mut(|slots| slots.get_mut(count).map(|entry| *entry = slot.as_ptr()).is_some());
        if room {
            self.count.store(count + 1, Ordering::Relaxed);
        }
        room
    }

    /// Returns whether a slot is in it. O(magazine).
    pub(crate) fn contains(&self, slot: NonNull<u8>) -> bool {
        let len = self.len();
        self.entries(|slots| slots.iter().take(len).any(|&entry| entry == slot.as_ptr()))
    }

    /// Moves the `count` oldest slots, or as many as there are and as a bundle holds, into `bundle`, whose slots they
    /// replace. O(magazine).
    pub(crate) fn move_oldest(&self, count: usize, bundle: &mut Bundle) {
        let len = self.len();
        let count = count.min(len).min(BUNDLE);
        bundle.count = count;
        self.entries_mut(|slots| {
            for (to, from) in bundle.slots.iter_mut().zip(&*slots).take(count) {
                *to = *from;
            }
            let start = slots.as_mut_ptr();
            // SAFETY: `count <= len`, which is at most the number of entries.
            unsafe { start.copy_from(start.add(count), len - count) };
        });
        self.count.store(len - count, Ordering::Relaxed);
    }

    /// Puts the slots of a bundle into the empty magazine, and returns the one freed last instead. O(magazine).
    pub(crate) fn fill(&self, bundle: &Bundle) -> Option<NonNull<u8>> {
        debug_assert!(self.len() == 0);
        let kept = bundle.count.checked_sub(1)?;
        self.entries_mut(|slots| {
            for (to, from) in slots.iter_mut().zip(&bundle.slots).take(kept) {
                *to = *from;
            }
        });
        self.count.store(kept, Ordering::Relaxed);
        NonNull::new(*bundle.slots.get(kept)?)
    }
}
