//! Ids by a bitmap: single ones, runs, and given ones, of any ranges of numbers.
//!
//! ```text
//!   ids           | 1 .. 1000 |       | 5000 .. 5100 |
//!   lowest first  ^ the lowest that is free
//!   round robin         ^ the cursor: the lowest that is free from here on, then from the start
//! ```
//!
//! # Invariants
//!
//! - (I1) An id is available exactly if it is in a range that was handed over and is not handed out.
//! - (I2) With round robin, the cursor is behind the id handed out last.
//!
//! # Operations
//!
//! Everything is O(log ids), and O(count / 64) more for a run; the lowest id is O(1) where it was freed last.
//!
//! # Design
//!
//! Which id comes next is a type. [`LowestFirst`] keeps ids small and tables over them dense. [`RoundRobin`] gives a freed id
//! out again as late as it can, so that a stale id of a task, a connection or a descriptor is noticed and does not name a
//! successor; a request for an alignment or a run follows the same cursor. The contract has no memory in it, so all methods
//! but those of the trait that says otherwise are safe.
#![allow(unsafe_code)]

use core::marker::PhantomData;

use forge_alloc_core::{AllocResult, BaseAllocator, HeapError, IdAllocator};

use super::spans::{DEFAULT_SPANS, SpanMap, page_words};
use crate::raw::bitmap::BitStorage;

/// Which free id is handed out.
pub trait IdOrder: sealed::Sealed {
    /// Whether a search goes on from where the last one ended.
    #[doc(hidden)]
    const ROUND_ROBIN: bool;
}

/// The lowest id that is free.
#[derive(Clone, Copy, Debug, Default)]
pub struct LowestFirst;

/// The lowest free id above the one handed out last, or the lowest of all if there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin;

impl IdOrder for LowestFirst {
    const ROUND_ROBIN: bool = false;
}

impl IdOrder for RoundRobin {
    const ROUND_ROBIN: bool = true;
}

mod sealed {
    /// What only the two orders are.
    pub trait Sealed {}

    impl Sealed for super::LowestFirst {}
    impl Sealed for super::RoundRobin {}
}

/// An allocator of ids over a bitmap in `S`, which is `[u64; N]` or `&mut [u64]`.
///
/// # Examples
///
/// ```
/// use forge_alloc::{BitmapIdAllocator, HeapError, IdAllocator, RoundRobin};
///
/// let mut tasks = BitmapIdAllocator::<RoundRobin>::new();
/// tasks.add_range(1, 1000)?;
/// let first = tasks.alloc_id(1, 1)?;
/// tasks.try_dealloc_id(first, 1)?;
/// assert_eq!((first, tasks.alloc_id(1, 1)?), (1, 2));
/// # Ok::<(), HeapError>(())
/// ```
pub struct BitmapIdAllocator<
    O = LowestFirst,
    S = [u64; page_words(1 << 16)],
    const RANGES: usize = DEFAULT_SPANS,
> {
    ids: SpanMap<S, RANGES>,
    cursor: usize,
    order: PhantomData<O>,
}

impl<O: IdOrder, const N: usize, const RANGES: usize> BitmapIdAllocator<O, [u64; N], RANGES> {
    /// Returns the allocator without ids, with its bitmap inside.
    #[must_use]
    pub const fn new() -> Self {
        Self::over([0; N])
    }
}

impl<O: IdOrder, const N: usize, const RANGES: usize> Default for BitmapIdAllocator<O, [u64; N], RANGES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O: IdOrder, S: BitStorage, const RANGES: usize> BitmapIdAllocator<O, S, RANGES> {
    /// Returns the allocator without ids, with its bitmap in `words`, whatever they hold. The number of words decides how many
    /// ids it can manage: [`page_words`].
    pub const fn over(words: S) -> Self {
        Self { ids: SpanMap::new(words), cursor: 0, order: PhantomData }
    }

    /// Hands `size` ids from `start` on over.
    ///
    /// # Errors
    ///
    /// [`HeapError::InvalidParam`] if `size` is 0 or the ids do not end below `usize::MAX`, [`HeapError::MemoryOverlap`] if one
    /// of them is managed, [`HeapError::NoMemory`] if the bitmap is too small or there are `RANGES` ranges apart from each
    /// other.
    pub fn add_range(&mut self, start: usize, size: usize) -> AllocResult {
        let end = start.checked_add(size).ok_or(HeapError::InvalidParam)?;
        self.ids.add(start, end)
    }

    /// Takes `count` ids from `start_id` on back. O(log ids + count / 64).
    ///
    /// # Errors
    ///
    /// [`HeapError::NotAllocated`] if any of them is free or not managed; nothing changes.
    #[inline]
    pub fn try_dealloc_id(&mut self, start_id: usize, count: usize) -> AllocResult {
        let given = match count {
            0 => true,
            1 if O::ROUND_ROBIN => self.ids.give_in_tree(start_id),
            _ => self.ids.give(start_id, count),
        };
        if given { Ok(()) } else { Err(HeapError::NotAllocated) }
    }

    /// Takes a run from the cursor on, or else from the start.
    fn take_next(&mut self, count: usize, align: usize) -> Option<usize> {
        let first = match self.ids.take_run(self.cursor, count, align) {
            None if self.cursor != 0 => self.ids.take_run(0, count, align)?,
            first => first?,
        };
        self.cursor = first + count;
        Some(first)
    }
}

impl<O: IdOrder, S: BitStorage, const RANGES: usize> BaseAllocator for BitmapIdAllocator<O, S, RANGES> {
    /// As [`add_range`](BitmapIdAllocator::add_range), with the error ignored.
    unsafe fn init(&mut self, start: usize, size: usize) {
        let _ = self.add_range(start, size);
    }

    unsafe fn add_memory(&mut self, start: usize, size: usize) -> AllocResult {
        self.add_range(start, size)
    }
}

impl<O: IdOrder, S: BitStorage, const RANGES: usize> IdAllocator for BitmapIdAllocator<O, S, RANGES> {
    #[inline]
    fn alloc_id(&mut self, count: usize, align_pow2: usize) -> AllocResult<usize> {
        if !align_pow2.is_power_of_two() || count == 0 {
            return Err(HeapError::InvalidParam);
        }
        let id = if O::ROUND_ROBIN {
            self.take_next(count, align_pow2)
        } else if count == 1 && align_pow2 == 1 {
            self.ids.take_lowest()
        } else {
            self.ids.take_run(0, count, align_pow2)
        };
        id.ok_or(HeapError::NoMemory)
    }

    /// As [`try_dealloc_id`](BitmapIdAllocator::try_dealloc_id), with the error ignored.
    #[inline]
    fn dealloc_id(&mut self, start_id: usize, count: usize) {
        let _ = self.try_dealloc_id(start_id, count);
    }

    fn is_allocated(&self, id: usize) -> bool {
        self.ids.is_free(id) == Some(false)
    }

    fn alloc_fixed_id(&mut self, id: usize) -> AllocResult {
        match self.ids.is_free(id) {
            None => Err(HeapError::InvalidParam),
            Some(_) if self.ids.take(id, 1) => Ok(()),
            Some(_) => Err(HeapError::NoMemory),
        }
    }

    fn size(&self) -> usize {
        self.ids.total()
    }

    fn used(&self) -> usize {
        self.ids.total() - self.ids.available()
    }

    fn available(&self) -> usize {
        self.ids.available()
    }
}

#[cfg(test)]
mod tests;
