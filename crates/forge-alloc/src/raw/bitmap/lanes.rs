//! The tree of reaches: a byte for every word, and a byte for every eight bytes, compared eight at a time.
//!
//! # Operations
//!
//! Finding a word and changing a reach are O(log n) with the base 8.
//!
//! # Design
//!
//! A reach is at most 64, so the highest bit of a lane is free to say in which lanes a subtraction did not borrow.

use super::shape::{LANES, WORD};
use super::{BitStorage, LONGEST, RunMap};

/// The lowest bit of every lane.
const LOWS: u64 = 0x0101_0101_0101_0101;

/// The highest bit of every lane.
const HIGHS: u64 = LOWS << 7;

/// The bits of a lane.
const LANE: usize = WORD / LANES;

impl<S: BitStorage> RunMap<S> {
    /// Returns a word of a level.
    #[inline(always)]
    pub(super) fn word(&self, level: usize, word: usize) -> u64 {
        self.at(self.shape.level(level).words + word)
    }

    /// Replaces a word of a level, and nothing else.
    #[inline(always)]
    pub(super) fn put(&mut self, level: usize, word: usize, bits: u64) {
        let at = self.shape.level(level).words + word;
        if let Some(slot) = self.storage.words_mut().get_mut(at) {
            *slot = bits;
        }
    }

    #[inline(always)]
    fn at(&self, at: usize) -> u64 {
        self.storage.words().get(at).copied().unwrap_or(0)
    }

    /// Returns the lowest word from `from` on whose reach is at least `count`, which is from 1 to 64. O(log n).
    #[inline(always)]
    pub(super) fn next_word(&self, level: usize, from: usize, count: usize) -> Option<usize> {
        let shape = self.shape.level(level);
        let probe = LOWS * count as u64;
        let (mut index, mut height, mut lanes) = (from, 0, shape.count);
        loop {
            if index >= lanes {
                return None;
            }
            let word = self.at(*shape.lanes.get(height)? as usize + index / LANES);
            let hits = at_least(word, probe) & (u64::MAX << (index % LANES * LANE));
            if hits != 0 {
                index = index / LANES * LANES + lowest(hits);
                break;
            }
            index = index / LANES + 1;
            lanes = lanes.div_ceil(LANES);
            height += 1;
            if height == shape.heights {
                return None;
            }
        }
        while height > 0 {
            height -= 1;
            let hits = at_least(self.at(*shape.lanes.get(height)? as usize + index), probe);
            index = index * LANES + lowest(hits);
        }
        Some(index)
    }

    /// Raises the reach of a word to at least `reach`. O(log n), and O(1) where it is as great.
    #[inline(always)]
    pub(super) fn raise_lane(&mut self, level: usize, word: usize, reach: u64) {
        if self.lane(level, word) < reach {
            self.set_lane(level, word, reach);
        }
    }

    /// Returns what the reach of a word is at most. O(1).
    #[inline(always)]
    pub(super) fn lane(&self, level: usize, word: usize) -> u64 {
        let [lowest, ..] = self.shape.level(level).lanes;
        self.at(lowest as usize + word / LANES) >> (word % LANES * LANE) & 0xff
    }

    /// Sets the reach of a word. O(log n), and O(1) where it does not change the greatest of its neighbours.
    #[inline(always)]
    pub(super) fn set_lane(&mut self, level: usize, word: usize, reach: u64) {
        let shape = self.shape.level(level);
        let (mut index, mut reach) = (word, reach);
        let words = self.storage.words_mut();
        for &lanes in shape.lanes.iter().take(shape.heights) {
            let Some(slot) = words.get_mut(lanes as usize + index / LANES) else { return };
            let place = index % LANES * LANE;
            let old = *slot >> place & 0xff;
            if old == reach {
                return;
            }
            *slot ^= (old ^ reach) << place;
            let others = *slot & !(0xff << place);
            // The greatest of the eight changes only if no other lane is as great.
            if at_least(others, LOWS * old.max(reach)) != 0 {
                return;
            }
            if reach < old {
                reach = greatest(*slot);
            }
            index /= LANES;
        }
    }
}

/// Returns the highest bit of each lane that is at least the one in `probe`.
#[inline(always)]
const fn at_least(lanes: u64, probe: u64) -> u64 {
    ((lanes | HIGHS) - probe) & HIGHS
}

/// Returns the number of the lowest lane whose highest bit is set.
#[inline(always)]
const fn lowest(hits: u64) -> usize {
    hits.trailing_zeros() as usize / LANE
}

/// Returns the greatest lane.
#[inline(always)]
const fn greatest(lanes: u64) -> u64 {
    let lanes = greater(lanes, lanes >> 32);
    let lanes = greater(lanes, lanes >> 16);
    greater(lanes, lanes >> 8) & 0xff
}

/// Returns the greater of each two lanes.
#[inline(always)]
const fn greater(left: u64, right: u64) -> u64 {
    let hits = at_least(left, right);
    let mask = (hits >> 7) * 0xff;
    left & mask | right & !mask
}

/// Returns the most bits in a row from any bit of `bits` on, with those of `next`, at most 64.
#[inline(always)]
pub(super) const fn reach(bits: u64, next: u64) -> u64 {
    if bits == 0 {
        return 0;
    }
    let across = if bits >> (WORD - 1) == 0 { 0 } else { bits.leading_ones() + next.trailing_ones() };
    let inside = longest_inside(bits);
    let reach = if across > inside { across } else { inside };
    if reach > LONGEST as u32 { LONGEST as u64 } else { reach as u64 }
}

/// Returns the most set bits in a row of a word that is not 0.
#[inline(always)]
const fn longest_inside(bits: u64) -> u32 {
    // The bits with which a run starts, or ends: one run has one of each.
    if bits.wrapping_add(bits & bits.wrapping_neg()) & bits == 0 {
        return bits.count_ones();
    }
    let (mut bits, mut length) = (bits, 1);
    // Doubled as long as some run is that long ..
    let mut longer = bits & bits >> 1;
    while longer != 0 {
        bits = longer;
        length *= 2;
        longer = bits & bits >> length;
    }
    // .. and lengthened by what is left.
    let mut step = length / 2;
    while step != 0 {
        longer = bits & bits >> step;
        if longer != 0 {
            bits = longer;
            length += step;
        }
        step /= 2;
    }
    length
}
