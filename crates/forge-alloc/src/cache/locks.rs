//! What guards the slabs of a cache: one lock, in the root slab.
//!
//! | lock | cache and boxes | for |
//! |---|---|---|
//! | [`SpinLock`] | `Send` and `Sync` | threads |
//! | [`NoLock`] | neither | one thread |
//! | one of the program's, by [`LockTrait`] | as the lock is `Sync` | interrupt handlers, a kernel's own locks |
//!
//! # Design
//!
//! A cache runs nothing of anybody else's while it holds its lock: not the provider, not a destructor, not a constructor. So a
//! lock is held for a few dozen instructions, it is never taken twice by one thread, and [`NoLock`] need not even notice that.
//!
//! A cache that interrupt handlers use as well needs a lock that keeps them out on this core: with a spin lock, a handler that
//! interrupts the holder waits for ever. The lock of the feature `critical-section` is such a one. Whoever makes it vouches
//! for the nesting of critical sections, hence a lock type of the program's own:
//!
//! ```
//! # #[cfg(feature = "critical-section")] {
//! use forge_alloc::cache::locks::LockTrait;
//! use forge_alloc::sync::{LockGuard, RawLock};
//! use forge_alloc::CriticalSection;
//!
//! struct Interrupts(CriticalSection);
//!
//! // SAFETY: a critical section excludes threads and interrupts, and its release is the last thing that its guard does. The
//! // lock is private to this program, which takes it by a cache alone, and a cache holds no other lock meanwhile.
//! unsafe impl LockTrait for Interrupts {
//!     type Guard<'a> = LockGuard<'a, CriticalSection>;
//!     fn lock(&self) -> Self::Guard<'_> {
//!         self.0.guard()
//!     }
//!     fn init() -> Self {
//!         // SAFETY: as above.
//!         Self(unsafe { CriticalSection::new() })
//!     }
//! }
//! # use forge_alloc::cache::SlabCache;
//! # let cache = SlabCache::<u64, Interrupts, 4096, _>::new_in(forge_alloc::HeapSource::new()).unwrap();
//! # assert_eq!(*cache.alloc_value(7).unwrap(), 7);
//! # }
//! ```
#![allow(unsafe_code)]

use core::marker::PhantomData;

#[cfg(target_has_atomic = "8")]
pub use forge_alloc_core::sync::SpinLock;
#[cfg(target_has_atomic = "8")]
use forge_alloc_core::sync::{LockGuard, RawLock};

/// The default lock: a [`SpinLock`] where there is compare-and-swap, and [`NoLock`] elsewhere.
#[cfg(target_has_atomic = "8")]
pub type DefaultLock = SpinLock;
/// The default lock: a spin lock where there is compare-and-swap, and [`NoLock`] elsewhere.
#[cfg(not(target_has_atomic = "8"))]
pub type DefaultLock = NoLock;

/// A lock of at most 16 bytes that its guard gives back.
///
/// ```compile_fail,E0200
/// use forge_alloc::cache::locks::LockTrait;
/// struct Nothing;
/// impl LockTrait for Nothing {
///     type Guard<'a> = ();
///     fn lock(&self) {}
///     fn init() -> Self {
///         Self
///     }
/// }
/// ```
///
/// # Safety
///
/// - While a guard exists, no other thread, and nothing that interrupts this one, gets a guard of the same lock, if it can
///   reach the lock at all. What was done before a guard was dropped is seen by whoever gets the next one.
/// - Once another can take the lock, the drop of the guard touches it no more: whoever takes it may free its memory.
/// - A lock that is `Sync` may be dropped on any thread.
/// - No method unwinds, nor does the drop of a guard; the lock may be moved between `init` and the first `lock`.
pub unsafe trait LockTrait {
    /// What holds the lock until it is dropped.
    type Guard<'a>
    where
        Self: 'a;

    /// Takes the lock, waiting until it is free.
    fn lock(&self) -> Self::Guard<'_>;

    /// Returns a free lock.
    fn init() -> Self;
}

// SAFETY: `RawLock` promises the exclusion and the order. The store that frees the lock is the last access of `unlock` to
// it; the lock is a byte without a destructor. Nothing unwinds.
#[cfg(target_has_atomic = "8")]
unsafe impl LockTrait for SpinLock {
    type Guard<'a> = LockGuard<'a, Self>;

    #[inline(always)]
    fn lock(&self) -> Self::Guard<'_> {
        self.guard()
    }

    #[inline]
    fn init() -> Self {
        Self::new()
    }
}

/// The lock of one thread: nothing. Caches and boxes with it are neither `Send` nor `Sync`.
///
/// ```compile_fail,E0277
/// fn shared<T: Send>() {}
/// shared::<forge_alloc::cache::SlabCache<u64, forge_alloc::cache::locks::NoLock>>();
/// ```
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<forge_alloc::cache::SlabBox<u64, forge_alloc::cache::locks::NoLock>>();
/// ```
#[derive(Debug, Default)]
pub struct NoLock {
    stays: PhantomData<*const ()>,
}

// SAFETY: neither `Send` nor `Sync`, so one thread reaches the lock, in program order; interrupt handlers are threads to the
// compiler. There is nothing to touch, drop or move.
unsafe impl LockTrait for NoLock {
    type Guard<'a> = ();

    #[inline(always)]
    fn lock(&self) -> Self::Guard<'_> {}

    #[inline]
    fn init() -> Self {
        Self { stays: PhantomData }
    }
}

/// The path under which the seed documents [`NoLock`].
pub mod nolock {
    pub use super::NoLock;
}

/// The path under which the seed documents [`SpinLock`] and its guard.
#[cfg(target_has_atomic = "8")]
pub mod spinlock {
    pub use super::SpinLock;

    /// What holds a [`SpinLock`].
    pub type SpinLockGuard<'a> = forge_alloc_core::sync::LockGuard<'a, SpinLock>;
}
