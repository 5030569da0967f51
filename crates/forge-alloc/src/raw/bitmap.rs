//! A bitmap of free units that finds the lowest free run of any length: words, and bounds of how long their runs are.
//!
//! ```text
//!   level 1    one bit per word of level 0: "all 64 free"          the same structure, for runs of whole words
//!                 |
//!   level 0    | word 0 | word 1 | ..                  | 0 |       one bit per unit, 1 is free; the last word stays 0
//!                                                                   (bits of the front and of the late word are beside it)
//!   lanes 0    |word 0 .. word 7 | 8 .. 15 | ..                    a byte per word: its reach is at most this
//!   lanes 1    |lanes 0 .. 7     | ..                              a byte per eight below: none of them is greater
//! ```
//!
//! The *reach* of a word is the most free units in a row from any of its bits on, with those in the next word, at most 64.
//!
//! # Invariants
//!
//! - (I1) A unit is free exactly if its bit is set in level 0, in `front_bits` for the word `front`, or in `late_bits` for the
//!   word `late`. What is set in `front_bits` is set nowhere else; unless they are 0, `late_bits` have all bits of their word.
//! - (I2) While `front_bits` is not 0, every word of level 0 up to `front` is 0, and `late` is above it if `late_bits` is not 0.
//! - (I3) A bit of a level above 0 is set exactly if the word with its number, in the level below, is all ones.
//! - (I4) A lane of height 0 is at least the reach of its word, and one of a greater height at least as great as each of the
//!   eight below it.
//! - (I5) The bounds of each level hold for its words, and those for single units in level 0 for the late word as well.
//! - (I6) The shape is zero or that of the storage; then every offset in it that a level uses lies inside the storage, and
//!   the last word of each level is 0 for ever.
//!
//! # Operations
//!
//! | | |
//! |---|---|
//! | lowest free unit, free one unit | O(1) where the front word has it, else O(log n) amortized |
//! | lowest run of `n` | O(log n + n / 64) amortized, per run that is long enough and lies wrong or is short of whole words |
//! | take or free `n` in a row | O(log n + n / 64), checked first: all or nothing |
//!
//! A search reads a word in vain once for each take before it that shortened a run there, and once after it came back to the tree
//! from beside it, so a single search is O(n / 64) at worst.
//!
//! # Design
//!
//! *The front word* is taken out of the bitmap. Frees and requests of single units below everything else that is free then
//! touch two fields and no memory, and that is where ordered allocation works: what was freed last below the frontier is
//! the lowest. What it has is not in the counter of free units, which each of them would have to wait for. The *late word*
//! gathers frees above the front, so that the tree hears of a word and not of each of its units.
//!
//! *Reach* says for every length whether a word is worth a look, and it crosses a word's end because every run of up to 64
//! units lies in two words. Eight are compared at a time in one register (Lamport, "Multiple byte processing with full-word
//! instructions", 1975). Bounds instead of exact values make a take write one word and nothing else: exact lanes were
//! rewritten up to the top by every run that is taken and given back.
//!
//! *Long runs* are runs of whole words with two ends, and whole words are the bits of the level above.
//!
//! The storage starts zeroed and the shape is computed when it is first needed, so that a map in a `static` takes no room
//! in the binary.

mod bounds;
mod change;
mod lanes;
mod search;
mod shape;
mod storage;

use core::num::NonZeroU64;

use bounds::Bounds;
use search::{Wanted, fits_inside};
pub(crate) use shape::words_for;
use shape::{LEVELS, Shape, WORD};
pub use storage::BitStorage;

/// The longest run that a reach tells apart.
const LONGEST: usize = WORD;

/// A bitmap of free units, numbered from 0.
pub(crate) struct RunMap<S> {
    storage: S,
    shape: Shape,
    bounds: [Bounds; LEVELS],
    front: usize,
    front_bits: u64,
    late: usize,
    late_bits: u64,
    /// The number of free units that are not in the front word.
    free: usize,
}

impl<S: BitStorage> RunMap<S> {
    /// Returns the map in which nothing is free.
    pub(crate) const fn new(storage: S) -> Self {
        let bounds = [Bounds::LOWEST; LEVELS];
        Self { storage, shape: Shape::NONE, bounds, front: 0, front_bits: 0, late: 0, late_bits: 0, free: 0 }
    }

    /// Returns how many units the storage has room for. O(1) after the first call.
    pub(crate) fn capacity(&mut self) -> usize {
        if self.shape.levels == 0 {
            self.shape = Shape::of(self.storage.words().len());
            let used = self.shape.words;
            self.storage.words_mut().iter_mut().take(used).for_each(|word| *word = 0);
        }
        self.shape.capacity
    }

    /// Returns how many units are free. O(1).
    #[inline(always)]
    pub(crate) fn free(&self) -> usize {
        self.free + self.front_bits.count_ones() as usize
    }

    /// Returns the word below which every word of level 0 is 0.
    #[inline(always)]
    fn bound(&self) -> usize {
        self.bounds(0).any() as usize
    }

    /// Takes the lowest free unit. O(1) from the front word, else O(log n).
    #[inline(always)]
    pub(crate) fn take_lowest(&mut self) -> Option<usize> {
        let bits = match NonZeroU64::new(self.front_bits) {
            Some(bits) => bits,
            None => self.load_front()?,
        };
        self.front_bits = bits.get() & (bits.get() - 1);
        Some(self.front * WORD + bits.trailing_zeros() as usize)
    }

    /// Makes the lowest word with a free unit the front word, and returns its bits.
    #[inline(never)]
    fn load_front(&mut self) -> Option<NonZeroU64> {
        self.store_late();
        let mut word = self.next_word(0, self.bound(), 1)?;
        while self.word(0, word) == 0 {
            self.lower_lane(0, word);
            word = self.next_word(0, word + 1, 1)?;
        }
        self.front = word;
        self.front_bits = self.word(0, word);
        self.take_bits(0, word, self.front_bits);
        self.free -= self.front_bits.count_ones() as usize;
        self.bounds_mut(0).raise(Wanted::ONE, word + 1);
        NonZeroU64::new(self.front_bits)
    }

    /// Frees one unit below the capacity if its word is or becomes the front word, or is the late one, and returns whether it was
    /// taken. O(1).
    #[inline(always)]
    pub(crate) fn give_here(&mut self, unit: usize) -> Option<bool> {
        let (word, bit) = (unit / WORD, 1 << (unit % WORD));
        if self.front_bits == 0 {
            if word < self.bound() {
                (self.front, self.front_bits) = (word, bit);
                return Some(true);
            }
        } else if word == self.front {
            let taken = self.front_bits & bit == 0;
            self.front_bits |= bit;
            return Some(taken);
        }
        if word != self.late || self.late_bits == 0 {
            return None;
        }
        let taken = self.late_bits & bit == 0;
        self.late_bits |= bit;
        self.free += usize::from(taken);
        Some(taken)
    }

    /// Frees one unit below the capacity, and returns whether it was taken. O(1) below everything free, else O(log n).
    #[inline]
    pub(crate) fn give_one(&mut self, unit: usize) -> bool {
        let (word, bit) = (unit / WORD, 1 << (unit % WORD));
        if let Some(taken) = self.give_here(unit) {
            return taken;
        }
        if self.front_bits != 0 && word < self.front {
            return self.move_front(word, bit);
        }
        self.move_late(word);
        let taken = self.late_bits & bit == 0;
        self.late_bits |= bit;
        self.free += usize::from(taken);
        taken
    }

    /// Makes a word below the front, in which nothing is free, the front word.
    #[inline(never)]
    fn move_front(&mut self, word: usize, bits: u64) -> bool {
        self.store_front();
        (self.front, self.front_bits) = (word, bits);
        true
    }

    /// Makes a word the late one.
    #[inline(never)]
    fn move_late(&mut self, word: usize) {
        self.store_late();
        (self.late, self.late_bits) = (word, self.word(0, word));
        self.bounds_mut(0).lower_any(word);
    }

    /// Tells the tree about the bits that are beside it.
    #[inline(always)]
    fn settle(&mut self) {
        if self.front_bits | self.late_bits != 0 {
            self.store_front();
            self.store_late();
        }
    }

    /// Gives the front word back to the tree.
    #[inline(never)]
    fn store_front(&mut self) {
        let bits = core::mem::take(&mut self.front_bits);
        self.free += bits.count_ones() as usize;
        self.give_bits(0, self.front, bits);
    }

    /// Adds the late bits to the tree.
    #[inline(never)]
    fn store_late(&mut self) {
        let bits = core::mem::take(&mut self.late_bits);
        self.give_bits(0, self.late, bits & !self.word(0, self.late));
    }

    /// Returns whether a unit below the capacity is free. O(1).
    pub(crate) fn is_free(&self, unit: usize) -> bool {
        let word = unit / WORD;
        let front = if word == self.front { self.front_bits } else { 0 };
        let late = if word == self.late { self.late_bits } else { 0 };
        (self.word(0, word) | front | late) >> (unit % WORD) & 1 != 0
    }

    /// Frees `count` units from `first` on, all below the capacity, if all of them are taken, and returns whether they were.
    /// O(log n + count / 64).
    #[inline]
    pub(crate) fn give(&mut self, first: usize, count: usize) -> bool {
        if count == 1 {
            return self.give_one(first);
        }
        self.give_several(first, count)
    }

    #[inline(never)]
    fn give_several(&mut self, first: usize, count: usize) -> bool {
        self.settle();
        if first % WORD + count <= WORD {
            let (old, mask) = (self.word(0, first / WORD), mask(first % WORD, count));
            if old & mask != 0 {
                return false;
            }
            self.give_inside(0, first / WORD, first % WORD, old | mask);
        } else if self.all_are(0, first, count, 0) {
            self.give_many(0, first, count);
        } else {
            return false;
        }
        self.free += count;
        true
    }

    /// Frees one unit below the capacity in the tree, where no request of one unit looks first. O(log n).
    #[inline]
    pub(crate) fn give_in_tree(&mut self, unit: usize) -> bool {
        self.settle();
        let taken = self.word(0, unit / WORD) >> (unit % WORD) & 1 == 0;
        if taken {
            self.give_run(0, unit, 1);
            self.free += 1;
        }
        taken
    }

    /// Takes `count` units from `first` on, all below the capacity, if all of them are free, and returns whether they were.
    /// O(log n + count / 64).
    pub(crate) fn take(&mut self, first: usize, count: usize) -> bool {
        self.settle();
        if !self.all_are(0, first, count, u64::MAX) {
            return false;
        }
        self.take_units(0, first, count);
        self.free -= count;
        true
    }

    /// Takes the lowest run of `count` units from `from` on whose first, plus `shift`, is a multiple of `align`, and that ends
    /// at or below `end`.
    #[inline]
    pub(crate) fn take_run(
        &mut self,
        from: usize,
        end: usize,
        count: usize,
        align: usize,
        shift: usize,
    ) -> Option<usize> {
        self.settle();
        if count > self.free {
            return None;
        }
        let wanted = Wanted { count, align, shift };
        if count <= LONGEST && align <= WORD && from == 0 {
            if let Some(first) = self.take_at_spot(wanted) {
                return Some(first);
            }
        }
        let first = self.find(0, from, wanted)?;
        if count > end.saturating_sub(first) {
            return None;
        }
        self.take_units(0, first, count);
        self.free -= count;
        Some(first)
    }

    /// Takes a run of up to a word's length out of the spot, if that holds the lowest one.
    #[inline(always)]
    fn take_at_spot(&mut self, wanted: Wanted) -> Option<usize> {
        let spot = self.bounds(0).spot as usize;
        if spot >= self.bounds(0).of(wanted) as usize {
            return None;
        }
        let bits = self.word(0, spot);
        let fits = fits_inside(bits, wanted.count) & wanted.starts();
        if fits == 0 {
            return None;
        }
        let bit = fits.trailing_zeros() as usize;
        self.put(0, spot, bits ^ mask(bit, wanted.count));
        if bits == u64::MAX {
            self.take_above(1, spot);
        }
        self.free -= wanted.count;
        Some(spot * WORD + bit)
    }

    /// Moves the words from `at` up to `end` to `to`, makes zero what they left, and builds everything above them again. The
    /// word at `to`, if it is below `at`, keeps its free units. O(n).
    pub(crate) fn move_words(&mut self, at: usize, end: usize, to: usize) {
        self.settle();
        if at >= end || at == to {
            return;
        }
        let base = self.shape.level(0).words;
        let shared = if to < at { self.word(0, to) } else { 0 };
        let words = self.storage.words_mut();
        if base + end.max(to + (end - at)) <= words.len() {
            words.copy_within(base + at..base + end, base + to);
        }
        let moved = to..to + (end - at);
        (at.min(to + 1)..end).filter(|word| !moved.contains(word)).for_each(|word| self.put(0, word, 0));
        let kept = self.word(0, to) | shared;
        self.put(0, to, kept);
        self.rebuild();
    }

    /// Builds all lanes and the levels above 0 again.
    fn rebuild(&mut self) {
        let words = self.shape.level(0).count;
        let above = self.shape.level(0).words + words..self.shape.words;
        if let Some(rest) = self.storage.words_mut().get_mut(above) {
            rest.fill(0);
        }
        self.bounds = [Bounds::LOWEST; LEVELS];
        for word in 0..words {
            let bits = self.word(0, word);
            self.put(0, word, 0);
            self.give_bits(0, word, bits);
        }
    }

    /// Returns the bounds of a level.
    #[inline(always)]
    fn bounds(&self, level: usize) -> &Bounds {
        // The index is below the length, so nothing is reached but bounds.
        &self.bounds[if level < LEVELS { level } else { 0 }]
    }

    /// Returns the bounds of a level.
    #[inline(always)]
    fn bounds_mut(&mut self, level: usize) -> &mut Bounds {
        &mut self.bounds[if level < LEVELS { level } else { 0 }]
    }
}

/// Returns `count` set bits from the bit `first` on; `count` is from 1 to 64.
#[inline(always)]
fn mask(first: usize, count: usize) -> u64 {
    (u64::MAX >> (WORD - count)) << first
}

/// Passes each word that holds some of `count` units from `first` on to `visit`, with the bits of those units.
#[inline(always)]
fn for_each_part(first: usize, count: usize, mut visit: impl FnMut(usize, u64)) {
    let (mut first, mut count) = (first, count);
    while count != 0 {
        let part = count.min(WORD - first % WORD);
        visit(first / WORD, mask(first % WORD, part));
        first += part;
        count -= part;
    }
}

#[cfg(test)]
mod tests;
