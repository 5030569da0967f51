//! [`SignalMask`]: holding signals back for a short time.
//!
//! # Operations
//!
//! One system call each.
//!
//! # Design
//!
//! A handler that asks for memory while the thread that it interrupts is inside of the allocator would wait for a lock of
//! its own thread. An allocator with locks and without caches has no other way out than not to be interrupted. Where no C
//! library is linked, nothing is held back.
#![allow(unsafe_code)]

/// The signals that a thread holds back.
#[derive(Clone, Copy)]
pub struct SignalMask {
    #[cfg(all(posix, not(miri)))]
    held: libc::sigset_t,
}

impl SignalMask {
    /// Holds back all signals of the calling thread that can be, and returns what it held back before.
    #[must_use]
    pub fn hold_all() -> Self {
        #[cfg(all(posix, not(miri)))]
        // SAFETY: both sets are written before they are read; without a set to fill there is nothing to fail.
        unsafe {
            let mut all = core::mem::zeroed::<libc::sigset_t>();
            let mut held = all;
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut held);
            Self { held }
        }
        #[cfg(not(all(posix, not(miri))))]
        Self {}
    }

    /// Makes this the signals that the calling thread holds back; those that came meanwhile arrive.
    pub fn restore(self) {
        #[cfg(all(posix, not(miri)))]
        // SAFETY: the set is that of a thread.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.held, core::ptr::null_mut());
        }
    }
}

impl core::fmt::Debug for SignalMask {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SignalMask").finish_non_exhaustive()
    }
}

#[cfg(all(test, posix, not(miri)))]
mod tests;
