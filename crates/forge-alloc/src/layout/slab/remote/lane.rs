//! One lane: the frees of one thread on their way to the owner.
//!
//! ```text
//!   lines of the freeing thread      word: | number of the slot freed last | how many were freed |     one u64
//!                                    look at: how many frees make the next look at the owner's line
//!                                    recent: the AHEAD slots freed last, by position
//!   line of the owner                taken: how many of them the owner has taken over
//!                                    limit: how many may wait before the thread raises the alarm
//!
//!   word ──> slot ──> slot ──> slot ──> slot ──> ..
//!            |<─ freed - taken ───>|    taken over before: not read again
//! ```
//!
//! # Invariants
//!
//! - (I1) Only one thread at a time frees through a lane with [`Lane::push`], and these threads follow each other in
//!   happens-before order. Through a lane with [`Lane::push_shared`] any number of threads do.
//! - (I2) The slots from the head on, `freed - taken` of them, belong to the lane: linked in the order of their frees, and
//!   written by nobody. All before them belong to the owner.
//! - (I3) Only the owner writes `taken`, and it never writes `word`.
//!
//! # Operations
//!
//! `push` is O(1) without an atomic read-modify-write. `push_shared` is lock-free. `take` is O(1) and wait-free.
//!
//! # Design
//!
//! *One word, one writer.* A stack whose owner detaches it needs an exchange on each side. Here the owner detaches
//! nothing: it reads the word and knows, from the two counts, how many slots it has not seen. So the word has one writer,
//! whose plain store publishes a free, and the owner's plain load takes over a burst of any size.
//!
//! *No ABA.* The owner follows links only of slots that it has not taken over, and reads none that it has issued again. A
//! shared push links its slot to the head in the word that it replaces; if the word is equal, so is the head, whatever
//! happened in between.
//!
//! *Counts* are modulo 2^32. At most as many slots wait as the slab has, fewer than 2^32, so the difference is exact.
//!
//! *Each side keeps to its lines.* The owner reads the lines of the freeing thread only to take a batch. The freeing thread
//! reads the owner's line only when so many were freed that the limit may be reached: since `taken` only rises, that is not
//! before `taken + limit`, as they were at the last look. While the limit is reached it looks again after `patience` more
//! frees, where a fixed limit permits as many as the limit, and a changing one permits one.
#![allow(unsafe_code)]

use core::array;
use core::ptr::NonNull;

use forge_alloc_core::CachePadded;
use forge_alloc_core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::raw::lane_chain::{self, AHEAD};

/// What the freeing side writes.
struct Freed {
    word: AtomicU64,
    look_at: AtomicU32,
    patience: u32,
    recent: [AtomicU32; AHEAD],
}

/// What the owner writes.
struct Taken {
    taken: AtomicU32,
    limit: AtomicU32,
}

/// The frees of one thread, or of all threads that have no lane of their own.
pub(super) struct Lane {
    freed: CachePadded<Freed>,
    owner: CachePadded<Taken>,
}

/// A batch that the owner has taken over.
#[derive(Clone, Copy)]
pub(super) struct Batch {
    /// The number of the slot freed last.
    pub(super) head: u32,
    /// How many slots there are, not 0.
    pub(super) count: u32,
}

/// Returns the word for a slot that is the `count`-th to be freed.
#[inline(always)]
fn word(head: u32, count: u32) -> u64 {
    u64::from(head) << 32 | u64::from(count)
}

/// Returns the slot freed last and how many were freed.
#[inline(always)]
fn parts(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

impl Lane {
    /// Returns an empty lane with this limit, at least 1, and this patience, between 1 and every limit to come.
    pub(super) fn new(limit: u32, patience: u32) -> Self {
        let freed = Freed {
            word: AtomicU64::new(0),
            look_at: AtomicU32::new(patience),
            patience,
            recent: array::from_fn(|_| AtomicU32::new(0)),
        };
        let owner = Taken { taken: AtomicU32::new(0), limit: AtomicU32::new(limit) };
        Self { freed: CachePadded::new(freed), owner: CachePadded::new(owner) }
    }

    /// Frees a slot through a lane with one freeing thread. O(1).
    ///
    /// Returns how many slots were freed if it is time to [`look`](Self::look) whether the limit is reached.
    ///
    /// # Safety
    ///
    /// - The calling thread is the one that may free through this lane (I1).
    /// - `slot` is the place of the slot with the number `number`: at least eight bytes, aligned to four, which hold no
    ///   value and belong to the caller.
    #[inline(always)]
    pub(super) unsafe fn push(&self, slot: NonNull<u8>, number: u32) -> Option<u32> {
        // Relaxed: the calling thread, or one before it in happens-before order, was the last to write (I1).
        let (head, count) = parts(self.freed.word.load(Ordering::Relaxed));
        let oldest = &self.freed.recent[count as usize % AHEAD];
        // SAFETY: the slot has room, and is the caller's until the store below.
        unsafe { lane_chain::write(slot, head, oldest.load(Ordering::Relaxed)) };
        // Relaxed: others read it for a hint only.
        oldest.store(number, Ordering::Relaxed);
        let count = count.wrapping_add(1);
        // Release: pairs with the Acquire in `take`; the link, and all that the freeing thread did with the block, come first.
        self.freed.word.store(word(number, count), Ordering::Release);
        // Relaxed: as for the word above.
        if count == self.freed.look_at.load(Ordering::Relaxed) { Some(count) } else { None }
    }

    /// Returns whether so many frees reach the limit, and sets when the freeing thread looks again. O(1).
    ///
    /// For the thread that may free through this lane, after its push.
    pub(super) fn look(&self, count: u32) -> bool {
        // Relaxed: a late look delays an alarm at most.
        let (taken, limit) =
            (self.owner.taken.load(Ordering::Relaxed), self.owner.limit.load(Ordering::Relaxed));
        let due = count.wrapping_sub(taken) >= limit;
        let next = if due { count.wrapping_add(self.freed.patience) } else { taken.wrapping_add(limit) };
        self.freed.look_at.store(next, Ordering::Relaxed);
        due
    }

    /// Frees a slot through a lane that several threads free through; returns whether the limit is reached. Lock-free.
    ///
    /// # Safety
    ///
    /// As [`push`](Self::push), without its first condition.
    pub(super) unsafe fn push_shared(&self, slot: NonNull<u8>, number: u32) -> bool {
        let mut old = self.freed.word.load(Ordering::Relaxed);
        loop {
            let (head, count) = parts(old);
            // SAFETY: the slot has room, and is the caller's until the exchange below succeeds.
            unsafe { lane_chain::write(slot, head, 0) };
            let count = count.wrapping_add(1);
            // Release: pairs with the Acquire in `take`, which also synchronises with the exchanges before this one, since
            // each continues the release sequence of the last.
            match self.freed.word.compare_exchange_weak(
                old,
                word(number, count),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return self.waiting() >= self.owner.limit.load(Ordering::Relaxed),
                Err(now) => old = now,
            }
        }
    }

    /// Returns how many slots wait. Exact for a thread that is ordered with the frees and with the owner. O(1).
    pub(super) fn waiting(&self) -> u32 {
        // Relaxed: a count, through which nobody reaches a slot.
        let (_, count) = parts(self.freed.word.load(Ordering::Relaxed));
        count.wrapping_sub(self.owner.taken.load(Ordering::Relaxed))
    }

    /// Takes over all slots that wait, for the owner. O(1).
    ///
    /// Only the owner may call this: the slots are its own afterwards (I2, I3).
    #[inline]
    pub(super) fn take(&self) -> Option<Batch> {
        // Acquire: pairs with the Release in `push` and `push_shared`.
        let (head, freed) = parts(self.freed.word.load(Ordering::Acquire));
        let count = freed.wrapping_sub(self.owner.taken.load(Ordering::Relaxed));
        if count == 0 {
            return None;
        }
        // Relaxed: the freeing thread only counts with it.
        self.owner.taken.store(freed, Ordering::Relaxed);
        Some(Batch { head, count })
    }

    /// Sets how many slots may wait before the freeing thread raises the alarm. O(1).
    pub(super) fn set_limit(&self, limit: u32) {
        self.owner.limit.store(limit, Ordering::Relaxed);
    }

    /// Calls `hint` with the numbers of the slots freed last, as far as they can be seen: any number may have changed
    /// meanwhile. O(1).
    pub(super) fn for_each_recent(&self, hint: impl FnMut(u32)) {
        self.freed.recent.iter().map(|entry| entry.load(Ordering::Relaxed)).for_each(hint);
    }
}
