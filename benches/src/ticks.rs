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

/// Returns the length of a tick.
pub fn nanoseconds_per_tick() -> f64 {
    static LENGTH: OnceLock<f64> = OnceLock::new();
    *LENGTH.get_or_init(|| {
        let (clock, start) = (Instant::now(), ticks());
        while clock.elapsed() < Duration::from_millis(20) {}
        let (time, passed) = (clock.elapsed(), ticks() - start);
        time.as_nanos() as f64 / passed.max(1) as f64
    })
}

#[cfg(test)]
mod tests;
