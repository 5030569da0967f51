//! The backing that has nothing: an empty range whose allocator refuses every request.
//!
//! # Design
//!
//! The null implementation of the backing seam. As the last link of a chain it turns "try the next one" into an error,
//! and it lets generic code be tested against the smallest backing that there is. Its blocks do not exist, so resizing
//! and freeing them cannot be reached.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, StableAddress};

/// The address of the empty range, and so its alignment: a page of any system.
const ADDRESS: usize = 4096;

/// An empty backing.
///
/// # Examples
///
/// ```
/// use forge_alloc::{Allocator, FixedRange, NonZeroLayout, NullBacked};
///
/// let layout = NonZeroLayout::from_size_align(1, 1).unwrap();
/// assert!(NullBacked.allocate(layout).is_err());
/// assert_eq!(NullBacked.size(), 0);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct NullBacked;

// SAFETY: an empty range is valid at every aligned address that is not null, and no two overlap; nothing ever changes.
unsafe impl FixedRange for NullBacked {
    const BASE_ALIGN: usize = ADDRESS;
    const STAYS: bool = true;

    #[inline(always)]
    fn base(&self) -> NonNull<u8> {
        let address = core::ptr::without_provenance_mut(ADDRESS);
        // SAFETY: the address is not zero.
        unsafe { NonNull::new_unchecked(address) }
    }

    #[inline(always)]
    fn size(&self) -> usize {
        0
    }
}

// SAFETY: no block was ever issued.
unsafe impl Deallocator for NullBacked {
    #[inline]
    unsafe fn deallocate(&self, _: NonNull<u8>, _: NonZeroLayout) {}
}

// SAFETY: no block is ever issued.
unsafe impl Allocator for NullBacked {
    #[inline]
    fn allocate(&self, _: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        Err(AllocError)
    }

    #[inline]
    fn reset(&mut self) -> Result<(), AllocError> {
        Ok(())
    }

    #[inline]
    fn capacity_bytes(&self) -> Option<usize> {
        Some(0)
    }
}

// SAFETY: there is no memory to move.
unsafe impl StableAddress for NullBacked {}

#[cfg(test)]
mod tests;
