//! The mark of a cache: whether its thread is in the middle of touching it.
//!
//! ```text
//!   thread    is it marked? no ── mark ── load top ── .. ── store top ── unmark
//!                                              ^
//!   handler                                    is it marked? yes: another way, without the cache
//! ```
//!
//! # Invariants
//!
//! - (I1) Who touches what the mark is about found it clear, set it, and clears it when all of it is whole again.
//! - (I2) A handler runs to its end before what it interrupts goes on, and leaves the mark as it found it.
//!
//! So between a look that finds the mark clear and the store that sets it a handler may come and go, with whole requests of its own; and
//! from there until the mark is cleared, it finds the mark and touches nothing. What is loaded before the mark is set may be out
//! of date, and is not used.
//!
//! # Operations
//!
//! Four instructions for each request: a comparison, a branch, two stores of constants. None where a
//! [profile](crate::fast::Profile) does not let handlers allocate.
//!
//! # Design
//!
//! Only one thread touches a cache, so nothing has to be atomic for other threads, and the processor sees its own stores in order: it
//! is the compiler alone that must not move loads and stores of the cache out from between the mark's, which its fences forbid.
//!
//! Other ways were weighed. Restartable sequences need no look, and need a kernel and an assembler. A single instruction that
//! takes a block (`xchg`, `cmpxchg`) waits longer for memory than all of this takes. A mark folded into `top` or `low` has to be
//! followed by a second load of the word, since a handler may have come between the first load and the mark: it saves one instruction.

use core::cell::Cell;
use core::sync::atomic::{Ordering, compiler_fence};

/// Whether a thread is in the middle of touching what is its own.
#[derive(Debug)]
pub(super) struct Busy(Cell<bool>);

impl Busy {
    /// Returns a mark that is set, or not. O(1).
    pub(super) const fn new(set: bool) -> Self {
        Self(Cell::new(set))
    }

    /// Returns whether the mark is set. O(1).
    #[inline(always)]
    pub(super) fn is_set(&self) -> bool {
        self.0.get()
    }

    /// Sets the mark, which is clear. O(1).
    #[inline(always)]
    pub(super) fn set(&self) {
        self.0.set(true);
        // Nothing that is loaded or stored below happens before the store above.
        compiler_fence(Ordering::SeqCst);
    }

    /// Clears the mark. O(1).
    #[inline(always)]
    pub(super) fn clear(&self) {
        // Nothing that is loaded or stored above happens after the store below.
        compiler_fence(Ordering::SeqCst);
        self.0.set(false);
    }
}
