//! An owned span of raw bytes: the token that heaps are fed with.
//!
//! ```text
//!   base                         base + len
//!    |<---------- Region ---------->|
//!    |<-- left -->|<---- right ---->|      split_at(n): the two halves, still owned, still disjoint
//! ```
//!
//! # Invariants
//!
//! - (I1) `base` is valid for reads and writes of `len` bytes and carries provenance over them, for as long as the
//!   region, or whoever took it apart, exists.
//! - (I2) No other owner reads or writes those bytes.
//! - (I3) `base + len` does not overflow `usize`, and `len <= isize::MAX`.
//!
//! # Design
//!
//! Not `Copy` and not `Clone`: handing memory to an allocator is a move, so feeding one span to two heaps does not
//! compile. Integers become pointers only in [`Region::from_addresses`], where a kernel hands addresses over.
//! A region that is dropped is forgotten, not freed: who made it knows how to free it.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

/// An owned span of uninitialised bytes.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a dropped region is memory that nobody can use again"]
pub struct Region {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the region owns its bytes alone (I2) and holds nothing tied to a thread.
unsafe impl Send for Region {}
// SAFETY: a shared reference to a region gives no access to its bytes.
unsafe impl Sync for Region {}

impl Region {
    /// Returns the region of `len` bytes at `base`. O(1).
    ///
    /// # Safety
    ///
    /// From now on, and as long as anybody uses the region or what is made of it:
    ///
    /// - (I1) `base` is valid for reads and writes of `len` bytes and carries provenance over them;
    /// - (I2) nobody else reads or writes those bytes;
    ///
    /// and (I3) `base + len` does not overflow `usize`, and `len` is at most `isize::MAX`.
    pub const unsafe fn from_raw(base: NonNull<u8>, len: usize) -> Self {
        Self { base, len }
    }

    /// Returns the region of `len` bytes at the address `start`, or `None` if `start` is zero or the span leaves the
    /// address space or exceeds `isize::MAX` bytes. O(1).
    ///
    /// # Safety
    ///
    /// From now on, and as long as anybody uses the region or what is made of it, the `len` bytes at `start` are valid
    /// for reads and writes under exposed provenance, and nobody else reads or writes them.
    pub unsafe fn from_addresses(start: usize, len: usize) -> Option<Self> {
        if start == 0 || len > isize::MAX as usize || start.checked_add(len).is_none() {
            return None;
        }
        let base = NonNull::new(ptr::with_exposed_provenance_mut(start))?;
        Some(Self { base, len })
    }

    /// Returns the first byte. O(1).
    #[must_use]
    pub const fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Returns the length in bytes. O(1).
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Returns whether the region has no bytes. O(1).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the region apart into its first byte and its length in bytes. O(1).
    #[must_use]
    pub const fn into_raw(self) -> (NonNull<u8>, usize) {
        (self.base, self.len)
    }

    /// Returns whether `ptr` points into the region. O(1).
    #[must_use]
    pub fn contains(&self, ptr: NonNull<u8>) -> bool {
        ptr.addr().get().wrapping_sub(self.base.addr().get()) < self.len
    }

    /// Splits the region after `mid` bytes. O(1).
    ///
    /// # Errors
    ///
    /// The region itself if `mid` exceeds its length.
    pub fn split_at(self, mid: usize) -> Result<(Self, Self), Self> {
        if mid > self.len {
            return Err(self);
        }
        // SAFETY: `mid <= len`, so the sum stays inside the span or one past its end (I1).
        let right = unsafe { self.base.add(mid) };
        Ok((Self { base: self.base, len: mid }, Self { base: right, len: self.len - mid }))
    }

    /// Cuts the region to whole units of `align` bytes (a power of two): up to `align - 1` bytes are lost at each end.
    /// O(1). The result is empty if no whole unit fits.
    pub fn trim_to(self, align: usize) -> Self {
        debug_assert!(align.is_power_of_two());
        let skip = self.base.addr().get().wrapping_neg() & (align - 1);
        if skip > self.len {
            return Self { base: self.base, len: 0 };
        }
        // SAFETY: `skip <= len`, so the sum stays inside the span or one past its end (I1).
        let base = unsafe { self.base.add(skip) };
        Self { base, len: crate::align_down(self.len - skip, align) }
    }
}

impl From<&'static mut [MaybeUninit<u8>]> for Region {
    fn from(bytes: &'static mut [MaybeUninit<u8>]) -> Self {
        let len = bytes.len();
        Self { base: NonNull::from(bytes).cast(), len }
    }
}

#[cfg(test)]
mod tests;
