//! Pairs: a block is allocated and freed, alone or among a thousand.
#![allow(unsafe_code)]

use core::hint::black_box;
use core::ptr::NonNull;
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};

use super::{Batch, Row};

const PAIRS: usize = 100_000;
/// How many blocks are live before the first of them is freed.
const QUEUE: usize = 1000;
/// Queues in a batch.
const QUEUES: usize = 50;
/// The pairs of a batch in the rows whose pairs may be slow.
const FEW: usize = 2000;

/// Returns the rows of this file.
pub(super) fn rows() -> Vec<Row> {
    vec![
        Row { id: "pair-8", unit: "pair", operations: PAIRS, threads: 1, make: variable::<8, PAIRS> },
        Row { id: "pair-64", unit: "pair", operations: PAIRS, threads: 1, make: variable::<64, PAIRS> },
        Row { id: "pair-64-constant", unit: "pair", operations: PAIRS, threads: 1, make: constant },
        Row { id: "pair-1k", unit: "pair", operations: PAIRS, threads: 1, make: variable::<1024, PAIRS> },
        Row { id: "pair-4k", unit: "pair", operations: PAIRS, threads: 1, make: variable::<4096, PAIRS> },
        Row {
            id: "pair-16k",
            unit: "pair",
            operations: PAIRS,
            threads: 1,
            make: variable::<{ 16 << 10 }, PAIRS>,
        },
        Row {
            id: "pair-64k",
            unit: "pair",
            operations: FEW,
            threads: 1,
            make: variable::<{ 64 << 10 }, FEW>,
        },
        Row {
            id: "pair-256k",
            unit: "pair",
            operations: FEW,
            threads: 1,
            make: variable::<{ 256 << 10 }, FEW>,
        },
        Row { id: "pair-1m", unit: "pair", operations: FEW, threads: 1, make: variable::<{ 1 << 20 }, FEW> },
        Row { id: "calloc-64", unit: "pair", operations: PAIRS, threads: 1, make: zeroed },
        Row {
            id: "fifo-16",
            unit: "pair",
            operations: QUEUE * QUEUES,
            threads: 1,
            make: queue::<16, QUEUES>,
        },
        Row {
            id: "fifo-64",
            unit: "pair",
            operations: QUEUE * QUEUES,
            threads: 1,
            make: queue::<64, QUEUES>,
        },
        Row { id: "fifo-1k", unit: "pair", operations: QUEUE * 4, threads: 1, make: queue::<1024, 4> },
        Row { id: "fifo-8k", unit: "pair", operations: QUEUE * 4, threads: 1, make: queue::<8192, 4> },
    ]
}

/// Allocates a block and writes its first byte.
#[inline(always)]
pub(super) fn block_of(layout: Layout) -> NonNull<u8> {
    // SAFETY: no row asks for an empty block.
    let Some(block) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
    // SAFETY: the block is new, and not empty.
    unsafe { block.write_volatile(1) };
    block
}

/// Returns the layout of `size` bytes that is aligned as words are.
#[inline(always)]
pub(super) fn layout_of(size: usize) -> Layout {
    // SAFETY: sizes of rows are small, and the alignment is a power of two.
    unsafe { Layout::from_size_align_unchecked(size, 8) }
}

/// A pair whose size the compiler does not know.
fn variable<const SIZE: usize, const NUMBER: usize>() -> Batch {
    Box::new(|| {
        for _ in 0..NUMBER {
            let layout = layout_of(black_box(SIZE));
            let block = black_box(block_of(layout));
            // SAFETY: the block is live with this layout, and not used afterwards.
            unsafe { dealloc(block.as_ptr(), layout) };
        }
    })
}

/// A pair whose layout the compiler knows.
fn constant() -> Batch {
    Box::new(|| {
        for _ in 0..PAIRS {
            let layout = const { layout_of_constant() };
            let block = black_box(block_of(layout));
            // SAFETY: the block is live with this layout, and not used afterwards.
            unsafe { dealloc(block.as_ptr(), layout) };
        }
    })
}

/// Returns the layout of the constant row.
const fn layout_of_constant() -> Layout {
    Layout::new::<[u64; 8]>()
}

/// A pair whose block is zero.
fn zeroed() -> Batch {
    Box::new(|| {
        for _ in 0..PAIRS {
            let layout = layout_of(black_box(64));
            // SAFETY: the layout is not empty; the block is freed with it, once.
            unsafe {
                let block = black_box(alloc_zeroed(layout));
                if block.is_null() {
                    handle_alloc_error(layout);
                }
                dealloc(block, layout);
            }
        }
    })
}

/// A thousand blocks are allocated, then freed in the same order.
fn queue<const SIZE: usize, const NUMBER: usize>() -> Batch {
    let mut blocks = vec![NonNull::<u8>::dangling(); QUEUE];
    Box::new(move || {
        for _ in 0..NUMBER {
            let layout = layout_of(black_box(SIZE));
            blocks.iter_mut().for_each(|place| *place = block_of(layout));
            for block in &blocks {
                // SAFETY: the block is live with this layout, and not used afterwards.
                unsafe { dealloc(block.as_ptr(), layout) };
            }
        }
    })
}
