//! What is common to the wrappers that overwrite a block before it is freed: no byte leaves the user unscrubbed.
//!
//! ```text
//!   free      |xxxxxxxxxxxxxxxx|                 all of it, up to its usable size, then the inner free
//!   shrink    | kept |xxxxxxxxx|                 the tail, then the inner shrink
//!   grow      | kept           | new |           in place: nothing is given up
//!   resize that moves            |xxxxxxxxxxxxxxxx| -> | kept           | new |     a free, as above
//! ```
//!
//! # Invariants
//!
//! - (I1) The inner allocator takes back no byte that the wrapper has not scrubbed since the user could last write it.
//!
//! # Design
//!
//! An inner resize that moves a block frees the old one by itself, unscrubbed. So the inner allocator is asked first
//! whether the block [stays](forge_alloc_core::Allocator::stays_in_place); only then is the resize passed on, and a shrink
//! scrubs the tail before. Otherwise the wrapper moves the block, through its own free. In-place growth, which is what
//! a growing vector in an arena lives on, stays in place.
//!
//! An allocator whose blocks are longer than asked says so with `usable_size`, and that is what is scrubbed.
#![allow(unsafe_code)]

/// Expands to the items of `Deallocator` of a type with an allocator `inner` and an `unsafe fn scrub(&self, ptr, len)`, which
/// overwrites the `len` bytes at `ptr`.
macro_rules! scrub_then_deallocate {
    () => {
        /// Overwrites the block, up to its usable size, and frees it. O(size).
        #[inline(always)]
        unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
            // SAFETY: the block is live and given up, and as long as the inner allocator says, or as its layout.
            unsafe {
                let len = self.inner.usable_size(ptr, layout).unwrap_or(layout.size().get());
                self.scrub(ptr, len);
                self.inner.deallocate(ptr, layout);
            }
        }
    };
}

/// Expands to the items of `Allocator`, except those about the whole of it, of such a type.
macro_rules! scrub_when_resized {
    () => {
        #[inline(always)]
        fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
            self.inner.allocate(layout)
        }

        #[inline]
        fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
            self.inner.allocate_zeroed(layout)
        }

        /// Lengthens a block in place if the inner allocator can; else moves it, and overwrites where it was.
        #[inline]
        unsafe fn grow(
            &self,
            ptr: NonNull<u8>,
            old: NonZeroLayout,
            new: NonZeroLayout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            // SAFETY: the caller's promises are the callees'.
            unsafe {
                if self.inner.stays_in_place(ptr, old, new) {
                    self.inner.grow(ptr, old, new)
                } else {
                    relocate(self, ptr, old, new)
                }
            }
        }

        /// Shortens a block and overwrites what it gives up: its tail, or all of where it was.
        #[inline]
        unsafe fn shrink(
            &self,
            ptr: NonNull<u8>,
            old: NonZeroLayout,
            new: NonZeroLayout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            debug_assert!(new.size() <= old.size());
            // SAFETY: the caller's promises are the callees'. The tail lies in the live block, behind what it keeps, and the
            // inner shrink will succeed, so nobody reads it again.
            unsafe {
                if !self.inner.stays_in_place(ptr, old, new) {
                    return relocate(self, ptr, old, new);
                }
                let len = self.inner.usable_size(ptr, old).unwrap_or(old.size().get());
                self.scrub(ptr.add(new.size().get()), len - new.size().get());
                self.inner.shrink(ptr, old, new)
            }
        }

        $crate::forward::forward_block_facts!(inner);
    };
}

pub(super) use {scrub_then_deallocate, scrub_when_resized};
