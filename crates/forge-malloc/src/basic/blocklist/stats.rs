//! What a walk over the free blocks finds: how many there are, and whether they are as they should be.

use core::fmt;

use super::Block;

/// What is wrong with a list: nothing, unless memory was overwritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    /// Pairs of blocks of which the first reaches into the second.
    pub overlaps: usize,
    /// Pairs of blocks that touch and were not merged.
    pub adjacents: usize,
    /// Pairs of blocks of which the second has the lower address.
    pub out_of_orders: usize,
    /// Blocks that are larger than the one above them in the tree.
    pub outranked: usize,
}

impl Validity {
    /// Returns whether nothing is wrong.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        *self == Self::default()
    }
}

impl From<Validity> for bool {
    fn from(validity: Validity) -> Self {
        validity.is_valid()
    }
}

/// How much is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The number of free blocks.
    pub length: usize,
    /// The bytes in them.
    pub size: usize,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} free blocks, {} bytes", self.length, self.size)
    }
}

/// Walks over blocks, each with the number of larger ones below it.
pub(super) fn collect(blocks: impl Iterator<Item = (Block, usize)>) -> (Validity, Stats) {
    let (mut validity, mut stats) = (Validity::default(), Stats::default());
    let mut last: Option<Block> = None;
    for (block, larger_below) in blocks {
        stats.length += 1;
        stats.size += block.size;
        validity.outranked += larger_below;
        if let Some(last) = last {
            validity.overlaps += usize::from(last.address <= block.address && last.end() > block.address);
            validity.adjacents += usize::from(last.end() == block.address || block.end() == last.address);
            validity.out_of_orders += usize::from(block.address < last.address);
        }
        last = Some(block);
    }
    (validity, stats)
}
