//! `GenericAllocator` as an [`Allocator`] of the toolkit, so that it takes part in what the toolkit has: wrappers,
//! collections, and its checks.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, Deallocator, NonZeroLayout};

use super::generic::GenericAllocator;
use super::grower::HeapGrower;
use super::lock::HeapLock;
use super::raw_alloc::RawAlloc;

/// Returns the slice of a block, or the error for null.
fn slice(block: *mut u8, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
    let block = NonNull::new(block).ok_or(AllocError)?;
    Ok(NonNull::slice_from_raw_parts(block, layout.size().get()))
}

// SAFETY: a block goes back to the heap that it came from, under its lock or by its side door.
unsafe impl<G: HeapGrower + Default, L: HeapLock> Deallocator for GenericAllocator<G, L> {
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { self.free_block(ptr.as_ptr(), layout.into()) };
    }
}

// SAFETY: blocks lie in the grower's memory, which stays where it is; they are as long and as aligned as their layouts say,
// and no call touches a live block other than the one it is about. Null changes nothing, and nothing unwinds.
unsafe impl<G: HeapGrower + Default, L: HeapLock> Allocator for GenericAllocator<G, L> {
    #[inline]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        slice(self.alloc_block(layout.into()), layout)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        slice(self.alloc_zeroed_block(layout.into()), layout)
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise is the callee's.
        slice(unsafe { self.resize_block(ptr.as_ptr(), old.into(), new.into()) }, new)
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise is the callee's.
        slice(unsafe { self.resize_block(ptr.as_ptr(), old.into(), new.into()) }, new)
    }

    unsafe fn usable_size(&self, _: NonNull<u8>, layout: NonZeroLayout) -> Option<usize> {
        Some(RawAlloc::<G>::block_size(layout.into()))
    }
}
