//! The statics of the thread slots.

use core::cell::Cell;
use core::sync::atomic::AtomicUsize;

use super::{Lease, NONE};

/// The way to the word that has one bit per slot.
pub(super) type Taken = &'static AtomicUsize;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Returns the word in which a bit is set for each slot that a living thread holds.
pub(super) fn taken() -> Taken {
    &TAKEN
}

std::thread_local! {
    /// The slot of the thread. Constant and without a destructor, so that reading it needs no check.
    pub(super) static NUMBER: Cell<usize> = const { Cell::new(NONE) };
    /// What gives the slot back.
    pub(super) static LEASE: Lease = const { Lease::new() };
}
