//! A bitmap of free units that finds the lowest free run of any length: words, and a tree of how long their runs are.
//!
//! ```text
//!   level 1    one bit per word of level 0: "all 64 free"          the same structure, for runs of whole words
//!                 |
//!   level 0    | word 0 | word 1 | ..                  | 0 |       one bit per unit, 1 is free; the last word stays 0
//!                 |                                                 (the front word is held in a register-sized field)
//!   lanes 0    |reach of word 0 .. 7| 8 .. 15 | ..                 a byte per word: the longest run that starts in it,
//!   lanes 1    |reach of lanes 0 .. 7 | ..                          into the next word as well, up to 64
//!   lanes 2    | ..                                                a byte per eight below: the greatest of them
//! ```
//!
//! # Invariants
//!
//! - (I1) A unit is free exactly if its bit in level 0 is set, or if it lies in the word `front` and its bit in
//!   `front_bits` is set. The word `front` of level 0 is 0 while `front_bits` is not.
//! - (I2) Every word of level 0 below `bound` is 0, and so is every one below `front` while `front_bits` is not 0.
//! - (I3) A bit of a level above 0 is set exactly if the word with its number, in the level below, is all ones.
//! - (I4) Lane `w` of height 0 is the reach of word `w`: the most free units in a row from any of its bits on, with those
//!   in word `w + 1`, at most 64. A lane of a greater height is the greatest of the eight below it.
//! - (I5) The shape is zero or that of the storage; then every offset in it that a level uses lies inside the storage, and
//!   the last word of each level is 0 for ever.
//!
//! # Operations
//!
//! | | |
//! |---|---|
//! | lowest free unit, free one unit | O(1) where the front word has it, else O(log n) |
//! | lowest run of `n` | O(log n + n / 64) per candidate: a run that is long enough, or will be with its ends |
//! | take or free `n` in a row | O(log n + n / 64), checked first: all or nothing |
//!
//! Only two things make a candidate fail: an alignment that it misses, and fewer than 127 units around too few whole words.
//!
//! # Design
//!
//! *The front word* is taken out of the tree. Frees and requests of single units below everything else that is free then
//! touch two fields and no memory, and that is where ordered allocation works: what was freed last below the frontier is
//! the lowest. The tree is told about whole words only.
//!
//! *Reach* says for every length whether a word is worth a look, so that a search never reads a word in vain, and it
//! crosses a word's end because every run of up to 64 units lies in two words. Eight reaches are compared at a time in one
//! register (the byte-parallel comparison of Lamport, "Multiple byte processing with full-word instructions", 1975). A change
//! goes up only as far as it changes the greatest of eight. Binary trees of prefix, suffix and longest run answer the same in
//! three times the levels, each of them rewritten by every call.
//!
//! *Long runs* are runs of whole words with two ends, and whole words are the bits of the level above.
//!
//! The storage starts zeroed and the shape is computed when it is first needed, so that a map in a `static` takes no room
//! in the binary.

mod lanes;
mod shape;
mod storage;

use lanes::reach;
use shape::{Shape, WORD};
pub(crate) use shape::words_for;
pub use storage::BitStorage;

/// The longest run that a reach tells apart.
const LONGEST: usize = WORD;

/// A bitmap of free units, numbered from 0.
pub(crate) struct RunMap<S> {
    storage: S,
    shape: Shape,
    front: usize,
    front_bits: u64,
    bound: usize,
    free: usize,
}

impl<S: BitStorage> RunMap<S> {
    /// Returns the map in which nothing is free.
    pub(crate) const fn new(storage: S) -> Self {
        Self { storage, shape: Shape::NONE, front: 0, front_bits: 0, bound: 0, free: 0 }
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
        self.free
    }

    /// Takes the lowest free unit. O(1) from the front word, else O(log n).
    #[inline(always)]
    pub(crate) fn take_lowest(&mut self) -> Option<usize> {
        if self.front_bits == 0 {
            self.load_front()?;
        }
        let unit = self.front * WORD + self.front_bits.trailing_zeros() as usize;
        self.front_bits &= self.front_bits - 1;
        self.free -= 1;
        Some(unit)
    }

    /// Makes the lowest word with a free unit the front word.
    #[inline(never)]
    fn load_front(&mut self) -> Option<()> {
        let word = self.next_word(0, self.bound, 1)?;
        self.front = word;
        self.front_bits = self.word(0, word);
        self.set_word(0, word, 0);
        self.bound = word + 1;
        Some(())
    }

    /// Gives the front word back to the tree.
    #[inline(always)]
    fn unload_front(&mut self) {
        if self.front_bits != 0 {
            self.store_front();
        }
    }

    #[inline(never)]
    fn store_front(&mut self) {
        let bits = core::mem::take(&mut self.front_bits);
        self.set_word(0, self.front, bits);
        self.bound = self.bound.min(self.front);
    }

    /// Frees one unit below the capacity, and returns whether it was taken. O(1) below everything free, else O(log n).
    #[inline(always)]
    pub(crate) fn give_one(&mut self, unit: usize) -> bool {
        let (word, bit) = (unit / WORD, 1 << (unit % WORD));
        if word < self.bound && self.front_bits == 0 {
            self.front = word;
            self.front_bits = bit;
            self.free += 1;
            return true;
        }
        self.give_beside(word, bit)
    }

    /// Frees one unit that does not simply become the front word.
    #[inline(always)]
    fn give_beside(&mut self, word: usize, bit: u64) -> bool {
        if self.front_bits != 0 && word <= self.front {
            if word == self.front {
                if self.front_bits & bit != 0 {
                    return false;
                }
                self.front_bits |= bit;
            } else {
                self.store_front();
                self.front = word;
                self.front_bits = bit;
            }
            self.free += 1;
            return true;
        }
        let old = self.word(0, word);
        if old & bit != 0 {
            return false;
        }
        self.change(0, word, old, old | bit);
        self.bound = self.bound.min(word);
        self.free += 1;
        true
    }

    /// Returns whether a unit below the capacity is free. O(1).
    pub(crate) fn is_free(&self, unit: usize) -> bool {
        let word = unit / WORD;
        let front = if word == self.front { self.front_bits } else { 0 };
        (self.word(0, word) | front) >> (unit % WORD) & 1 != 0
    }

    /// Frees `count` units from `first` on, all below the capacity, if all of them are taken, and returns whether they were.
    /// O(log n + count / 64).
    #[inline]
    pub(crate) fn give(&mut self, first: usize, count: usize) -> bool {
        if count == 1 {
            return self.give_one(first);
        }
        self.unload_front();
        if !self.all_are(0, first, count, 0) {
            return false;
        }
        self.write(0, first, count);
        self.bound = self.bound.min(first / WORD);
        self.free += count;
        true
    }

    /// Takes `count` units from `first` on, all below the capacity, if all of them are free, and returns whether they were.
    /// O(log n + count / 64).
    pub(crate) fn take(&mut self, first: usize, count: usize) -> bool {
        self.unload_front();
        if !self.all_are(0, first, count, u64::MAX) {
            return false;
        }
        self.write(0, first, count);
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
        self.unload_front();
        let from = from.max(self.bound * WORD);
        let first = self.find(0, from, Wanted { count, align, shift })?;
        if count > end.saturating_sub(first) {
            return None;
        }
        self.write(0, first, count);
        self.free -= count;
        Some(first)
    }

    /// Moves the words from `at` up to `end` to `to`, makes zero what they left, and builds everything above them again. The
    /// word at `to`, if it is below `at`, keeps its free units. O(n).
    pub(crate) fn move_words(&mut self, at: usize, end: usize, to: usize) {
        self.unload_front();
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
        self.bound = 0;
        for word in 0..words {
            let bits = self.word(0, word);
            if bits != 0 {
                self.put(0, word, 0);
                self.set_word(0, word, bits);
            }
        }
    }
}

/// A run that is looked for: its length, and where it may start.
#[derive(Clone, Copy)]
struct Wanted {
    count: usize,
    align: usize,
    shift: usize,
}

impl Wanted {
    /// Returns the lowest start at or above `from`.
    fn start_from(self, from: usize) -> usize {
        let high = from.wrapping_add(self.shift).wrapping_add(self.align - 1) & !(self.align - 1);
        high.wrapping_sub(self.shift)
    }

    /// Returns the bits of a word at which a run may start, for alignments up to a word.
    #[inline(always)]
    fn starts(self) -> u64 {
        // Every `align`-th bit, from the first that is aligned.
        let pattern = u64::MAX / (u64::MAX >> (WORD - self.align));
        pattern << (self.shift.wrapping_neg() & (self.align - 1))
    }
}

impl<S: BitStorage> RunMap<S> {
    /// Returns the lowest start at or above `from` of a wanted run.
    #[inline(always)]
    fn find(&self, level: usize, from: usize, wanted: Wanted) -> Option<usize> {
        if wanted.count > LONGEST {
            self.find_long(level, from, wanted)
        } else if wanted.align > WORD {
            self.find_sparse(level, from, wanted)
        } else {
            self.find_short(level, from, wanted)
        }
    }

    /// Finds a run of up to a word's length, aligned to at most a word.
    #[inline(always)]
    fn find_short(&self, level: usize, from: usize, wanted: Wanted) -> Option<usize> {
        let starts = wanted.starts();
        let mut word = from / WORD;
        let mut within = u64::MAX << (from % WORD);
        loop {
            let found = self.next_word(level, word, wanted.count)?;
            if found != word {
                within = u64::MAX;
            }
            let bits = self.word(level, found);
            let fits = fits_inside(bits, wanted.count) & starts & within;
            if fits != 0 {
                return Some(found * WORD + fits.trailing_zeros() as usize);
            }
            let next = self.word(level, found + 1);
            let fits = fits_across(bits, next, wanted.count) & starts & within;
            if fits != 0 {
                return Some(found * WORD + fits.trailing_zeros() as usize);
            }
            (word, within) = (found + 1, u64::MAX);
        }
    }

    /// Finds a run of up to a word's length, aligned to more than a word.
    #[inline(never)]
    fn find_sparse(&self, level: usize, from: usize, wanted: Wanted) -> Option<usize> {
        let mut from = from;
        loop {
            let word = self.next_word(level, from / WORD, wanted.count)?;
            let start = wanted.start_from(from.max(word * WORD));
            if start < from || start / WORD >= self.shape.level(level).count {
                return None;
            }
            if self.run_end(level, start, start + wanted.count) == start + wanted.count {
                return Some(start);
            }
            from = start + 1;
        }
    }

    /// Finds a run longer than a word.
    #[inline(never)]
    fn find_long(&self, level: usize, from: usize, wanted: Wanted) -> Option<usize> {
        if level + 1 >= self.shape.levels {
            return None;
        }
        if wanted.align >= WORD && wanted.shift % WORD == 0 {
            return self.find_words(level, from, wanted);
        }
        // However it lies, a run has this many whole words.
        let whole = (wanted.count + 1) / WORD - 1;
        let mut from = from;
        loop {
            let start = match whole {
                0 => self.find_short(level, from, Wanted { count: LONGEST, align: 1, shift: 0 })?,
                _ => {
                    let plain = Wanted { count: whole, align: 1, shift: 0 };
                    let first = self.find(level + 1, from.div_ceil(WORD), plain)?;
                    let before = first.checked_sub(1).map_or(0, |word| self.word(level, word));
                    from.max(first * WORD - before.leading_ones() as usize)
                }
            };
            let first = wanted.start_from(start);
            if first < start || first / WORD >= self.shape.level(level).count {
                return None;
            }
            let end = first.checked_add(wanted.count)?;
            let reached = self.run_end(level, start, end);
            if reached == end {
                return Some(first);
            }
            from = reached + 1;
        }
    }

    /// Finds a run of whole words with a remainder, aligned to words.
    fn find_words(&self, level: usize, from: usize, wanted: Wanted) -> Option<usize> {
        let (whole, rest) = (wanted.count / WORD, wanted.count % WORD);
        let above = Wanted { count: whole, align: wanted.align / WORD, shift: wanted.shift / WORD };
        let mut from = from.div_ceil(WORD);
        loop {
            let first = self.find(level + 1, from, above)?;
            if rest == 0 || self.word(level, first + whole).trailing_ones() as usize >= rest {
                return Some(first * WORD);
            }
            from = first + 1;
        }
    }

    /// Returns the first unit at or above `from` that is not free, or `limit` if all below it are.
    fn run_end(&self, level: usize, from: usize, limit: usize) -> usize {
        let (word, bit) = (from / WORD, from % WORD);
        let ones = (self.word(level, word) >> bit).trailing_ones() as usize;
        let (mut end, next) = (from + ones, (word + 1) * WORD);
        if end == next && next < limit {
            let whole = if level + 1 < self.shape.levels {
                self.run_end(level + 1, word + 1, limit.div_ceil(WORD))
            } else {
                word + 1
            };
            end = whole * WORD + self.word(level, whole).trailing_ones() as usize;
        }
        end.min(limit)
    }

    /// Returns whether the bits of `count` units from `first` on are those of `bits`.
    #[inline(always)]
    fn all_are(&self, level: usize, first: usize, count: usize, bits: u64) -> bool {
        let mut all = true;
        for_each_part(first, count, |word, mask| all &= (self.word(level, word) ^ bits) & mask == 0);
        all
    }

    /// Makes `count` units from `first` on free or taken, all of which are not.
    #[inline(always)]
    fn write(&mut self, level: usize, first: usize, count: usize) {
        if first % WORD + count <= WORD {
            let (word, mask) = (first / WORD, mask(first % WORD, count));
            let old = self.word(level, word);
            return self.change(level, word, old, old ^ mask);
        }
        self.write_many(level, first, count);
    }

    /// Makes units in several words free or taken.
    #[inline(never)]
    fn write_many(&mut self, level: usize, first: usize, count: usize) {
        let (low, high) = (first / WORD, (first + count - 1) / WORD);
        // The words in between, and those of both ends that were or become all ones.
        let (mut from, mut to) = (low + 1, high);
        for_each_part(first, count, |word, mask| {
            let old = self.word(level, word);
            let new = old ^ mask;
            self.put(level, word, new);
            if old == u64::MAX || new == u64::MAX {
                from = from.min(word);
                to = to.max(word + 1);
            }
        });
        // The reach of a word depends on the next one.
        for word in (low.saturating_sub(1)..=high).rev() {
            let reach = reach(self.word(level, word), self.word(level, word + 1));
            self.set_lane(level, word, reach);
        }
        if from < to && level + 1 < self.shape.levels {
            self.write(level + 1, from, to - from);
        }
    }

    /// Replaces a word and brings what depends on it up to date.
    fn set_word(&mut self, level: usize, word: usize, new: u64) {
        let old = self.word(level, word);
        if old != new {
            self.change(level, word, old, new);
        }
    }

    /// Replaces the word `old` by another one and brings what depends on it up to date.
    #[inline(always)]
    fn change(&mut self, level: usize, word: usize, old: u64, new: u64) {
        self.put(level, word, new);
        let next = self.word(level, word + 1);
        self.set_lane(level, word, reach(new, next));
        if old.trailing_ones() != new.trailing_ones() {
            // Units at the low end changed, and the run may come from the word before.
            self.reach_before(level, word, new);
        }
        if old == u64::MAX || new == u64::MAX {
            self.change_above(level + 1, word);
        }
    }

    /// Brings the reach of the word before one up to date.
    #[inline(always)]
    fn reach_before(&mut self, level: usize, word: usize, bits: u64) {
        let Some(before) = word.checked_sub(1) else { return };
        let low = self.word(level, before);
        if low >> (WORD - 1) != 0 {
            self.set_lane(level, before, reach(low, bits));
        }
    }

    /// Flips the bit of a word in the level above.
    #[inline(never)]
    fn change_above(&mut self, level: usize, bit: usize) {
        if level < self.shape.levels {
            let word = bit / WORD;
            let old = self.word(level, word);
            self.change(level, word, old, old ^ 1 << (bit % WORD));
        }
    }
}

/// Returns the positions from which `count` bits in a row are set inside `bits`.
#[inline(always)]
fn fits_inside(bits: u64, count: usize) -> u64 {
    let (mut bits, mut count) = (bits, count);
    while count > 1 {
        let half = count / 2;
        bits &= bits >> half;
        count -= half;
    }
    bits
}

/// Returns the positions from which `count` bits in a row are set and reach from `bits` into `next`.
#[inline(always)]
fn fits_across(bits: u64, next: u64, count: usize) -> u64 {
    let (high, low) = (bits.leading_ones() as usize, next.trailing_ones() as usize);
    // From `first` on the bits are set up to the end; from `last` on they are few enough for what `next` adds.
    let (first, last) = (WORD - high, (WORD + low).saturating_sub(count).min(WORD - 1));
    if high == 0 || first > last { 0 } else { mask(first, last - first + 1) }
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
