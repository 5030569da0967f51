//! The primitives of `core`, under the names that loom gives them.

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use alloc::sync::Arc;
pub use core::sync::atomic;

/// Cells that unsafe code shares.
pub mod cell {
    pub use core::cell::Cell;

    /// `core`'s cell with loom's access methods; they cost nothing.
    #[derive(Debug, Default)]
    #[repr(transparent)]
    pub struct UnsafeCell<T: ?Sized>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// Returns a cell that holds `value`. O(1).
        pub const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        /// Returns the value. O(1).
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        /// Calls `access` with a pointer for reading. O(1).
        #[inline]
        pub fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
            access(self.0.get())
        }

        /// Calls `access` with a pointer for reading and writing. O(1).
        #[inline]
        pub fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
            access(self.0.get())
        }
    }
}

/// What a thread does while it waits.
pub mod hint {
    pub use core::hint::spin_loop;
    /// Only the scheduler of the standard library can be asked to let another thread run; elsewhere it is one more hint.
    #[cfg(not(feature = "std"))]
    pub use core::hint::spin_loop as yield_now;
    #[cfg(feature = "std")]
    pub use std::thread::yield_now;

    /// The longest pause between two looks at a held lock, in [`spin_loop`] hints.
    pub const LONGEST_PAUSE: u32 = 64;
}
