//! A set of numbers below a bound: a bit for each, and above them a bit for each word that is not 0.
//!
//! ```text
//!   height 2   | word |                        one word at the top
//!   height 1   | word | word | ..              a bit says whether the word below it has a bit
//!   height 0   | word | word | word | ..       a bit for each number
//! ```
//!
//! # Invariants
//!
//! - (I1) The heights follow one another from the offset on; each bit above height 0 says whether its word is not 0.
//!
//! # Operations
//!
//! Everything is O(log numbers) with the base 64; whether a number is in the set is O(1).

use super::WORD;

/// The exponent of the bits of a word.
const LOG: usize = WORD.trailing_zeros() as usize;

/// Where a set lies in words that someone else owns.
#[derive(Clone, Copy)]
pub(super) struct BitTree {
    at: usize,
    /// The offset of the word at the top.
    top: usize,
    /// The bound.
    pub(super) len: usize,
}

impl BitTree {
    /// The set that has room for nothing.
    pub(super) const NONE: Self = Self { at: 0, top: 0, len: 0 };

    /// Returns the set of numbers below `len`, which is not 0, in the words from `at` on, which are 0 as long as it is empty.
    pub(super) const fn new(at: usize, len: usize) -> Self {
        Self { at, top: at + Self::words(len) - 1, len }
    }

    /// Returns the same set so many words further on.
    #[inline(always)]
    pub(super) const fn moved(self, words: usize) -> Self {
        Self { at: self.at + words, top: self.top + words, len: self.len }
    }

    /// Returns the number of words for numbers below `len`.
    pub(super) const fn words(len: usize) -> usize {
        let (mut words, mut level) = (0, len);
        loop {
            level = level.div_ceil(WORD);
            words += level;
            if level <= 1 {
                return words;
            }
        }
    }

    /// Returns whether the set has a number.
    #[inline(always)]
    pub(super) fn has(self, words: &[u64], number: usize) -> bool {
        number < self.len && bit(words, self.at, number)
    }

    /// Adds a number below the bound.
    #[inline(always)]
    pub(super) fn insert(self, words: &mut [u64], number: usize) {
        let (mut index, mut level, mut last) = (number, self.at, self.len - 1);
        loop {
            let Some(word) = words.get_mut(level + index / WORD) else { return };
            let before = *word;
            *word |= 1 << (index % WORD);
            if before != 0 || level >= self.top {
                return;
            }
            // The number of the last word, which is the last bit of the height above.
            last /= WORD;
            level += last + 1;
            index /= WORD;
        }
    }

    /// Removes a number, and returns whether it was the last one.
    #[inline(always)]
    pub(super) fn remove(self, words: &mut [u64], number: usize) -> bool {
        let (mut index, mut level, mut last) = (number, self.at, self.len - 1);
        loop {
            let Some(word) = words.get_mut(level + index / WORD) else { return false };
            let after = *word & !(1 << (index % WORD));
            *word = after;
            if after != 0 || level >= self.top {
                return after == 0;
            }
            last /= WORD;
            level += last + 1;
            index /= WORD;
        }
    }

    /// Returns the least number of a set that has one.
    #[inline(always)]
    pub(super) fn lowest(self, words: &[u64]) -> Option<usize> {
        let last = self.len - 1;
        // As many digits of the last number as a word decides are below the top.
        let (mut level, mut index) = (self.top, 0);
        let mut shift = (last | 1).ilog2() as usize / LOG * LOG;
        loop {
            index = index * WORD + words.get(level + index)?.trailing_zeros() as usize;
            if shift == 0 {
                return Some(index);
            }
            level -= (last >> shift) + 1;
            shift -= LOG;
        }
    }
}

/// Returns a bit of the words from `at` on.
#[inline(always)]
pub(super) fn bit(words: &[u64], at: usize, index: usize) -> bool {
    words.get(at + index / WORD).is_some_and(|word| word >> (index % WORD) & 1 != 0)
}
