//! [`Gauge`]: how much is used, and which levels are armed.
//!
//! ```text
//!   used bytes   ......+----------+-------------+........> capacity
//!                      |          |             |
//!                 warn - h      warn        critical          (percent of the capacity)
//!
//!   state word   | next to fire, percent | falls below, percent | FALLS | CRITICAL | WARN |
//!                 9 bits                   8 bits                 1       1          1
//! ```
//!
//! # Invariants
//!
//! - (I1) The state word is a function of its two lowest bits, the levels that have fired, and of the constant thresholds.
//! - (I2) CRITICAL is set only together with WARN.
//!
//! # Operations
//!
//! All O(1), and none divides. A fall that cannot arm a level again is one test of a bit.
//!
//! # Design
//!
//! A share is compared by two multiplications, so no threshold in bytes goes stale when the capacity changes. What the next
//! allocation has to be compared with stands in the state word itself: a level that has fired costs nothing more. The fast
//! comparison has 64 bits. Less than 2^57 bytes are ever used, so only the product of the capacity can wrap, for one beyond
//! 2^55 bytes; it then asks for the comparison that decides, which has 128 bits, in vain.
//!
//! One word counts both directions. Two words, one for what was added and one for what was taken off, break the chain from a
//! store to the next load, but were no faster for one thread, and their difference is no sum that several threads agree on.
//!
//! Each thread that allocates knows the sum that it has made itself, so exactly the one that finds the level armed and
//! exchanges the state word reports a crossing.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::event::{WatermarkLevel, WatermarkThresholds};
use crate::observe::tally;

const WARN: usize = 1;
const CRITICAL: usize = 2;
/// The bits of the levels that have fired.
const FIRED: usize = WARN | CRITICAL;
/// Whether a fall of the use can arm a level again.
const FALLS: usize = 4;
/// Where the percentage stands at which it does.
const FALL_SHIFT: u32 = 8;
/// Where the percentage stands at which the next level fires.
const RISE_SHIFT: u32 = 16;
/// The percentage at which no level is left to fire: more than an allocator is ever used.
const NEVER: usize = 511;

/// The used bytes and the armed levels of one allocator.
#[derive(Debug)]
pub(super) struct Gauge {
    used: AtomicUsize,
    state: AtomicUsize,
    thresholds: WatermarkThresholds,
    /// How many points the use has to fall below a threshold to arm its level again; 0 for never.
    hysteresis: u8,
}

impl Gauge {
    /// Returns an empty gauge with both levels armed.
    pub(super) const fn new(thresholds: WatermarkThresholds, hysteresis: u8) -> Self {
        let state = AtomicUsize::new(word(thresholds, hysteresis, 0));
        Self { used: AtomicUsize::new(0), state, thresholds, hysteresis }
    }

    /// Returns the gauge with another hysteresis and both levels armed.
    pub(super) fn with_hysteresis(self, points: u8) -> Self {
        let used = self.used.into_inner();
        Self { used: AtomicUsize::new(used), ..Self::new(self.thresholds, points) }
    }

    /// Returns how many bytes are used.
    pub(super) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// Returns the gauge to no use, which arms the levels if a fall can.
    pub(super) fn empty(&mut self) {
        self.used.store(0, Relaxed);
        self.settle(0, true);
    }

    /// Adds `bytes` and returns the sum; `alone` if no other thread does so at the same time.
    #[inline(always)]
    pub(super) fn rise(&self, bytes: usize, alone: bool) -> usize {
        tally::add(&self.used, bytes, alone)
    }

    /// Returns whether `used` of `capacity` bytes may make a level fire.
    #[inline(always)]
    pub(super) fn may_fire(&self, used: usize, capacity: usize) -> bool {
        let percent = (self.state.load(Relaxed) >> RISE_SHIFT) as u64;
        (used as u64).wrapping_mul(100) >= percent.wrapping_mul(capacity as u64)
    }

    /// Returns the level that `used` of `capacity` bytes make fire, and marks it as fired, for one of all threads that ask.
    pub(super) fn fire(&self, used: usize, capacity: usize, alone: bool) -> Option<WatermarkLevel> {
        loop {
            let state = self.state.load(Relaxed);
            let critical = is_at_least(used, self.thresholds.critical_pct.into(), capacity);
            let warn = is_at_least(used, self.thresholds.warn_pct.into(), capacity);
            let (level, fired) = match state & FIRED {
                0 if warn && !critical => (WatermarkLevel::Warn, WARN),
                0 | WARN if critical => (WatermarkLevel::Critical, FIRED),
                _ => return None,
            };
            if tally::replace(&self.state, state, self.word(fired), alone) {
                return Some(level);
            }
        }
    }

    /// Takes `bytes` off; returns whether that may arm a level again.
    #[inline(always)]
    pub(super) fn fall(&self, bytes: usize, alone: bool) -> bool {
        debug_assert!(
            self.used() >= bytes,
            "Watermark::deallocate underflow: a block was freed with a larger size than it was allocated with"
        );
        tally::sub(&self.used, bytes, alone);
        self.state.load(Relaxed) & FALLS != 0
    }

    /// Arms every level that the use, of `capacity` bytes, has fallen far enough below.
    pub(super) fn settle(&self, capacity: usize, alone: bool) {
        loop {
            let (used, state) = (self.used(), self.state.load(Relaxed));
            let share = state >> FALL_SHIFT & 0xFF;
            if state & FALLS == 0 || !is_at_most(used, share, capacity) {
                return;
            }
            let warn = self.thresholds.warn_pct.saturating_sub(self.hysteresis);
            let fired = if is_at_most(used, warn.into(), capacity) { 0 } else { WARN };
            if tally::replace(&self.state, state, self.word(fired), alone) {
                return;
            }
        }
    }

    /// Arms both levels.
    pub(super) fn rearm(&self) {
        self.state.store(self.word(0), Relaxed);
    }

    fn word(&self, fired: usize) -> usize {
        word(self.thresholds, self.hysteresis, fired)
    }
}

/// Returns the state word for the levels that have fired (I1).
const fn word(thresholds: WatermarkThresholds, hysteresis: u8, fired: usize) -> usize {
    let (warn, critical) = (thresholds.warn_pct as usize, thresholds.critical_pct as usize);
    let first = if warn < critical { warn } else { critical };
    let (rise, highest) = match fired {
        0 => (first, 0),
        WARN => (critical, warn),
        _ => (NEVER, critical),
    };
    let falls = if fired != 0 && hysteresis != 0 { FALLS } else { 0 };
    let fall = highest.saturating_sub(hysteresis as usize);
    rise << RISE_SHIFT | fall << FALL_SHIFT | falls | fired
}

/// Returns whether `used` is at least `percent` of `capacity`.
fn is_at_least(used: usize, percent: usize, capacity: usize) -> bool {
    used as u128 * 100 >= percent as u128 * capacity as u128
}

/// Returns whether `used` is at most `percent` of `capacity`.
fn is_at_most(used: usize, percent: usize, capacity: usize) -> bool {
    used as u128 * 100 <= percent as u128 * capacity as u128
}

#[cfg(test)]
mod tests;
