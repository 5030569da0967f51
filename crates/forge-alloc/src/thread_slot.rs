//! A small number of slots for the whole process, each held by at most one living thread.
//!
//! ```text
//!   taken   ..0 0 1 1 0 1     one bit per slot
//!                 | |   |
//!            thread C  B   A    each keeps its number in a thread-local; a thread that ends gives its slot back
//! ```
//!
//! A structure that has one piece of state per slot may let the thread that holds slot `n` use piece `n` with plain
//! loads and stores.
//!
//! # Invariants
//!
//! - (I1) At any time at most one living thread sees `current() == n`, for each `n < SLOTS`.
//! - (I2) Everything that a holder of slot `n` did through it happens before everything that the next holder does: the
//!   end of a thread releases the slot (Release), the next holder takes it (Acquire).
//!
//! # Operations
//!
//! [`current`] is one load of a thread-local. [`acquire`] is lock-free and runs once per thread, and again for each
//! request of a thread that finds every slot taken.
//!
//! # Design
//!
//! Thread ids that the system reuses would need an owner mark in every structure, and give no order between the old
//! owner and the new one (I2). Numbers that are never reused would leave the state of ended threads behind for good;
//! here the next thread takes it over. The lowest free slot is taken, so few threads touch few slots.
//!
//! The number itself has no destructor, so that reading it is one instruction where the loader has placed the
//! thread-locals of the program; a second thread-local gives the slot back. Allocations in other thread-local destructors, and one inside the
//! registration of ours, find no slot and do without.

use core::cell::Cell;

use forge_alloc_core::sync::atomic::Ordering;

#[cfg_attr(loom, path = "thread_slot/model.rs")]
#[cfg_attr(not(loom), path = "thread_slot/native.rs")]
mod statics;

use statics::{LEASE, NUMBER, Taken, taken};

/// How many slots there are. The model checker needs few.
pub(crate) const SLOTS: usize = if cfg!(loom) { 2 } else { 16 };

/// The number of a thread that has not asked for a slot, or found all taken.
const NONE: usize = usize::MAX;
/// The number of a thread that may not take a slot: it is ending, or in the middle of taking one.
const BARRED: usize = usize::MAX - 1;

/// Gives the slot of a thread back when the thread ends.
struct Lease {
    held: Cell<Option<(Taken, usize)>>,
}

impl Lease {
    /// Returns a lease without a slot.
    const fn new() -> Self {
        Self { held: Cell::new(None) }
    }
}

/// Returns the slot of the calling thread, or a number that is not below [`SLOTS`] if it has none.
#[inline(always)]
pub(crate) fn current() -> usize {
    NUMBER.try_with(Cell::get).unwrap_or(BARRED)
}

/// Returns the slot of the calling thread and takes one first if it has none; a number not below [`SLOTS`] if that is
/// impossible.
#[cold]
pub(crate) fn acquire() -> usize {
    let number = current();
    if number != NONE {
        return number;
    }
    let taken = taken();
    let Some(slot) = take_lowest(&taken) else { return NONE };
    // Registering the destructor may allocate; an allocator that asks for the slot meanwhile must find none.
    set_number(BARRED);
    if LEASE.try_with(|lease| lease.held.set(Some((taken, slot)))).is_err() {
        give_back(&statics::taken(), slot);
        return BARRED;
    }
    set_number(slot);
    slot
}

impl Drop for Lease {
    fn drop(&mut self) {
        set_number(BARRED);
        if let Some((taken, slot)) = self.held.take() {
            give_back(&taken, slot);
        }
    }
}

/// Sets the number of the calling thread; a thread whose thread-locals are gone reads as barred anyway.
fn set_number(number: usize) {
    let _ = NUMBER.try_with(|own| own.set(number));
}

/// Takes the lowest free slot.
fn take_lowest(taken: &Taken) -> Option<usize> {
    let mut bits = taken.load(Ordering::Relaxed);
    loop {
        let slot = bits.trailing_ones() as usize;
        if slot >= SLOTS {
            return None;
        }
        // Acquire: pairs with the Release in `give_back`, through the other exchanges in between.
        match taken.compare_exchange_weak(bits, bits | 1 << slot, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return Some(slot),
            Err(now) => bits = now,
        }
    }
}

/// Makes `slot` free for other threads.
fn give_back(taken: &Taken, slot: usize) {
    // Release: pairs with the Acquire in `take_lowest`.
    taken.fetch_and(!(1 << slot), Ordering::Release);
}

#[cfg(test)]
mod tests;
