//! A global allocator as a contestant: the standard library's contract seen through the toolkit's.
//!
//! # Design
//!
//! Resizing goes to `realloc` while the alignment stays, as in a standard collection, so that a contestant's in-place
//! growth counts. A changed alignment moves the block, because `realloc` cannot express it.
#![allow(unsafe_code)]

use std::alloc::GlobalAlloc;
use std::ptr::{self, NonNull};

use forge_alloc::{AllocError, Allocator, Deallocator, NonZeroLayout, relocate};

/// The allocator `G`, through the toolkit's traits.
#[derive(Debug)]
pub(crate) struct GlobalAllocAdapter<G>(pub(crate) G);

// SAFETY: `G` takes back what it issued, by its own contract.
unsafe impl<G: GlobalAlloc> Deallocator for GlobalAllocAdapter<G> {
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the block is live with this layout, by the caller's promise.
        unsafe { self.0.dealloc(ptr.as_ptr(), layout.to_layout()) }
    }
}

// SAFETY: `GlobalAlloc` demands the same of a block: aligned, long enough, exclusive, stable until freed.
unsafe impl<G: GlobalAlloc> Allocator for GlobalAllocAdapter<G> {
    #[inline]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the size is not zero.
        block(unsafe { self.0.alloc(layout.to_layout()) }, layout)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the size is not zero.
        block(unsafe { self.0.alloc_zeroed(layout.to_layout()) }, layout)
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.resize(ptr, old, new) }
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.resize(ptr, old, new) }
    }
}

impl<G: GlobalAlloc> GlobalAllocAdapter<G> {
    /// Resizes a block.
    ///
    /// # Safety
    ///
    /// `ptr` is a live block of this allocator and `old` is its layout.
    #[inline]
    unsafe fn resize(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if old.align() != new.align() {
            // SAFETY: the caller's promises are the callee's.
            return unsafe { relocate(self, ptr, old, new) };
        }
        // SAFETY: the block is live with this layout; the new size is not zero and fits the alignment, which stays.
        block(unsafe { self.0.realloc(ptr.as_ptr(), old.to_layout(), new.size().get()) }, new)
    }
}

#[inline]
fn block(start: *mut u8, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
    NonNull::new(ptr::slice_from_raw_parts_mut(start, layout.size().get())).ok_or(AllocError)
}

#[cfg(test)]
mod tests;
