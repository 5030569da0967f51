//! The contract through pointers: a reference or smart pointer to an allocator is that allocator.
//!
//! `reset` needs `&mut self` and passes through the pointers that own their referent alone (`&mut A`, `Box<A>`); a
//! shared pointer cannot reset what others may be using, so the default error stays. `visit_spans` passes through `Box<A>`
//! alone: who drops a `&mut A` ends a borrow and not the allocator, so what was wiped in between would still be in use.
#![allow(unsafe_code)]

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
use alloc::sync::Arc;
#[cfg(feature = "alloc")]
use alloc::{boxed::Box, rc::Rc};
use core::ptr::NonNull;

use crate::{AllocError, Allocator, Deallocator, NonZeroLayout};

/// Implements the contract for a pointer type by forwarding every method to the referent.
macro_rules! forward_through {
    ($(#[$gate:meta])* [$($pointer:tt)*] $($reset:item)*) => {
        $(#[$gate])*
        // SAFETY: every call reaches the one referent, which keeps the contract.
        unsafe impl<A: Deallocator + ?Sized> Deallocator for $($pointer)* {
            #[inline]
            unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
                // SAFETY: the caller's promises are the callee's.
                unsafe { (**self).deallocate(ptr, layout) }
            }
        }

        $(#[$gate])*
        // SAFETY: every call reaches the one referent, which keeps the contract.
        unsafe impl<A: Allocator + ?Sized> Allocator for $($pointer)* {
            #[inline]
            fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
                (**self).allocate(layout)
            }

            #[inline]
            fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
                (**self).allocate_zeroed(layout)
            }

            #[inline]
            unsafe fn grow(
                &self,
                ptr: NonNull<u8>,
                old: NonZeroLayout,
                new: NonZeroLayout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: the caller's promises are the callee's.
                unsafe { (**self).grow(ptr, old, new) }
            }

            #[inline]
            unsafe fn grow_zeroed(
                &self,
                ptr: NonNull<u8>,
                old: NonZeroLayout,
                new: NonZeroLayout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: the caller's promises are the callee's.
                unsafe { (**self).grow_zeroed(ptr, old, new) }
            }

            #[inline]
            unsafe fn shrink(
                &self,
                ptr: NonNull<u8>,
                old: NonZeroLayout,
                new: NonZeroLayout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: the caller's promises are the callee's.
                unsafe { (**self).shrink(ptr, old, new) }
            }

            #[inline]
            unsafe fn stays_in_place(
                &self,
                ptr: NonNull<u8>,
                old: NonZeroLayout,
                new: NonZeroLayout,
            ) -> bool {
                // SAFETY: the caller's promises are the callee's.
                unsafe { (**self).stays_in_place(ptr, old, new) }
            }

            $($reset)*

            #[inline]
            unsafe fn usable_size(&self, ptr: NonNull<u8>, layout: NonZeroLayout) -> Option<usize> {
                // SAFETY: the caller's promises are the callee's.
                unsafe { (**self).usable_size(ptr, layout) }
            }

            #[inline]
            fn capacity_bytes(&self) -> Option<usize> {
                (**self).capacity_bytes()
            }

            #[inline]
            fn corruption_events(&self) -> u64 {
                (**self).corruption_events()
            }

            #[inline]
            fn is_single_threaded(&self) -> bool {
                (**self).is_single_threaded()
            }

            #[inline]
            fn blocks_stay(&self) -> bool {
                (**self).blocks_stay()
            }
        }
    };
}

forward_through!([&A]);
forward_through!([&mut A]
    #[inline]
    fn reset(&mut self) -> Result<(), AllocError> {
        (**self).reset()
    }

    #[inline]
    fn can_reset(&self) -> bool {
        (**self).can_reset()
    }
);
forward_through!(#[cfg(feature = "alloc")] [Box<A>]
    #[inline]
    fn reset(&mut self) -> Result<(), AllocError> {
        (**self).reset()
    }

    #[inline]
    fn can_reset(&self) -> bool {
        (**self).can_reset()
    }

    #[inline]
    unsafe fn visit_spans(&mut self, visit: &mut dyn FnMut(NonNull<[u8]>)) -> Result<(), AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { (**self).visit_spans(visit) }
    }
);
forward_through!(#[cfg(feature = "alloc")] [Rc<A>]);
forward_through!(#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))] [Arc<A>]);
