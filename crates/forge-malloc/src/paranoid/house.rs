//! A heap as an [`Allocator`] of the toolkit, so that it takes part in what the toolkit has: wrappers, collections, and its
//! checks.
//!
//! # Operations
//!
//! As those of [`Heap`].
//!
//! # Design
//!
//! Every block is zero when it is handed out, so there is one way to allocate; and every resize moves, so there is one to
//! resize.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, Deallocator, NonZeroLayout, StableAddress};
use forge_os::Os;

use super::heap::Heap;

/// Returns the slice of a block, or the error for null.
fn slice(block: *mut u8, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
    let block = NonNull::new(block).ok_or(AllocError)?;
    Ok(NonNull::slice_from_raw_parts(block, layout.size().get()))
}

// SAFETY: a block goes back to the shard that it came from, whoever frees it.
unsafe impl<O: Os> Deallocator for Heap<O> {
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { Self::deallocate(self, ptr.as_ptr(), layout.into()) };
    }
}

// SAFETY: blocks have pages of their own, are as long and as aligned as their layouts say, and no call touches a live block
// other than the one it is about. Null changes nothing, and nothing unwinds.
unsafe impl<O: Os> Allocator for Heap<O> {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        slice(Self::allocate(self, layout.into()), layout)
    }

    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        slice(Self::allocate(self, layout.into()), layout)
    }

    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise is the callee's.
        slice(unsafe { self.reallocate(ptr.as_ptr(), old.into(), new.into()) }, new)
    }

    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise, and the callee resizes either way.
        unsafe { self.grow(ptr, old, new) }
    }

    unsafe fn usable_size(&self, _: NonNull<u8>, layout: NonZeroLayout) -> Option<usize> {
        Some(layout.size().get())
    }
}

// SAFETY: blocks lie in mappings, which stay where they are when the heap moves; it is not `Clone`.
unsafe impl<O: Os> StableAddress for Heap<O> {}

#[cfg(test)]
mod tests;
