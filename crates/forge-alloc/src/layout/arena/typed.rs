//! Typed values in blocks: the step from a layout to a `T`, written once for every arena.
//!
//! # Design
//!
//! Each function takes the layout of its type as a constant, so that the allocation it wraps folds to the few
//! instructions of a constant request. Zero-sized values take no space and get an aligned dangling address.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, NonZeroLayout};

use crate::raw::copy::copy_bytes;

/// Refuses, at compile time, a type whose destructor an arena would silently skip.
#[inline(always)]
pub(super) const fn assert_needs_no_drop<T>() {
    const {
        assert!(
            !core::mem::needs_drop::<T>(),
            "the arena would never run this type's destructor: use alloc_box, or wrap it in ManuallyDrop"
        );
    }
}

/// Returns uninitialised memory for a `T`.
#[inline(always)]
pub(super) fn uninit<T, A: Allocator>(arena: &A) -> Result<NonNull<T>, AllocError> {
    match const { NonZeroLayout::for_type::<T>() } {
        Some(layout) => Ok(arena.allocate(layout)?.cast()),
        None => Ok(NonNull::dangling()),
    }
}

/// Moves `value` into the arena.
#[inline(always)]
pub(super) fn value<T, A: Allocator>(arena: &A, value: T) -> Result<NonNull<T>, AllocError> {
    let block = uninit::<T, A>(arena)?;
    // SAFETY: the block is fresh, aligned and large enough for a `T`; a zero-sized `T` writes nothing.
    unsafe { block.write(value) };
    Ok(block)
}

/// Returns uninitialised memory for `len` values of `T`.
#[inline(always)]
pub(super) fn uninit_slice<T, A: Allocator>(arena: &A, len: usize) -> Result<NonNull<[T]>, AllocError> {
    if len == 0 || size_of::<T>() == 0 {
        return Ok(NonNull::slice_from_raw_parts(NonNull::dangling(), len));
    }
    let layout = NonZeroLayout::array::<T>(len).ok_or(AllocError)?;
    Ok(NonNull::slice_from_raw_parts(arena.allocate(layout)?.cast(), len))
}

/// Copies `src` into the arena.
#[inline(always)]
pub(super) fn slice_copy<T: Copy, A: Allocator>(arena: &A, src: &[T]) -> Result<NonNull<[T]>, AllocError> {
    if src.is_empty() || size_of::<T>() == 0 {
        return Ok(NonNull::slice_from_raw_parts(NonNull::dangling(), src.len()));
    }
    // SAFETY: the layout of a slice that exists is not empty here and within bounds.
    let layout = unsafe { NonZeroLayout::array::<T>(src.len()).unwrap_unchecked() };
    let block = arena.allocate(layout)?.cast::<T>();
    // SAFETY: the source holds that many bytes; the block is fresh, so it is disjoint from the source and as long.
    unsafe { copy_bytes(src.as_ptr().cast(), block.as_ptr().cast(), size_of_val(src)) };
    Ok(NonNull::slice_from_raw_parts(block, src.len()))
}

/// Copies `s` into the arena.
#[inline(always)]
pub(super) fn str<A: Allocator>(arena: &A, s: &str) -> Result<NonNull<str>, AllocError> {
    let bytes = slice_copy(arena, s.as_bytes())?;
    // SAFETY: a `str` and its bytes have the same layout and metadata, and the bytes are UTF-8.
    Ok(unsafe { NonNull::new_unchecked(bytes.as_ptr() as *mut str) })
}

/// Fills `len` values of `T` with `make(index)`.
#[inline]
pub(super) fn slice_with<T, A: Allocator>(
    arena: &A,
    len: usize,
    mut make: impl FnMut(usize) -> T,
) -> Result<NonNull<[T]>, AllocError> {
    let block = uninit_slice::<T, A>(arena, len)?;
    for index in 0..len {
        // SAFETY: `index < len`, the length of the fresh block.
        unsafe { block.cast::<T>().add(index).write(make(index)) };
    }
    Ok(block)
}
