//! Heaps over one region of 64 MiB: how long a single call takes at worst.
//!
//! ```text
//!   history    fill, replace each block about twice | 20,000 changes, each call timed    the same in every round
//!   round 1                                           41 38 55 ..  912 ..                912: interrupted
//!   round 2                                           40 39 52 ..   61 ..
//!   kept                                              40 38 52 ..   61 ..                the shortest of each call
//! ```
//!
//! # Design
//!
//! A percentile of single samples would count interrupts and neighbours on the machine. The history is the same in every
//! round, from a new heap over the same region on, so a call does the same work in the same state each time; the shortest
//! of its times is what it costs, cache misses that belong to the history included. The row's figure is a percentile of
//! those.
//!
//! The time-stamp counter is read between fences, and what two reads with nothing between them take is subtracted.
#![allow(unsafe_code)]

use std::time::Duration;

use crate::contestants::heaps::{
    Buddy, BuddySystem, Dlmalloc, GoodMemory, Heap, Region, Rlsf, SeedSlab, SlabHeap, Talc, Tlsf,
};
use crate::harness::{Contestant, FIGURE_PARTS, Row, Statistic, figure};
use crate::random::Random;
use crate::rows::heaps::{Block, Fill, Population, REGION, check, each_heap, victims};
use crate::sink::exhausted;
use crate::ticks::{nanoseconds_per_tick, overhead, ticks};

/// Calls of a kind that are timed.
const CALLS: usize = 20_000;

/// Which calls are timed.
#[derive(Clone, Copy, PartialEq)]
enum Call {
    Alloc,
    Free,
}

/// Which of the times, sorted, is the figure.
#[derive(Clone, Copy)]
enum Which {
    P99,
    P999,
    Max,
}

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let row = |id, title, goal, contestants| {
        let (unit, operations, statistic) = ("call", FIGURE_PARTS, Statistic::Minimum);
        Row { id, title, unit, operations, goal, statistic, contestants }
    };
    vec![
        row("heap-alloc-p99", "heap at 75 %, alloc, p99", 1.00, fuller::<ALLOC, 0>),
        row("heap-alloc-p999", "heap at 75 %, alloc, p99.9", 1.00, fuller::<ALLOC, 1>),
        row("heap-alloc-max", "heap at 75 %, alloc, longest", 1.00, fuller::<ALLOC, 2>),
        row("heap-free-p99", "heap at 75 %, free, p99", 0.55, fuller::<FREE, 0>),
        row("heap-free-p999", "heap at 75 %, free, p99.9", 0.71, fuller::<FREE, 1>),
        row("heap-free-max", "heap at 75 %, free, longest", 0.71, fuller::<FREE, 2>),
        row("heap-alloc-p999-50", "heap at 50 %, alloc, p99.9", 1.00, half_full::<ALLOC>),
        row("heap-free-p999-50", "heap at 50 %, free, p99.9", 0.71, half_full::<FREE>),
        row("heap-alloc-p999-90", "heap at 90 %, alloc, p99.9", 1.00, full::<ALLOC>),
        row("heap-free-p999-90", "heap at 90 %, free, p99.9", 0.71, full::<FREE>),
    ]
}

const ALLOC: bool = true;
const FREE: bool = false;

/// Returns the calls of a row.
const fn call(alloc: bool) -> Call {
    if alloc { Call::Alloc } else { Call::Free }
}

fn fuller<const IS_ALLOC: bool, const WHICH: usize>() -> Vec<Contestant> {
    let which = [Which::P99, Which::P999, Which::Max][WHICH];
    each_heap!(latency, (75, call(IS_ALLOC), which), Tlsf, SlabHeap, Rlsf, Talc, GoodMemory, Dlmalloc)
}

fn half_full<const IS_ALLOC: bool>() -> Vec<Contestant> {
    each_heap!(
        latency,
        (50, call(IS_ALLOC), Which::P999),
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

fn full<const IS_ALLOC: bool>() -> Vec<Contestant> {
    each_heap!(latency, (90, call(IS_ALLOC), Which::P999), Tlsf, SlabHeap, Talc, Dlmalloc)
}

fn latency<H: Heap>(percent: usize, call: Call, which: Which) -> Contestant {
    let (mut shortest, mut region) = (vec![u64::MAX; CALLS], None);
    Contestant::new(H::NAME, H::SIDE, check::<H>, move || {
        let place = region.take().unwrap_or_else(|| Region::new(REGION));
        let (mut population, refused) = Population::<H>::new(place, Fill::Percent(percent));
        assert_eq!(refused, 0, "{} does not hold the blocks of the row", H::NAME);
        time_calls(&mut population, call, &mut shortest);
        region = Some(population.region);
        percentile(&shortest, which)
    })
}

/// Replaces blocks, and lowers each of the times to that of the call with its number.
#[inline(never)]
fn time_calls<H: Heap>(population: &mut Population<H>, call: Call, shortest: &mut [u64]) {
    let victims = victims(shortest.len(), population.live.len(), &mut Random::new(0x1a7e));
    let overhead = overhead();
    for (&victim, shortest) in victims.iter().zip(shortest) {
        let block = &mut population.live[victim as usize];
        let size = core::mem::replace(&mut population.hand, block.size);
        let start = ticks();
        // SAFETY: the block is live, and another takes its place.
        unsafe { block.give(&mut *population.heap) };
        let between = ticks();
        *block = Block::take(&mut *population.heap, size);
        let end = ticks();
        if block.at.is_none() {
            exhausted();
        }
        let time = if call == Call::Alloc { end - between } else { between - start };
        *shortest = (*shortest).min(time.saturating_sub(overhead));
    }
}

/// Returns the figure of a row.
fn percentile(times: &[u64], which: Which) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let last = sorted.len() - 1;
    let place = match which {
        Which::P99 => last * 99 / 100,
        Which::P999 => last * 999 / 1000,
        Which::Max => last,
    };
    figure(sorted[place] as f64 * nanoseconds_per_tick())
}
