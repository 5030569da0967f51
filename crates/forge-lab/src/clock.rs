//! Two clocks: one for single calls, cheap to read and its own cost known, and one for whole replays.
//!
//! # Design
//!
//! An allocation takes a few nanoseconds and the system's clock about twenty, so a per-call figure is only as good as the
//! clock's cost is known. On x86-64 with a constant time-stamp counter the counter is read directly, fenced so that the
//! call can neither start before the first reading nor end after the second, and scaled against the system's clock once.
//! Elsewhere the system's clock is read. Either way the median cost of an empty pair of readings is measured and
//! subtracted, never below zero.
//!
//! A whole replay is timed by the processor time of the process where the system tells it: a replay waits for nothing, so
//! on an idle machine that is the time that passes, and on a busy one it leaves out the time when others ran.
#![allow(unsafe_code)]

use std::time::{Duration, Instant};

/// A calibrated clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    nanoseconds_per_tick: f64,
    /// The ticks between two readings with nothing in between.
    overhead: u64,
    /// The smallest difference between two readings that is not zero, in ticks.
    step: u64,
}

impl Clock {
    /// Calibrates the clock; takes some milliseconds.
    pub(crate) fn calibrated() -> Self {
        let (instant, ticks) = (Instant::now(), ticks());
        while instant.elapsed() < Duration::from_millis(10) {
            std::hint::spin_loop();
        }
        let (elapsed, counted) = (instant.elapsed(), self::ticks().saturating_sub(ticks));
        let nanoseconds_per_tick = elapsed.as_nanos() as f64 / counted.max(1) as f64;
        let pairs = empty_pairs();
        let overhead = pairs.get(pairs.len() / 2).copied().unwrap_or(0);
        let step = pairs
            .windows(2)
            .filter_map(|pair| Some(pair.last()? - pair.first()?))
            .filter(|&step| step > 0)
            .min();
        Self { nanoseconds_per_tick, overhead, step: step.unwrap_or(1) }
    }

    /// Returns the reading to pass to [`Clock::since`].
    #[inline]
    pub(crate) fn now(self) -> u64 {
        ticks()
    }

    /// Returns the ticks since `start`, less the clock's own cost.
    #[inline]
    pub(crate) fn since(self, start: u64) -> u64 {
        ticks().saturating_sub(start).saturating_sub(self.overhead)
    }

    /// Converts ticks to nanoseconds, rounded.
    pub(crate) fn nanoseconds(self, ticks: u64) -> u64 {
        (ticks as f64 * self.nanoseconds_per_tick).round() as u64
    }

    /// Returns the cost of a pair of readings, which is subtracted from each figure, in nanoseconds.
    pub(crate) fn overhead_nanoseconds(self) -> f64 {
        self.overhead as f64 * self.nanoseconds_per_tick
    }

    /// Returns the smallest difference that the clock shows, in nanoseconds: figures are multiples of it.
    pub(crate) fn step_nanoseconds(self) -> f64 {
        self.step as f64 * self.nanoseconds_per_tick
    }
}

/// Returns the time that this process has run so far; where the system does not tell, the time that has passed.
#[cfg(unix)]
pub(crate) fn process_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Returns the time that has passed since the first call.
#[cfg(not(unix))]
pub(crate) fn process_time() -> Duration {
    use std::sync::OnceLock;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Returns the ticks between readings with nothing in between, in increasing order.
fn empty_pairs() -> Vec<u64> {
    let mut pairs: Vec<u64> = (0..1001)
        .map(|_| {
            let start = ticks();
            ticks().saturating_sub(start)
        })
        .collect();
    pairs.sort_unstable();
    pairs
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn ticks() -> u64 {
    use core::arch::x86_64::{_mm_lfence, _rdtsc};
    // SAFETY: every x86-64 processor has both instructions; they touch no memory.
    unsafe {
        _mm_lfence();
        let ticks = _rdtsc();
        _mm_lfence();
        ticks
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn ticks() -> u64 {
    use std::sync::OnceLock;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

#[cfg(test)]
mod tests;
