//! Setting and clearing bits, and what follows for reaches, bounds and the level above.
//!
//! # Design
//!
//! A take leaves lanes and bounds alone: they are promises of at most so much. A give computes only the run that it makes,
//! from the bits on both sides; where as much was taken before, it finds both as they have to be, and writes the word alone.
//! A word that was gathered beside the tree counts its bits instead of measuring its runs: requests of single units, which
//! gather, never ask for those.

use super::lanes::reach;
use super::shape::WORD;
use super::{BitStorage, LONGEST, RunMap, for_each_part, mask};

impl<S: BitStorage> RunMap<S> {
    /// Returns whether the bits of `count` units from `first` on are those of `bits`.
    #[inline(always)]
    pub(super) fn all_are(&self, level: usize, first: usize, count: usize, bits: u64) -> bool {
        let mut all = true;
        for_each_part(first, count, |word, mask| all &= (self.word(level, word) ^ bits) & mask == 0);
        all
    }

    /// Takes set bits of a word.
    #[inline(always)]
    pub(super) fn take_bits(&mut self, level: usize, word: usize, bits: u64) {
        let old = self.word(level, word);
        self.put(level, word, old ^ bits);
        if old == u64::MAX {
            self.take_above(level + 1, word);
        }
    }

    #[inline(never)]
    pub(super) fn take_above(&mut self, level: usize, bit: usize) {
        if level < self.shape.levels {
            self.take_bits(level, bit / WORD, 1 << (bit % WORD));
        }
    }

    /// Takes `count` units from `first` on, all of which are free.
    #[inline(always)]
    pub(super) fn take_units(&mut self, level: usize, first: usize, count: usize) {
        if first % WORD + count <= WORD {
            self.take_bits(level, first / WORD, mask(first % WORD, count));
        } else {
            self.take_many(level, first, count);
        }
    }

    #[inline(never)]
    fn take_many(&mut self, level: usize, first: usize, count: usize) {
        let mut whole = (usize::MAX, 0);
        for_each_part(first, count, |word, mask| {
            let old = self.word(level, word);
            self.put(level, word, old ^ mask);
            if old == u64::MAX {
                whole = (whole.0.min(word), word + 1);
            }
        });
        if whole.0 < whole.1 && level + 1 < self.shape.levels {
            self.take_units(level + 1, whole.0, whole.1 - whole.0);
        }
    }

    /// Frees any taken bits of a word.
    pub(super) fn give_bits(&mut self, level: usize, word: usize, bits: u64) {
        if bits == 0 {
            return;
        }
        if bits & (bits - 1) == 0 {
            let new = self.word(level, word) | bits;
            return self.give_inside(level, word, bits.trailing_zeros() as usize, new);
        }
        let new = self.word(level, word) | bits;
        self.put(level, word, new);
        self.estimate(level, word, new);
        if new & 1 != 0 && word != 0 && self.word(level, word - 1) >> (WORD - 1) != 0 {
            self.estimate(level, word - 1, self.word(level, word - 1));
        }
        if new == u64::MAX {
            self.give_above(level + 1, word);
        }
    }

    /// Raises the lane of a word that is not 0 to what its reach is at most: all of its bits, and those that follow them in the next
    /// word. A search that reads the word in vain lowers the lane to the reach.
    fn estimate(&mut self, level: usize, word: usize, bits: u64) {
        let across = if bits >> (WORD - 1) == 0 { 0 } else { self.word(level, word + 1).trailing_ones() };
        let most = ((bits.count_ones() + across) as usize).min(LONGEST);
        self.raise_lane(level, word, most as u64);
        self.bounds_mut(level).lower(word, most);
    }

    /// Raises the lane of a word that is not 0 to its reach.
    fn refresh(&mut self, level: usize, word: usize) {
        let reach = reach(self.word(level, word), self.word(level, word + 1));
        self.raise_lane(level, word, reach);
        self.bounds_mut(level).lower(word, reach as usize);
    }

    /// Raises the lane of the word before one to its reach, if that goes on in it.
    fn refresh_before(&mut self, level: usize, word: usize, bits: u64) {
        if bits & 1 != 0 && word != 0 && self.word(level, word - 1) >> (WORD - 1) != 0 {
            self.refresh(level, word - 1);
        }
    }

    #[inline(never)]
    fn give_above(&mut self, level: usize, bit: usize) {
        if level < self.shape.levels {
            self.give_run(level, bit, 1);
        }
    }

    /// Frees `count` units from `first` on, all of which are taken.
    #[inline(always)]
    pub(super) fn give_run(&mut self, level: usize, first: usize, count: usize) {
        if first % WORD + count <= WORD {
            let new = self.word(level, first / WORD) | mask(first % WORD, count);
            self.give_inside(level, first / WORD, first % WORD, new);
        } else {
            self.give_many(level, first, count);
        }
    }

    /// Makes a word `new`, in which bits from `bit` on were taken.
    #[inline(always)]
    pub(super) fn give_inside(&mut self, level: usize, word: usize, bit: usize, new: u64) {
        self.put(level, word, new);
        let above = (!new >> bit).trailing_zeros() as usize;
        let below = (!new << (WORD - 1 - bit)).leading_zeros() as usize - 1;
        // Both stop at the ends of the word.
        let (start, mut end) = (bit - below.min(bit), bit + above.min(WORD - bit));
        if end == WORD {
            end += self.word(level, word + 1).trailing_ones() as usize;
        }
        let reach = (end - start).min(LONGEST);
        self.raise_lane(level, word, reach as u64);
        self.move_spot(level, word);
        if start == 0 && word != 0 {
            let before = self.word(level, word - 1).leading_ones() as usize;
            if before != 0 {
                let reach = (before + end).min(LONGEST);
                self.raise_lane(level, word - 1, reach as u64);
                self.bounds_mut(level).lower(word - 1, reach);
            }
        }
        if new == u64::MAX {
            self.give_above(level + 1, word);
        }
    }

    /// Makes a word with a free bit the spot.
    #[inline(always)]
    fn move_spot(&mut self, level: usize, word: usize) {
        let spot = self.bounds(level).spot as usize;
        if spot != word {
            if self.word(level, spot) != 0 {
                let reach = self.lane(level, spot);
                self.bounds_mut(level).lower(spot, reach as usize);
            }
            self.bounds_mut(level).spot = word as u32;
        }
        self.bounds_mut(level).lower_any(word);
    }

    #[inline(never)]
    pub(super) fn give_many(&mut self, level: usize, first: usize, count: usize) {
        let mut whole = (usize::MAX, 0);
        for_each_part(first, count, |word, mask| {
            let new = self.word(level, word) | mask;
            self.put(level, word, new);
            if new == u64::MAX {
                whole = (whole.0.min(word), word + 1);
            }
        });
        // All but the last word have a run that goes on in the next one.
        let (low, high) = (first / WORD, (first + count - 1) / WORD);
        for word in low..high {
            let ones = self.word(level, word).leading_ones() + self.word(level, word + 1).trailing_ones();
            self.raise_lane(level, word, u64::from(ones).min(LONGEST as u64));
        }
        self.refresh(level, low);
        self.refresh(level, high);
        self.refresh_before(level, low, self.word(level, low));
        if whole.0 < whole.1 && level + 1 < self.shape.levels {
            self.give_run(level + 1, whole.0, whole.1 - whole.0);
        }
    }
}
