//! The bump cursor: one offset that separates what is handed out from what is free.
//!
//! ```text
//!   base                 start       end = next                size
//!    | handed out | pad  |   block    |        free             |
//!    0                                ^ next
//! ```
//!
//! # Invariants
//!
//! - (I1) `next <= size <= isize::MAX`.
//! - (I2) Bytes below `next` may be handed out; bytes from `next` on are not.
//! - (I3) `next` falls only when its last block is freed or shortened, or through `&mut self`.
//!
//! # Operations
//!
//! All O(1): [`allocate`](BumpCursor::allocate), resizing or freeing the last block,
//! and moving `next` back.
//!
//! # Design
//!
//! One comparison decides a request: with the size of the range, or, where bytes must be committed before they are
//! touched, with the part that is; committing more is off the path. The choice is a constant of the range; the arithmetic before it is that of [`place`](super::place). The
//! cursor runs upwards, so the first block starts at the base and the last one can grow in place.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ptr::NonNull;

use forge_alloc_core::{AllocError, FixedRange, NonZeroLayout, is_aligned};

use super::place::{Span, place_at};

/// The offset of the first free byte of a range.
#[derive(Debug)]
pub(crate) struct BumpCursor {
    next: Cell<usize>,
}

impl BumpCursor {
    /// Returns a cursor at the start of its range.
    pub(crate) const fn new() -> Self {
        Self { next: Cell::new(0) }
    }

    /// Returns the offset of the first free byte.
    #[inline(always)]
    pub(crate) fn offset(&self) -> usize {
        self.next.get()
    }

    /// Moves the cursor to `offset`.
    ///
    /// # Safety
    ///
    /// `offset <= range.size()`, and no live block of the range reaches past `offset`.
    #[inline(always)]
    pub(crate) unsafe fn set_offset(&self, offset: usize) {
        self.next.set(offset);
    }

    /// Moves the cursor back to `mark`, or leaves it where it is if it is below. Every block above `mark` is dead.
    #[inline]
    pub(crate) fn rewind_to(&mut self, mark: usize) {
        let next = self.next.get_mut();
        *next = mark.min(*next);
    }

    /// Takes the whole range, so that every later request fails; an error if blocks were handed out.
    #[inline]
    pub(crate) fn claim(&mut self, size: usize) -> Result<(), AllocError> {
        if *self.next.get_mut() != 0 {
            return Err(AllocError);
        }
        *self.next.get_mut() = size;
        Ok(())
    }

    /// Hands out a block of exactly `layout.size()` bytes.
    #[inline(always)]
    pub(crate) fn allocate<R: FixedRange>(
        &self,
        range: &R,
        layout: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let span = place_at(range, self.next.get(), layout);
        if R::MUST_COMMIT {
            if span.end > range.committed() {
                return self.allocate_committing(range, layout);
            }
        } else if span.end > range.size() {
            return Err(AllocError);
        }
        self.next.set(span.end);
        // SAFETY: `start < end <= size` (I1), so the address is inside the range that `base` is valid for.
        let start = unsafe { range.base().add(span.start) };
        Ok(NonNull::slice_from_raw_parts(start, layout.size().get()))
    }

    /// Does what [`allocate`](Self::allocate) does, after committing the bytes of the block.
    #[cold]
    #[inline(never)]
    fn allocate_committing<R: FixedRange>(
        &self,
        range: &R,
        layout: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let span = place_at(range, self.next.get(), layout);
        commit(range, span)?;
        self.next.set(span.end);
        // SAFETY: `start < end <= size` (I1), so the address is inside the range that `base` is valid for.
        let start = unsafe { range.base().add(span.start) };
        Ok(NonNull::slice_from_raw_parts(start, layout.size().get()))
    }

    /// Lengthens the block at `ptr`, in place if it is the last one and has room, otherwise by a copy at the cursor.
    ///
    /// # Safety
    ///
    /// As `Allocator::grow`: `ptr` is a live block of this cursor's range, `old` its layout, `new.size() >= old.size()`.
    #[inline(always)]
    pub(crate) unsafe fn grow<R: FixedRange>(
        &self,
        range: &R,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        if let Some(block) = unsafe { self.grow_in_place(range, ptr, old, new) } {
            return Ok(block);
        }
        let block = self.allocate(range, new)?;
        // SAFETY: both blocks are live, disjoint and at least `old.size()` bytes long. The old one needs no freeing: it is
        // not the last one any more.
        unsafe { block.cast::<u8>().copy_from_nonoverlapping(ptr, old.size().get()) };
        Ok(block)
    }

    /// Lengthens the block at `ptr` in place, if it is the last one, fits, and satisfies the new alignment.
    ///
    /// # Safety
    ///
    /// As `Allocator::grow`: `ptr` is a live block of this cursor's range, `old` its layout, `new.size() >= old.size()`.
    #[inline(always)]
    pub(crate) unsafe fn grow_in_place<R: FixedRange>(
        &self,
        range: &R,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Option<NonNull<[u8]>> {
        let start = ptr.addr().get() - range.base().addr().get();
        let (old_size, new_size) = (old.size().get(), new.size().get());
        let last = start + old_size == self.next.get();
        if !(last && stays_aligned(ptr, old, new)) {
            return None;
        }
        // `start <= isize::MAX` (I1) and so is the new size, so the sum does not overflow.
        let span = Span { start, end: start + new_size };
        if !R::MUST_COMMIT && span.end > range.size() {
            return None;
        }
        if R::MUST_COMMIT && span.end > range.committed() {
            commit(range, span).ok()?;
        }
        self.next.set(span.end);
        // SAFETY: `start < size`; the pointer is derived from the base, so it covers the longer block.
        let start = unsafe { range.base().add(start) };
        Some(NonNull::slice_from_raw_parts(start, new_size))
    }

    /// Shortens the block at `ptr` in place, if its address satisfies the new alignment; the tail of the last block
    /// becomes free again.
    ///
    /// # Safety
    ///
    /// As `Allocator::shrink`: `ptr` is a live block of this cursor's range, `old` its layout,
    /// `new.size() <= old.size()`.
    #[inline(always)]
    pub(crate) unsafe fn shrink_in_place<R: FixedRange>(
        &self,
        range: &R,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Option<NonNull<[u8]>> {
        if !stays_aligned(ptr, old, new) {
            return None;
        }
        let start = ptr.addr().get() - range.base().addr().get();
        if start + old.size().get() == self.next.get() {
            self.next.set(start + new.size().get());
        }
        // SAFETY: `start < size`; the pointer is derived from the base.
        let start = unsafe { range.base().add(start) };
        Some(NonNull::slice_from_raw_parts(start, new.size().get()))
    }

    /// Returns whether a resize of the block at `ptr` would leave it where it is, without committing more of the range.
    ///
    /// # Safety
    ///
    /// `ptr` is a live block of this cursor's range, and `old` its layout.
    #[inline]
    pub(crate) unsafe fn stays_in_place<R: FixedRange>(
        &self,
        range: &R,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> bool {
        if new.size() < old.size() {
            return stays_aligned(ptr, old, new);
        }
        let start = ptr.addr().get() - range.base().addr().get();
        let last = start + old.size().get() == self.next.get();
        // `start <= isize::MAX` (I1) and so is the new size, so the sum does not overflow.
        last && start + new.size().get() <= range.committed() && stays_aligned(ptr, old, new)
    }

    /// Passes the bytes up to the cursor, if there are any, to `visit`.
    pub(crate) fn visit_used<R: FixedRange>(&self, range: &R, visit: &mut dyn FnMut(NonNull<[u8]>)) {
        if self.next.get() != 0 {
            visit(NonNull::slice_from_raw_parts(range.base(), self.next.get()));
        }
    }

    /// Makes the block at `ptr` free again if it is the last one; otherwise its bytes wait for a rewind.
    ///
    /// # Safety
    ///
    /// `ptr` is a live block of this cursor's range, `layout` its layout, and nothing uses it afterwards.
    #[inline(always)]
    pub(crate) unsafe fn free_last<R: FixedRange>(&self, range: &R, ptr: NonNull<u8>, layout: NonZeroLayout) {
        let start = ptr.addr().get() - range.base().addr().get();
        if start + layout.size().get() == self.next.get() {
            self.next.set(start);
        }
    }
}

/// Makes `span` writable; an error if it leaves the range.
#[cold]
fn commit<R: FixedRange>(range: &R, span: Span) -> Result<(), AllocError> {
    if span.end > range.size() {
        return Err(AllocError);
    }
    range.commit(span.start, span.end - span.start)
}

/// Returns whether the block at `ptr` of layout `old` satisfies the alignment of `new`. Equal alignments, which the
/// compiler usually knows, need no look at the address.
#[inline(always)]
pub(crate) fn stays_aligned(ptr: NonNull<u8>, old: NonZeroLayout, new: NonZeroLayout) -> bool {
    new.align() <= old.align() || is_aligned(ptr.addr().get(), new.align().get())
}

#[cfg(test)]
mod tests;
