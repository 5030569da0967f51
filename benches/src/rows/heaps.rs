//! Heaps over one region of 64 MiB: blocks of power-law sizes from 16 B to 4 KiB that come and go.
//!
//! ```text
//!   heap-hot            256 live blocks; one at random given back, one taken
//!   heap-churn-50, ..   the same where the live blocks fill 50, 75, 90 % of the region
//!   heap-realloc-many   64 buffers grow in turn from 16 B to 8 KiB, each time to twice their size
//!   heap-realloc-one    one buffer grows from 64 B to 1 MiB by an eighth at a time
//! ```
//!
//! # Design
//!
//! The logarithm of a size is uniform. The block that is taken has the size of the block that was given back the time before:
//! the live blocks stay the same multiset of sizes, so a heap stays as full as it was made, and everyone sees the same
//! requests. A block's first word is written when it is taken. Before a heap is measured, each of its blocks was replaced
//! about twice at random.
//!
//! A contestant that cannot hold a row's live blocks, or whose search would take the time of the whole report, is not in that
//! row: lists by address search tens of thousands of runs in a full region, and what is full early is seen in the rows about
//! memory. Talc refuses two blocks at 90 %.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::contestants::heaps::{
    ALIGN, BestFitList, Buddy, BuddySystem, Dlmalloc, FirstFitList, GoodMemory, Heap, LinkedList, Region,
    Rlsf, SeedSlab, SlabHeap, Talc, Tlsf, layout_of,
};
use crate::harness::{Contestant, Row, Statistic, timed};
use crate::random::Random;
use crate::sink::{exhausted, keep};

/// The size of the region in bytes.
pub const REGION: usize = 64 << 20;
/// Live blocks of the small row.
const FEW: usize = 256;
/// Changes per batch.
const CHANGES: usize = 1 << 14;
/// Changes per batch of the full regions, more than the harness's tests take.
const MANY_CHANGES: usize = 1 << 17;
/// Buffers that grow in turn.
const BUFFERS: usize = 64;
/// How often each of them is doubled.
const DOUBLINGS: usize = 9;
/// The last size of the buffer that grows alone, in bytes.
const LONGEST: usize = 1 << 20;
/// Passes of the row about one buffer in a batch.
const ALONE: usize = 8;

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let row = |id, title, operations: usize, goal, contestants| {
        let (operations, statistic) = (operations as u64, Statistic::Minimum);
        Row { id, title, unit: "pair", operations, goal, statistic, contestants }
    };
    let grow = |id, title, operations, goal, contestants| {
        let row = row(id, title, operations, goal, contestants);
        Row { unit: "resize", ..row }
    };
    vec![
        row("heap-hot", "heap, churn of 256 live blocks", CHANGES, 0.85, hot),
        row("heap-churn-50", "heap, churn at 50 % payload", MANY_CHANGES, 0.85, half_full),
        row("heap-churn-75", "heap, churn at 75 % payload", MANY_CHANGES, 0.80, fuller),
        row("heap-churn-90", "heap, churn at 90 % payload", MANY_CHANGES, 0.85, full),
        grow("heap-realloc-many", "heap, 64 buffers doubled in turn", BUFFERS * DOUBLINGS, 0.95, buffers),
        grow(
            "heap-realloc-one",
            "heap, one buffer grown by an eighth",
            ALONE * steps().len(),
            0.75,
            one_buffer,
        ),
    ]
}

macro_rules! each_heap {
    ($contestant:ident, $arguments:tt, $($heap:ty),+ $(,)?) => {
        vec![$($contestant::<$heap>$arguments),+]
    };
}
pub(crate) use each_heap;

fn hot() -> Vec<Contestant> {
    each_heap!(
        churn,
        (Fill::Blocks(FEW), CHANGES),
        Tlsf,
        SlabHeap,
        Buddy,
        FirstFitList,
        BestFitList,
        Rlsf,
        Talc,
        GoodMemory,
        Dlmalloc,
        LinkedList,
        BuddySystem,
        SeedSlab
    )
}

fn half_full() -> Vec<Contestant> {
    each_heap!(
        churn,
        (Fill::Percent(50), MANY_CHANGES),
        Tlsf,
        SlabHeap,
        Buddy,
        Rlsf,
        Talc,
        GoodMemory,
        Dlmalloc,
        BuddySystem,
        SeedSlab
    )
}

fn fuller() -> Vec<Contestant> {
    each_heap!(churn, (Fill::Percent(75), MANY_CHANGES), Tlsf, SlabHeap, Rlsf, Talc, GoodMemory, Dlmalloc)
}

fn full() -> Vec<Contestant> {
    each_heap!(churn, (Fill::Percent(90), MANY_CHANGES), Tlsf, SlabHeap, Dlmalloc)
}

fn buffers() -> Vec<Contestant> {
    each_heap!(
        in_turn,
        (),
        Tlsf,
        SlabHeap,
        Buddy,
        FirstFitList,
        BestFitList,
        Rlsf,
        Talc,
        GoodMemory,
        Dlmalloc,
        LinkedList,
        BuddySystem,
        SeedSlab
    )
}

fn one_buffer() -> Vec<Contestant> {
    each_heap!(
        alone,
        (),
        Tlsf,
        SlabHeap,
        Buddy,
        FirstFitList,
        BestFitList,
        Rlsf,
        Talc,
        GoodMemory,
        Dlmalloc,
        LinkedList,
        BuddySystem,
        SeedSlab
    )
}

/// Returns a size from 16 B to 4 KiB whose logarithm is uniform.
pub fn power_law(random: &mut Random) -> usize {
    let part = (random.next_number() >> 11) as f64 / (1_u64 << 53) as f64;
    (4.0 + 8.0 * part).exp2() as usize
}

/// How many blocks are live.
#[derive(Clone, Copy)]
pub enum Fill {
    /// This many.
    Blocks(usize),
    /// As many as ask for this part of the region, in percent.
    Percent(usize),
}

/// A block that is live, unless it was refused.
#[derive(Clone, Copy)]
pub struct Block {
    pub(crate) at: Option<NonNull<u8>>,
    pub(crate) size: u32,
}

impl Block {
    /// Asks `heap` for a block.
    #[inline(always)]
    pub fn take<H: Heap>(heap: &mut H, size: u32) -> Self {
        let at = heap.alloc(layout_of(size as usize, ALIGN));
        if let Some(block) = at {
            // SAFETY: every block has at least a word.
            unsafe { block.cast::<u64>().write(u64::from(size)) };
            keep(block.as_ptr());
        }
        Self { at, size }
    }

    /// Gives the block back.
    ///
    /// # Safety
    ///
    /// It is live in `heap`, or was refused.
    #[inline(always)]
    pub unsafe fn give<H: Heap>(self, heap: &mut H) {
        if let Some(block) = self.at {
            // SAFETY: the caller's contract.
            unsafe { heap.dealloc(block, layout_of(self.size as usize, ALIGN)) };
        }
    }
}

/// A heap over its region, and its live blocks.
pub struct Population<H: Heap> {
    pub(crate) live: Vec<Block>,
    pub(crate) hand: u32,
    pub(crate) heap: Box<H>,
    pub(crate) region: Region,
}

impl<H: Heap> Population<H> {
    /// Returns a heap over `region` with blocks that came and went, and how many requests it refused.
    pub fn new(region: Region, fill: Fill) -> (Self, usize) {
        // SAFETY: the region is dropped after the heap, and serves no other.
        let Some(heap) = (unsafe { region.heap::<H>(region.bytes()) }) else { exhausted() };
        let (mut heap, mut random) = (Box::new(heap), Random::new(0x4ea9));
        let (mut live, mut payload) = (Vec::new(), 0);
        while match fill {
            Fill::Blocks(count) => live.len() < count,
            Fill::Percent(part) => payload < region.bytes() / 100 * part,
        } {
            let size = power_law(&mut random);
            payload += size;
            live.push(Block::take(&mut *heap, size as u32));
        }
        let refused = live.iter().filter(|block| block.at.is_none()).count();
        let victims = victims(2 * live.len(), live.len(), &mut random);
        let mut population = Self { live, hand: 700, heap, region };
        let refused = refused + population.change(&victims);
        (population, refused)
    }

    /// Gives a block back and takes one, for each victim, and returns how many were refused.
    #[inline(never)]
    pub fn change(&mut self, victims: &[u32]) -> usize {
        let heap = &mut *self.heap;
        keep(heap);
        let mut refused = 0;
        for &victim in victims {
            let block = &mut self.live[victim as usize];
            // SAFETY: the block is live or was refused, and another takes its place.
            unsafe { block.give(heap) };
            keep(heap);
            let size = core::mem::replace(&mut self.hand, block.size);
            *block = Block::take(heap, size);
            keep(heap);
            refused += usize::from(block.at.is_none());
        }
        refused
    }
}

/// Returns `count` places below `live` at random.
pub fn victims(count: usize, live: usize, random: &mut Random) -> Vec<u32> {
    (0..count).map(|_| random.between(0, live - 1) as u32).collect()
}

fn churn<H: Heap>(fill: Fill, changes: usize) -> Contestant {
    let mut population = None;
    Contestant::new(H::NAME, H::SIDE, check::<H>, move || {
        let (population, victims) = population.get_or_insert_with(|| {
            let (population, refused) = Population::<H>::new(Region::new(REGION), fill);
            assert_eq!(refused, 0, "{} does not hold the blocks of the row", H::NAME);
            let victims = victims(changes, population.live.len(), &mut Random::new(0xc4a2));
            (population, victims)
        });
        // What the other contestants took of the caches comes back with the last blocks of the batch.
        let last = victims.len() - victims.len() / 8;
        population.change(&victims[last..]);
        let mut refused = 0;
        let time = timed(|| refused = population.change(victims));
        assert_eq!(refused, 0, "{} does not hold the blocks of the row", H::NAME);
        time
    })
}

fn in_turn<H: Heap>() -> Contestant {
    let mut state = None;
    Contestant::new(H::NAME, H::SIDE, check::<H>, move || {
        let (heap, _) = state.get_or_insert_with(make_heap::<H>);
        double_in_turn(&mut **heap);
        timed(|| double_in_turn(&mut **heap))
    })
}

/// Returns a heap over a region, in the order in which they are dropped.
pub fn make_heap<H: Heap>() -> (Box<H>, Region) {
    let region = Region::new(REGION);
    // SAFETY: the region is dropped after the heap, and serves no other.
    let heap = unsafe { region.heap::<H>(region.bytes()) };
    (Box::new(heap.unwrap_or_else(|| exhausted())), region)
}

/// Doubles each buffer in turn, then gives all of them back.
#[inline(never)]
fn double_in_turn<H: Heap>(heap: &mut H) {
    keep(heap);
    let mut size = 16;
    let mut buffers = [NonNull::dangling(); BUFFERS];
    for buffer in &mut buffers {
        *buffer = heap.alloc(layout_of(size, ALIGN)).unwrap_or_else(|| exhausted());
    }
    for _ in 0..DOUBLINGS {
        for buffer in &mut buffers {
            // SAFETY: the buffer is live with this size.
            *buffer = unsafe { grow(heap, *buffer, size, 2 * size) };
        }
        size *= 2;
    }
    for buffer in buffers {
        // SAFETY: the buffer is live with this size.
        unsafe { heap.dealloc(buffer, layout_of(size, ALIGN)) };
    }
}

/// Gives a buffer another size.
///
/// # Safety
///
/// It is live with the size `from`.
#[inline(always)]
unsafe fn grow<H: Heap>(heap: &mut H, buffer: NonNull<u8>, from: usize, to: usize) -> NonNull<u8> {
    // SAFETY: the caller's contract.
    let grown = unsafe { heap.realloc(buffer, layout_of(from, ALIGN), to) };
    keep(heap);
    grown.unwrap_or_else(|| exhausted())
}

fn alone<H: Heap>() -> Contestant {
    let (mut state, steps) = (None, steps());
    Contestant::new(H::NAME, H::SIDE, check::<H>, move || {
        let (heap, _) = state.get_or_insert_with(make_heap::<H>);
        grow_alone(&mut **heap, &steps);
        timed(|| (0..ALONE).for_each(|_| grow_alone(&mut **heap, &steps)))
    })
}

/// Returns the sizes of the buffer that grows alone, after the first.
pub fn steps() -> Vec<usize> {
    core::iter::successors(Some(64), |size| Some(size + size / 8))
        .skip(1)
        .take_while(|size| *size <= LONGEST)
        .collect()
}

/// Grows a buffer from 64 bytes through all sizes, then gives it back.
#[inline(never)]
pub fn grow_alone<H: Heap>(heap: &mut H, sizes: &[usize]) {
    keep(heap);
    let mut size = 64;
    let mut buffer = heap.alloc(layout_of(size, ALIGN)).unwrap_or_else(|| exhausted());
    for &to in sizes {
        // SAFETY: the buffer is live with this size.
        buffer = unsafe { grow(heap, buffer, size, to) };
        size = to;
    }
    // SAFETY: the buffer is live with this size.
    unsafe { heap.dealloc(buffer, layout_of(size, ALIGN)) };
}

/// Returns an error unless blocks of all sizes and alignments keep their bytes, resized or not.
pub fn check<H: Heap>() -> Result<(), String> {
    let region = Region::new(1 << 20);
    // SAFETY: the region is dropped after the heap, and serves no other.
    let mut heap: H = unsafe { region.heap(region.bytes()) }.ok_or("no heap over a MiB")?;
    let mut random = Random::new(0xc0de);
    let mut live: Vec<(NonNull<u8>, usize, usize, u8)> = Vec::new();
    for step in 0..3000_usize {
        let byte = step as u8;
        match random.between(0, 3) {
            0 | 1 if live.len() < 200 => {
                let (size, align) = (power_law(&mut random), 1 << random.between(3, 7));
                let block = heap.alloc(layout_of(size, align)).ok_or("a block is refused")?;
                if block.addr().get() % align != 0 {
                    return Err(format!("a block is not aligned to {align}"));
                }
                // SAFETY: the block has this many bytes.
                unsafe { block.write_bytes(byte, size) };
                live.push((block, size, align, byte));
            }
            choice if !live.is_empty() => {
                let (block, size, align, was) = live.swap_remove(random.between(0, live.len() - 1));
                holds(block, size, was)?;
                // SAFETY: the block is live with this layout, and its name is gone or replaced.
                unsafe {
                    if choice == 3 {
                        heap.dealloc(block, layout_of(size, align));
                        continue;
                    }
                    let new = power_law(&mut random);
                    let moved =
                        heap.realloc(block, layout_of(size, align), new).ok_or("a size is refused")?;
                    holds(moved, size.min(new), was)?;
                    moved.write_bytes(byte, new);
                    live.push((moved, new, align, byte));
                }
            }
            _ => {}
        }
    }
    live.into_iter().try_for_each(|(block, size, _, byte)| holds(block, size, byte))
}

/// Returns an error unless all bytes of a block are `byte`.
fn holds(block: NonNull<u8>, size: usize, byte: u8) -> Result<(), String> {
    // SAFETY: the caller has a live block of this size, all of which was written.
    let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), size) };
    if bytes.iter().all(|other| *other == byte) {
        Ok(())
    } else {
        Err(format!("a block of {size} bytes was overwritten"))
    }
}
