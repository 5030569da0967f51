//! The one implementation of the std allocator traits, which differ in nothing but their paths.
#![allow(unsafe_code)]

/// Implements the allocator trait and the error conversions for a module that has them under `std`'s names.
macro_rules! implement {
    ($mirror:ident) => {
        // SAFETY: blocks are at least as long as their layout, aligned and exclusive, because those of `A` are; any
        // size that fits a block is the one that `A` knows (I1); moves and clones keep blocks valid (I3).
        unsafe impl<A: $crate::Allocator + $crate::StableAddress> $mirror::Allocator
            for $crate::StdCompat<A>
        {
            #[inline]
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, $mirror::AllocError> {
                boundary::allocate(self.inner(), layout).map_err(Into::into)
            }

            #[inline]
            fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, $mirror::AllocError> {
                boundary::allocate_zeroed(self.inner(), layout).map_err(Into::into)
            }

            #[inline]
            unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller's promises are the callee's.
                unsafe { boundary::deallocate(self.inner(), ptr, layout) }
            }

            #[inline]
            unsafe fn grow(
                &self,
                ptr: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $mirror::AllocError> {
                // SAFETY: the caller's promises are the callee's.
                unsafe { boundary::grow(self.inner(), ptr, old, new) }.map_err(Into::into)
            }

            #[inline]
            unsafe fn grow_zeroed(
                &self,
                ptr: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $mirror::AllocError> {
                // SAFETY: the caller's promises are the callee's.
                unsafe { boundary::grow_zeroed(self.inner(), ptr, old, new) }.map_err(Into::into)
            }

            #[inline]
            unsafe fn shrink(
                &self,
                ptr: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $mirror::AllocError> {
                // SAFETY: the caller's promises are the callee's.
                unsafe { boundary::shrink(self.inner(), ptr, old, new) }.map_err(Into::into)
            }
        }

        impl From<$crate::AllocError> for $mirror::AllocError {
            #[inline]
            fn from(_: $crate::AllocError) -> Self {
                Self
            }
        }

        impl From<$mirror::AllocError> for $crate::AllocError {
            #[inline]
            fn from(_: $mirror::AllocError) -> Self {
                Self
            }
        }
    };
}
pub(super) use implement;
