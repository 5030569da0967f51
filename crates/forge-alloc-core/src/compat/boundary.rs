//! What a std allocator trait asks for, in terms of ours: the table of the parent module, row by row.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::num::NonZeroUsize;
use core::ptr::NonNull;

use crate::{AllocError, Allocator, NonZeroLayout, relocate};

type Block = Result<NonNull<[u8]>, AllocError>;

#[inline]
pub(super) fn allocate<A: Allocator>(allocator: &A, layout: Layout) -> Block {
    match sized(layout) {
        Some(layout) => allocator.allocate(layout).map(|block| exactly(block, layout)),
        None => Ok(no_memory(layout)),
    }
}

#[inline]
pub(super) fn allocate_zeroed<A: Allocator>(allocator: &A, layout: Layout) -> Block {
    match sized(layout) {
        Some(layout) => allocator.allocate_zeroed(layout).map(|block| exactly(block, layout)),
        None => Ok(no_memory(layout)),
    }
}

/// # Safety
///
/// `ptr` is a block of `layout` that this boundary returned for `allocator` and that is live.
#[inline]
pub(super) unsafe fn deallocate<A: Allocator>(allocator: &A, ptr: NonNull<u8>, layout: Layout) {
    if let Some(layout) = sized(layout) {
        // SAFETY: a block of non-zero size is the allocator's (I2), with exactly this layout (I1).
        unsafe { allocator.deallocate(ptr, layout) }
    }
}

/// # Safety
///
/// `ptr` is a block of `old` that this boundary returned for `allocator` and that is live; `new` is at least as long.
#[inline]
pub(super) unsafe fn grow<A: Allocator>(allocator: &A, ptr: NonNull<u8>, old: Layout, new: Layout) -> Block {
    match (sized(old), sized(new)) {
        (None, _) => allocate(allocator, new),
        (Some(_), None) => Err(AllocError),
        (Some(old), Some(new)) => {
            // SAFETY: a block of non-zero size is the allocator's (I2), with exactly this layout (I1); the sizes are
            // ordered by the caller's promise.
            let block = unsafe {
                if old.align() == new.align() {
                    allocator.grow(ptr, old, new)
                } else {
                    relocate(allocator, ptr, old, new)
                }
            };
            block.map(|block| exactly(block, new))
        }
    }
}

/// # Safety
///
/// As [`grow`].
#[inline]
pub(super) unsafe fn grow_zeroed<A: Allocator>(
    allocator: &A,
    ptr: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Block {
    match (sized(old), sized(new)) {
        (None, _) => allocate_zeroed(allocator, new),
        (Some(_), None) => Err(AllocError),
        (Some(old), Some(new)) => {
            // SAFETY: as in `grow`.
            let block = unsafe {
                if old.align() == new.align() {
                    allocator.grow_zeroed(ptr, old, new)
                } else {
                    relocate_zeroed(allocator, ptr, old, new)
                }
            };
            block.map(|block| exactly(block, new))
        }
    }
}

/// # Safety
///
/// `ptr` is a block of `old` that this boundary returned for `allocator` and that is live; `new` is at most as long.
#[inline]
pub(super) unsafe fn shrink<A: Allocator>(
    allocator: &A,
    ptr: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Block {
    match (sized(old), sized(new)) {
        (None, None) => Ok(no_memory(new)),
        (None, Some(_)) => Err(AllocError),
        (Some(old), None) => {
            // SAFETY: a block of non-zero size is the allocator's (I2), with exactly this layout (I1).
            unsafe { allocator.deallocate(ptr, old) };
            Ok(no_memory(new))
        }
        (Some(old), Some(new)) => {
            // SAFETY: as above; the sizes are ordered by the caller's promise.
            let block = unsafe {
                if old.align() == new.align() {
                    allocator.shrink(ptr, old, new)
                } else {
                    relocate(allocator, ptr, old, new)
                }
            };
            block.map(|block| exactly(block, new))
        }
    }
}

/// Moves a block to a longer zeroed one.
///
/// # Safety
///
/// `ptr` is a live block of `allocator`, `old` is its layout, and `new` is at least as long.
unsafe fn relocate_zeroed<A: Allocator>(
    allocator: &A,
    ptr: NonNull<u8>,
    old: NonZeroLayout,
    new: NonZeroLayout,
) -> Block {
    let block = allocator.allocate_zeroed(new)?;
    let kept = old.size().min(new.size()).get();
    // SAFETY: both blocks are live, distinct and at least `kept` bytes long; the old one is the caller's to free.
    unsafe {
        block.cast::<u8>().copy_from_nonoverlapping(ptr, kept);
        allocator.deallocate(ptr, old);
    }
    Ok(block)
}

/// Returns the layout as ours, or `None` if its size is zero.
#[inline]
fn sized(layout: Layout) -> Option<NonZeroLayout> {
    NonZeroLayout::try_from(layout).ok()
}

/// Returns the block without the bytes past its layout (I1).
#[inline]
fn exactly(block: NonNull<[u8]>, layout: NonZeroLayout) -> NonNull<[u8]> {
    NonNull::slice_from_raw_parts(block.cast(), layout.size().get())
}

/// Returns the block of size zero for `layout` (I2).
#[inline]
fn no_memory(layout: Layout) -> NonNull<[u8]> {
    // SAFETY: an alignment is a power of two and so not zero.
    let address = unsafe { NonZeroUsize::new_unchecked(layout.align()) };
    NonNull::slice_from_raw_parts(NonNull::dangling().with_addr(address), 0)
}
