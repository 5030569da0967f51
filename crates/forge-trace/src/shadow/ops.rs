//! Random operations for tests and fuzzers, deterministic from a seed.
//!
//! # Design
//!
//! The generator does not know which requests will fail, and need not: what follows a failed allocation is skipped by
//! whoever runs the operations. Small sizes and small alignments are common and large ones rare, by a power law, so
//! that a run covers the size classes, the exact fits and the refusals.

use alloc::vec::Vec;

use crate::Op;
use crate::random::Random;

/// What random operations may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest number of live blocks; at least 1 is used.
    pub live_blocks: usize,
    /// The largest size in bytes; sizes start at 1.
    pub size: usize,
    /// The largest alignment in bytes, a power of two.
    pub align: usize,
    /// Whether blocks are resized.
    pub resize: bool,
    /// Whether some blocks are zero-filled.
    pub zeroed: bool,
    /// Whether only the youngest live block is resized and freed, as a stack allocator demands.
    pub lifo: bool,
    /// Whether one request in sixteen is absurd: sizes up to `isize::MAX` and beyond, alignments up to 1 GiB, sizes
    /// of 0, and operations on blocks that are not live.
    pub hostile: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            live_blocks: 64,
            size: 4096,
            align: 64,
            resize: true,
            zeroed: true,
            lifo: false,
            hostile: false,
        }
    }
}

impl Limits {
    /// Returns small limits for allocators with little room: 16 blocks of up to 128 bytes, aligned to up to 16.
    #[must_use]
    pub const fn small() -> Self {
        Self {
            live_blocks: 16,
            size: 128,
            align: 16,
            resize: true,
            zeroed: true,
            lifo: false,
            hostile: false,
        }
    }

    /// Returns these limits with or without absurd requests.
    #[must_use]
    pub const fn hostile(mut self, hostile: bool) -> Self {
        self.hostile = hostile;
        self
    }

    /// Returns these limits with or without the restriction to the youngest block.
    #[must_use]
    pub const fn lifo(mut self, lifo: bool) -> Self {
        self.lifo = lifo;
        self
    }
}

/// Returns `count` random operations within `limits`, the same ones for the same arguments on every platform with the
/// same pointer width. O(count).
///
/// Unless they are hostile, they make a valid [`Trace`](crate::Trace).
#[must_use]
pub fn random_ops(seed: u64, count: usize, limits: &Limits) -> Vec<Op> {
    let mut source = Source { random: Random::new(seed), limits, live: Vec::new(), next: 0 };
    (0..count).map(|_| source.op()).collect()
}

struct Source<'l> {
    random: Random,
    limits: &'l Limits,
    /// The blocks that are live if nothing failed, oldest first.
    live: Vec<u32>,
    next: u32,
}

impl Source<'_> {
    fn op(&mut self) -> Op {
        if self.limits.hostile && self.random.percent(6) {
            return self.hostile_op();
        }
        let full = self.live.len() >= self.limits.live_blocks.max(1);
        let kind = self.random.below(100);
        match self.pick() {
            Some(at) if full || kind < 35 => Op::Free { id: self.live.remove(at), thread: 0 },
            Some(at) if kind < 55 && self.limits.resize => {
                let id = self.live.get(at).copied().unwrap_or_default();
                Op::Resize { id, size: self.size(), thread: 0 }
            }
            _ => {
                let size = self.size();
                let align = self.align();
                self.allocate(size, align)
            }
        }
    }

    /// Returns the place of the live block that is freed or resized next.
    fn pick(&mut self) -> Option<usize> {
        let youngest = self.live.len().checked_sub(1)?;
        Some(if self.limits.lifo { youngest } else { self.random.index(self.live.len()) })
    }

    fn allocate(&mut self, size: usize, align: usize) -> Op {
        let id = self.next;
        self.next += 1;
        self.live.push(id);
        let zeroed = self.limits.zeroed && self.random.percent(30);
        Op::Allocate { id, size, align, zeroed, thread: 0 }
    }

    fn size(&mut self) -> usize {
        if self.random.percent(10) {
            return self.random.between(1, self.limits.size);
        }
        self.random.power_law(1, self.limits.size)
    }

    fn align(&mut self) -> usize {
        let largest = self.limits.align.max(1).ilog2();
        if self.random.percent(50) {
            return 1 << largest.min(3);
        }
        1 << self.random.below(u64::from(largest) + 1)
    }

    fn hostile_op(&mut self) -> Op {
        const MAX: usize = isize::MAX as usize;
        const GIB: usize = 1 << 30;
        let align = 1 << self.random.below(31);
        let size = match self.random.below(8) {
            0 => 0,
            1 => 1,
            2 => MAX,
            3 => MAX + 1,
            4 => usize::MAX,
            5 => MAX - (align - 1),
            6 => MAX - self.random.index(GIB),
            _ => MAX / 2 + self.random.index(GIB),
        };
        match self.random.below(6) {
            0 => Op::Free { id: self.next.wrapping_add(7), thread: 0 },
            1 | 2 => match self.pick() {
                Some(at) => {
                    Op::Resize { id: self.live.get(at).copied().unwrap_or_default(), size, thread: 0 }
                }
                None => Op::Resize { id: self.next, size, thread: 0 },
            },
            _ => self.allocate(size, align),
        }
    }
}

#[cfg(test)]
mod tests;
