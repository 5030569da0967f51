//! A shared pool as an allocator of the standard library, by way of the bridge.
#![allow(unsafe_code)]

use core::alloc::{AllocError, Allocator, Layout};
use core::ptr::NonNull;

use super::{AllocatorRc, ByteAllocator, Local, StdCompat};

impl<A: ByteAllocator> AllocatorRc<'_, A> {
    fn bridge(&self) -> StdCompat<&Local<A>> {
        StdCompat::new(&*self.shared)
    }
}

// SAFETY: every call of every clone reaches the one heap, through a bridge that keeps the contract.
unsafe impl<A: ByteAllocator> Allocator for AllocatorRc<'_, A> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.bridge().allocate(layout)
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.bridge().allocate_zeroed(layout)
    }

    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.bridge().deallocate(ptr, layout) }
    }

    unsafe fn grow(&self, ptr: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.bridge().grow(ptr, old, new) }
    }

    unsafe fn grow_zeroed(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.bridge().grow_zeroed(ptr, old, new) }
    }

    unsafe fn shrink(&self, ptr: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.bridge().shrink(ptr, old, new) }
    }
}
