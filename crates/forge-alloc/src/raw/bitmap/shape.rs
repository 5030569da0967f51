//! Where the levels of a bitmap and their lanes lie in one array of words.

/// The bits of a word.
pub(super) const WORD: usize = u64::BITS as usize;

/// The lanes of a word: bytes, counted from the lowest.
pub(super) const LANES: usize = 8;

/// The most levels: 64 to the power of 6 units are more than the words that a `u32` counts.
pub(super) const LEVELS: usize = 6;

/// The most heights of lanes above the words of a level.
const HEIGHTS: usize = 11;

/// One level: its words, and the lanes over them.
#[derive(Clone, Copy)]
pub(super) struct Level {
    /// The offset of the first word.
    pub(super) words: usize,
    /// The number of words, with the last one that stays 0.
    pub(super) count: usize,
    /// The number of heights of lanes.
    pub(super) heights: usize,
    /// The offsets of the lanes of each height.
    pub(super) lanes: [u32; HEIGHTS],
}

/// The offsets of everything.
pub(super) struct Shape {
    /// The number of units.
    pub(super) capacity: usize,
    /// The number of words in all.
    pub(super) words: usize,
    /// The number of levels; 0 before the shape is known.
    pub(super) levels: usize,
    level: [Level; LEVELS],
}

impl Shape {
    /// The shape that is not known.
    pub(super) const NONE: Self = {
        let level = Level { words: 0, count: 0, heights: 0, lanes: [0; HEIGHTS] };
        Self { capacity: 0, words: 0, levels: 0, level: [level; LEVELS] }
    };

    /// Returns the shape of the most units that fit into `words` words. O(log^2 words).
    pub(super) const fn of(words: usize) -> Self {
        let words = if words > u32::MAX as usize / 2 { u32::MAX as usize / 2 } else { words };
        // The greatest number of words of units for which the whole fits.
        let (mut low, mut high) = (0, words);
        while low < high {
            let middle = high - (high - low) / 2;
            if Self::with(middle).words <= words { low = middle } else { high = middle - 1 }
        }
        if low == 0 { Self { levels: 1, ..Self::NONE } } else { Self::with(low) }
    }

    /// Returns the shape of `units` words of units.
    const fn with(units: usize) -> Self {
        let mut shape = Self::NONE;
        shape.capacity = units * WORD;
        let (mut at, mut count) = (0, units + 1);
        loop {
            let level = &mut shape.level[shape.levels];
            level.words = at;
            level.count = count;
            at += count;
            let mut lanes = count;
            loop {
                lanes = lanes.div_ceil(LANES);
                level.lanes[level.heights] = at as u32;
                level.heights += 1;
                at += lanes;
                if lanes == 1 {
                    break;
                }
            }
            shape.levels += 1;
            if count <= 2 || shape.levels == LEVELS {
                break;
            }
            count = count.div_ceil(WORD) + 1;
        }
        shape.words = at;
        shape
    }

    /// Returns a level.
    #[inline(always)]
    pub(super) fn level(&self, level: usize) -> &Level {
        // The index is below the length, so nothing is reached but a level.
        &self.level[if level < LEVELS { level } else { 0 }]
    }
}

/// Returns how many words of storage a bitmap of `units` units needs.
pub(crate) const fn words_for(units: usize) -> usize {
    Shape::with(units.div_ceil(WORD)).words
}
