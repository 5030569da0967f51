//! [`BatchPolicy`]: how many frees from other threads wait before the owner takes them over.
//!
//! ```text
//!   level       0    1    2    3    4          4q > 3c: one level down
//!   threshold   8   16   32   64  128          4q <  c: one level up
//!                              ^ start         then 16 ticks at that level
//! ```
//!
//! `q` is the length of the queue, `c` its capacity; a tick is an allocation or a free of the owner.
//!
//! # Design
//!
//! A long queue means that the owner falls behind, so it takes over smaller batches more often; a short one lets batches
//! grow. The pause after a step keeps one burst from moving several levels.
//!
//! The owner does not measure the queue at every tick, because that would fetch cache lines that other threads write. As
//! long as no lane has reached the [limit](Batching::limit), `q` is below `c / 4` and below the threshold, where every
//! length has the same consequence as an empty queue. A tick without an alarm therefore follows the law for `q = 0`, and
//! is nothing at all once that changes nothing.
//!
//! This is exact while one thread frees. Of several, the first that reaches the limit in its own lane makes the owner
//! measure all of them; until then up to one limit per thread may wait.

use core::cell::Cell;

/// The thresholds of [`BatchPolicy::Adaptive`], in frees, from the level for the longest queue to that for the shortest.
pub const ADAPTIVE_LEVELS: [usize; 5] = [8, 16, 32, 64, 128];

/// How many operations of the owner [`BatchPolicy::Adaptive`] stays at a level at least.
pub const ADAPTIVE_COOLDOWN_TICKS: u32 = 16;

/// The level of a fresh owner.
const FIRST_LEVEL: usize = 3;

/// How many frees from other threads wait before the owner of a slab takes them over.
///
/// The number counts when one thread has freed so many; the owner then takes over those of all threads.
#[derive(Clone, Copy, Debug)]
pub enum BatchPolicy {
    /// So many; 0 as 1.
    Fixed(usize),
    /// One of [`ADAPTIVE_LEVELS`]: fewer while the queue is more than three quarters full, more while it is less than one
    /// quarter full, and at least [`ADAPTIVE_COOLDOWN_TICKS`] operations of the owner between two changes.
    Adaptive,
}

impl Default for BatchPolicy {
    /// Returns `Fixed(64)`.
    fn default() -> Self {
        Self::Fixed(64)
    }
}

/// The state of a policy.
pub(super) struct Batching {
    policy: BatchPolicy,
    queue_capacity: usize,
    level: Cell<usize>,
    cooldown: Cell<u32>,
    /// Whether a tick with an empty queue changes something.
    restless: Cell<bool>,
}

impl Batching {
    /// Returns the state before the first tick.
    pub(super) fn new(policy: BatchPolicy, queue_capacity: usize) -> Self {
        let restless = matches!(policy, BatchPolicy::Adaptive);
        let (level, cooldown) = (Cell::new(FIRST_LEVEL), Cell::new(0));
        Self { policy, queue_capacity, level, cooldown, restless: Cell::new(restless) }
    }

    /// Returns at which length the queue is taken over. O(1).
    pub(super) fn threshold(&self) -> u64 {
        match self.policy {
            BatchPolicy::Fixed(threshold) => threshold.max(1) as u64,
            BatchPolicy::Adaptive => self.level_threshold() as u64,
        }
    }

    /// Returns the threshold of the present level, if there are levels. O(1).
    pub(super) fn adaptive_threshold(&self) -> Option<usize> {
        matches!(self.policy, BatchPolicy::Adaptive).then(|| self.level_threshold())
    }

    fn level_threshold(&self) -> usize {
        ADAPTIVE_LEVELS.get(self.level.get()).copied().unwrap_or(ADAPTIVE_LEVELS[FIRST_LEVEL])
    }

    /// Returns the length, at least 1, below which the queue has the same consequences as when it is empty. O(1).
    pub(super) fn limit(&self) -> u32 {
        let quarter = match self.policy {
            BatchPolicy::Fixed(_) => u64::MAX,
            BatchPolicy::Adaptive => (self.queue_capacity as u64).div_ceil(4),
        };
        u32::try_from(self.threshold().min(quarter)).unwrap_or(u32::MAX).max(1)
    }

    /// Returns how many frees after the limit a lane may look at the limit again: a fixed limit is the same then. O(1).
    pub(super) fn patience(&self) -> u32 {
        match self.policy {
            BatchPolicy::Fixed(_) => self.limit(),
            BatchPolicy::Adaptive => 1,
        }
    }

    /// Returns whether a tick with an empty queue changes something. O(1).
    #[inline(always)]
    pub(super) fn is_restless(&self) -> bool {
        self.restless.get()
    }

    /// Does one tick with a queue of `length`; returns whether the threshold has changed. O(1).
    pub(super) fn tick(&self, length: u64) -> bool {
        if !matches!(self.policy, BatchPolicy::Adaptive) {
            return false;
        }
        let stepped = self.step(length);
        let at_rest = self.cooldown.get() == 0 && self.wish(0) == self.level.get();
        self.restless.set(!at_rest);
        stepped
    }

    /// Returns the level that a queue of `length` calls for, at most one from the present one.
    fn wish(&self, length: u64) -> usize {
        let (level, capacity) = (self.level.get(), self.queue_capacity as u64);
        let quadruple = length.saturating_mul(4);
        if quadruple > capacity.saturating_mul(3) {
            level.saturating_sub(1)
        } else if quadruple < capacity {
            (level + 1).min(ADAPTIVE_LEVELS.len() - 1)
        } else {
            level
        }
    }

    fn step(&self, length: u64) -> bool {
        if self.cooldown.get() > 0 {
            self.cooldown.set(self.cooldown.get() - 1);
            return false;
        }
        let wish = self.wish(length);
        if wish == self.level.get() {
            return false;
        }
        self.level.set(wish);
        self.cooldown.set(ADAPTIVE_COOLDOWN_TICKS);
        true
    }
}

#[cfg(test)]
mod tests;
