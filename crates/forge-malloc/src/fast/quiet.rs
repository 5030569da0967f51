//! A lock that no signal handler waits for in vain: its holder is not interrupted.
//!
//! ```text
//!   thread    hold signals back ── take the lock ── .. ── give it back ── let signals in
//!                                                                          ^ handlers run here, and may take the lock
//! ```
//!
//! # Invariants
//!
//! - (I1) While a thread has the lock, `before` is what it held back before it took it, and reached by this thread alone.
//! - (I2) No handler runs on a thread that has such a lock, if the lock is quiet.
//!
//! # Operations
//!
//! Taking and giving back: a system call each, besides those of a [`SpinLock`]; none where handlers may not allocate.
//!
//! # Design
//!
//! A handler that asks for memory while the code that it interrupts has a lock would wait for its own thread. What is done under a lock
//! serves a batch of requests or is a large block; what serves most requests has no lock, and knows by its [mark](super::front::busy)
//! that it was interrupted. Where blocks are a few KiB and travel by the thousand, the two calls are most of what they cost, so it
//! is for the [profile](super::Profile) to say whether they are made. Locks that are taken together are given back in the
//! reverse order, so that signals come in when the last one is free.
#![allow(unsafe_code)]

use forge_alloc_core::sync::cell::UnsafeCell;
use forge_alloc_core::sync::{RawLock, SpinLock};
use forge_os::SignalMask;

use super::glue::const_unless_loom;

/// A spin lock whose holder is not interrupted by signals.
pub(crate) struct QuietLock {
    lock: SpinLock,
    quiet: bool,
    before: UnsafeCell<Option<SignalMask>>,
}

impl QuietLock {
    const_unless_loom! {
        /// Returns a free lock, whose holder is interrupted unless it is quiet. O(1).
        pub(crate) fn new(quiet: bool) -> Self {
            Self { lock: SpinLock::new(), quiet, before: UnsafeCell::new(None) }
        }
    }

    /// Takes the lock in the way that `take` says, with signals held back; lets them in if it does not take it.
    #[cold]
    fn take_quietly(&self, take: impl FnOnce() -> bool) -> bool {
        // The model checker has no signals.
        let mask = if cfg!(loom) { None } else { Some(SignalMask::hold_all()) };
        let taken = take();
        match mask {
            // SAFETY: the lock is this thread's, and so is the place (I1).
            mask if taken => self.before.with_mut(|before| unsafe { *before = mask }),
            Some(mask) => mask.restore(),
            None => {}
        }
        taken
    }

    /// Gives the lock back, and lets signals in.
    ///
    /// # Safety
    ///
    /// This thread has the lock.
    #[cold]
    unsafe fn give_back_quietly(&self) {
        // SAFETY: the lock is this thread's, and so is the place (I1).
        let mask = unsafe {
            let mask = self.before.with_mut(|before| (*before).take());
            self.lock.unlock();
            mask
        };
        if let Some(mask) = mask {
            mask.restore();
        }
    }
}

// SAFETY: the spin lock's own promises; what is done besides does not touch it, and does not unwind.
unsafe impl RawLock for QuietLock {
    #[inline]
    fn lock(&self) {
        if self.quiet {
            self.take_quietly(|| {
                self.lock.lock();
                true
            });
        } else {
            self.lock.lock();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        if self.quiet { self.take_quietly(|| self.lock.try_lock()) } else { self.lock.try_lock() }
    }

    #[inline]
    unsafe fn unlock(&self) {
        // SAFETY: the caller has the lock.
        unsafe { if self.quiet { self.give_back_quietly() } else { self.lock.unlock() } }
    }
}

// SAFETY: `before` is reached by who has the lock (I1).
unsafe impl Sync for QuietLock {}
