//! A lock whose waiters look at it again and again.
//!
//! ```text
//!   lock:   swap in `held`  --was free-->  ours
//!              ^   |
//!              |   +--was held-->  look (read only) until it seems free, pausing 1, 2, 4, ... hints
//!              +-------------------------------+
//! ```
//!
//! # Design
//!
//! Waiters only read while the lock is held (test and test-and-set), so the line that holds it is shared among them and
//! the owner's release is not delayed by their writes. The pauses double up to a bound, which thins out the rush when the
//! lock is released; from there on a waiter lets other threads run where the standard library is present, because the
//! owner may be one of those. Not fair: it suits critical sections of a few dozen instructions.
#![allow(unsafe_code)]

use super::RawLock;
use super::atomic::AtomicBool;
use super::atomic::Ordering::{Acquire, Relaxed, Release};
use super::hint::{LONGEST_PAUSE, spin_loop, yield_now};

/// A spin lock, one byte long.
#[derive(Debug)]
pub struct SpinLock {
    held: AtomicBool,
}

impl SpinLock {
    /// Returns a free lock. O(1).
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self { held: AtomicBool::new(false) }
    }

    /// Returns a free lock. O(1).
    #[cfg(loom)]
    pub fn new() -> Self {
        Self { held: AtomicBool::new(false) }
    }

    /// Takes the lock after the first attempt failed.
    #[cold]
    fn lock_contended(&self) {
        let mut pause = 1;
        loop {
            // Relaxed: a hint only; the attempt that follows decides.
            while self.held.load(Relaxed) {
                if pause > LONGEST_PAUSE {
                    yield_now();
                } else {
                    (0..pause).for_each(|_| spin_loop());
                    pause *= 2;
                }
            }
            if self.try_lock() {
                return;
            }
        }
    }
}

impl Default for SpinLock {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: only the thread whose exchange turned `held` from false to true holds the lock, until it stores false; the
// acquire of that exchange pairs with the release of the store before it. Nothing here unwinds.
unsafe impl RawLock for SpinLock {
    #[inline]
    fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        // Acquire: pairs with the Release store in `unlock`.
        self.held.compare_exchange(false, true, Acquire, Relaxed).is_ok()
    }

    #[inline]
    unsafe fn unlock(&self) {
        // Release: pairs with the Acquire exchange in `try_lock`.
        self.held.store(false, Release);
    }
}
