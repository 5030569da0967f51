//! A lock of the crate `lock_api`, and so of every crate that implements it.
//!
//! # Design
//!
//! Foreign locks promise mutual exclusion, and not that they never unwind; an allocator must not. A lock that panics while
//! it is taken or given back ends the process.
//!
//! As the lock of a global allocator, a foreign lock must not allocate: some do, where threads wait for each other.
#![allow(unsafe_code)]

use forge_alloc_core::sync::RawLock;
use lock_api::RawMutex;

use super::const_init::ConstInit;
use crate::report;

/// A lock `R` of `lock_api`. Needs the feature `lock_api`.
#[derive(Debug)]
pub struct LockApi<R>(R);

impl<R: RawMutex> LockApi<R> {
    /// Returns a free lock. O(1).
    #[must_use]
    pub const fn new() -> Self {
        Self(R::INIT)
    }
}

impl<R: RawMutex> Default for LockApi<R> {
    fn default() -> Self {
        Self::new()
    }
}

#[allow(clippy::declare_interior_mutable_const, reason = "each use of the constant is a lock of its own")]
impl<R: RawMutex> ConstInit for LockApi<R> {
    const INIT: Self = Self::new();
}

/// Ends the process if it is dropped while a lock unwinds.
struct EndOnUnwind;

impl Drop for EndOnUnwind {
    fn drop(&mut self) {
        report::fatal_unwinding_lock()
    }
}

/// Returns what `work` returns, or ends the process.
#[inline]
fn without_unwinding<T>(work: impl FnOnce() -> T) -> T {
    let end = EndOnUnwind;
    let done = work();
    core::mem::forget(end);
    done
}

// SAFETY: a `RawMutex` excludes every other holder until it is unlocked; calls that unwind do not return.
unsafe impl<R: RawMutex> RawLock for LockApi<R> {
    #[inline]
    fn lock(&self) {
        without_unwinding(|| self.0.lock());
    }

    #[inline]
    fn try_lock(&self) -> bool {
        without_unwinding(|| self.0.try_lock())
    }

    #[inline]
    unsafe fn unlock(&self) {
        // SAFETY: the caller holds the lock.
        without_unwinding(|| unsafe { self.0.unlock() });
    }
}

#[cfg(test)]
mod tests;
