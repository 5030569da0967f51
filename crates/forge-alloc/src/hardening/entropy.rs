//! Words for keys, from the operating system.
//!
//! # Design
//!
//! Where the system's generator is not reachable (a target without one, a system-call filter), the standard library's random
//! state is used as a pseudo-random function on numbers that no other caller of the process has. It was drawn from the
//! system too, once per thread.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::hash::{BuildHasher, RandomState};

/// Returns `N` random words, fit for keys. One system call.
pub(super) fn words<const N: usize>() -> [u64; N] {
    let mut bytes = [[0; 8]; N];
    if forge_os::fill_random(bytes.as_flattened_mut()).is_ok() {
        return bytes.map(u64::from_ne_bytes);
    }
    hashed()
}

/// Returns `N` words that the random state of the thread makes of numbers not used before.
fn hashed<const N: usize>() -> [u64; N] {
    static DRAWN: AtomicUsize = AtomicUsize::new(0);
    // Relaxed: the count publishes nothing.
    let serial = DRAWN.fetch_add(1, Ordering::Relaxed);
    let secret = RandomState::new();
    core::array::from_fn(|index| secret.hash_one((serial, index)))
}

#[cfg(test)]
mod tests;
