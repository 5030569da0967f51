//! Runs of any number of units: the aligned blocks that they are made of.
//!
//! ```text
//!   a run of 7 from unit 1     |1|2 . 3|4 . . . 7|        each the greatest block that starts there and fits
//! ```
//!
//! # Operations
//!
//! A run has at most two blocks of each order, so everything is O(log^2 n), and more only where a run is given back that was
//! taken as several.

use super::{BuddyMap, order_at};

/// Passes the unit and the order of each block of a run to `visit`, as long as that returns `true`, and returns whether it always did.
#[inline(always)]
fn all_blocks(unit: usize, count: usize, mut visit: impl FnMut(usize, usize) -> bool) -> bool {
    let (mut unit, mut count) = (unit, count);
    while count != 0 {
        let order = order_at(unit, count);
        if !visit(unit, order) {
            return false;
        }
        unit += 1 << order;
        count -= 1 << order;
    }
    true
}

impl BuddyMap {
    /// Takes `count` units whose first is a multiple of `align`, a power of two. Both are at least 1.
    pub(crate) fn take_run(&mut self, words: &mut [u64], count: usize, align: usize) -> Option<usize> {
        let size = count.checked_next_power_of_two()?.max(align);
        let unit = self.take(words, size.trailing_zeros() as usize)?;
        self.trim(words, unit, size.trailing_zeros() as usize, count);
        Some(unit)
    }

    /// Frees all but the first `count` units of an allocated block.
    fn trim(&mut self, words: &mut [u64], unit: usize, order: usize, count: usize) {
        let (mut unit, mut order, mut count) = (unit, order, count);
        while count < 1 << order {
            self.set_split(words, order, unit >> order, true);
            order -= 1;
            let half = 1 << order;
            if count <= half {
                self.set_free(words, order, (unit >> order) + 1);
                self.free += half;
            } else {
                unit += half;
                count -= half;
            }
        }
    }

    /// Takes `count` units from `unit` on, all in the range, if all of them are free, and returns whether they were.
    pub(crate) fn take_at(&mut self, words: &mut [u64], unit: usize, count: usize) -> bool {
        let is_free = |unit: usize, order: usize| {
            let holder = self.holder(words, unit, order);
            self.is_free(words, holder, unit >> holder)
        };
        if !all_blocks(unit, count, is_free) {
            return false;
        }
        all_blocks(unit, count, |unit, order| {
            let holder = self.holder(words, unit, order);
            self.clear_free(words, holder, unit >> holder);
            for order in (order + 1..=holder).rev() {
                self.set_split(words, order, unit >> order, true);
                self.set_free(words, order - 1, unit >> (order - 1) ^ 1);
            }
            self.free -= 1 << order;
            true
        })
    }

    /// Frees `count` units from `unit` on, all in the range, if none of them is free, and returns whether that was so.
    #[inline]
    pub(crate) fn give_run(&mut self, words: &mut [u64], unit: usize, count: usize) -> bool {
        let order = order_at(unit, count);
        if count == 1 << order && self.is_allocated(words, unit, order) {
            self.give(words, unit, order);
            return true;
        }
        // What was taken by one request is given back in the blocks that it left.
        if !all_blocks(unit, count, |unit, order| self.is_allocated(words, unit, order)) {
            return self.give_others(words, unit, count);
        }
        all_blocks(unit, count, |unit, order| {
            self.give(words, unit, order);
            true
        })
    }

    /// Does as [`give_run`](Self::give_run) for units that were taken in other blocks than those of the run.
    #[inline(never)]
    fn give_others(&mut self, words: &mut [u64], unit: usize, count: usize) -> bool {
        if !all_blocks(unit, count, |unit, order| self.is_taken(words, unit, order)) {
            return false;
        }
        all_blocks(unit, count, |unit, order| {
            let holder = self.holder(words, unit, order);
            for order in (order + 1..=holder).rev() {
                self.set_split(words, order, unit >> order, true);
            }
            self.give_parts(words, unit, order);
            true
        })
    }

    /// Returns whether no unit of a real block is free.
    fn is_taken(&self, words: &[u64], unit: usize, order: usize) -> bool {
        if self.is_split(words, order, unit >> order) {
            let half = order - 1;
            return self.is_taken(words, unit, half) && self.is_taken(words, unit + (1 << half), half);
        }
        let holder = self.holder(words, unit, order);
        !self.is_free(words, holder, unit >> holder)
    }

    /// Frees a block that is allocated, or all of whose parts are.
    fn give_parts(&mut self, words: &mut [u64], unit: usize, order: usize) {
        if self.is_split(words, order, unit >> order) {
            self.give_parts(words, unit, order - 1);
            self.give_parts(words, unit + (1 << (order - 1)), order - 1);
        } else {
            self.give(words, unit, order);
        }
    }

    /// Returns the order of the block that a real block is, or is inside of: a free one, or one that is allocated or split.
    fn holder(&self, words: &[u64], unit: usize, order: usize) -> usize {
        let mut holder = order;
        while self.is_real(holder + 1, unit >> holder >> 1)
            && !self.is_split(words, holder + 1, unit >> holder >> 1)
        {
            holder += 1;
        }
        holder
    }
}
