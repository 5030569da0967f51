//! Extents on their way back to the system: a list in the hands of one thread.
//!
//! # Invariants
//!
//! - (I1) An extent of the list is on no list of [`Extents`](super::Extents), and its record is reached through this list alone.
//!
//! # Operations
//!
//! All O(1).
#![allow(unsafe_code)]

use core::ptr;

use super::Extent;

/// Extents that are on no list of [`Extents`](super::Extents), in the hands of one thread.
pub(in crate::fast::back::huge) struct Victims(*mut Extent);

impl Victims {
    /// Returns none.
    pub(in crate::fast::back::huge) const fn new() -> Self {
        Self(ptr::null_mut())
    }

    /// Puts one on the list.
    ///
    /// # Safety
    ///
    /// The extent is in the caller's hands, who gives it up.
    pub(super) unsafe fn push(&mut self, extent: *mut Extent) {
        // SAFETY: the caller's promise.
        unsafe { (*extent).next = self.0 };
        self.0 = extent;
    }

    /// Takes one off; null if there is none.
    ///
    /// # Safety
    ///
    /// The extents are reached by this thread alone.
    pub(in crate::fast::back::huge) unsafe fn pop(&mut self) -> *mut Extent {
        let first = self.0;
        if !first.is_null() {
            // SAFETY: the caller's promise.
            self.0 = unsafe { (*first).next };
        }
        first
    }
}
