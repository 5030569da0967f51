//! The process's global allocator as an allocator of the toolkit.
//!
//! # Operations
//!
//! Each is one call of the global allocator, whichever `#[global_allocator]` the program has.
//!
//! # Design
//!
//! A unit type: every instance is the same allocator, so a block may be freed through any of them. The global
//! allocator resizes only at the alignment of the block; a resize to another alignment moves it.
#![allow(unsafe_code)]

use alloc::alloc::{alloc, alloc_zeroed, dealloc, realloc};
use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, Deallocator, NonZeroLayout, StableAddress, relocate};

/// The global allocator.
///
/// # Examples
///
/// ```
/// use forge_alloc::{AllocError, Allocator, Deallocator, NonZeroLayout, System};
///
/// # fn main() -> Result<(), AllocError> {
/// let layout = NonZeroLayout::from_size_align(100, 8).map_err(|_| AllocError)?;
/// let block = System.allocate_zeroed(layout)?;
/// // SAFETY: the block is live, was allocated with this layout, and is not used again.
/// unsafe { System.deallocate(block.cast(), layout) };
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl System {
    /// Returns the global allocator.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

/// Turns what the global allocator returned into a block of `layout.size()` bytes.
#[inline]
fn block(ptr: *mut u8, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
    let ptr = NonNull::new(ptr).ok_or(AllocError)?;
    Ok(NonNull::slice_from_raw_parts(ptr, layout.size().get()))
}

// SAFETY: every block came from the global allocator with its layout, which takes it back from any thread.
unsafe impl Deallocator for System {
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the caller passes a live block of the global allocator with its layout.
        unsafe { dealloc(ptr.as_ptr(), layout.to_layout()) };
    }
}

// SAFETY: the global allocator's contract is this one, for sizes above zero: aligned, long enough and disjoint blocks,
// null for failure with the old block untouched, no unwinding.
unsafe impl Allocator for System {
    #[inline]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the size of a `NonZeroLayout` is not zero.
        block(unsafe { alloc(layout.to_layout()) }, layout)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the size of a `NonZeroLayout` is not zero.
        block(unsafe { alloc_zeroed(layout.to_layout()) }, layout)
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { resize(ptr, old, new) }
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { resize(ptr, old, new) }
    }

    #[inline]
    fn blocks_stay(&self) -> bool {
        true
    }
}

/// Resizes a block, by moving it if the alignment changes.
///
/// # Safety
///
/// `ptr` is a live block of the global allocator and `old` is its layout.
#[inline]
unsafe fn resize(
    ptr: NonNull<u8>,
    old: NonZeroLayout,
    new: NonZeroLayout,
) -> Result<NonNull<[u8]>, AllocError> {
    if old.align() != new.align() {
        // SAFETY: the caller's promise is the callee's.
        return unsafe { relocate(&System, ptr, old, new) };
    }
    // SAFETY: the block is live with the layout `old`, whose alignment both share; `new.size()` is not zero and stays
    // within `isize::MAX` when rounded up to that alignment.
    block(unsafe { realloc(ptr.as_ptr(), old.to_layout(), new.size().get()) }, new)
}

// SAFETY: the type holds no memory, blocks belong to the process, and every instance frees the blocks of every other.
unsafe impl StableAddress for System {}

#[cfg(test)]
mod tests;
