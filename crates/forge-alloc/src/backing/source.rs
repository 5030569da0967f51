//! Region sources that need no operating system: the global allocator, and any backing that stays in place.
//!
//! ```text
//!   RangeSource over a backing
//!   | region | region |  region  |        free         |
//!                                ^ only the last region can be returned
//! ```
//!
//! # Operations
//!
//! [`HeapSource`]: one call of the global allocator. [`RangeSource`]: O(1).
//!
//! # Design
//!
//! A static pool that is handed to a growing structure needs no free list of its own: such structures keep what they
//! were given, or give everything back. Regions of a [`RangeSource`] that are released out of order come back when the
//! source is dropped.
#![allow(unsafe_code)]

use forge_alloc_core::{AllocError, FixedRange, NonZeroLayout, Region, RegionSource, StableAddress};

use crate::raw::cursor::BumpCursor;

/// Regions carved one after the other from a backing that stays at its address.
///
/// # Examples
///
/// ```
/// use core::mem::MaybeUninit;
/// use forge_alloc::{NonZeroLayout, RangeSource, RegionSource, StaticBacked};
///
/// let mut pool = [MaybeUninit::<u8>::uninit(); 1024];
/// let source = RangeSource::new(StaticBacked::uninit(&mut pool)).unwrap();
/// let layout = NonZeroLayout::from_size_align(600, 1).unwrap();
/// // SAFETY: the region is not used after the source is dropped.
/// let region = unsafe { source.request(layout) }.unwrap();
/// assert_eq!((region.len(), source.remaining()), (600, 424));
/// ```
#[derive(Debug)]
pub struct RangeSource<B> {
    backing: B,
    cursor: BumpCursor,
}

impl<B: FixedRange + StableAddress> RangeSource<B> {
    /// Returns the source that carves `backing`. O(1).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if blocks of `backing` are live or another layout carves it; `backing` is dropped.
    pub fn new(mut backing: B) -> Result<Self, AllocError> {
        const { assert!(B::CARVABLE, "carving this backing would bypass what it guards") };
        backing.claim()?;
        Ok(Self { backing, cursor: BumpCursor::new() })
    }

    /// Returns how many bytes are still to be handed out.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.backing.size() - self.cursor.offset()
    }
}

// SAFETY: the source owns the range and has claimed it, and the cursor hands every byte out once, aligned, until it is
// released; the range stays in place when the source moves (`StableAddress`) and valid until it is dropped.
unsafe impl<B: FixedRange + StableAddress> RegionSource for RangeSource<B> {
    unsafe fn request(&self, layout: NonZeroLayout) -> Result<Region, AllocError> {
        let block = self.cursor.allocate(&self.backing, layout)?;
        // SAFETY: the block is fresh, exclusively the caller's, and inside the range with its provenance.
        Ok(unsafe { Region::from_raw(block.cast(), block.len()) })
    }

    unsafe fn release(&self, region: Region, layout: NonZeroLayout) {
        let (base, _) = region.into_raw();
        // SAFETY: the region is a whole block of this cursor with this layout, and nothing uses it any more.
        unsafe { self.cursor.free_last(&self.backing, base, layout) };
    }
}

/// Regions from the global allocator.
#[cfg(feature = "alloc")]
#[derive(Clone, Copy, Debug, Default)]
pub struct HeapSource;

#[cfg(feature = "alloc")]
impl HeapSource {
    /// Returns the source of the global allocator.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

#[cfg(feature = "alloc")]
// SAFETY: a region is one block of the global allocator: exclusive, aligned, long enough, and in place until released.
unsafe impl RegionSource for HeapSource {
    unsafe fn request(&self, layout: NonZeroLayout) -> Result<Region, AllocError> {
        use forge_alloc_core::Allocator;
        let block = super::System.allocate(layout)?;
        // SAFETY: the block is fresh and exclusively the caller's, `isize::MAX` bytes at most.
        Ok(unsafe { Region::from_raw(block.cast(), block.len()) })
    }

    unsafe fn release(&self, region: Region, layout: NonZeroLayout) {
        use forge_alloc_core::Deallocator;
        let (base, _) = region.into_raw();
        // SAFETY: the region is the whole block that was allocated with this layout, and nothing uses it any more.
        unsafe { super::System.deallocate(base, layout) };
    }
}

#[cfg(test)]
mod tests;
