//! Guard pages at both ends of a mapping: a run of accesses that leaves the region on either side faults.
//!
//! ```text
//!   base_ptr        base                             base + size
//!   | guard: faults | handed out |        free        | guard: faults |
//!   |<- page_size ->|<----------- interior ---------->|<- page_size ->|
//! ```
//!
//! # Invariants
//!
//! - (I1) The interior lies in the range of `inner`, whose own allocator is off: nobody else hands those bytes out.
//! - (I2) A touch of a byte of either guard faults for as long as the mapping lives.
//! - (I3) `base` is the first byte of the interior, aligned to `page_size`, with provenance over the mapping. The mapping
//!   stays in place when the value moves, and so does `base`.
//!
//! # Operations
//!
//! Building takes one or two system calls a guard; everything else is that of a bump cursor, O(1).
//!
//! # Design
//!
//! *Claiming.* The interior belongs to this value's cursor alone, so the inner allocator is turned off before a guard is
//! installed. `inner()` leads to an allocator that refuses, not to one that would hand out the guards.
//!
//! *Guards for free.* [`OsBacked::try_guard`] uses markers in the page table where the system has them, which add no
//! mapping. Whether a guard stands is what its result says; no side channel is asked.
//!
//! *The ends only.* Blocks within the region are not guarded from each other: for that, see `GuardedSlab`. A layout that knows
//! that its range ends at a guard ([`FixedRange::GUARDED`]) puts its last block against it.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, OsBacked, StableAddress, is_aligned,
    relocate,
};

use crate::backing::own::{OwnCursor, bump_its_own_bytes};

/// The size in bytes of the smallest page of any supported system.
const MIN_PAGE: usize = 4096;

/// A region of `I` whose first and last `page_size` bytes fault on every touch, and a bump allocator of what lies between.
///
/// # Examples
///
/// ```
/// use forge_alloc::{AllocError, FixedRange, GuardPage, MmapBacked, Slab, page_size};
///
/// let page = page_size();
/// let region = GuardPage::new(MmapBacked::new(4 * page)?, page)?;
/// assert_eq!(region.size(), 2 * page);
/// let slab = Slab::<[u8; 100], _>::new(40, region)?; // the last slot ends at the guard
/// let end = slab.base().addr().get() + slab.size();
/// assert_eq!(end % page, 0);
/// # Ok::<(), AllocError>(())
/// ```
#[must_use]
pub struct GuardPage<I: OsBacked> {
    base: NonNull<u8>,
    size: usize,
    /// The offset of the interior in the range of `inner`.
    skip: usize,
    own: OwnCursor,
    inner: I,
}

// SAFETY: the pointer is to memory of `inner`, which may go to another thread.
unsafe impl<I: OsBacked + Send> Send for GuardPage<I> {}

impl<I: OsBacked + FixedRange> GuardPage<I> {
    /// Takes the region of `inner` over and turns its first and last `page_size` bytes into guards. Up to four system calls.
    ///
    /// # Errors
    ///
    /// [`AllocError`], and `inner` is dropped, if
    ///
    /// - `page_size` is not a power of two of at least 4096, or not a multiple of the system's page size;
    /// - the region is not longer than two guards, or not made of whole `page_size` bytes from an address that is a multiple
    ///   of it;
    /// - blocks of `inner` may be live, or what lies between the guards is not all its own;
    /// - a guard cannot be installed; the reason is in the thread's [last-error slot](crate::last_os_failure).
    pub fn new(mut inner: I, page_size: usize) -> Result<Self, AllocError> {
        let (region, length) = (inner.base_ptr(), inner.region_size());
        let whole = |value| is_aligned(value, page_size);
        if !page_size.is_power_of_two() || page_size < MIN_PAGE {
            return Err(AllocError);
        }
        let size = length.checked_sub(page_size).and_then(|rest| rest.checked_sub(page_size));
        let size = size.filter(|&size| size != 0).ok_or(AllocError)?;
        if !whole(region.addr().get()) || !whole(length) {
            return Err(AllocError);
        }
        inner.claim()?;
        // SAFETY: the region is longer than both guards.
        let (base, tail) = unsafe { (region.add(page_size), region.add(page_size + size)) };
        let skip = base.addr().get().checked_sub(inner.base().addr().get()).ok_or(AllocError)?;
        if inner.size().checked_sub(skip).is_none_or(|rest| rest < size) {
            return Err(AllocError);
        }
        // SAFETY: the range was claimed and no layout has it yet, so nothing accesses the guards, and `inner` hands out
        // nothing any more (I1).
        unsafe {
            inner.try_guard(region, page_size)?;
            inner.try_guard(tail, page_size)?;
        }
        Ok(Self { base, size, skip, own: OwnCursor::over_unknown(), inner })
    }

    /// Returns the length of each guard in bytes. O(1).
    #[must_use]
    pub fn page_size(&self) -> usize {
        self.base.addr().get() - self.inner.base_ptr().addr().get()
    }

    /// Returns how many bytes are handed out or lost to padding; all of them once a layout carves the range. O(1).
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.own.allocated()
    }

    /// Returns the owner of the region, whose own allocator is off. O(1).
    #[must_use]
    pub const fn inner(&self) -> &I {
        &self.inner
    }
}

// SAFETY: the interior is part of the range of `inner`, which is claimed (I1), and stays in place (I3); after `claim` the
// cursor stands at the end for good; behind the interior is a guard (I2); the split span is the one of `inner`, whose promises
// carry over.
unsafe impl<I: OsBacked + FixedRange> FixedRange for GuardPage<I> {
    const BASE_ALIGN: usize = MIN_PAGE;
    const STAYS: bool = true;
    const MUST_COMMIT: bool = I::MUST_COMMIT;
    const GUARDED: bool = true;
    const SPLIT: bool = I::SPLIT;

    #[inline(always)]
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    #[inline(always)]
    fn size(&self) -> usize {
        self.size
    }

    #[inline]
    fn committed(&self) -> usize {
        self.inner.committed().saturating_sub(self.skip).min(self.size)
    }

    #[inline]
    fn commit(&self, offset: usize, len: usize) -> Result<(), AllocError> {
        self.inner.commit(offset.checked_add(self.skip).ok_or(AllocError)?, len)
    }

    #[inline]
    fn claim(&mut self) -> Result<(), AllocError> {
        self.own.claim(self.size)
    }

    #[inline(always)]
    fn split_base(&self) -> NonNull<u8> {
        self.inner.split_base()
    }

    #[inline]
    fn claim_split(&mut self, bytes: usize) -> Result<(), AllocError> {
        self.inner.claim_split(bytes)
    }
}

bump_its_own_bytes!([I: OsBacked + FixedRange] GuardPage<I>);

// SAFETY: the mapping stays in place when the value moves (I3).
unsafe impl<I: OsBacked + FixedRange> StableAddress for GuardPage<I> {}

#[cfg(test)]
mod tests;
