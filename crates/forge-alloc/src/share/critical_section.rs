//! A lock that keeps interrupts, and the other cores, out: a critical section of the crate `critical-section`.
//!
//! ```text
//!   lock:    acquire --> held? --no--> held := true          unlock: held := false --> release
//!                          |
//!                          yes: release, and try again
//! ```
//!
//! # Invariants
//!
//! - (I1) `held` becomes true only within a critical section, by the one that found it false there.
//! - (I2) While `held`, `restore` is what the acquire of the holder returned, and only the holder reads it.
//!
//! # Design
//!
//! A thread may enter a critical section while it is in one, and a lock must not be taken twice: the flag tells the two
//! apart. The holder that takes the lock again waits for ever, which is what [`RawLock`] says.
//!
//! Critical sections are a stack per thread, and guards of locks can be dropped in any order. Nothing here could tell, so
//! whoever makes the lock vouches for it.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::fmt;

use critical_section::RestoreState;
use forge_alloc_core::sync::RawLock;
use forge_alloc_core::sync::atomic::AtomicBool;
use forge_alloc_core::sync::atomic::Ordering::{Acquire, Release};
use forge_alloc_core::sync::hint::spin_loop;

/// A lock that is a critical section, for heaps that interrupt handlers use too, and for targets without
/// compare-and-swap.
///
/// Needs the feature `critical-section`, and an implementation of that crate in the program.
pub struct CriticalSection {
    held: AtomicBool,
    restore: UnsafeCell<RestoreState>,
}

// SAFETY: the state is reached by the holder alone (I2), of which there is one (I1).
unsafe impl Sync for CriticalSection {}

impl CriticalSection {
    /// Returns a free lock. O(1).
    ///
    /// # Safety
    ///
    /// Critical sections of one thread or interrupt end in the reverse order of their beginning, those of this lock
    /// among them: a guard of the lock is dropped before a critical section ends in which it was obtained, and before a
    /// guard of another such lock that was obtained earlier. A global allocator, which keeps no guard, always complies.
    pub const unsafe fn new() -> Self {
        Self { held: AtomicBool::new(false), restore: UnsafeCell::new(RestoreState::invalid()) }
    }
}

// SAFETY: the lock is held from the call that turned `held` to true, which is one (I1), to the store of false. The acquire
// and release of the flag order what happens in between. `critical_section` does not unwind.
unsafe impl RawLock for CriticalSection {
    #[inline]
    fn lock(&self) {
        while !self.try_lock() {
            spin_loop();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        // SAFETY: released in this call if the lock is held, and by the holder otherwise; in order, by the promise of
        // `new`.
        let restore = unsafe { critical_section::acquire() };
        // Acquire: pairs with the Release store in `unlock`.
        if self.held.load(Acquire) {
            // SAFETY: this is the acquire above.
            unsafe { critical_section::release(restore) };
            return false;
        }
        // Release: the partner of the load above, for whoever enters the critical section next.
        self.held.store(true, Release);
        // SAFETY: the caller holds the lock now, and is the only one who reaches the state (I2).
        unsafe { *self.restore.get() = restore };
        true
    }

    #[inline]
    unsafe fn unlock(&self) {
        // SAFETY: the caller holds the lock, so the state is its own (I2).
        let restore = unsafe { *self.restore.get() };
        // Release: pairs with the Acquire load in `try_lock`.
        self.held.store(false, Release);
        // SAFETY: this is the acquire of the holder, in order, by the promise of `new`.
        unsafe { critical_section::release(restore) };
    }
}

impl fmt::Debug for CriticalSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CriticalSection").field("held", &self.held).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
