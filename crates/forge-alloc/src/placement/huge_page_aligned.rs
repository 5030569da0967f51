//! Another allocator's mapping on transparent huge pages, with blocks that start on one.
//!
//! ```text
//!   huge pages     |                 |                 |                 |
//!   the mapping        [.............|=================|=================|....]
//!   blocks                           | block   |       | block               |
//!                        small pages         huge pages where possible
//! ```
//!
//! # Invariants
//!
//! - (I1) `huge_page_size` is a power of two of at least 4096.
//! - (I2) A block is known to the inner allocator by its layout with the alignment raised to `huge_page_size`.
//! - (I3) The system has taken the advice to use huge pages for the whole mapping.
//!
//! # Operations
//!
//! Building takes one system call. Everything else is the inner allocator's, at its cost, except that a release of pages is
//! rounded.
//!
//! # Design
//!
//! **Two halves.** The processor needs aligned blocks, and the kernel has to be asked: under the setting `madvise`, which most
//! distributions ship, alignment alone never yields a huge page. The advice (`MADV_HUGEPAGE`) is of one mapping; the
//! process-wide switch (`prctl`) would change every other mapping's memory use.
//!
//! **The whole mapping is advised**, not the aligned part of it. The kernel puts huge pages where whole ones fit in any case;
//! an advice for a part would split the mapping in three, and count three times against the limit on mappings.
//!
//! **Turned off is not refused.** Where transparent huge pages exist and the administrator has turned them off, the system
//! takes the advice, and the mapping gets huge pages when they are turned on. Where they do not exist, building fails and the
//! error says so.
//!
//! **Soundness.** As for `NumaLocal`: the system is called only if the owner of the mapping says that the running system
//! made it ([`OsBacked::is_native`]).
//!
//! **An arena may carve the range.** It then has the huge pages, and its own alignment of blocks. The base is aligned as the
//! inner one's: `MmapBacked::with_huge_pages` starts on a huge page.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, OsBacked, ProtectFlags, StableAddress,
};
use forge_os::{Advice, Native, Os, OsError, default_huge_page_size};

use crate::backing::record;
use crate::forward::{forward_mapping, forward_range, forward_reset, forward_totals};

/// The smallest huge page size in bytes that a caller may name.
const SMALLEST: usize = 4096;

/// An allocator whose mapping asks for transparent huge pages and whose blocks start on one.
///
/// # Examples
///
/// ```
/// use forge_alloc::{Allocator, HugePageAligned, MmapBacked, NonZeroLayout};
///
/// # fn main() -> Result<(), forge_alloc::AllocError> {
/// match HugePageAligned::request(MmapBacked::new(8 << 20)?, 2 << 20) {
///     Ok(huge) => {
///         let block = huge.allocate(NonZeroLayout::for_type::<[u8; 100]>().unwrap())?;
///         assert_eq!(block.cast::<u8>().addr().get() % (2 << 20), 0);
///     }
///     Err(refused) => assert_eq!(refused.call(), "madvise(MADV_HUGEPAGE)"),
/// }
/// # Ok(())
/// # }
/// ```
pub struct HugePageAligned<I: OsBacked> {
    inner: I,
    huge_page_size: usize,
}

impl<I: OsBacked> HugePageAligned<I> {
    /// Asks for pages of the [default size](crate::default_huge_page_size) for the mapping of `inner`.
    ///
    /// Returns `None` as [`HugePageAligned::with_huge_page_size`] does.
    pub fn new(inner: I) -> Option<Self> {
        Self::with_huge_page_size(inner, default_huge_page_size())
    }

    /// Asks for huge pages for the mapping of `inner`, and aligns blocks to `huge_page_size` bytes.
    ///
    /// Returns `None` where [`HugePageAligned::request`] is an error; the reason is in the thread's
    /// [last-error slot](crate::last_os_failure).
    pub fn with_huge_page_size(inner: I, huge_page_size: usize) -> Option<Self> {
        Self::request(inner, huge_page_size).map_err(record).ok()
    }

    /// Asks for huge pages for the mapping of `inner`, and aligns blocks to `huge_page_size` bytes; the error carries the
    /// reason. `inner` is dropped with an error.
    ///
    /// # Errors
    ///
    /// - `huge_page_size` is not a power of two of at least 4096: invalid argument.
    /// - The system has no transparent huge pages, or `inner` is not a
    ///   [mapping of the running system](OsBacked::is_native): unsupported.
    /// - The system refuses the advice: its error.
    pub fn request(inner: I, huge_page_size: usize) -> Result<Self, OsError> {
        if !huge_page_size.is_power_of_two() || huge_page_size < SMALLEST {
            return Err(OsError::invalid_argument(Advice::HugePage.call()));
        }
        if !inner.is_native() || Native.transparent_huge_page_size().is_none() {
            return Err(OsError::unsupported(Advice::HugePage.call()));
        }
        // SAFETY: the range is one live mapping, which the running system made, in whole pages, as `OsBacked` promises; the
        // advice loses no content.
        unsafe { Native.advise(inner.base_ptr(), inner.region_size(), Advice::HugePage)? };
        Ok(Self { inner, huge_page_size })
    }

    /// Returns the size of a huge page in bytes, which is the smallest alignment of a block.
    #[must_use]
    pub const fn huge_page_size(&self) -> usize {
        self.huge_page_size
    }

    /// Returns the least number of bytes that a release can give back: one huge page.
    #[must_use]
    pub const fn min_purge_size(&self) -> usize {
        self.huge_page_size
    }

    /// Returns the inner allocator.
    #[inline(always)]
    pub const fn inner(&self) -> &I {
        &self.inner
    }

    /// Returns the inner allocator. Its mapping keeps the advice, and blocks their raised alignment (I2).
    #[inline]
    pub fn into_inner(self) -> I {
        self.inner
    }

    /// Returns the layout by which the inner allocator knows a block of `layout`.
    #[inline(always)]
    fn raised(&self, layout: NonZeroLayout) -> Result<NonZeroLayout, AllocError> {
        let align = self.huge_page_size.max(layout.align().get());
        NonZeroLayout::from_size_align(layout.size().get(), align).map_err(|_| AllocError)
    }

    /// Does [`raised`](Self::raised) for the layout of a live block.
    ///
    /// # Safety
    ///
    /// A live block of this allocator has the layout.
    #[inline(always)]
    unsafe fn raised_of_live(&self, layout: NonZeroLayout) -> NonZeroLayout {
        // SAFETY: the block was requested with the raised layout, so there is one (I2).
        unsafe { self.raised(layout).unwrap_unchecked() }
    }

    /// Returns whether the span lies in the mapping.
    fn holds(&self, ptr: NonNull<u8>, size: usize) -> bool {
        let start = ptr.addr().get().wrapping_sub(self.inner.base_ptr().addr().get());
        let region = self.inner.region_size();
        start <= region && size <= region - start
    }

    /// Returns the whole huge pages in a span of the mapping, or `None` if it has none.
    fn whole_pages(&self, ptr: NonNull<u8>, size: usize) -> Option<(NonNull<u8>, usize)> {
        let in_page = self.huge_page_size - 1;
        let skipped = ptr.addr().get().wrapping_neg() & in_page;
        let pages = size.checked_sub(skipped)? & !in_page;
        // SAFETY: the offset is at most `size`, and the span lies in the mapping.
        (pages != 0).then(|| (unsafe { ptr.add(skipped) }, pages))
    }
}

// SAFETY: the inner allocator, which keeps the contract, is told the layout that it knows the block by (I2).
unsafe impl<I: OsBacked> Deallocator for HugePageAligned<I> {
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the block is live and has the layout.
        unsafe { self.inner.deallocate(ptr, self.raised_of_live(layout)) }
    }
}

// SAFETY: every block is one of the inner allocator, which keeps the contract, with a stricter layout than asked for; the
// inner allocator is told the layout that it knows the block by (I2).
unsafe impl<I: OsBacked> Allocator for HugePageAligned<I> {
    #[inline]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.inner.allocate(self.raised(layout)?)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.inner.allocate_zeroed(self.raised(layout)?)
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let new = self.raised(new)?;
        // SAFETY: the block is live with the raised old layout (I2), and raising changes no size.
        unsafe { self.inner.grow(ptr, self.raised_of_live(old), new) }
    }

    #[inline]
    unsafe fn grow_zeroed(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let new = self.raised(new)?;
        // SAFETY: as in `grow`.
        unsafe { self.inner.grow_zeroed(ptr, self.raised_of_live(old), new) }
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let new = self.raised(new)?;
        // SAFETY: as in `grow`.
        unsafe { self.inner.shrink(ptr, self.raised_of_live(old), new) }
    }

    #[inline]
    unsafe fn stays_in_place(&self, ptr: NonNull<u8>, old: NonZeroLayout, new: NonZeroLayout) -> bool {
        // SAFETY: as in `grow`.
        self.raised(new)
            .is_ok_and(|new| unsafe { self.inner.stays_in_place(ptr, self.raised_of_live(old), new) })
    }

    #[inline]
    unsafe fn usable_size(&self, ptr: NonNull<u8>, layout: NonZeroLayout) -> Option<usize> {
        // SAFETY: the block is live and has the layout.
        unsafe { self.inner.usable_size(ptr, self.raised_of_live(layout)) }
    }

    forward_totals!(inner);
    forward_reset!(inner);
}

// SAFETY: the range is the inner one's, which keeps the contract.
unsafe impl<I: OsBacked + FixedRange> FixedRange for HugePageAligned<I> {
    const CARVABLE: bool = I::CARVABLE;

    forward_range!(inner: I);

    #[inline]
    fn claim(&mut self) -> Result<(), AllocError> {
        self.inner.claim()
    }
}

// SAFETY: the mapping is the inner one's, which keeps the contract; a span that leaves the mapping is passed on as it is, for
// the inner one to refuse, and a rounded one lies inside the span that was passed in.
unsafe impl<I: OsBacked> OsBacked for HugePageAligned<I> {
    forward_mapping!(inner);

    /// Gives the whole huge pages of the span back; a span without one keeps what it has.
    unsafe fn try_release_pages(&self, ptr: NonNull<u8>, size: usize) -> Result<(), AllocError> {
        let span = if self.holds(ptr, size) { self.whole_pages(ptr, size) } else { Some((ptr, size)) };
        match span {
            // SAFETY: no live block overlaps a part of the span.
            Some((pages, length)) => unsafe { self.inner.try_release_pages(pages, length) },
            None => Ok(()),
        }
    }

    /// Gives the whole huge pages of the span back; a span without one, or outside the mapping, keeps what it has.
    unsafe fn release_pages(&self, ptr: NonNull<u8>, size: usize) {
        let span = if self.holds(ptr, size) { self.whole_pages(ptr, size) } else { None };
        if let Some((pages, length)) = span {
            // SAFETY: no live block overlaps a part of the span.
            unsafe { self.inner.release_pages(pages, length) }
        }
    }
}

// SAFETY: what the inner one owns and has handed out stays in place when it is moved; the wrapper is not `Clone`.
unsafe impl<I: OsBacked + StableAddress> StableAddress for HugePageAligned<I> {}

#[cfg(test)]
mod tests;
