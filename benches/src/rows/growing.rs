//! Slabs that grow by segments: what a pair costs at 1, 32 and 1024 segments. Flat is what is wanted.
//!
//! ```text
//!   growing-N           N full segments but for one slot, which is taken and given back
//!   growing-random-N    N full segments; 64 slots at random given back, then taken again, for 16 sets of slots in turn
//! ```
//!
//! # Design
//!
//! The working set is the same at any number of segments: 1024 slots, which are those of one segment, or scattered over
//! all. What grows is what a contestant looks at to find a slot's segment, and a segment with a free slot; and, at 1024
//! segments, the number of pages, which the limit shows.
//!
//! A slab that grows serves several threads, ours and the reference's alike, and so do the allocators of a process that
//! are their peers here. The limit does not: it is a vector of free pointers over a vector of segments.
#![allow(unsafe_code)]

#[cfg(feature = "snmalloc")]
use crate::contestants::slabs::Snmalloc;
use crate::contestants::slabs::{
    Growing, Mimalloc, ReferenceGrowing, SegmentedPointers, Slots, SystemMalloc,
};
use crate::harness::{Contestant, Row, Statistic, timed};
use crate::rows::slabs::{check, shuffled};
use crate::sink::keep;

/// Slots per segment.
pub const SEGMENT: usize = 1024;
/// Pairs per batch.
const PAIRS: usize = 16 * 1024;
/// Slots given back before as many are taken.
const RUN: usize = 64;
/// Sets of slots.
const SETS: usize = 16;

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let row = |id, title, contestants| {
        let (unit, operations, goal, statistic) = ("pair", PAIRS as u64, 0.94, Statistic::Minimum);
        Row { id, title, unit, operations, goal, statistic, contestants }
    };
    vec![
        row("growing-1", "growing slab, 1 segment, taken and given back", pairs::<1>),
        row("growing-32", "growing slab, 32 segments, taken and given back", pairs::<32>),
        row("growing-1024", "growing slab, 1024 segments, taken and given back", pairs::<1024>),
        row("growing-random-1", "growing slab, 1 segment, random frees", runs::<1>),
        row("growing-random-32", "growing slab, 32 segments, random frees", runs::<32>),
        row("growing-random-1024", "growing slab, 1024 segments, random frees", runs::<1024>),
    ]
}

macro_rules! everyone {
    ($contestant:ident, $segments:ident) => {
        vec![
            $contestant::<Growing, $segments>(),
            $contestant::<ReferenceGrowing, $segments>(),
            $contestant::<Mimalloc, $segments>(),
            $contestant::<SystemMalloc, $segments>(),
            #[cfg(feature = "snmalloc")]
            $contestant::<Snmalloc, $segments>(),
            $contestant::<SegmentedPointers, $segments>(),
        ]
    };
}

fn pairs<const SEGMENTS: usize>() -> Vec<Contestant> {
    everyone!(pair, SEGMENTS)
}

fn runs<const SEGMENTS: usize>() -> Vec<Contestant> {
    everyone!(run, SEGMENTS)
}

/// A pool whose segments are full.
struct Full<S: Slots> {
    slots: Box<S>,
    live: Vec<S::Slot>,
}

impl<S: Slots> Full<S> {
    fn new(segments: usize) -> Self {
        let mut slots = Box::new(S::with_capacity(segments * SEGMENT));
        let live = (0..(segments * SEGMENT) as u64).map(|word| slots.take(word)).collect();
        Self { slots, live }
    }
}

impl<S: Slots> Drop for Full<S> {
    fn drop(&mut self) {
        self.slots.end(&self.live);
    }
}

fn pair<S: Slots, const SEGMENTS: usize>() -> Contestant {
    let mut pool = None;
    Contestant::new(S::NAME, S::SIDE, check::<S>, move || {
        let pool = pool.get_or_insert_with(|| Full::<S>::new(SEGMENTS));
        one_slot(pool, 1024);
        timed(|| one_slot(pool, PAIRS))
    })
}

/// Gives a slot in the middle back and takes one, `count` times.
#[inline(never)]
fn one_slot<S: Slots>(pool: &mut Full<S>, count: usize) {
    let (slots, middle) = (&mut *pool.slots, pool.live.len() / 2);
    keep(slots);
    let (mut slot, mut sum) = (pool.live[middle], 0_u64);
    for word in 0..count as u64 {
        // SAFETY: the slot is live, and another one takes its place.
        sum = sum.wrapping_add(unsafe { slots.give(slot) });
        keep(slots);
        slot = slots.take(word);
        keep(slots);
    }
    pool.live[middle] = slot;
    keep(&raw const sum);
}

fn run<S: Slots, const SEGMENTS: usize>() -> Contestant {
    let mut pool = None;
    let sets = sets(SEGMENTS * SEGMENT);
    Contestant::new(S::NAME, S::SIDE, check::<S>, move || {
        let pool = pool.get_or_insert_with(|| Full::<S>::new(SEGMENTS));
        exchange(pool, &sets, 1);
        timed(|| exchange(pool, &sets, PAIRS / (RUN * SETS)))
    })
}

/// Returns the places of the slots of each set, among `live` slots.
fn sets(live: usize) -> Vec<u32> {
    let mut places = shuffled(live);
    places.truncate(SETS * RUN);
    places
}

const _: () = assert!(SETS * RUN <= SEGMENT);

/// Gives the slots of each set back and takes as many, `passes` times.
#[inline(never)]
fn exchange<S: Slots>(pool: &mut Full<S>, sets: &[u32], passes: usize) {
    let slots = &mut *pool.slots;
    keep(slots);
    let mut sum = 0_u64;
    for set in (0..passes).flat_map(|_| sets.chunks(RUN)) {
        for &place in set {
            // SAFETY: a set has a place once, and another slot takes the place before the next set.
            sum = sum.wrapping_add(unsafe { slots.give(pool.live[place as usize]) });
            keep(slots);
        }
        for &place in set {
            pool.live[place as usize] = slots.take(sum);
            keep(slots);
        }
    }
    keep(&raw const sum);
}
