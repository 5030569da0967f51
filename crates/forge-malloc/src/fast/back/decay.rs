//! When free memory goes back to the system: once it was not needed for a while.
//!
//! ```text
//!   idle  ^         _            ___
//!         |   _____/ \__      __/   \__
//!         | _/          \____/         \      tick: so much was free all the time since the tick before, and goes back
//!         |..............____...........      low
//!         +------------------------------> time
//!          tick                       tick
//! ```
//!
//! # Invariants
//!
//! - (I1) `low` is at most what was idle at any moment since the last tick.
//!
//! # Operations
//!
//! [`note`](Decay::note): O(1), and a look at the clock every [`CHANGES`] calls. [`tick`](Decay::tick): O(1), and a look at the clock.
//!
//! # Design
//!
//! What goes back is what no request needed for a whole delay, so it is free for one delay at least and for two at most, as long as there are
//! requests: nothing happens in a process that makes none, since there is no thread of our own. One number says how much that is, the
//! lowest since the last tick, as in the working set of depots (Bonwick and Adams, "Magazines and Vmem", 2001). jemalloc and mimalloc keep a time for
//! each run of pages, which says as well which ones are the oldest; here those go that serve the fewest requests.
//!
//! The clock is read where a lock is held that guards the memory, which is far from the path that most requests take.

use core::mem;

use forge_os::Os;

/// How many changes go by between two looks at the clock.
const CHANGES: u32 = 8;

/// How long memory stays that nobody needs, unless something else is set, in milliseconds.
pub(super) const DELAY: u64 = 1000;

/// How much memory was not needed since when.
#[derive(Debug)]
pub(super) struct Decay {
    delay: u64,
    since: u64,
    low: usize,
    changes: u32,
}

impl Decay {
    /// Returns a beginning, with nothing that was not needed.
    pub(super) const fn new() -> Self {
        Self { delay: DELAY, since: 0, low: 0, changes: 0 }
    }

    /// Sets the delay, in milliseconds. O(1).
    pub(super) fn set_delay(&mut self, milliseconds: u64) {
        self.delay = milliseconds;
    }

    /// Takes notice that `idle` is free after a change, and returns how much of it has to go back now.
    #[inline]
    pub(super) fn note(&mut self, os: &impl Os, idle: usize) -> usize {
        self.lower(idle);
        self.changes += 1;
        if self.changes < CHANGES { 0 } else { self.tick(os, idle) }
    }

    /// Takes notice that no more than `idle` is free after a request. O(1).
    #[inline]
    pub(super) fn lower(&mut self, idle: usize) {
        self.low = self.low.min(idle);
    }

    /// Looks at the clock, and returns how much of what is idle was not needed in the delay that is over, if one is. O(1).
    #[cold]
    pub(super) fn tick(&mut self, os: &impl Os, idle: usize) -> usize {
        self.changes = 0;
        self.lower(idle);
        let now = os.milliseconds();
        if now.wrapping_sub(self.since) < self.delay {
            return 0;
        }
        self.since = now;
        let unneeded = mem::replace(&mut self.low, 0);
        self.low = idle - unneeded;
        unneeded
    }
}

#[cfg(test)]
mod tests;
