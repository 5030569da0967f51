//! The lock of a single thread: a flag that notices when it is taken twice.
//!
//! # Design
//!
//! A lock that did nothing would let a structure be entered again while it is being changed, for example from a callback
//! that allocates, and hand out two exclusive references. The flag costs a load and two stores and makes that visible:
//! `try_lock` returns `false`. `lock` cannot return, since nobody else could ever give the lock back; it ends the process,
//! or halts the thread where there is no process to end.
#![allow(unsafe_code)]

use core::cell::Cell;

use super::RawLock;

/// A lock for one thread. It is not `Sync`, so whatever it guards stays with one thread at a time.
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<forge_alloc_core::sync::NoLock>();
/// ```
#[derive(Debug, Default)]
pub struct NoLock {
    held: Cell<bool>,
}

impl NoLock {
    /// Returns a free lock. O(1).
    pub const fn new() -> Self {
        Self { held: Cell::new(false) }
    }
}

// SAFETY: not `Sync`, so only one thread reaches the flag at a time, and the flag is set from the call that takes the
// lock to the one that gives it back. Program order is all the ordering that one thread needs. Nothing here unwinds.
unsafe impl RawLock for NoLock {
    #[inline]
    fn lock(&self) {
        if !self.try_lock() {
            taken_twice();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        !self.held.replace(true)
    }

    #[inline]
    unsafe fn unlock(&self) {
        self.held.set(false);
    }
}

/// Ends the process: its only thread waits for itself.
#[cfg(feature = "std")]
#[cold]
fn taken_twice() -> ! {
    std::process::abort()
}

/// Halts the thread: it waits for itself.
#[cfg(not(feature = "std"))]
#[cold]
fn taken_twice() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
