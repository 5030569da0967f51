//! A range of reserved huge pages: one entry of the translation cache covers 2 MiB or more.
//!
//! # Operations
//!
//! One system call to build and one to drop; allocating takes none.
//!
//! # Design
//!
//! The pages come from the pool that the administrator reserved (`MAP_HUGETLB` with the size, `MEM_LARGE_PAGES`), so
//! building fails where none are left, and never falls back to small pages: who wants "huge if possible" takes
//! [`MmapFlags::huge_pages`](crate::MmapFlags::huge_pages). Releasing and protecting work in whole huge pages.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, OsBacked, ProtectFlags, StableAddress,
    relocate,
};
use forge_os::{MapOptions, Native, Os, OsError};

use super::last_error::record;
use super::mapping::{Guards, MIN_PAGE, Mapping};
use crate::backing::own::{OwnCursor, bump_its_own_bytes};

/// The huge page size in bytes that [`HugePageBacked::new`] asks for.
const DEFAULT_HUGE_PAGE: usize = 2 << 20;

/// A range of reserved huge pages, unmapped when dropped.
///
/// # Examples
///
/// ```
/// use forge_alloc::{HugePageBacked, MmapBacked, last_os_failure};
///
/// match HugePageBacked::new(8 << 20) {
///     Ok(backing) => assert_eq!(backing.capacity() % backing.huge_page_size(), 0),
///     Err(_) => println!("{}", last_os_failure().unwrap()),
/// }
/// ```
pub struct HugePageBacked<O: Os = Native> {
    mapping: Mapping<O>,
    own: OwnCursor,
}

impl HugePageBacked {
    /// Maps `min_size` bytes, rounded up to whole pages of 2 MiB.
    ///
    /// # Errors
    ///
    /// As [`HugePageBacked::with_huge_page_size`].
    pub fn new(min_size: usize) -> Result<Self, AllocError> {
        Self::with_huge_page_size(min_size, DEFAULT_HUGE_PAGE)
    }

    /// Maps `min_size` bytes, rounded up to whole pages of `hp_size` bytes.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if `min_size` is zero or overflows when rounded, `hp_size` is not a power of two of at least 4096,
    /// the system has no such pages, or none are free; the reason is in the thread's
    /// [last-error slot](crate::last_os_failure).
    pub fn with_huge_page_size(min_size: usize, hp_size: usize) -> Result<Self, AllocError> {
        Self::map(min_size, hp_size).map_err(record)
    }

    /// Maps `min_size` bytes, rounded up to whole pages of `hp_size` bytes; the error carries the reason.
    ///
    /// # Errors
    ///
    /// As [`HugePageBacked::with_huge_page_size`]: the call that failed and its number.
    pub fn map(min_size: usize, hp_size: usize) -> Result<Self, OsError> {
        Self::map_on(Native, min_size, hp_size)
    }
}

impl<O: Os> HugePageBacked<O> {
    /// Maps `min_size` bytes, rounded up to whole pages of `hp_size` bytes, on the system `os`.
    ///
    /// # Errors
    ///
    /// As [`HugePageBacked::map`]; nothing stays mapped.
    pub fn map_on(os: O, min_size: usize, hp_size: usize) -> Result<Self, OsError> {
        let is_page_size = hp_size.is_power_of_two() && hp_size >= MIN_PAGE;
        // A length of zero lets the system reject the request under its own name for the call.
        let (size, granule) = if is_page_size { (min_size, hp_size) } else { (0, MIN_PAGE) };
        let mapping =
            Mapping::new(os, size, granule, Guards::NONE, MapOptions::new().with_huge_pages(hp_size))?;
        Ok(Self { mapping, own: OwnCursor::over_zeroes() })
    }

    /// Returns how many bytes are handed out or lost to padding; all of them once a layout carves the range.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.own.allocated()
    }

    /// Returns the length of the range in bytes, a multiple of the huge page size.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.mapping.size()
    }

    /// Returns how many bytes are free.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.capacity() - self.allocated()
    }

    /// Returns the size of the pages in bytes.
    #[must_use]
    pub const fn huge_page_size(&self) -> usize {
        self.mapping.granule()
    }
}

// SAFETY: the mapping is owned, live, aligned to at least `MIN_PAGE` and writable, and its pointer covers all of it; base
// and size never change; after `claim` the cursor stands at the end for good.
unsafe impl<O: Os> FixedRange for HugePageBacked<O> {
    const BASE_ALIGN: usize = MIN_PAGE;
    const STAYS: bool = true;

    #[inline(always)]
    fn base(&self) -> NonNull<u8> {
        self.mapping.base()
    }

    #[inline(always)]
    fn size(&self) -> usize {
        self.mapping.size()
    }

    #[inline]
    fn claim(&mut self) -> Result<(), AllocError> {
        self.own.claim(self.mapping.size())
    }
}

bump_its_own_bytes!([O: Os] HugePageBacked<O>);

// SAFETY: the mapping stays where it is when the value moves.
unsafe impl<O: Os> StableAddress for HugePageBacked<O> {}

// SAFETY: base, size and system describe the owned mapping; spans outside it are refused.
unsafe impl<O: Os> OsBacked for HugePageBacked<O> {
    #[inline]
    fn base_ptr(&self) -> NonNull<u8> {
        self.mapping.base()
    }

    #[inline]
    fn region_size(&self) -> usize {
        self.mapping.size()
    }

    #[inline]
    fn is_native(&self) -> bool {
        self.mapping.is_native()
    }

    unsafe fn try_release_pages(&self, ptr: NonNull<u8>, size: usize) -> Result<(), AllocError> {
        let span = self.mapping.span("release_pages", ptr, size).map_err(record)?;
        // SAFETY: the span was checked; no live block overlaps it.
        unsafe { self.mapping.release(span) }.map_err(record)
    }

    unsafe fn try_protect(
        &self,
        ptr: NonNull<u8>,
        size: usize,
        flags: ProtectFlags,
    ) -> Result<(), AllocError> {
        let span = self.mapping.span("protect", ptr, size).map_err(record)?;
        // SAFETY: the span was checked; the caller keeps the rights.
        unsafe { self.mapping.protect(span, flags) }.map_err(record)
    }
}

#[cfg(test)]
mod tests;
