//! The global-allocator trait of `core` in terms of [`Allocator`]: errors are null pointers, zero sizes are refused.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use forge_alloc_core::{AllocError, Allocator, NonZeroLayout};

/// Returns the address of the block, or null.
#[inline]
fn address(block: Result<NonNull<[u8]>, AllocError>) -> *mut u8 {
    block.map_or(ptr::null_mut(), |block| block.cast().as_ptr())
}

#[inline]
pub(super) fn alloc<A: Allocator>(allocator: &A, layout: Layout) -> *mut u8 {
    NonZeroLayout::try_from(layout).map_or(ptr::null_mut(), |layout| address(allocator.allocate(layout)))
}

#[inline]
pub(super) fn alloc_zeroed<A: Allocator>(allocator: &A, layout: Layout) -> *mut u8 {
    NonZeroLayout::try_from(layout)
        .map_or(ptr::null_mut(), |layout| address(allocator.allocate_zeroed(layout)))
}

/// # Safety
///
/// `block` is a live block of `allocator`, and `layout` is its layout.
#[inline]
pub(super) unsafe fn dealloc<A: Allocator>(allocator: &A, block: *mut u8, layout: Layout) {
    if let (Some(block), Ok(layout)) = (NonNull::new(block), NonZeroLayout::try_from(layout)) {
        // SAFETY: the caller's promises are the callee's.
        unsafe { allocator.deallocate(block, layout) };
    }
}

/// # Safety
///
/// As [`dealloc`].
#[inline]
pub(super) unsafe fn realloc<A: Allocator>(
    allocator: &A,
    block: *mut u8,
    layout: Layout,
    size: usize,
) -> *mut u8 {
    let new = NonZeroLayout::from_size_align(size, layout.align());
    let (Some(block), Ok(old), Ok(new)) = (NonNull::new(block), NonZeroLayout::try_from(layout), new) else {
        return ptr::null_mut();
    };
    // SAFETY: the caller's promises are the callee's, and the sizes are ordered as each of them wants.
    address(unsafe {
        if new.size() >= old.size() {
            allocator.grow(block, old, new)
        } else {
            allocator.shrink(block, old, new)
        }
    })
}

/// Writes the items of `GlobalAlloc` for a type, in terms of an [`Allocator`] that `$of` finds in `&self`.
macro_rules! global_alloc {
    ($of:expr) => {
        #[inline]
        unsafe fn alloc(&self, layout: core::alloc::Layout) -> *mut u8 {
            $crate::share::global::alloc($of(self), layout)
        }

        #[inline]
        unsafe fn alloc_zeroed(&self, layout: core::alloc::Layout) -> *mut u8 {
            $crate::share::global::alloc_zeroed($of(self), layout)
        }

        #[inline]
        unsafe fn dealloc(&self, block: *mut u8, layout: core::alloc::Layout) {
            // SAFETY: the caller's promises are the callee's.
            unsafe { $crate::share::global::dealloc($of(self), block, layout) }
        }

        #[inline]
        unsafe fn realloc(&self, block: *mut u8, layout: core::alloc::Layout, size: usize) -> *mut u8 {
            // SAFETY: the caller's promises are the callee's.
            unsafe { $crate::share::global::realloc($of(self), block, layout, size) }
        }
    };
}
pub(super) use global_alloc;
