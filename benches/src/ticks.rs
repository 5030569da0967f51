//! Ticks: a clock that is fine enough for a single call of an allocator.
//!
//! # Design
//!
//! On x86-64 it is the time-stamp counter, which is constant on every processor of the last fifteen years, read between
//! fences so that what is timed neither begins before nor ends after. Elsewhere it is the clock of the system.
#![allow(unsafe_code)]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Returns the present tick.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has both instructions, which touch no memory.
    unsafe {
        core::arch::x86_64::_mm_lfence();
        let now = core::arch::x86_64::_rdtsc();
        core::arch::x86_64::_mm_lfence();
        now
    }
}

/// Returns the present tick.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub fn ticks() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Returns how many ticks pass between two readings with nothing between them.
pub fn overhead() -> u64 {
    static OVERHEAD: OnceLock<u64> = OnceLock::new();
    *OVERHEAD.get_or_init(|| {
        let pairs = (0..10_000).map(|_| {
            let start = ticks();
            ticks() - start
        });
        pairs.min().unwrap_or(0)
    })
}

/// Returns a time of the system's clock and the tick at that time: of some readings the one that was interrupted least.
fn moment() -> (Instant, u64) {
    let readings = (0..16).map(|_| {
        let (before, clock) = (ticks(), Instant::now());
        (ticks() - before, clock, before)
    });
    let best = readings.min_by_key(|(gap, ..)| *gap);
    best.map_or_else(|| (Instant::now(), ticks()), |(_, clock, tick)| (clock, tick))
}

/// Returns the length of a tick.
pub fn nanoseconds_per_tick() -> f64 {
    static LENGTH: OnceLock<f64> = OnceLock::new();
    *LENGTH.get_or_init(|| {
        let (clock, start) = moment();
        while clock.elapsed() < Duration::from_millis(20) {}
        let (end, tick) = moment();
        (end - clock).as_nanos() as f64 / (tick - start).max(1) as f64
    })
}

#[cfg(test)]
mod tests;
