//! The teaching allocator beside the crate that it re-creates, and two allocators that are made to be fast.
//!
//! ```text
//!   basic-lifo        a block taken and given back
//!   basic-in-order    10,000 blocks taken, then given back, the first one first
//!   basic-reverse     the same, the last one first
//!   basic-random      the same, in random order
//!   basic-churn       10,000 live blocks of random sizes; one at random is given back and another one taken
//!   basic-doubling    a block of 16 bytes doubled up to 64 KiB, among 1,000 others that leave gaps
//! ```
//!
//! # Design
//!
//! The goal stands beside the seed's crate, not beside the best peer, since an allocator that is explained in one sitting
//! keeps one lock and no thread caches. Blocks have 64 bytes but in the last two rows. One word of each block is written.
//! The seed's crate takes part in fewer, shorter batches where its frees walk over all free blocks: a batch has 10,000 pairs
//! for every contestant, and the harness shortens its rounds for what is slow.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};

use crate::harness::{Contestant, Row, Side, Statistic, timed};
use crate::rows::slabs::shuffled;
use crate::sink::keep;

/// Blocks per batch, and live blocks of the churn.
const COUNT: usize = 10_000;
/// The layout of a block of the rows about one size.
const LAYOUT: Layout = Layout::new::<[u64; 8]>();
/// Doublings of 16 bytes up to 64 KiB.
const DOUBLINGS: usize = 12;
/// Blocks that are doubled per batch.
const DOUBLED: usize = 100;

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let row = |id, title, unit, operations, goal, contestants| {
        let statistic = Statistic::Minimum;
        Row { id, title, unit, operations, goal, statistic, contestants }
    };
    let count = COUNT as u64;
    let doublings = (DOUBLINGS * DOUBLED) as u64;
    vec![
        row("basic-lifo", "teaching allocator, one block taken and given back", "pair", count, 1.0, lifo),
        row("basic-in-order", "teaching allocator, first one given back first", "pair", count, 1.0, in_order),
        row("basic-reverse", "teaching allocator, last one given back first", "pair", count, 1.0, reverse),
        row("basic-random", "teaching allocator, random frees", "pair", count, 0.2, random),
        row("basic-churn", "teaching allocator, churn at 10,000 live blocks", "pair", count, 0.1, churn),
        row("basic-doubling", "teaching allocator, a block that doubles", "resize", doublings, 0.1, doubling),
    ]
}

/// A process allocator.
trait Process: GlobalAlloc + 'static {
    const NAME: &'static str;
    const SIDE: Side;

    fn new() -> Self;
}

impl Process for forge_malloc::basic::UnixAllocator {
    const NAME: &'static str = "forge-malloc basic";
    const SIDE: Side = Side::Ours;

    fn new() -> Self {
        Self::new()
    }
}

impl Process for basic_allocator::UnixAllocator {
    const NAME: &'static str = "basic_allocator 0.1.6 (the seed)";
    const SIDE: Side = Side::Peer;

    fn new() -> Self {
        Self::new()
    }
}

impl Process for std::alloc::System {
    const NAME: &'static str = "system malloc";
    const SIDE: Side = Side::Context;

    fn new() -> Self {
        Self
    }
}

/// mimalloc, with the call for small alignments.
struct Mimalloc;

// SAFETY: mimalloc aligns to 16 bytes what is at least that long, and to 8 bytes all else; the rows ask for no more.
unsafe impl GlobalAlloc for Mimalloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: no condition.
        unsafe { libmimalloc_sys::mi_malloc(layout.size()).cast() }
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: a block of this allocator.
        unsafe { libmimalloc_sys::mi_free(block.cast()) };
    }

    unsafe fn realloc(&self, block: *mut u8, _: Layout, size: usize) -> *mut u8 {
        // SAFETY: a block of this allocator.
        unsafe { libmimalloc_sys::mi_realloc(block.cast(), size).cast() }
    }
}

impl Process for Mimalloc {
    const NAME: &'static str = "mimalloc";
    const SIDE: Side = Side::Context;

    fn new() -> Self {
        Self
    }
}

macro_rules! everyone {
    ($contestant:ident $(, $argument:expr)*) => {
        vec![
            $contestant::<forge_malloc::basic::UnixAllocator>($($argument),*),
            $contestant::<basic_allocator::UnixAllocator>($($argument),*),
            $contestant::<Mimalloc>($($argument),*),
            $contestant::<std::alloc::System>($($argument),*),
        ]
    };
}

fn lifo() -> Vec<Contestant> {
    everyone!(pairs)
}

fn in_order() -> Vec<Contestant> {
    everyone!(all, (0..COUNT as u32).collect())
}

fn reverse() -> Vec<Contestant> {
    everyone!(all, (0..COUNT as u32).rev().collect())
}

fn random() -> Vec<Contestant> {
    everyone!(all, shuffled(COUNT))
}

fn churn() -> Vec<Contestant> {
    everyone!(churned)
}

fn doubling() -> Vec<Contestant> {
    everyone!(doubled)
}

/// A block and its layout.
type Block = (*mut u8, Layout);

#[inline(always)]
fn take<A: Process>(heap: &A, layout: Layout) -> *mut u8 {
    // SAFETY: no row asks for empty blocks, and each block is written within its size.
    unsafe {
        let block = heap.alloc(layout);
        block.cast::<u64>().write_unaligned(layout.size() as u64);
        keep(block);
        block
    }
}

#[inline(always)]
fn give<A: Process>(heap: &A, block: *mut u8, layout: Layout) {
    // SAFETY: the rows give each block back once, with its layout.
    unsafe { heap.dealloc(block, layout) };
}

/// Checks that blocks hold what is written to them while others come and go and are resized.
fn check<A: Process>() -> Result<(), String> {
    let heap = A::new();
    let mut blocks: Vec<Block> = Vec::new();
    for index in 0..1000_usize {
        let layout = Layout::array::<u64>(1 + index % 50).map_err(|error| error.to_string())?;
        let block = take(&heap, layout);
        // SAFETY: the block has room for a word.
        unsafe { block.cast::<usize>().write_unaligned(index) };
        blocks.push((block, layout));
        if index % 3 == 2 {
            let (block, layout) = blocks.swap_remove(index / 3);
            // SAFETY: a live block with its layout.
            unsafe {
                let word = block.cast::<usize>().read_unaligned();
                let larger = heap.realloc(block, layout, layout.size() * 3);
                if larger.cast::<usize>().read_unaligned() != word {
                    return Err("a resize lost the contents".to_string());
                }
                heap.dealloc(larger, Layout::from_size_align_unchecked(layout.size() * 3, layout.align()));
            }
        }
    }
    let mut words: Vec<usize> = Vec::new();
    for (block, layout) in blocks {
        // SAFETY: a live block with its layout.
        words.push(unsafe { block.cast::<usize>().read_unaligned() });
        give(&heap, block, layout);
    }
    words.sort_unstable();
    words.dedup();
    if words.len() == 667 { Ok(()) } else { Err("two blocks hold the same word".to_string()) }
}

fn pairs<A: Process>() -> Contestant {
    let heap = Box::leak(Box::new(A::new()));
    Contestant::new(A::NAME, A::SIDE, check::<A>, move || {
        timed(|| {
            for _ in 0..COUNT {
                let block = take(heap, LAYOUT);
                give(heap, block, LAYOUT);
            }
        })
    })
}

fn all<A: Process>(order: Vec<u32>) -> Contestant {
    let heap = Box::leak(Box::new(A::new()));
    let mut blocks = vec![core::ptr::null_mut(); COUNT];
    Contestant::new(A::NAME, A::SIDE, check::<A>, move || {
        timed(|| {
            blocks.iter_mut().for_each(|place| *place = take(heap, LAYOUT));
            order.iter().for_each(|index| give(heap, blocks[*index as usize], LAYOUT));
        })
    })
}

/// Returns one of the numbers below `below` after another.
fn next(state: &mut u64, below: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state % below as u64) as usize
}

/// Sizes of the churn: 16 to 1,024 bytes, small ones more often.
fn churn_layout(state: &mut u64) -> Layout {
    let most = 16 << next(state, 7);
    Layout::array::<u64>(2 + next(state, most) / 8).unwrap_or(LAYOUT)
}

fn churned<A: Process>() -> Contestant {
    let heap = Box::leak(Box::new(A::new()));
    let mut state = 0x5eed_u64;
    let mut live: Vec<Block> = Vec::new();
    Contestant::new(A::NAME, A::SIDE, check::<A>, move || {
        while live.len() < COUNT {
            let layout = churn_layout(&mut state);
            live.push((take(heap, layout), layout));
        }
        let steps: Vec<(usize, Layout)> =
            (0..COUNT).map(|_| (next(&mut state, COUNT), churn_layout(&mut state))).collect();
        timed(|| {
            for (index, layout) in &steps {
                let (block, old) = live[*index];
                give(heap, block, old);
                live[*index] = (take(heap, *layout), *layout);
            }
        })
    })
}

fn doubled<A: Process>() -> Contestant {
    let heap = Box::leak(Box::new(A::new()));
    // Neighbours with gaps of 64 bytes between them.
    let blocks: Vec<*mut u8> = (0..2000).map(|_| take(heap, LAYOUT)).collect();
    blocks.iter().step_by(2).for_each(|block| give(heap, *block, LAYOUT));
    Contestant::new(A::NAME, A::SIDE, check::<A>, move || {
        timed(|| {
            for _ in 0..DOUBLED {
                let mut layout = Layout::new::<[u64; 2]>();
                let mut block = take(heap, layout);
                for _ in 0..DOUBLINGS {
                    // SAFETY: a live block with its layout; the sizes are far from the largest.
                    unsafe {
                        block = heap.realloc(block, layout, 2 * layout.size());
                        layout = Layout::from_size_align_unchecked(2 * layout.size(), layout.align());
                    }
                    keep(block);
                }
                give(heap, block, layout);
            }
        })
    })
}
