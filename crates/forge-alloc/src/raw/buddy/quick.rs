//! Quick fit in front of chunks: of each short length the run that was given back, and one of whole chunks.
//!
//! ```text
//!   short   length 1 | 2 | 3 | .. | LONGEST        a unit of the map, or none
//!   large   unit, count                            whole chunks
//!   marks   a bit for each chunk: a short run in it is kept
//!   map     every unit that is kept is taken there
//! ```
//!
//! # Invariants
//!
//! - (I1) Kept runs are disjoint, in the range, and taken in the map; to everyone else they are free. `kept` is the number of
//!   their units.
//! - (I2) A short run lies in one chunk, whose mark is set, and no other short run lies in that; no other mark is set.
//! - (I3) The large run is whole chunks.
//!
//! # Operations
//!
//! | | |
//! |---|---|
//! | take a length that is kept, give back one that is not | O(1), and O(count / 64) where chunks are looked at |
//! | everything else | that of the map |
//! | a request that finds nothing, or a run that may touch one that is kept | also O([`LONGEST`] * log^2 n): all of them join the map first |
//!
//! # Design
//!
//! Buddies merge as soon as they can, and the next request splits them again: most of what a pair of calls costs. Weinstock and
//! Wulf ("Quick Fit: An Efficient Algorithm for Heap Storage Allocation", 1988) keep lists of the lengths that are asked for
//! most; one run of each length is enough to take the pairs away, and too little to keep much from merging. What is kept
//! stays taken in the map, so the map's own invariants do not know of it, and the marks say in O(1) that a run is not
//! given back twice.

use core::ops::Range;

use super::WORD;
use super::chunks::ChunkMap;

/// The longest short run.
const LONGEST: usize = 32;

/// The place of no run.
const NONE: usize = usize::MAX;

/// The blocks of one range of units, with the runs that are kept.
pub(crate) struct QuickMap {
    map: ChunkMap,
    short: [usize; LONGEST],
    large: (usize, usize),
    kept: usize,
    /// The offset of the marks.
    marks: usize,
}

impl QuickMap {
    /// Returns the map of the units from `start` up to `end`, none of them free, and how many words it needs. O(log n).
    pub(crate) const fn over(start: usize, end: usize) -> (Self, usize) {
        let (map, marks) = ChunkMap::over(start, end);
        let words = marks + map.chunks().div_ceil(WORD);
        (Self { map, short: [NONE; LONGEST], large: (0, 0), kept: 0, marks }, words)
    }

    /// Returns how many words the map of `units` units needs at most, wherever they are. O(log n).
    pub(crate) const fn most_words(units: usize) -> usize {
        ChunkMap::most_words(units) + (units / WORD + 2).div_ceil(WORD)
    }

    /// Makes all units free; the words are zero. O(n / 64 + log^2 n).
    pub(crate) fn free_all(&mut self, words: &mut [u64]) {
        self.map.free_all(words);
    }

    /// Returns how many units are free. O(1).
    #[inline(always)]
    pub(crate) fn free(&self) -> usize {
        self.map.free() + self.kept
    }

    /// Returns how many units there are. O(1).
    #[inline(always)]
    pub(crate) fn units(&self) -> usize {
        self.map.units()
    }

    /// Returns whether all of `count` units from `unit` on are in the range.
    #[inline(always)]
    pub(crate) fn holds(&self, unit: usize, count: usize) -> bool {
        self.map.holds(unit, count)
    }

    /// Returns whether a unit from `start` up to `end` is in the range.
    pub(crate) fn overlaps(&self, start: usize, end: usize) -> bool {
        self.map.overlaps(start, end)
    }

    /// Takes `count` units whose first is a multiple of `align`, a power of two. Both are at least 1.
    #[inline]
    pub(crate) fn take_run(&mut self, words: &mut [u64], count: usize, align: usize) -> Option<usize> {
        match self.short.get_mut(count - 1) {
            Some(kept) if *kept != NONE && *kept & (align - 1) == 0 => {
                let unit = core::mem::replace(kept, NONE);
                self.kept -= count;
                self.mark(words, unit);
                return Some(unit);
            }
            None if self.large.1 == count && self.large.0 & (align - 1) == 0 => {
                self.kept -= count;
                self.large.1 = 0;
                return Some(self.large.0);
            }
            _ => {}
        }
        let taken = self.map.take_run(words, count, align);
        if taken.is_none() && self.kept != 0 {
            return self.take_late(words, count, align);
        }
        taken
    }

    /// Takes a run after everything that is kept joined the map.
    #[cold]
    fn take_late(&mut self, words: &mut [u64], count: usize, align: usize) -> Option<usize> {
        self.settle(words);
        self.map.take_run(words, count, align)
    }

    /// Takes `count` units from `unit` on, all in the range, if all of them are free, and returns whether they were.
    pub(crate) fn take_at(&mut self, words: &mut [u64], unit: usize, count: usize) -> bool {
        self.settle(words);
        self.map.take_at(words, unit, count)
    }

    /// Frees `count` units from `unit` on, all in the range, if none of them is free, and returns whether that was so.
    #[inline]
    pub(crate) fn give_run(&mut self, words: &mut [u64], unit: usize, count: usize) -> bool {
        let (first, end) = (self.map.chunk_of(unit), self.map.chunk_of(unit + count - 1) + 1);
        if self.large.1 != 0 && unit < self.large.0 + self.large.1 && self.large.0 < unit + count {
            return false;
        }
        if end - first == 1 {
            if self.is_marked(words, first) {
                return self.give_late(words, unit, count);
            }
            match self.short.get_mut(count - 1) {
                Some(kept) if *kept == NONE => {
                    if !self.map.are_taken(words, unit, count) {
                        return false;
                    }
                    *kept = unit;
                    self.kept += count;
                    self.mark(words, unit);
                    return true;
                }
                Some(_) => return self.map.give_run(words, unit, count),
                None => {}
            }
        }
        self.give_large(words, unit, count, first..end)
    }

    /// Frees more units than a short run has, or units of several chunks.
    #[inline(never)]
    fn give_large(&mut self, words: &mut [u64], unit: usize, count: usize, chunks: Range<usize>) -> bool {
        if self.any_is_marked(words, &chunks) {
            return self.give_late(words, unit, count);
        }
        if self.large.1 != 0 || unit % WORD != 0 || count % WORD != 0 {
            return self.map.give_run(words, unit, count);
        }
        if words.get(chunks).unwrap_or(&[]).iter().fold(0, |any, word| any | word) != 0 {
            return false;
        }
        self.large = (unit, count);
        self.kept += count;
        true
    }

    /// Frees units after everything that is kept joined the map, since one of them may be kept.
    #[cold]
    fn give_late(&mut self, words: &mut [u64], unit: usize, count: usize) -> bool {
        self.settle(words);
        self.map.give_run(words, unit, count)
    }

    /// Frees everything that is kept in the map. O([`LONGEST`] * log^2 n).
    fn settle(&mut self, words: &mut [u64]) {
        if self.kept == 0 {
            return;
        }
        for length in 1..=LONGEST {
            let Some(kept) = self.short.get_mut(length - 1) else { return };
            let unit = core::mem::replace(kept, NONE);
            if unit != NONE {
                self.mark(words, unit);
                self.map.give_run(words, unit, length);
            }
        }
        let (unit, count) = core::mem::take(&mut self.large);
        if count != 0 {
            self.map.give_run(words, unit, count);
        }
        self.kept = 0;
    }

    /// Inverts the mark of the chunk of a unit.
    #[inline(always)]
    fn mark(&self, words: &mut [u64], unit: usize) {
        let chunk = self.map.chunk_of(unit);
        if let Some(word) = words.get_mut(self.marks + chunk / WORD) {
            *word ^= 1 << (chunk % WORD);
        }
    }

    /// Returns whether one of these chunks is marked.
    #[inline(always)]
    fn any_is_marked(&self, words: &[u64], chunks: &Range<usize>) -> bool {
        let (mut chunk, mut any) = (chunks.start, 0);
        while chunk < chunks.end {
            let next = chunks.end.min(chunk - chunk % WORD + WORD);
            let mask = u64::MAX >> (WORD - (next - chunk)) << (chunk % WORD);
            any |= words.get(self.marks + chunk / WORD).copied().unwrap_or(0) & mask;
            chunk = next;
        }
        any != 0
    }

    /// Returns the mark of a chunk.
    #[inline(always)]
    fn is_marked(&self, words: &[u64], chunk: usize) -> bool {
        words.get(self.marks + chunk / WORD).is_some_and(|word| word >> (chunk % WORD) & 1 != 0)
    }
}

#[cfg(test)]
mod tests;
