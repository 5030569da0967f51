//! Large blocks: a vector that grows to megabytes, and blocks of megabytes of which every page is touched.
#![allow(unsafe_code)]

use core::hint::black_box;
use core::ptr::NonNull;
use std::alloc::dealloc;

use super::pairs::{block_of, layout_of};
use super::{Batch, Row};
use crate::random::Random;

/// The values that are pushed.
const PUSHED: usize = 1_000_000;
/// The large blocks that are live at once.
const LIVE: usize = 20;
/// Large blocks that are replaced in a batch.
const REPLACED: usize = 100;
/// The bytes between two that are written.
const PAGE: usize = 4096;

/// Returns the rows of this file.
pub(super) fn rows() -> Vec<Row> {
    vec![
        Row { id: "vec-push-1m", unit: "vector", operations: 1, threads: 1, make: pushed },
        Row { id: "8m-touched", unit: "block", operations: 20, threads: 1, make: again },
        Row { id: "5m-25m-touched", unit: "block", operations: REPLACED, threads: 1, make: several },
    ]
}

/// A vector of a million words, pushed one by one.
fn pushed() -> Batch {
    Box::new(|| {
        let mut vector: Vec<u64> = Vec::new();
        for number in 0..PUSHED as u64 {
            vector.push(black_box(number));
        }
        black_box(&vector);
    })
}

/// Allocates a block of megabytes and writes a byte of each page.
fn touched(size: usize) -> NonNull<u8> {
    let block = block_of(layout_of(size));
    for offset in (0..size).step_by(PAGE) {
        // SAFETY: the offset is below the size of the block, which is live.
        unsafe { block.add(offset).write_volatile(1) };
    }
    block
}

/// One block of 8 MiB, again and again.
fn again() -> Batch {
    Box::new(|| {
        for _ in 0..20 {
            let size = black_box(8 << 20);
            let block = touched(size);
            // SAFETY: the block is live with this layout, and not used afterwards.
            unsafe { dealloc(block.as_ptr(), layout_of(size)) };
        }
    })
}

/// Blocks of 5 to 25 MiB, one of which is replaced at a time.
fn several() -> Batch {
    let mut random = Random::new(25);
    let size = |random: &mut Random| random.between(5 << 20, 25 << 20);
    let mut blocks: Vec<_> = (0..LIVE).map(|_| size(&mut random)).map(|size| (touched(size), size)).collect();
    // Every batch does the same, so that the shortest is not the one with the smallest blocks.
    let plan: Vec<_> = (0..REPLACED).map(|_| (random.between(0, LIVE - 1), size(&mut random))).collect();
    Box::new(move || {
        for &(index, size) in &plan {
            let Some(place) = blocks.get_mut(index) else { continue };
            // SAFETY: the block is live with this layout, and not used afterwards.
            unsafe { dealloc(place.0.as_ptr(), layout_of(place.1)) };
            *place = (touched(size), size);
        }
    })
}
