//! The tree of reaches: a byte for every word, and a byte for every eight bytes, compared eight at a time.
//!
//! # Operations
//!
//! Finding a word and raising a lane are O(log n) with the base 8, finding amortized over the raises before it.
//!
//! # Design
//!
//! A lane is an upper bound. Raising one goes up as far as it is greater; lowering one does not go up at all: a search that
//! reads eight lanes in vain lowers the one above. So a run that is taken and given back changes no lane.
//!
//! A reach is at most 64, so the highest bit of a lane is free to say in which lanes a subtraction did not borrow.

use super::shape::{LANES, Level, WORD};
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

    /// Returns the lowest word from `from` on whose lane is at least `count`, which is from 1 to 64. O(log n) amortized.
    #[inline(always)]
    pub(super) fn next_word(&mut self, level: usize, from: usize, count: usize) -> Option<usize> {
        let probe = LOWS * count as u64;
        let [lowest, ..] = self.shape.level(level).lanes;
        let hits = at_least(self.at(lowest as usize + from / LANES), probe) & lanes_from(from);
        if hits != 0 && from < self.shape.level(level).count {
            return Some(from / LANES * LANES + first(hits));
        }
        self.next_word_behind(level, from, probe)
    }

    /// Goes up as long as no lane of eight is as great, and down where one is.
    #[inline(never)]
    fn next_word_behind(&mut self, level: usize, from: usize, probe: u64) -> Option<usize> {
        let (mut index, mut height) = (from, 0);
        loop {
            let &Level { count, heights, ref lanes, .. } = self.shape.level(level);
            // Each lane of this height stands for this many words, a power of two.
            if height == heights || index << (LANES.trailing_zeros() as usize * height) >= count {
                return None;
            }
            let at = *lanes.get(height)? as usize + index / LANES;
            let above = lanes.get(height + 1).copied().unwrap_or(0) as usize;
            let word = self.at(at);
            let hits = at_least(word, probe) & lanes_from(index);
            if hits != 0 {
                index = index / LANES * LANES + first(hits);
                if height == 0 {
                    return Some(index);
                }
                (index, height) = (index * LANES, height - 1);
                continue;
            }
            index /= LANES;
            height += 1;
            if height < heights {
                // Read in vain: what stands above is lowered to what is here.
                self.set_byte(above, index, greatest(word));
            }
            index += 1;
        }
    }

    /// Raises the lane of a word to at least `reach`. O(log n), and O(1) where it is as great.
    #[inline(always)]
    pub(super) fn raise_lane(&mut self, level: usize, word: usize, reach: u64) {
        if self.lane(level, word) < reach {
            self.raise_lanes(level, word, reach);
        }
    }

    #[inline(never)]
    fn raise_lanes(&mut self, level: usize, word: usize, reach: u64) {
        let shape = self.shape.level(level);
        let words = self.storage.words_mut();
        let mut index = word;
        for &lanes in shape.lanes.iter().take(shape.heights) {
            let Some(slot) = words.get_mut(lanes as usize + index / LANES) else { return };
            let place = index % LANES * LANE;
            if *slot >> place & 0xff >= reach {
                return;
            }
            *slot = *slot & !(0xff << place) | reach << place;
            index /= LANES;
        }
    }

    /// Lowers the lane of a word to its reach. O(1).
    #[inline(always)]
    pub(super) fn lower_lane(&mut self, level: usize, word: usize) {
        let [lowest, ..] = self.shape.level(level).lanes;
        self.set_byte(lowest as usize, word, reach(self.word(level, word), self.word(level, word + 1)));
    }

    /// Replaces one lane of those from a word of the storage on.
    #[inline(always)]
    fn set_byte(&mut self, lanes: usize, index: usize, value: u64) {
        if let Some(slot) = self.storage.words_mut().get_mut(lanes + index / LANES) {
            let place = index % LANES * LANE;
            *slot = *slot & !(0xff << place) | value << place;
        }
    }

    /// Returns what the reach of a word is at most. O(1).
    #[inline(always)]
    pub(super) fn lane(&self, level: usize, word: usize) -> u64 {
        let [lowest, ..] = self.shape.level(level).lanes;
        self.at(lowest as usize + word / LANES) >> (word % LANES * LANE) & 0xff
    }
}

/// Returns the highest bit of each lane that is at least the one in `probe`.
#[inline(always)]
const fn at_least(lanes: u64, probe: u64) -> u64 {
    ((lanes | HIGHS) - probe) & HIGHS
}

/// Returns the lanes of a word from that of an index on.
#[inline(always)]
const fn lanes_from(index: usize) -> u64 {
    u64::MAX << (index % LANES * LANE)
}

/// Returns the number of the lowest lane whose highest bit is set.
#[inline(always)]
const fn first(hits: u64) -> usize {
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
