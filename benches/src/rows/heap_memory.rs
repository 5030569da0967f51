//! Heaps over one region: what they need of it.
//!
//! ```text
//!   heap-capacity       a region of 64 MiB grows full, two blocks taken for each given back: its size per byte of payload
//!                       when a block is refused for the first time
//!   heap-largest-50..   free bytes per byte of the largest block that is then served, at 50, 75, 90 % payload
//!   heap-region         the least region in which a history of 4 MiB of payload runs through, per byte of payload
//! ```
//!
//! # Design
//!
//! Figures, not times: the histories are the same for everyone, so each runs once. What counts as free is the region
//! without the payload, whatever the heap calls it, and the largest block is found by asking. A region is found by
//! halving: that a history runs through does not depend on the size of the region alone, but nearly so.
#![allow(unsafe_code)]

use crate::contestants::heaps::{
    ALIGN, BestFitList, Buddy, BuddySystem, Dlmalloc, FirstFitList, GoodMemory, Heap, LinkedList, Region,
    Rlsf, SeedSlab, SlabHeap, Talc, Tlsf, layout_of,
};
use crate::harness::{Contestant, FIGURE_PARTS, Row, Statistic, figure};
use crate::random::Random;
use crate::rows::heaps::{Block, Fill, Population, REGION, check, each_heap, power_law, victims};
use crate::sink::exhausted;

/// The payload of the history whose region is sought.
const PAYLOAD: usize = 4 << 20;
/// How often each of its blocks is replaced.
const REPLACED: usize = 8;

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let row = |id, title, unit, goal, contestants| {
        let (operations, statistic) = (FIGURE_PARTS, Statistic::Figure);
        Row { id, title, unit, operations, goal, statistic, contestants }
    };
    let largest = |id, title, contestants| {
        row(id, title, "Free bytes per byte of the largest block that is served", 1.00, contestants)
    };
    let region = "Bytes of the region per byte of payload";
    vec![
        row("heap-capacity", "heap, when it is full", region, 0.95, capacity),
        largest("heap-largest-50", "heap, largest block at 50 % payload", half_full),
        largest("heap-largest-75", "heap, largest block at 75 % payload", fuller),
        largest("heap-largest-90", "heap, largest block at 90 % payload", full),
        row("heap-region", "heap, least region of a history", region, 0.95, region_of_history),
    ]
}

fn capacity() -> Vec<Contestant> {
    each_heap!(until_full, (), Tlsf, SlabHeap, Buddy, Rlsf, Talc, GoodMemory, Dlmalloc, BuddySystem, SeedSlab)
}

fn half_full() -> Vec<Contestant> {
    each_heap!(largest, (50), Tlsf, SlabHeap, Buddy, Rlsf, Talc, GoodMemory, Dlmalloc, BuddySystem)
}

fn fuller() -> Vec<Contestant> {
    each_heap!(largest, (75), Tlsf, SlabHeap, Rlsf, Talc, GoodMemory, Dlmalloc)
}

fn full() -> Vec<Contestant> {
    each_heap!(largest, (90), Tlsf, SlabHeap, Talc, Dlmalloc)
}

fn region_of_history() -> Vec<Contestant> {
    each_heap!(
        history,
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

fn until_full<H: Heap>() -> Contestant {
    Contestant::new(H::NAME, H::SIDE, check::<H>, || {
        let region = Region::new(REGION);
        // SAFETY: the region is dropped after the heap, and serves no other.
        let mut heap: H = unsafe { region.heap(REGION) }.unwrap_or_else(|| exhausted());
        let mut random = Random::new(0xf111);
        let (mut live, mut payload) = (Vec::<Block>::new(), 0);
        loop {
            for _ in 0..2 {
                let block = Block::take(&mut heap, power_law(&mut random) as u32);
                if block.at.is_none() {
                    return figure(REGION as f64 / payload as f64);
                }
                payload += block.size as usize;
                live.push(block);
            }
            let block = live.swap_remove(random.between(0, live.len() - 1));
            payload -= block.size as usize;
            // SAFETY: the block is live, and its name is gone.
            unsafe { block.give(&mut heap) };
        }
    })
}

fn largest<H: Heap>(percent: usize) -> Contestant {
    Contestant::new(H::NAME, H::SIDE, check::<H>, move || {
        let (mut population, refused) = Population::<H>::new(Region::new(REGION), Fill::Percent(percent));
        assert_eq!(refused, 0, "{} does not hold the blocks of the row", H::NAME);
        let payload: usize = population.live.iter().map(|block| block.size as usize).sum();
        let heap = &mut *population.heap;
        let largest = greatest(REGION, |size| match heap.alloc(layout_of(size, ALIGN)) {
            Some(block) => {
                // SAFETY: the block was handed out just now.
                unsafe { heap.dealloc(block, layout_of(size, ALIGN)) };
                true
            }
            None => false,
        });
        figure((REGION - payload) as f64 / largest as f64)
    })
}

/// Returns the greatest multiple of 64 up to `most` for which `holds`, if it holds for all below.
fn greatest(most: usize, mut holds: impl FnMut(usize) -> bool) -> usize {
    let (mut low, mut high) = (1, most / 64 + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if holds(middle * 64) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low * 64
}

fn history<H: Heap>() -> Contestant {
    Contestant::new(H::NAME, H::SIDE, check::<H>, || {
        let bytes = least_region(PAYLOAD, |region, bytes| runs_through::<H>(region, bytes));
        figure(bytes as f64 / PAYLOAD as f64)
    })
}

/// Returns the least size in bytes, to a thousandth of `payload`, at which a history `runs` through.
pub fn least_region(payload: usize, mut runs: impl FnMut(&Region, usize) -> bool) -> usize {
    let region = Region::new(4 * payload);
    let step = (payload / 1024).next_multiple_of(64);
    let (mut low, mut high) = (payload / step, 4 * payload / step);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if runs(&region, middle * step) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high * step
}

/// Returns whether the history runs through in `bytes` bytes.
fn runs_through<H: Heap>(region: &Region, bytes: usize) -> bool {
    // SAFETY: the region outlives this call, and a heap over it serves no other.
    let Some(mut heap) = (unsafe { region.heap::<H>(bytes) }) else { return false };
    let mut random = Random::new(0x4157);
    let (mut live, mut payload, mut hand) = (Vec::new(), 0, 700);
    while payload < PAYLOAD {
        let block = Block::take(&mut heap, power_law(&mut random) as u32);
        if block.at.is_none() {
            return false;
        }
        payload += block.size as usize;
        live.push(block);
    }
    for victim in victims(REPLACED * live.len(), live.len(), &mut random) {
        let block = &mut live[victim as usize];
        // SAFETY: the block is live, and another takes its place.
        unsafe { block.give(&mut heap) };
        let size = core::mem::replace(&mut hand, block.size);
        *block = Block::take(&mut heap, size);
        if block.at.is_none() {
            return false;
        }
    }
    true
}
