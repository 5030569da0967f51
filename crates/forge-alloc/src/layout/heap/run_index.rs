//! The seam between a heap and the index of its free runs, and what a request needs of a run.
//!
//! ```text
//!   layout --> Need --> RunIndex::take_first, take --> a run, which RunHeap cuts
//!                       RunIndex::insert, remove  <--- what is left, and what joins
//! ```
//!
//! # Design
//!
//! The heap knows marks and neighbours, an index knows lengths and lists, and neither knows the other's structure. So the same
//! heap is a TLSF heap over classes of lengths, and a free list over one list by address.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::raw::boundary::GRANULE;

/// What a request needs of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// The length of the block in granules.
    pub(crate) granules: usize,
    /// The alignment in bytes, at least a granule.
    pub(crate) align: usize,
}

impl Need {
    /// Returns what a layout needs where the shortest run has `shortest` granules. O(1).
    ///
    /// Blocks with a greater alignment are a multiple of two granules, so that their neighbours stay aligned to 16 bytes.
    #[inline(always)]
    pub(crate) const fn of(layout: Layout, shortest: usize) -> Self {
        // A layout's size is at most `isize::MAX`.
        let granules = layout.size().wrapping_add(GRANULE - 1) / GRANULE;
        let granules = if granules < shortest { shortest } else { granules };
        let even = (layout.align() > GRANULE) as usize;
        let align = if layout.align() <= GRANULE { GRANULE } else { layout.align() };
        Self { granules: (granules + even) & !even, align }
    }

    /// Returns how many granules of a run at `address` lie in front of the block: none, or a run. O(1).
    #[inline(always)]
    pub(crate) const fn front(self, address: usize, shortest: usize) -> usize {
        let front = (address.wrapping_neg() & (self.align - 1)) / GRANULE;
        if front == 0 || front >= shortest { front } else { front + self.align / GRANULE }
    }

    /// Returns whether a run of `granules` granules at `address` can hold the block. O(1).
    #[inline(always)]
    pub(crate) const fn fits(self, address: usize, granules: usize, shortest: usize) -> bool {
        self.front(address, shortest) + self.granules <= granules
    }

    /// Returns a length in granules at which every run can hold the block. O(1).
    #[inline(always)]
    pub(crate) const fn anywhere(self, shortest: usize) -> usize {
        if self.align == GRANULE {
            self.granules
        } else {
            self.granules + self.align / GRANULE + shortest - 1
        }
    }
}

/// An index of the free runs of a heap.
///
/// # Safety
///
/// [`take`](Self::take) and [`take_first`](Self::take_first) return a run that was inserted and not removed since, with its
/// length, which fits the need.
pub(crate) unsafe trait RunIndex {
    /// The length of the shortest run in granules: room for what the index writes into one.
    const SHORTEST: usize;

    /// Whether it would rather not hold the run at the end of a segment, which is taken when it has nothing that fits.
    const LEAVES_LAST: bool;

    /// Takes a run in.
    ///
    /// # Safety
    ///
    /// `run` is aligned to a granule and valid for `granules` granules, at least the shortest, which are the index's until it
    /// gives the run away; it overlaps no other run.
    unsafe fn insert(&mut self, run: NonNull<u8>, granules: usize);

    /// Gives a run away.
    ///
    /// # Safety
    ///
    /// The index holds the run with this length.
    unsafe fn remove(&mut self, run: NonNull<u8>, granules: usize);

    /// Replaces a run by another.
    ///
    /// # Safety
    ///
    /// As [`remove`](Self::remove) of the first and [`insert`](Self::insert) of the second, which may overlap.
    #[inline(always)]
    unsafe fn replace(&mut self, run: NonNull<u8>, granules: usize, new: NonNull<u8>, new_granules: usize) {
        // SAFETY: the caller promises both; the first is out before the second comes in.
        unsafe {
            self.remove(run, granules);
            self.insert(new, new_granules);
        }
    }

    /// Gives a run away that fits, if it finds one.
    fn take(&mut self, need: Need) -> Option<(NonNull<u8>, usize)>;

    /// Gives a run away that is as aligned and at least as long as the block, if the first look finds one. What is in front of
    /// the block is none of it. Takes what most requests can have, and leaves the rest to [`take`](Self::take).
    #[inline(always)]
    fn take_first(&mut self, need: Need) -> Option<(NonNull<u8>, usize)> {
        let _: Need = need;
        None
    }

    /// Returns the greatest need in granules, of the alignment of a granule, that [`take`](Self::take) would serve.
    fn largest(&self) -> usize;

    /// Passes every run and its length to `visit`, after checking what holds the index together.
    #[cfg(any(test, debug_assertions))]
    fn check(&self, visit: &mut dyn FnMut(NonNull<u8>, usize));
}
