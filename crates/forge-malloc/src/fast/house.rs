//! The allocator as an [`Allocator`] of the toolkit, so that it takes part in what the toolkit has: wrappers, collections,
//! and its checks.
//!
//! ```text
//!   Attached     cache of its own ──┐
//!   Attached     cache of its own ──┴── heap of the caller's
//! ```
//!
//! # Invariants
//!
//! - (I1) Every request of the cache of an [`Attached`] goes to the heap that it was attached to.
//!
//! # Operations
//!
//! As those of [`ThreadCache`].
//!
//! # Design
//!
//! The one promise that a [`ThreadCache`] asks for is that it is used with one heap. [`Attached`] keeps it by construction,
//! and gives the blocks back that the cache keeps when it is dropped. Blocks belong to the heap: one that was allocated through one
//! attachment may be freed through another, and outlives both.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, Deallocator, NonZeroLayout, StableAddress};
use forge_os::Os;

use super::front::cache::ThreadCache;
use super::front::sizes::Class;
use super::heap::Heap;
use super::profile::Profile;

/// A heap, and a cache in front of it: an allocator for one thread at a time.
///
/// # Examples
///
/// ```
/// use forge_alloc_core::{Allocator, Deallocator, NonZeroLayout};
/// use forge_malloc::fast::{Attached, Fast, Heap};
///
/// static HEAP: Heap<Fast, forge_os::Native> = Heap::new(forge_os::Native);
///
/// let here = Attached::new(&HEAP);
/// let layout = NonZeroLayout::for_type::<[u64; 8]>().unwrap();
/// let block = here.allocate(layout).unwrap().cast::<u8>();
/// // Sound: the block is freed once, with its layout, by another thread of the same heap.
/// let address = block.as_ptr().expose_provenance();
/// std::thread::spawn(move || {
///     let block = std::ptr::NonNull::new(std::ptr::with_exposed_provenance_mut(address)).unwrap();
///     unsafe { Attached::new(&HEAP).deallocate(block, layout) };
/// })
/// .join()
/// .unwrap();
/// ```
#[derive(Debug)]
pub struct Attached<'h, P: Profile, O: Os> {
    heap: &'h Heap<P, O>,
    cache: ThreadCache<P>,
}

impl<'h, P: Profile, O: Os> Attached<'h, P, O> {
    /// Returns an empty cache of a heap. O(classes).
    #[must_use]
    pub const fn new(heap: &'h Heap<P, O>) -> Self {
        Self { heap, cache: ThreadCache::new() }
    }

    /// Returns the heap. O(1).
    #[must_use]
    pub const fn heap(&self) -> &'h Heap<P, O> {
        self.heap
    }

    /// Gives every block back that the cache keeps. O(blocks).
    pub fn empty(&self) {
        // SAFETY: the cache is this heap's (I1).
        unsafe { self.cache.empty(self.heap) };
    }
}

impl<P: Profile, O: Os> Drop for Attached<'_, P, O> {
    fn drop(&mut self) {
        // SAFETY: the cache is this heap's (I1).
        unsafe { self.cache.close(self.heap) };
    }
}

/// Returns the slice of a block, or the error for null.
#[inline]
fn slice(block: *mut u8, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
    let block = NonNull::new(block).ok_or(AllocError)?;
    Ok(NonNull::slice_from_raw_parts(block, layout.size().get()))
}

// SAFETY: a block goes back to the heap that it came from, whichever cache it passes.
unsafe impl<P: Profile, O: Os> Deallocator for Attached<'_, P, O> {
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the caller's promise is the callee's, and the cache is this heap's (I1).
        unsafe { self.cache.deallocate(self.heap, ptr.as_ptr(), layout.into()) };
    }
}

// SAFETY: blocks lie in mappings, which stay where they are; they are distinct, as long and as aligned as their layouts say,
// and no call touches a live block other than the one it is about. Null changes nothing, and nothing unwinds.
unsafe impl<P: Profile, O: Os> Allocator for Attached<'_, P, O> {
    #[inline]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the cache is this heap's (I1), which is borrowed.
        slice(unsafe { self.cache.allocate(self.heap, layout.into()) }, layout)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as above.
        slice(unsafe { self.cache.allocate_zeroed(self.heap, layout.into()) }, layout)
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise is the callee's, and the cache is this heap's (I1).
        slice(unsafe { self.cache.resize(self.heap, ptr.as_ptr(), old.into(), new.into()) }, new)
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise is the callee's, which resizes either way.
        unsafe { self.grow(ptr, old, new) }
    }

    unsafe fn usable_size(&self, _: NonNull<u8>, layout: NonZeroLayout) -> Option<usize> {
        let layout: Layout = layout.into();
        if P::ARMED {
            return Some(layout.size());
        }
        Some(Class::of(layout).map_or(layout.size(), |class| class.shape::<P>().size))
    }
}

// SAFETY: blocks lie in mappings of the heap, which outlives the attachment. It is not `Clone`.
unsafe impl<P: Profile, O: Os> StableAddress for Attached<'_, P, O> {}

#[cfg(test)]
mod tests;
