//! Finding the lowest run: short ones by the reach of words, long ones by whole words.
//!
//! # Design
//!
//! A search starts where [`Bounds`](super::bounds::Bounds) say that nothing can be below, and lowers the reach of every word
//! that it reads in vain. A take leaves it at that, so a reach is lowered at most twice for each take, and the search is
//! O(log n) amortized over the takes before it.

use super::shape::WORD;
use super::{BitStorage, LONGEST, RunMap, mask};

/// Every bit, every second, every fourth, and so on.
const PATTERNS: [u64; 7] = [
    u64::MAX,
    0x5555_5555_5555_5555,
    0x1111_1111_1111_1111,
    0x0101_0101_0101_0101,
    0x0001_0001_0001_0001,
    0x0000_0001_0000_0001,
    1,
];

/// A run that is looked for: its length, and where it may start.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) count: usize,
    pub(super) align: usize,
    pub(super) shift: usize,
}

impl Wanted {
    /// One unit anywhere.
    pub(super) const ONE: Self = Self { count: 1, align: 1, shift: 0 };

    /// Returns the greatest power of two that is not longer, as an exponent.
    #[inline(always)]
    pub(super) fn class(self) -> usize {
        (usize::BITS - 1 - self.count.leading_zeros()) as usize
    }

    /// Returns whether every run that fits holds an aligned power of two, in the numbers of the bitmap.
    #[inline(always)]
    pub(super) fn is_natural(self) -> bool {
        self.align > 1 && self.align >> self.class() == 1 && self.shift & (self.align - 1) == 0
    }

    /// Returns the lowest start at or above `from`.
    fn start_from(self, from: usize) -> usize {
        let high = from.wrapping_add(self.shift).wrapping_add(self.align - 1) & !(self.align - 1);
        high.wrapping_sub(self.shift)
    }

    /// Returns the bits of a word at which a run may start, for alignments up to a word.
    #[inline(always)]
    pub(super) fn starts(self) -> u64 {
        // Every `align`-th bit, from the first that is aligned.
        let pattern = PATTERNS.get(self.align.trailing_zeros() as usize).copied().unwrap_or(1);
        pattern << (self.shift.wrapping_neg() & (self.align - 1))
    }
}

impl<S: BitStorage> RunMap<S> {
    /// Returns the lowest start at or above `from` of a wanted run.
    #[inline(always)]
    pub(super) fn find(&mut self, level: usize, from: usize, wanted: Wanted) -> Option<usize> {
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
    fn find_short(&mut self, level: usize, from: usize, wanted: Wanted) -> Option<usize> {
        let bound = self.bounds(level).of(wanted) as usize;
        let spot = self.bounds(level).spot as usize;
        if spot < bound && from / WORD <= spot {
            let within = if from / WORD == spot { u64::MAX << (from % WORD) } else { u64::MAX };
            if let Some(bit) = self.fit(level, spot, within, wanted) {
                return Some(spot * WORD + bit);
            }
        }
        let (word, within) =
            if from / WORD < bound { (bound, u64::MAX) } else { (from / WORD, u64::MAX << (from % WORD)) };
        let start = self.find_from(level, word, within, wanted)?;
        if from <= bound * WORD {
            self.bounds_mut(level).raise(wanted, start / WORD);
        }
        Some(start)
    }

    /// Finds such a run from the bits `within` of a word on.
    #[inline(always)]
    fn find_from(&mut self, level: usize, word: usize, within: u64, wanted: Wanted) -> Option<usize> {
        let (mut word, mut within) = (word, within);
        loop {
            let found = self.next_word(level, word, wanted.count)?;
            if found != word {
                within = u64::MAX;
            }
            if let Some(bit) = self.fit(level, found, within, wanted) {
                return Some(found * WORD + bit);
            }
            self.lower_lane(level, found);
            (word, within) = (found + 1, u64::MAX);
        }
    }

    /// Returns the lowest of the bits `within` of a word from which a wanted run may be taken.
    #[inline(always)]
    fn fit(&self, level: usize, word: usize, within: u64, wanted: Wanted) -> Option<usize> {
        let starts = wanted.starts() & within;
        let bits = self.word(level, word);
        let mut fits = fits_inside(bits, wanted.count) & starts;
        if fits == 0 {
            fits = fits_across(bits, self.word(level, word + 1), wanted.count) & starts;
        }
        if fits == 0 { None } else { Some(fits.trailing_zeros() as usize) }
    }

    /// Finds a run of up to a word's length, aligned to more than a word.
    #[inline(never)]
    fn find_sparse(&mut self, level: usize, from: usize, wanted: Wanted) -> Option<usize> {
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
            self.lower_lane(level, word);
            from = start + 1;
        }
    }

    /// Finds a run longer than a word.
    #[inline(never)]
    fn find_long(&mut self, level: usize, from: usize, wanted: Wanted) -> Option<usize> {
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
    fn find_words(&mut self, level: usize, from: usize, wanted: Wanted) -> Option<usize> {
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
}

/// Returns the positions from which `count` bits in a row are set inside `bits`.
#[inline(always)]
pub(super) fn fits_inside(bits: u64, count: usize) -> u64 {
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
