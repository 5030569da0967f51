//! The wilderness: the run at the end of a segment, which is in no list.
//!
//! ```text
//!   segment   | map | block | run | block | block |      wilderness         |
//!                                                 ^ start, which moves up and down         ^ end of the segment
//! ```
//!
//! # Invariants
//!
//! - (I1) The granules from `start` on are a run up to the end of the segment with the `ground`, or there are none and `start` is
//!   that end, or there is no wilderness. `start` carries the provenance of the segment.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | take a block from it, move its border, widen it by a block that is freed | O(1), and the index for the run in front |
//! | make the end of a segment the wilderness, or give it to the index | O(1), and the index |
//!
//! # Design
//!
//! Korn and Vo, "In Search of a Better Malloc", 1985, keep the block at the end of the heap for last: it is the one that can
//! still become everything. Where it is taken last anyway it needs no place in an index either, so a block that is taken from it,
//! grows into it or falls back to it moves one border.
//!
//! Something of the segment lies in front of its wilderness, what is known about the segment if nothing else. So a block that
//! ends where the wilderness starts is of the same segment.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use super::run_heap::RunHeap;
use super::run_index::{Need, RunIndex};
use super::segment::Ground;
use crate::raw::boundary::{GRANULE, REACH};
use crate::raw::run::length_before;

/// A run that is in no index.
#[derive(Debug)]
pub(super) struct Wilderness {
    pub(super) start: NonNull<u8>,
    pub(super) granules: usize,
    pub(super) ground: Ground,
}

impl Wilderness {
    /// No wilderness: nothing ends where it starts, since that is no multiple of a granule.
    pub(super) const NONE: Self = Self { start: NonNull::dangling(), granules: 0, ground: Ground::NONE };

    /// Returns whether it starts at an address. O(1).
    #[inline(always)]
    pub(super) fn starts_at(&self, address: usize) -> bool {
        self.start.addr().get() == address
    }

    /// Returns its granules, and forgets them. O(1).
    pub(super) fn give_up(&mut self) -> Option<(NonNull<u8>, usize)> {
        let Self { start, granules, .. } = core::mem::replace(self, Self::NONE);
        (granules != 0).then_some((start, granules))
    }
}

impl<I: RunIndex> RunHeap<I> {
    /// Takes a block from the wilderness. O(1), and the index if something lies in front of it.
    #[inline(always)]
    pub(super) fn take_last(&mut self, need: Need) -> Option<NonNull<u8>> {
        let (start, address) = (self.wilderness.start, self.wilderness.start.addr().get());
        if !need.fits(address, self.wilderness.granules, I::SHORTEST) {
            return None;
        }
        let ground = self.wilderness.ground;
        let front = need.front(address, I::SHORTEST);
        let (first, room) = (ground.position(address) + front, self.wilderness.granules - front);
        let taken = if room - need.granules < I::SHORTEST { room } else { need.granules };
        self.free += front;
        // SAFETY: the block lies in the wilderness, and what is in front of it and behind it is part of that too.
        unsafe {
            if front != 0 {
                self.insert(start, front);
            }
            ground.map.flip_block(first, first + taken - 1);
            let block = start.add(front * GRANULE);
            self.wilderness.start = block.add(taken * GRANULE);
            self.wilderness.granules = room - taken;
            Some(block)
        }
    }

    /// Moves the border between a block and the wilderness behind it, which keeps `rest` granules. O(1).
    ///
    /// # Safety
    ///
    /// There is such a block at the address, and both are long enough.
    #[inline(always)]
    pub(super) unsafe fn move_border(&mut self, address: usize, moved: usize, rest: usize) {
        let ground = self.wilderness.ground;
        let last = ground.position(self.wilderness.start.addr().get()).wrapping_sub(1);
        // SAFETY: what the block gains was the wilderness, and what it loses becomes part of that: both ends of the way lie in the
        // segment.
        unsafe {
            self.wilderness.start = self.wilderness.start.offset((moved as isize) * GRANULE as isize);
            self.wilderness.granules = rest;
            ground.map.move_last(ground.position(address), last, last.wrapping_add(moved));
        }
    }

    /// Makes free granules and the run in front of them part of the wilderness behind them. O(1), and the index.
    ///
    /// # Safety
    ///
    /// As [`coalesce`](Self::coalesce), and the wilderness starts behind the granules.
    #[inline(never)]
    pub(super) unsafe fn widen(&mut self, free: NonNull<u8>, granules: usize, before: usize) {
        let (mut start, mut length) = (free, granules + self.wilderness.granules);
        // SAFETY: as in `coalesce`.
        unsafe {
            if before != 0 {
                let before = if before >= REACH { length_before(free) } else { before };
                start = free.sub(before * GRANULE);
                length += before;
                self.free -= before;
                self.index.remove(start, before);
            }
        }
        (self.wilderness.start, self.wilderness.granules) = (start, length);
    }

    /// Makes the run at the end of a segment the wilderness, where the index does without it. O(1), and the index.
    ///
    /// # Safety
    ///
    /// The ground is that of a segment.
    pub(super) unsafe fn adopt(&mut self, ground: Ground) {
        self.settle();
        if !I::LEAVES_LAST {
            return;
        }
        let granules = ground.granules();
        // SAFETY: what is not marked in front of the end is a run (I1), which the index holds (I2).
        unsafe {
            let gap = ground.map.gap_before(granules);
            let length = if gap >= REACH { length_before(ground.place(granules)) } else { gap };
            let start = ground.place(granules - length);
            if length != 0 {
                self.free -= length;
                self.index.remove(start, length);
            }
            self.wilderness = Wilderness { start, granules: length, ground };
        }
    }

    /// Hands the wilderness to the index. O(1), and the index.
    pub(super) fn settle(&mut self) {
        if let Some((start, granules)) = self.wilderness.give_up() {
            self.free += granules;
            // SAFETY: the wilderness is a run that the index does not hold (I2).
            unsafe { self.insert(start, granules) };
        }
    }
}

#[cfg(test)]
mod tests;
