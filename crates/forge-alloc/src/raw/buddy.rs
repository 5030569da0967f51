//! Blocks of powers of two units, found, split and merged by bitmaps beside them.
//!
//! ```text
//!   order 3   |               free?               |        one bit for each block of 8 units, by its absolute place
//!   order 2   |      free?      |      free?      |        ..
//!   order 1   | free?  | split? | ..                       and for orders above 0 a bit whether it is split
//!   order 0   | .. | ..| .. | ..|                          each array of free bits with summaries of 64 to 1 above it
//! ```
//!
//! # Invariants
//!
//! - (I1) A block of order k is the `2^k` units from a multiple of `2^k` on. It is *real* if all of them are in the range.
//! - (I2) A real block is free, split, allocated, or inside of a block that is free or allocated: exactly one of them. The free
//!   bit is set for free ones alone, the split bit for split ones alone.
//! - (I3) The halves of a split block are not both free: they would be the block.
//! - (I4) Bit k of `orders` is set exactly if some block of order k is free; each summary word says which words below are not 0.
//!
//! # Operations
//!
//! Everything is O(log n): at most one step for each order, and one for each level of a bitmap.
//!
//! # Design
//!
//! The buddy system of Knowlton ("A fast storage allocator", 1965) with its state out of band. A merge asks one bit whether
//! the buddy is free, where a list would be searched for it, and the lowest free block of an order is found by its summaries.
//! Blocks are numbered by their absolute place, so a block is aligned to its size wherever the range starts, and there is no
//! bound on orders but that of the address. The split bits tell an allocated block of one order from a part of another, which
//! is what a checked free needs.
//!
//! The map borrows its words in each call, so that whoever owns it decides where they are.

mod bit_tree;
pub(crate) mod chunks;
pub(crate) mod quick;
mod runs;

use bit_tree::{BitTree, bit};

/// The bits of a word.
const WORD: usize = u64::BITS as usize;

/// The orders that a range can have.
const ORDERS: usize = usize::BITS as usize;

/// Where two kinds of bits of one order lie.
#[derive(Clone, Copy)]
struct Order {
    /// The number of the first block.
    first: usize,
    /// The free blocks, counted from the one of the first unit, up to the one of the last.
    free: BitTree,
    /// The offset of the split bits.
    split: usize,
}

impl Order {
    const NONE: Self = Self { first: 0, free: BitTree::NONE, split: 0 };
}

/// The blocks of one range of units.
pub(crate) struct BuddyMap {
    start: usize,
    end: usize,
    /// The number of orders of which a block is real.
    count: usize,
    orders: usize,
    order: [Order; ORDERS],
    free: usize,
}

impl BuddyMap {
    /// The map of no units.
    pub(crate) const EMPTY: Self =
        Self { start: 0, end: 0, count: 0, orders: 0, order: [Order::NONE; ORDERS], free: 0 };

    /// Returns the map of the units from `start` up to `end`, none of them free, and how many words it needs. O(log n).
    pub(crate) const fn over(start: usize, end: usize) -> (Self, usize) {
        let mut map = Self { start, end, ..Self::EMPTY };
        let mut at = 0;
        while map.count < ORDERS && start < end {
            let order = map.count;
            let (first, last) = (start >> order, (end - 1) >> order);
            // The first block that starts in the range, if it ends there as well.
            let aligned = first + (first << order < start) as usize;
            if order != 0 && (aligned > last || end - (aligned << order) < 1 << order) {
                break;
            }
            let blocks = last - first + 1;
            let split = at + BitTree::words(blocks);
            map.order[order] = Order { first, free: BitTree::new(at, blocks), split };
            at = split + if order == 0 { 0 } else { blocks.div_ceil(WORD) };
            map.count += 1;
        }
        (map, at)
    }

    /// Returns how many words the map of `units` units needs at most, wherever they are. O(log n).
    pub(crate) const fn most_words(units: usize) -> usize {
        // There is at most one more block of each order than in this range.
        Self::over(1, units.saturating_add(2)).1 + 2 * ORDERS
    }

    /// Makes all units free; the words are zero. O(log^2 n).
    pub(crate) fn free_all(&mut self, words: &mut [u64]) {
        self.give_range(words, self.start, self.end);
    }

    /// Frees the units from `start` up to `end`, which are the parts of allocated blocks that are split down to them.
    fn give_range(&mut self, words: &mut [u64], start: usize, end: usize) {
        let mut unit = start;
        while unit < end {
            let order = order_at(unit, end - unit);
            self.give(words, unit, order);
            unit += 1 << order;
        }
    }

    /// Returns how many units are free. O(1).
    pub(crate) fn free(&self) -> usize {
        self.free
    }

    /// Returns how many units there are. O(1).
    pub(crate) fn units(&self) -> usize {
        self.end - self.start
    }

    /// Returns the greatest order of which a block is free. O(1).
    pub(crate) fn greatest(&self) -> Option<usize> {
        self.orders.checked_ilog2().map(|order| order as usize)
    }

    /// Takes a block of an order and returns its first unit: the lowest of the least order that has one.
    #[inline]
    pub(crate) fn take(&mut self, words: &mut [u64], order: usize) -> Option<usize> {
        if order >= ORDERS {
            return None;
        }
        let orders = self.orders >> order;
        if orders == 0 {
            return None;
        }
        let mut from = order + orders.trailing_zeros() as usize;
        let at = self.order(from);
        let mut block = at.first + at.free.lowest(words)?;
        self.clear_free(words, from, block);
        while from > order {
            self.set_split(words, from, block, true);
            from -= 1;
            block *= 2;
            self.set_free(words, from, block + 1);
        }
        self.free -= 1 << order;
        Some(block << order)
    }

    /// Frees the allocated block of an order at a unit.
    #[inline]
    pub(crate) fn give(&mut self, words: &mut [u64], unit: usize, order: usize) {
        self.free += 1 << order;
        let (mut order, mut block) = (order, unit >> order);
        while order + 1 < self.count && self.is_free(words, order, block ^ 1) {
            self.clear_free(words, order, block ^ 1);
            order += 1;
            block /= 2;
            self.set_split(words, order, block, false);
        }
        self.set_free(words, order, block);
    }

    /// Returns whether an allocated block of an order starts at a unit. O(1).
    #[inline]
    pub(crate) fn is_allocated(&self, words: &[u64], unit: usize, order: usize) -> bool {
        let block = unit >> order.min(ORDERS - 1);
        order < self.count
            && block << order == unit
            && self.is_real(order, block)
            && !self.is_free(words, order, block)
            && !self.is_split(words, order, block)
            && (!self.is_real(order + 1, block / 2) || self.is_split(words, order + 1, block / 2))
    }

    /// Makes an allocated block one of a lower order, and frees the rest.
    pub(crate) fn shrink(&mut self, words: &mut [u64], unit: usize, order: usize, to: usize) {
        for order in (to + 1..=order).rev() {
            let block = unit >> order;
            self.set_split(words, order, block, true);
            self.set_free(words, order - 1, 2 * block + 1);
            self.free += 1 << (order - 1);
        }
    }

    /// Makes an allocated block one of a higher order where its buddies are behind it and free, and returns whether they were.
    pub(crate) fn grow(&mut self, words: &mut [u64], unit: usize, order: usize, to: usize) -> bool {
        let possible = |order: usize| {
            let block = unit >> order;
            block % 2 == 0 && order + 1 < self.count && self.is_free(words, order, block + 1)
        };
        if !(order..to).all(possible) {
            return false;
        }
        for order in order..to {
            let block = unit >> order;
            self.clear_free(words, order, block + 1);
            self.set_split(words, order + 1, block / 2, false);
            self.free -= 1 << order;
        }
        true
    }

    /// Passes the first unit, the order, and whether it is free, of every block to `visit`, in order. O(blocks * log n).
    pub(crate) fn for_each(&self, words: &[u64], mut visit: impl FnMut(usize, usize, bool)) {
        let mut unit = self.start;
        while unit < self.end {
            let mut order = order_at(unit, self.end - unit);
            while order > 0 && self.is_split(words, order, unit >> order) {
                order -= 1;
            }
            visit(unit, order, self.is_free(words, order, unit >> order));
            unit += 1 << order;
        }
    }

    #[inline(always)]
    fn order(&self, order: usize) -> Order {
        self.order.get(order).copied().unwrap_or(Order::NONE)
    }

    /// Returns whether all units of a block are in the range.
    #[inline(always)]
    fn is_real(&self, order: usize, block: usize) -> bool {
        // A block is named after one of its units, so its first one does not overflow.
        order < self.count && block << order >= self.start && block < self.end >> order
    }

    #[inline(always)]
    fn is_free(&self, words: &[u64], order: usize, block: usize) -> bool {
        let at = self.order(order);
        at.free.has(words, block.wrapping_sub(at.first))
    }

    #[inline(always)]
    fn is_split(&self, words: &[u64], order: usize, block: usize) -> bool {
        let at = self.order(order);
        let index = block.wrapping_sub(at.first);
        order != 0 && index < at.free.len && bit(words, at.split, index)
    }

    #[inline(always)]
    fn set_split(&self, words: &mut [u64], order: usize, block: usize, split: bool) {
        let at = self.order(order);
        let index = block.wrapping_sub(at.first);
        if let Some(word) = words.get_mut(at.split + index / WORD) {
            let mask = 1 << (index % WORD);
            *word = if split { *word | mask } else { *word & !mask };
        }
    }

    /// Marks a block as free.
    #[inline(always)]
    fn set_free(&mut self, words: &mut [u64], order: usize, block: usize) {
        let at = self.order(order);
        at.free.insert(words, block.wrapping_sub(at.first));
        self.orders |= 1 << order;
    }

    /// Marks a block as not free.
    #[inline(always)]
    fn clear_free(&mut self, words: &mut [u64], order: usize, block: usize) {
        let at = self.order(order);
        if at.free.remove(words, block.wrapping_sub(at.first)) {
            self.orders &= !(1 << order);
        }
    }
}

/// Returns the order of the greatest block that starts at a unit and has at most `length` units.
#[inline(always)]
fn order_at(unit: usize, length: usize) -> usize {
    (unit.trailing_zeros() as usize).min(length.ilog2() as usize)
}

#[cfg(test)]
mod tests;
