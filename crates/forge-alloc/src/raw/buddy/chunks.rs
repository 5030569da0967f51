//! Buddies in words: blocks below 64 units by the bits of one word, greater ones by a [`BuddyMap`] of the words.
//!
//! ```text
//!   units          | 0 .. 63 | 64 .. 127 | 128 .. 191 | ..          a bit for each, 1 is free
//!   chunks         |  word   |   word    |    word    | ..
//!   classes 0..5   the chunks whose greatest aligned free block has 1, 2, 4, 8, 16, 32 units
//!   whole          a map of the chunks of which every unit is in the range; those that are all ones are its free units
//! ```
//!
//! # Invariants
//!
//! - (I1) A unit is free exactly if its bit is set; units of the first and the last chunk that are out of the range never are.
//! - (I2) A chunk is in the class of its greatest aligned free block, and in no other. One without a free unit is in none, and
//!   one that is all ones is free in the map of whole chunks.
//! - (I3) Bit k of `classes` is set exactly if class k has a chunk.
//!
//! # Operations
//!
//! | | |
//! |---|---|
//! | take up to 64 units, and give them back | O(log n) |
//! | take more, or given ones, and give them back | O(log^2 n + count / 64) |
//!
//! # Design
//!
//! A map of buddies takes a step for each order, and several where a run is no power of two: most of it for blocks so small
//! that their state is one word. In a word an aligned block is found, taken short and merged by a few shifts, and there is
//! nothing to split: what was taken is what the bits say, so that a run may be given back in other pieces than it was taken in.
//! The lowest chunk of the least class is taken, the lowest in it that is in no greater block: the buddy system's choice.

use super::bit_tree::BitTree;
use super::{BuddyMap, WORD};

/// The orders of blocks that are less than a chunk.
const SMALL: usize = WORD.trailing_zeros() as usize;

/// The class of chunks that are all ones.
const WHOLE: usize = SMALL;

/// For each order the bits at which a block may start.
const STARTS: [u64; SMALL] = [
    u64::MAX,
    0x5555_5555_5555_5555,
    0x1111_1111_1111_1111,
    0x0101_0101_0101_0101,
    0x0001_0001_0001_0001,
    0x0000_0001_0000_0001,
];

/// The blocks of one range of units, by chunks.
pub(crate) struct ChunkMap {
    start: usize,
    end: usize,
    /// The number of the first chunk.
    first: usize,
    /// The set of class 0, how many words each set takes, and where those of the whole chunks begin.
    tree: BitTree,
    stride: usize,
    whole_at: usize,
    classes: usize,
    free: usize,
    whole: BuddyMap,
}

impl ChunkMap {
    /// Returns the map of the units from `start` up to `end`, none of them free, and how many words it needs. O(log n).
    pub(crate) const fn over(start: usize, end: usize) -> (Self, usize) {
        let first = start / WORD;
        // One at least, since the set of none has no shape.
        let chunks = end.div_ceil(WORD) - first + (start == end) as usize;
        let (low, high) = (start.div_ceil(WORD), end / WORD);
        let (whole, words) = BuddyMap::over(low, if high < low { low } else { high });
        let (tree, stride) = (BitTree::new(chunks, chunks), BitTree::words(chunks));
        let whole_at = chunks + SMALL * stride;
        let map = Self { start, end, first, tree, stride, whole_at, classes: 0, free: 0, whole };
        (map, whole_at + words)
    }

    /// Returns how many words the map of `units` units needs at most, wherever they are. O(log n).
    pub(crate) const fn most_words(units: usize) -> usize {
        let chunks = units / WORD + 2;
        chunks + SMALL * BitTree::words(chunks) + BuddyMap::most_words(chunks)
    }

    /// Makes all units free; the words are zero. O(n / 64 + log^2 n).
    pub(crate) fn free_all(&mut self, words: &mut [u64]) {
        self.put_range(words, self.start, self.end, true);
    }

    /// Returns how many units are free. O(1).
    #[inline(always)]
    pub(crate) fn free(&self) -> usize {
        self.free
    }

    /// Returns how many units there are. O(1).
    #[inline(always)]
    pub(crate) fn units(&self) -> usize {
        self.end - self.start
    }

    /// Returns whether all of `count` units from `unit` on are in the range.
    #[inline(always)]
    pub(crate) fn holds(&self, unit: usize, count: usize) -> bool {
        let before = unit.wrapping_sub(self.start);
        before < self.units() && count <= self.units() - before
    }

    /// Returns whether a unit from `start` up to `end` is in the range.
    pub(crate) fn overlaps(&self, start: usize, end: usize) -> bool {
        self.start < end && start < self.end
    }

    /// Returns how many chunks there are. O(1).
    pub(super) const fn chunks(&self) -> usize {
        self.tree.len
    }

    /// Returns the number of the chunk of a unit of the range, from 0 on. O(1).
    #[inline(always)]
    pub(super) fn chunk_of(&self, unit: usize) -> usize {
        unit / WORD - self.first
    }

    /// Returns whether `count` units from `unit` on, all in one chunk, are not free. O(1).
    #[inline(always)]
    pub(super) fn are_taken(&self, words: &[u64], unit: usize, count: usize) -> bool {
        let mask = run(count) << (unit % WORD);
        words.get(self.chunk_of(unit)).is_some_and(|word| word & mask == 0)
    }

    /// Takes `count` units whose first is a multiple of `align`, a power of two. Both are at least 1.
    #[inline]
    pub(crate) fn take_run(&mut self, words: &mut [u64], count: usize, align: usize) -> Option<usize> {
        let size = count.checked_next_power_of_two()?.max(align);
        if size >= WORD {
            return self.take_large(words, count, align);
        }
        let order = size.trailing_zeros() as usize;
        let classes = self.classes >> order;
        let (class, chunk) = if classes == 0 {
            let chunk = self.whole.take(words.get_mut(self.whole_at..)?, 0)? - self.first;
            (None, chunk)
        } else {
            let class = order + classes.trailing_zeros() as usize;
            (Some(class), self.class(class).lowest(words)?)
        };
        let word = words.get_mut(chunk)?;
        let bit = lowest_block(*word, order);
        let left = *word & !(run(count) << bit);
        *word = left;
        let to = class_of(left);
        if to != class {
            if let Some(class) = class {
                self.leave_small(words, class, chunk);
            }
            self.enter(words, to, chunk);
        }
        self.free -= count;
        Some((self.first + chunk) * WORD + bit)
    }

    /// Takes whole chunks, and of the last one what is needed.
    #[inline(never)]
    fn take_large(&mut self, words: &mut [u64], count: usize, align: usize) -> Option<usize> {
        let rest = words.get_mut(self.whole_at..)?;
        let first = self.whole.take_run(rest, count.div_ceil(WORD), (align / WORD).max(1))?;
        let full = first - self.first..first - self.first + count / WORD;
        words.get_mut(full.clone())?.fill(0);
        if count % WORD != 0 {
            let left = u64::MAX << (count % WORD);
            *words.get_mut(full.end)? = left;
            self.enter(words, class_of(left), full.end);
        }
        self.free -= count;
        Some(first * WORD)
    }

    /// Takes `count` units from `unit` on, all in the range, if all of them are free, and returns whether they were.
    pub(crate) fn take_at(&mut self, words: &mut [u64], unit: usize, count: usize) -> bool {
        let free = self.all_are(words, unit, count, u64::MAX);
        if free {
            self.put_range(words, unit, unit + count, false);
        }
        free
    }

    /// Frees `count` units from `unit` on, all in the range, if none of them is free, and returns whether that was so.
    #[inline]
    pub(crate) fn give_run(&mut self, words: &mut [u64], unit: usize, count: usize) -> bool {
        if unit % WORD + count > WORD {
            return self.give_large(words, unit, count);
        }
        let (chunk, mask) = (unit / WORD - self.first, run(count) << (unit % WORD));
        let Some(word) = words.get_mut(chunk) else { return false };
        let old = *word;
        if old & mask != 0 {
            return false;
        }
        *word = old | mask;
        self.free += count;
        self.move_class(words, chunk, old, old | mask);
        true
    }

    /// Frees units of several chunks.
    #[inline(never)]
    fn give_large(&mut self, words: &mut [u64], unit: usize, count: usize) -> bool {
        if unit % WORD == 0 && count % WORD == 0 {
            let (low, high) = (unit / WORD, (unit + count) / WORD);
            let chunks = words.get(low - self.first..high - self.first).unwrap_or(&[]);
            if chunks.iter().fold(0, |any, word| any | word) != 0 {
                return false;
            }
            self.put_whole(words, low, high, true);
            self.free += count;
            return true;
        }
        let taken = self.all_are(words, unit, count, 0);
        if taken {
            self.put_range(words, unit, unit + count, true);
        }
        taken
    }

    /// Returns whether the bits of `count` units from `unit` on are those of `bits`.
    fn all_are(&self, words: &[u64], unit: usize, count: usize, bits: u64) -> bool {
        let mut all = true;
        self.for_each_part(unit, unit + count, |chunk, mask| {
            all &= words.get(chunk).is_some_and(|word| (word ^ bits) & mask == 0);
        });
        all
    }

    /// Makes the units from `start` up to `end` free or taken; all of them are the other.
    fn put_range(&mut self, words: &mut [u64], start: usize, end: usize, free: bool) {
        let (low, high) = (start.div_ceil(WORD), end / WORD);
        if low < high {
            self.put_parts(words, start, low * WORD, free);
            self.put_whole(words, low, high, free);
            self.put_parts(words, high * WORD, end, free);
        } else {
            self.put_parts(words, start, end, free);
        }
        self.free = if free { self.free + (end - start) } else { self.free - (end - start) };
    }

    /// Makes whole chunks all ones or 0.
    fn put_whole(&mut self, words: &mut [u64], low: usize, high: usize, free: bool) {
        let bits = if free { u64::MAX } else { 0 };
        if let Some(chunks) = words.get_mut(low - self.first..high - self.first) {
            chunks.fill(bits);
        }
        let Some(rest) = words.get_mut(self.whole_at..) else { return };
        if free {
            self.whole.give_run(rest, low, high - low);
        } else {
            self.whole.take_at(rest, low, high - low);
        }
    }

    /// Makes units of at most two chunks free or taken.
    fn put_parts(&mut self, words: &mut [u64], start: usize, end: usize, free: bool) {
        let mut unit = start;
        while unit < end {
            let next = end.min(unit - unit % WORD + WORD);
            let (chunk, mask) = (unit / WORD - self.first, run(next - unit) << (unit % WORD));
            let Some(word) = words.get_mut(chunk) else { return };
            let old = *word;
            let new = if free { old | mask } else { old & !mask };
            *word = new;
            self.move_class(words, chunk, old, new);
            unit = next;
        }
    }

    /// Passes each chunk that holds some of the units from `start` up to `end` to `visit`, with the bits of those units.
    #[inline(always)]
    fn for_each_part(&self, start: usize, end: usize, mut visit: impl FnMut(usize, u64)) {
        let mut unit = start;
        while unit < end {
            let next = end.min(unit - unit % WORD + WORD);
            visit(unit / WORD - self.first, run(next - unit) << (unit % WORD));
            unit = next;
        }
    }

    /// Moves a chunk whose word was `old` and is `new` to its class (I2).
    #[inline(always)]
    fn move_class(&mut self, words: &mut [u64], chunk: usize, old: u64, new: u64) {
        let (from, to) = (class_of(old), class_of(new));
        if from != to {
            if let Some(class) = from {
                self.leave(words, class, chunk);
            }
            self.enter(words, to, chunk);
        }
    }

    /// Takes a chunk out of its class.
    #[inline(always)]
    fn leave(&mut self, words: &mut [u64], class: usize, chunk: usize) {
        if class == WHOLE {
            if let Some(rest) = words.get_mut(self.whole_at..) {
                self.whole.take_at(rest, self.first + chunk, 1);
            }
        } else {
            self.leave_small(words, class, chunk);
        }
    }

    /// Takes a chunk out of its class, which is not that of whole chunks.
    #[inline(always)]
    fn leave_small(&mut self, words: &mut [u64], class: usize, chunk: usize) {
        if self.class(class).remove(words, chunk) {
            self.classes &= !(1 << class);
        }
    }

    /// Puts a chunk into a class.
    #[inline(always)]
    fn enter(&mut self, words: &mut [u64], class: Option<usize>, chunk: usize) {
        match class {
            None => {}
            Some(WHOLE) => {
                if let Some(rest) = words.get_mut(self.whole_at..) {
                    self.whole.give_run(rest, self.first + chunk, 1);
                }
            }
            Some(class) => {
                self.class(class).insert(words, chunk);
                self.classes |= 1 << class;
            }
        }
    }

    /// Returns the set of the chunks of a class.
    #[inline(always)]
    fn class(&self, class: usize) -> BitTree {
        self.tree.moved(class * self.stride)
    }
}

/// Returns `count` set bits, from 1 to 64.
#[inline(always)]
const fn run(count: usize) -> u64 {
    u64::MAX >> (WORD - count)
}

/// Returns for each order the bits at which an aligned block of ones starts.
#[inline(always)]
const fn blocks_of(bits: u64) -> [u64; SMALL] {
    let mut blocks = [bits; SMALL];
    let mut order = 1;
    while order < SMALL {
        let halves = blocks[order - 1];
        blocks[order] = halves & halves >> (1 << (order - 1)) & STARTS[order];
        order += 1;
    }
    blocks
}

/// Returns the order of the greatest aligned block of ones, or `None` without ones.
#[inline(always)]
const fn class_of(bits: u64) -> Option<usize> {
    let blocks = blocks_of(bits);
    let (mut class, mut order) = ((bits == u64::MAX) as usize, 1);
    while order < SMALL {
        class += (blocks[order] != 0) as usize;
        order += 1;
    }
    if bits == 0 { None } else { Some(class) }
}

/// Returns the lowest bit at which an aligned block of an order starts, in no greater one if there is such; there is a block.
#[inline(always)]
fn lowest_block(bits: u64, order: usize) -> usize {
    let blocks = blocks_of(bits);
    let own = blocks.get(order).copied().unwrap_or(bits);
    let greater = blocks.get(order + 1).copied().unwrap_or(0);
    let alone = own & !(greater | greater << (1 << order));
    let starts = if alone == 0 { own } else { alone };
    starts.trailing_zeros() as usize
}

#[cfg(test)]
mod tests;
