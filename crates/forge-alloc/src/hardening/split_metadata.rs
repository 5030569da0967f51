//! A second mapping for what a layout remembers, out of reach of an overflow of what it hands out.
//!
//! ```text
//!   data                            meta, anywhere else
//!   | values, nothing but values |   | guard | free list | map of live slots |  ..  | guard |
//! ```
//!
//! # Invariants
//!
//! - (I1) `meta` overlaps nothing else, and its own allocator is off once a layout has claimed the split span.
//!
//! # Operations
//!
//! Everything is that of the data side. Claiming the split span takes a few system calls if the metadata mapping is too short.
//!
//! # Design
//!
//! The pair is one value, so that a layout over it finds the second span by [`FixedRange::SPLIT`] and no caller has to
//! pass it along. A layout says how many bytes it needs when it claims the span, and a mapping that is too short is replaced then: nobody
//! has to know the sizes of a layout's tables.
//!
//! The span lies between two guards, so that a run of writes that comes from whatever is mapped beside it faults. The guards
//! are those of [`MmapFlags`](crate::MmapFlags), which usually add no mapping.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, OsBacked, ProtectFlags, StableAddress,
};

use crate::backing::{MmapBacked, MmapFlags, Native, Os, OsError, record};
use crate::forward::{
    forward_allocator, forward_deallocator, forward_os_backed, forward_place, forward_reset,
};

/// The data region `I`, and a mapping beside it for the bookkeeping of the layout that takes both.
///
/// A slab over it keeps its free list and a map of its live slots there, whatever its policy: nothing that is written
/// through a slot reaches them, and a double or foreign free ends the process.
///
/// # Examples
///
/// ```
/// use forge_alloc::{AllocError, FixedRange, MmapBacked, Slab, SplitMetadata};
///
/// let split = SplitMetadata::new(MmapBacked::new(1 << 16)?, 4096)?;
/// let slab = Slab::<[u8; 48], _>::new(1000, split)?;
/// let slot = slab.insert([0xFF; 48])?; // overwrites no link: there is none in a slot
/// assert!(!slab.backing().contains(slab.backing().meta_base()));
/// # drop(slot);
/// # Ok::<(), AllocError>(())
/// ```
#[must_use]
pub struct SplitMetadata<I: Allocator, O: Os = Native> {
    data: I,
    meta: MmapBacked<O>,
}

impl<I: Allocator> SplitMetadata<I> {
    /// Maps at least `meta_size` bytes, between two guards, for what a layout over `data_region` has to remember.
    ///
    /// # Errors
    ///
    /// [`AllocError`] for a size of zero, one that overflows when rounded, and where the system refuses; the reason is in
    /// the thread's [last-error slot](crate::last_os_failure).
    pub fn new(data_region: I, meta_size: usize) -> Result<Self, AllocError> {
        Self::map(data_region, meta_size).map_err(record)
    }

    /// Maps at least `meta_size` bytes, between two guards; the error carries the reason.
    ///
    /// # Errors
    ///
    /// As [`SplitMetadata::new`]: the call that failed and its number.
    pub fn map(data_region: I, meta_size: usize) -> Result<Self, OsError> {
        Ok(Self::with_meta(data_region, MmapBacked::map(meta_size, guards())?))
    }
}

impl<I: Allocator, O: Os> SplitMetadata<I, O> {
    /// Returns the pair of a data region and a region for metadata.
    pub const fn with_meta(data_region: I, meta_region: MmapBacked<O>) -> Self {
        Self { data: data_region, meta: meta_region }
    }

    /// Returns the first byte of the metadata region. O(1).
    #[inline]
    #[must_use]
    pub fn meta_base(&self) -> NonNull<u8> {
        self.meta.base()
    }

    /// Returns the length of the metadata region in bytes, a multiple of the page size. O(1).
    #[inline]
    #[must_use]
    pub fn meta_size(&self) -> usize {
        self.meta.size()
    }

    /// Returns the metadata region, whose own allocator refuses everything once a layout has taken it. O(1).
    #[inline]
    #[must_use]
    pub const fn meta(&self) -> &MmapBacked<O> {
        &self.meta
    }

    /// Returns the data region. O(1).
    #[inline]
    #[must_use]
    pub const fn data(&self) -> &I {
        &self.data
    }
}

/// Returns what a mapping for metadata shall have.
fn guards() -> MmapFlags {
    MmapFlags { guard_in_front: true, guard_at_end: true, ..MmapFlags::NONE }
}

// SAFETY: blocks come from the data region and go back to it.
unsafe impl<I: Allocator, O: Os> Deallocator for SplitMetadata<I, O> {
    forward_deallocator!(data);
}

// SAFETY: the data region is the allocator, and keeps the contract.
unsafe impl<I: Allocator, O: Os> Allocator for SplitMetadata<I, O> {
    forward_allocator!(data);
    forward_reset!(data);
}

// SAFETY: the range is the data region's, which keeps the contract. The split span is a mapping of this value alone, which
// stays at its address, aligned to a page, and is taken once, because a claimed mapping refuses a second claim (I1).
unsafe impl<I: Allocator + FixedRange, O: Os> FixedRange for SplitMetadata<I, O> {
    const BASE_ALIGN: usize = I::BASE_ALIGN;
    const STAYS: bool = I::STAYS;
    const CARVABLE: bool = I::CARVABLE;
    const MUST_COMMIT: bool = I::MUST_COMMIT;
    const GUARDED: bool = I::GUARDED;
    const SPLIT: bool = true;

    forward_place!(data);

    #[inline]
    fn claim(&mut self) -> Result<(), AllocError> {
        self.data.claim()
    }

    #[inline(always)]
    fn split_base(&self) -> NonNull<u8> {
        self.meta.base()
    }

    /// Takes the metadata region; one that is shorter than `bytes` is replaced with another.
    fn claim_split(&mut self, bytes: usize) -> Result<(), AllocError> {
        if bytes <= self.meta.size() {
            self.meta.commit(0, bytes)?;
            return self.meta.claim();
        }
        let mut longer = MmapBacked::map_on(self.meta.os(), bytes, guards()).map_err(record)?;
        longer.claim()?;
        // The old one is turned off as well, to learn whether it is in use.
        self.meta.claim()?;
        self.meta = longer;
        Ok(())
    }
}

// SAFETY: the data region stays in place when it moves, and the mapping does.
unsafe impl<I: Allocator + StableAddress, O: Os> StableAddress for SplitMetadata<I, O> {}

// SAFETY: the mapping is the data region's, which keeps the contract.
unsafe impl<I: OsBacked, O: Os> OsBacked for SplitMetadata<I, O> {
    forward_os_backed!(data);
}

#[cfg(test)]
mod tests;
