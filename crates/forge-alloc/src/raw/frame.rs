//! Frames: blocks in last-in-first-out order, with one record per block at the far end of the same range.
//!
//! ```text
//!   base              origin     start          next           floor                          size
//!    |  block 0  | .. |   pad    |   block n    |     free     | record n | .. | record 0 |pad?|
//!    0                                           -> grows   grows <-
//!
//!   top      = origin of block n            (a field)
//!   record n = origin of block n - 1, and a bit that says whether that block is dead
//!   record 0 = NONE
//! ```
//!
//! The origin of a block is the offset at which the cursor stood before it, so that giving the block back also gives
//! back the padding in front of it.
//!
//! # Invariants
//!
//! - (I1) `next <= floor <= size`: blocks and records never meet.
//! - (I2) Origins increase strictly from the bottom to the top, and the bottom one is 0: blocks are not empty. Block `n`
//!   lies between its origin and the origin above it, or `next`.
//! - (I3) The top block is live. A dead block is one that was freed while others lay on top of it.
//! - (I4) Offsets are at most `isize::MAX`, so their highest bit is free to mark the dead, and no offset of a byte is
//!   `NONE`.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | push, resize or free the top block | O(1); a free also removes the dead blocks that it uncovers, each once |
//! | free a block below the top | O(log n), a binary search over the records |
//!
//! # Design
//!
//! Headers in front of the blocks would move the blocks apart, so that a small aligned block costs up to two alignments;
//! a list on another heap would allocate inside `allocate`. Records at the far end leave the addresses of the blocks
//! exactly as a bump arena places them, and lie in order of address, which makes the search possible. The record of the
//! top block is a field: a push stores the field's old value and a pop reads it back, off the path that the next
//! request waits for. Records are read and written unaligned, since a range may move to an address with another
//! alignment.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ptr::NonNull;

use forge_alloc_core::{AllocError, FixedRange, NonZeroLayout, is_aligned};

use crate::raw::cursor::BumpCursor;
use crate::raw::place::{Span, place_below};

/// The bytes that the bookkeeping of one live block takes.
pub(crate) const RECORD: usize = size_of::<usize>();

/// Marks the block of a record as freed.
const DEAD: usize = 1 << (usize::BITS - 1);

/// The origin below the bottom block.
const NONE: usize = !DEAD;

/// A stack of blocks in one range.
#[derive(Debug)]
pub(crate) struct FrameStack {
    cursor: BumpCursor,
    floor: Cell<usize>,
    top: Cell<usize>,
}

impl FrameStack {
    /// Returns an empty stack over a range of `size` bytes.
    pub(crate) const fn new(size: usize) -> Self {
        Self { cursor: BumpCursor::new(), floor: Cell::new(size), top: Cell::new(NONE) }
    }

    /// Returns the offset of the first byte above the top block.
    #[inline]
    pub(crate) fn offset(&self) -> usize {
        self.cursor.offset()
    }

    /// Returns the size of the largest block of alignment 1 that would fit.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        self.ceiling().saturating_sub(self.cursor.offset())
    }

    /// Forgets every block.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the range was claimed.
    pub(crate) fn clear(&mut self, size: usize) -> Result<(), AllocError> {
        if self.is_claimed() {
            return Err(AllocError);
        }
        *self = Self::new(size);
        Ok(())
    }

    /// Takes the whole range, so that every later request fails; an error if a block exists.
    pub(crate) fn claim(&mut self, size: usize) -> Result<(), AllocError> {
        self.cursor.claim(size)?;
        self.floor.set(0);
        Ok(())
    }

    /// Places a block of exactly `layout.size()` bytes on top. O(1).
    #[inline(always)]
    pub(crate) fn push<R: FixedRange>(
        &self,
        range: &R,
        layout: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let record = self.ceiling();
        let span = place_below(range, self.cursor.offset(), record, layout).ok_or(AllocError)?;
        // The record lies above the block, so one comparison covers both.
        if record + RECORD > range.committed() {
            return self.commit_and_put(range, span, record);
        }
        // SAFETY: the place ends at or below the record, where the next one goes, and all of it is committed.
        Ok(unsafe { self.put(range, span, record) })
    }

    /// Makes the bytes of a new top block and its record writable, and puts both there.
    #[cold]
    #[inline(never)]
    fn commit_and_put<R: FixedRange>(
        &self,
        range: &R,
        span: Span,
        record: usize,
    ) -> Result<NonNull<[u8]>, AllocError> {
        range.commit(span.start, span.end - span.start)?;
        range.commit(record, RECORD)?;
        // SAFETY: the place ends at or below the record, where the next one goes, and all of it is committed.
        Ok(unsafe { self.put(range, span, record) })
    }

    /// Puts a new top block at `span` and its record at `record`.
    ///
    /// # Safety
    ///
    /// `span` starts at or above the cursor, is not empty, ends at or below `record`, which is `self.ceiling()`, and
    /// both are committed.
    #[inline(always)]
    unsafe fn put<R: FixedRange>(&self, range: &R, span: Span, record: usize) -> NonNull<[u8]> {
        // SAFETY: `0 < span.end <= record`, so `record + RECORD = floor`: the record lies in the range, above the new
        // block and below the other records (I1), and is committed.
        unsafe { write_record(range, record, self.top.get()) };
        self.top.set(self.cursor.offset());
        self.floor.set(record);
        // SAFETY: `span.end <= record <= size`, and the blocks end at or below the new one.
        unsafe { self.cursor.set_offset(span.end) };
        // SAFETY: `span.start < size`.
        let start = unsafe { range.base().add(span.start) };
        NonNull::slice_from_raw_parts(start, span.end - span.start)
    }

    /// Frees the block at `ptr`: the top block at once, any other as soon as everything above it is dead too.
    ///
    /// # Safety
    ///
    /// `ptr` is a live block of this stack in `range`, and nothing uses it afterwards.
    #[inline(always)]
    pub(crate) unsafe fn free<R: FixedRange>(&self, range: &R, ptr: NonNull<u8>) {
        let start = offset_of(range, ptr);
        if start < self.top.get() {
            // SAFETY: the caller's promise; the block is not the top one, since it starts below that one's origin.
            return unsafe { self.bury(range, start) };
        }
        debug_assert!(start < self.cursor.offset(), "out-of-order free of a pointer above the stack");
        let (mut origin, mut floor) = (self.top.get(), self.floor.get());
        loop {
            // SAFETY: a block exists, so `floor` is the offset of its record; below a dead block lies another record.
            let record = unsafe { read_record(range, floor) };
            floor += RECORD;
            if record & DEAD == 0 {
                self.top.set(record);
                break;
            }
            origin = record & !DEAD;
        }
        self.floor.set(floor);
        // SAFETY: everything from `origin` on is dead, and `origin` is at most the old cursor (I2).
        unsafe { self.cursor.set_offset(origin) };
    }

    /// Lengthens the block at `ptr` in place, if it is the top one, fits, and satisfies the new alignment.
    ///
    /// # Safety
    ///
    /// As `Allocator::grow`, for a live block of this stack in `range`.
    #[inline(always)]
    pub(crate) unsafe fn grow_in_place<R: FixedRange>(
        &self,
        range: &R,
        ptr: NonNull<u8>,
        new: NonZeroLayout,
    ) -> Option<NonNull<[u8]>> {
        let (start, size) = (offset_of(range, ptr), new.size().get());
        let fits = start >= self.top.get() && size <= self.floor.get() - start;
        if !fits || !is_aligned(ptr.addr().get(), new.align().get()) {
            return None;
        }
        if start + size > range.committed() {
            range.commit(start, size).ok()?;
        }
        // SAFETY: `start + size <= floor <= size of the range`; the top block is the one that ends there.
        unsafe { self.cursor.set_offset(start + size) };
        // SAFETY: `start` is inside the range; derived from the base, the pointer covers the longer block.
        Some(NonNull::slice_from_raw_parts(unsafe { range.base().add(start) }, size))
    }

    /// Shortens the block at `ptr` in place, if its address satisfies the new alignment; the tail of the top block
    /// becomes free, that of any other block comes back with the block.
    ///
    /// # Safety
    ///
    /// As `Allocator::shrink`, for a live block of this stack in `range`.
    #[inline(always)]
    pub(crate) unsafe fn shrink_in_place<R: FixedRange>(
        &self,
        range: &R,
        ptr: NonNull<u8>,
        new: NonZeroLayout,
    ) -> Option<NonNull<[u8]>> {
        if !is_aligned(ptr.addr().get(), new.align().get()) {
            return None;
        }
        let (start, size) = (offset_of(range, ptr), new.size().get());
        if start >= self.top.get() {
            // SAFETY: the top block is live up to at least here, and no block lies above it.
            unsafe { self.cursor.set_offset(start + size) };
        }
        // SAFETY: `start` is inside the range.
        Some(NonNull::slice_from_raw_parts(unsafe { range.base().add(start) }, size))
    }

    /// Returns whether a resize of the live block at `ptr` to `new` would leave it where it is, without committing more of
    /// the range.
    #[inline]
    pub(crate) fn stays_in_place<R: FixedRange>(
        &self,
        range: &R,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> bool {
        let (start, size) = (offset_of(range, ptr), new.size().get());
        let fits = || {
            let room = self.floor.get().min(range.committed());
            start >= self.top.get() && start < room && size <= room - start
        };
        is_aligned(ptr.addr().get(), new.align().get()) && (new.size() < old.size() || fits())
    }

    /// Passes the bytes up to the end of the top block, if there are any, to `visit`.
    pub(crate) fn visit_used<R: FixedRange>(&self, range: &R, visit: &mut dyn FnMut(NonNull<[u8]>)) {
        self.cursor.visit_used(range, visit);
    }

    /// Marks the block that contains the offset `start` dead. O(log n).
    ///
    /// # Safety
    ///
    /// A live block below the top one starts at `start`.
    #[cold]
    unsafe fn bury<R: FixedRange>(&self, range: &R, start: usize) {
        debug_assert!(self.top.get() != NONE, "free of a pointer although the stack is empty");
        if self.top.get() == NONE {
            return;
        }
        // Record `r` is that of block `r`, and holds the origin of block `r - 1`; find the last one at or below `start`.
        let record_at = |index: usize| range.size() - (index + 1) * RECORD;
        let (mut low, mut high) = (0, (range.size() - self.floor.get()) / RECORD);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            // SAFETY: `0 < middle < depth`, so this is a record.
            let origin = unsafe { read_record(range, record_at(middle)) } & !DEAD;
            if origin <= start { low = middle } else { high = middle }
        }
        debug_assert!(low != 0, "out-of-order free of a pointer below the stack");
        if low == 0 {
            return;
        }
        // SAFETY: `0 < low < depth`, so this is the record that describes the block.
        unsafe {
            let record = read_record(range, record_at(low));
            debug_assert!(record & DEAD == 0, "out-of-order free of a block that is already free");
            write_record(range, record_at(low), record | DEAD);
        }
    }

    /// Returns the offset of the next record, which is also the highest end that a new block may have.
    ///
    /// Where the range has no room for one it is 0, and no block ends there.
    #[inline(always)]
    fn ceiling(&self) -> usize {
        self.floor.get().saturating_sub(RECORD)
    }

    /// Returns whether another layout owns the range. In every other state `floor` is above 0: the range is not empty,
    /// and a record lies above the end of its block.
    #[inline]
    pub(crate) fn is_claimed(&self) -> bool {
        self.floor.get() == 0
    }
}

/// Returns the offset of `ptr` in the range.
#[inline(always)]
fn offset_of<R: FixedRange>(range: &R, ptr: NonNull<u8>) -> usize {
    ptr.addr().get().wrapping_sub(range.base().addr().get())
}

/// Reads the record at `offset`.
///
/// # Safety
///
/// A record was written there and no block covers it.
#[inline(always)]
unsafe fn read_record<R: FixedRange>(range: &R, offset: usize) -> usize {
    // SAFETY: the caller's promise; the range is valid for the bytes.
    unsafe { range.base().add(offset).cast::<usize>().read_unaligned() }
}

/// Writes the record at `offset`.
///
/// # Safety
///
/// The bytes are committed and no block or other record covers them.
#[inline(always)]
unsafe fn write_record<R: FixedRange>(range: &R, offset: usize, record: usize) {
    // SAFETY: the caller's promise; the range is valid for the bytes.
    unsafe { range.base().add(offset).cast::<usize>().write_unaligned(record) }
}

#[cfg(test)]
mod tests;
