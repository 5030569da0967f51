//! A value alone on its cache lines, so that writers of neighbouring values do not slow each other down.
//!
//! ```text
//!   |<------ CACHE_LINE bytes ------>|<------ CACHE_LINE bytes ------>|
//!   [ T ........ padding ........... ][ another CachePadded<T> ...... ]
//! ```
//!
//! # Design
//!
//! [`CACHE_LINE`] is the distance at which two writers stop disturbing each other, which is not always the length of a
//! line: x86-64 fetches lines in pairs, the large cores of aarch64 and powerpc64 have lines of 128 bytes, those of s390x
//! of 256. The alignment is part of the type, so it is chosen per architecture at compile time and not measured.

use core::fmt;
use core::ops::{Deref, DerefMut};

/// The alignment in bytes of a [`CachePadded`] value on this architecture.
pub const CACHE_LINE: usize = align_of::<CachePadded<u8>>();

/// A value aligned to [`CACHE_LINE`] and padded to a multiple of it.
///
/// # Examples
///
/// ```
/// use forge_alloc_core::{CACHE_LINE, CachePadded};
///
/// let counters = [CachePadded::new(0u64), CachePadded::new(0u64)];
/// let distance = (&raw const counters[1]).addr() - (&raw const counters[0]).addr();
/// assert_eq!(distance, CACHE_LINE);
/// ```
#[repr(C)]
#[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "powerpc64"), repr(align(128)))]
#[cfg_attr(
    any(
        target_arch = "arm",
        target_arch = "mips",
        target_arch = "mips64",
        target_arch = "sparc",
        target_arch = "hexagon"
    ),
    repr(align(32))
)]
#[cfg_attr(target_arch = "m68k", repr(align(16)))]
#[cfg_attr(target_arch = "s390x", repr(align(256)))]
#[cfg_attr(
    not(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "powerpc64",
        target_arch = "arm",
        target_arch = "mips",
        target_arch = "mips64",
        target_arch = "sparc",
        target_arch = "hexagon",
        target_arch = "m68k",
        target_arch = "s390x"
    )),
    repr(align(64))
)]
#[derive(Default)]
pub struct CachePadded<T> {
    value: T,
}

impl<T> CachePadded<T> {
    /// Returns `value`, padded. O(1).
    pub const fn new(value: T) -> Self {
        Self { value }
    }

    /// Returns the value without its padding. O(1).
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for CachePadded<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for CachePadded<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for CachePadded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CachePadded").field(&self.value).finish()
    }
}

#[cfg(test)]
mod tests;
