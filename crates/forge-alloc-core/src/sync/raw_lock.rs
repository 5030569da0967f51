//! What a lock is, without the data that it guards.
#![allow(unsafe_code)]

use core::fmt;
use core::marker::PhantomData;

/// A lock that its user takes and gives back.
///
/// # Safety
///
/// After `lock` returns, or `try_lock` returns `true`, the lock is held until `unlock`: meanwhile no other call of `lock`
/// returns and no other call of `try_lock` returns `true`, on any thread that can reach the lock. What was written before
/// an `unlock` is seen after the call that takes the lock next. No method unwinds.
pub unsafe trait RawLock {
    /// Takes the lock, waiting until it is free. A thread that holds it already never returns from here.
    fn lock(&self);

    /// Takes the lock if it is free, and returns whether it did. Never waits.
    fn try_lock(&self) -> bool;

    /// Gives the lock back.
    ///
    /// # Safety
    ///
    /// The caller holds the lock.
    unsafe fn unlock(&self);

    /// Takes the lock and returns a guard that gives it back.
    #[inline]
    fn guard(&self) -> LockGuard<'_, Self>
    where
        Self: Sized,
    {
        self.lock();
        LockGuard { lock: self, thread: PhantomData }
    }

    /// Takes the lock if it is free and returns a guard that gives it back. Never waits.
    #[inline]
    fn try_guard(&self) -> Option<LockGuard<'_, Self>>
    where
        Self: Sized,
    {
        // Lazily: a guard that is built and dropped gives back a lock that another holds.
        self.try_lock().then(|| LockGuard { lock: self, thread: PhantomData })
    }
}

/// A held lock, given back on drop. It stays on its thread: some locks must be given back where they were taken.
#[must_use = "a guard that is dropped at once guards nothing"]
pub struct LockGuard<'a, L: RawLock> {
    lock: &'a L,
    thread: PhantomData<*const ()>,
}

impl<L: RawLock> Drop for LockGuard<'_, L> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: a guard exists only while it holds the lock.
        unsafe { self.lock.unlock() };
    }
}

impl<L: RawLock> fmt::Debug for LockGuard<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard").finish_non_exhaustive()
    }
}
