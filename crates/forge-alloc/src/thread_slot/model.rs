//! The statics of the thread slots for the model checker, which makes them anew for every execution.

use core::cell::Cell;
use std::sync::Arc;

use loom::sync::atomic::AtomicUsize;

use super::{Lease, NONE};

/// The way to the word that has one bit per slot. Counted, because the model checker takes its statics down before the
/// last threads have ended.
pub(super) type Taken = Arc<AtomicUsize>;

loom::lazy_static! {
    static ref TAKEN: Arc<AtomicUsize> = Arc::new(AtomicUsize::new(0));
}

/// Returns the word in which a bit is set for each slot that a living thread holds.
pub(super) fn taken() -> Taken {
    Arc::clone(&TAKEN)
}

loom::thread_local! {
    /// The slot of the thread.
    pub(super) static NUMBER: Cell<usize> = Cell::new(NONE);
    /// What gives the slot back.
    pub(super) static LEASE: Lease = Lease::new();
}
