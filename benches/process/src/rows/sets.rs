//! Working sets: many live blocks, of which one after the other is replaced.
#![allow(unsafe_code)]

use core::hint::black_box;
use core::ptr::NonNull;
use std::alloc::{dealloc, handle_alloc_error, realloc};

use super::pairs::{block_of, layout_of};
use super::{Batch, Row};
use crate::random::Random;

/// Blocks that are replaced in a batch.
const REPLACED: usize = 65_536;

/// The steps of a growing block.
const STEPS: usize = 31;
/// Growing blocks in a batch.
const GROWN: usize = 1000;

/// Returns the rows of this file.
pub(super) fn rows() -> Vec<Row> {
    vec![
        Row { id: "set-2k", unit: "pair", operations: REPLACED, threads: 1, make: || replaced(2000, mixed) },
        Row {
            id: "set-100k",
            unit: "pair",
            operations: REPLACED,
            threads: 1,
            make: || replaced(100_000, mixed),
        },
        Row {
            id: "set-100k-64",
            unit: "pair",
            operations: REPLACED,
            threads: 1,
            make: || replaced(100_000, |_| 64),
        },
        Row { id: "realloc-small", unit: "step", operations: STEPS * GROWN, threads: 1, make: grown },
    ]
}

/// Returns a size between 8 B and 2 KiB, smaller ones more often: as many in each doubling.
pub(super) fn mixed(random: &mut Random) -> usize {
    let least = 8 << random.between(0, 7);
    random.between(least, 2 * least - 1)
}

/// Blocks with their sizes, and what replaces which.
pub(super) struct Set {
    blocks: Vec<(NonNull<u8>, usize)>,
    plan: Vec<(u32, u32)>,
}

// SAFETY: the blocks are the set's alone, and an allocator of a process serves every thread.
unsafe impl Send for Set {}

impl Set {
    /// Returns a set of `live` blocks with a plan of `replaced` steps.
    pub(super) fn new(seed: u64, live: usize, replaced: usize, size: fn(&mut Random) -> usize) -> Self {
        let mut random = Random::new(seed);
        let plan =
            (0..replaced).map(|_| (random.between(0, live - 1) as u32, size(&mut random) as u32)).collect();
        let blocks =
            (0..live).map(|_| size(&mut random)).map(|size| (block_of(layout_of(size)), size)).collect();
        Self { blocks, plan }
    }

    /// Replaces blocks as planned.
    pub(super) fn replace(&mut self) {
        for &(index, size) in &self.plan {
            let place = &mut self.blocks[index as usize];
            let size = size as usize;
            // SAFETY: the block is live with this layout, and not used afterwards.
            unsafe { dealloc(place.0.as_ptr(), layout_of(place.1)) };
            *place = (block_of(layout_of(size)), size);
        }
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        for &(block, size) in &self.blocks {
            // SAFETY: the block is live with this layout, and not used afterwards.
            unsafe { dealloc(block.as_ptr(), layout_of(size)) };
        }
    }
}

/// Replaces blocks of a set at random.
fn replaced(live: usize, size: fn(&mut Random) -> usize) -> Batch {
    let mut set = Set::new(7, live, REPLACED, size);
    Box::new(move || set.replace())
}

/// A block grows from 16 to 512 bytes, 16 at a time.
fn grown() -> Batch {
    Box::new(|| {
        for _ in 0..GROWN {
            let mut layout = layout_of(black_box(16));
            let mut block = block_of(layout);
            for _ in 0..STEPS {
                let larger = layout.size() + 16;
                // SAFETY: the block is live with this layout, and the size is not zero.
                let moved = unsafe { realloc(block.as_ptr(), layout, larger) };
                layout = layout_of(larger);
                block = black_box(NonNull::new(moved)).unwrap_or_else(|| handle_alloc_error(layout));
            }
            // SAFETY: the block is live with this layout, and not used afterwards.
            unsafe { dealloc(block.as_ptr(), layout) };
        }
    })
}
