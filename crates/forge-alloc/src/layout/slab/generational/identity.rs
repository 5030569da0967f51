//! The identity of pools: disjoint ranges of keys, drawn from one counter of the process.
//!
//! ```text
//!   keys   0        1000              5000    5008                       2^32
//!          | pool 1 |     pool 2      | pool 3 | not drawn yet ..          |
//! ```
//!
//! # Invariants
//!
//! - (I1) The low 32 bits of the keys of a pool rise without wrapping and stay below `u32::MAX`: they are the numbers of
//!   its slots, and leave one number for "no slot".
//! - (I2) Every range starts at a multiple of [`ALIGN`], and so of the step between the numbers of any pool.
//!
//! # Design
//!
//! A pool's range is as long as its slots are many, times the step between their numbers, and rounded up (I2): at most
//! four keys a slot, so that small pools use up little. A range that would cross a multiple of 2^32 starts there instead
//! (I1). The counter is a machine word. `u32` keys of two pools differ if the pools from the one to the other, both
//! included, have fewer than 2^29 slots together: the ranges of those, with one gap shorter than the range after it, span
//! fewer than 2^32 keys. `u64` keys on a 64-bit machine differ for as long as a process can run. Random origins would need
//! no counter, but would only make a clash unlikely.
//!
//! A target without atomic exchange has no counter, and there every pool starts at 0: see `absent.rs`.
//!
//! The counter is `core`'s and not that of the crate's `sync` facade: no memory is published through it, so there is
//! nothing for a model to explore, and a model's atomics cannot be static.

use core::sync::atomic::{AtomicUsize, Ordering};

/// What ranges of keys start at multiples of: the largest step of any pool.
const ALIGN: usize = 4;

/// Draws `count` keys for a pool and returns the first. O(1) unless threads draw at the same moment.
pub(in crate::layout::slab) fn draw_origin(count: u32) -> u64 {
    static DRAWN: AtomicUsize = AtomicUsize::new(0);
    // Relaxed: the exchanges are totally ordered by themselves, and nothing else is handed over.
    let mut drawn = DRAWN.load(Ordering::Relaxed);
    loop {
        let origin = origin_at(drawn, count);
        let next = origin.wrapping_add(count as usize).wrapping_add(ALIGN - 1) & !(ALIGN - 1);
        match DRAWN.compare_exchange_weak(drawn, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return origin as u64,
            Err(now) => drawn = now,
        }
    }
}

/// Returns the first origin at or after `drawn`, a multiple of [`ALIGN`], whose `count` numbers do not wrap (I1). O(1).
fn origin_at(drawn: usize, count: u32) -> usize {
    let low = drawn as u32;
    match low.checked_add(count) {
        Some(_) => drawn,
        // The next multiple of 2^32, which is 0 where a word has 32 bits.
        None => drawn.wrapping_add(low.wrapping_neg() as usize),
    }
}

#[cfg(test)]
mod tests;
