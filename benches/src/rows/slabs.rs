//! Slabs of 64-byte objects: slots taken and given back in several orders.
//!
//! ```text
//!   slab-pair           one slot taken and given back
//!   slab-deep           64 taken, given back in reverse
//!   slab-10k-in-order   10,000 taken, given back in the order in which they were taken
//!   slab-10k-reverse    the same, in reverse
//!   slab-10k-random     the same, at random
//!   slab-40k-random     40,000 taken, given back at random
//!   slab-churn          100,000 live; one of them at random given back, one taken, 50,000 times
//!   slab-fresh          a pool made, 10,000 taken, the pool dropped
//! ```
//!
//! # Design
//!
//! The first word of an object is written when its slot is taken and read when the slot is given back, and nothing else
//! of it is touched, by every contestant. The pool escapes after each call: see [`slabs`](crate::contestants::slabs).
//!
//! The random order is the same permutation in every pass, but what it permutes is not: the slots that a pass takes are
//! those that the pass before gave back, in that order, so the addresses are well mixed after a few passes and stay so.
//!
//! In the last row, mapped memory is new with each pool and its page faults are part of the row; memory of the global
//! allocator is mostly the memory of the pool before.
#![allow(unsafe_code)]

use core::marker::PhantomData;

#[cfg(feature = "snmalloc")]
use crate::contestants::slabs::Snmalloc;
use crate::contestants::slabs::{
    FreeNumbers, FreePointers, Intrusive, Mimalloc, OffSlots, OffTrust, OneWay, Plain, PlainOnHeap,
    ReferenceOnHeap, ReferenceSigned, ReferenceSlab, Signed, SlabCrate, SlotMapCrate, Slots, SystemMalloc,
    Trust, UncheckedPointers, Watched,
};
use crate::harness::{Contestant, Row, Statistic, timed};
use crate::random::Random;
use crate::sink::keep;

/// Pairs per batch.
const PAIRS: u64 = 16 * 1024;
/// Slots at once in the row of 64.
const DEEP: usize = 64;
/// Passes per batch in the row of 64.
const DEEP_PASSES: usize = 256;
/// Live objects of the churn.
const LIVE: usize = 100_000;
/// Objects given back per batch of the churn.
const CHANGES: usize = 50_000;
/// Objects of a new pool.
const FRESH: usize = 10_000;

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let row = |id, title, operations: usize, goal, contestants| {
        let (operations, statistic) = (operations as u64, Statistic::Minimum);
        Row { id, title, unit: "pair", operations, goal, statistic, contestants }
    };
    let fresh = row("slab-fresh", "new slab, 10,000 taken, drop", FRESH, 0.90, fresh);
    vec![
        row("slab-pair", "slab, taken and given back", PAIRS as usize, 0.94, pairs),
        row("slab-deep", "slab, 64 taken, given back in reverse", DEEP * DEEP_PASSES, 0.92, deep),
        row("slab-10k-in-order", "slab, 10,000 taken, given back in order", 10_000, 0.85, in_order),
        row("slab-10k-reverse", "slab, 10,000 taken, given back in reverse", 10_000, 0.85, reverse),
        row("slab-10k-random", "slab, 10,000 taken, given back at random", 10_000, 0.85, at_random::<10_000>),
        row("slab-40k-random", "slab, 40,000 taken, given back at random", 40_000, 0.80, at_random::<40_000>),
        row("slab-churn", "slab, churn of 100,000 live", CHANGES, 0.92, churn),
        Row { unit: "object", ..fresh },
    ]
}

macro_rules! everyone {
    ($contestant:ident($($argument:expr),*)) => {
        vec![
            $contestant::<Plain>($($argument),*),
            $contestant::<OffSlots>($($argument),*),
            $contestant::<Trust>($($argument),*),
            $contestant::<OffTrust>($($argument),*),
            $contestant::<Watched>($($argument),*),
            $contestant::<Signed>($($argument),*),
            $contestant::<ReferenceSlab>($($argument),*),
            $contestant::<ReferenceSigned>($($argument),*),
            $contestant::<FreePointers>($($argument),*),
            $contestant::<Intrusive>($($argument),*),
            $contestant::<SlabCrate>($($argument),*),
            $contestant::<Mimalloc>($($argument),*),
            $contestant::<SystemMalloc>($($argument),*),
            #[cfg(feature = "snmalloc")]
            $contestant::<Snmalloc>($($argument),*),
            $contestant::<UncheckedPointers>($($argument),*),
            $contestant::<FreeNumbers>($($argument),*),
        ]
    };
}

fn pairs() -> Vec<Contestant> {
    everyone!(pair())
}

fn deep() -> Vec<Contestant> {
    everyone!(passes(DEEP, DEEP_PASSES, reversed))
}

fn in_order() -> Vec<Contestant> {
    everyone!(passes(10_000, 1, ordered))
}

fn reverse() -> Vec<Contestant> {
    everyone!(passes(10_000, 1, reversed))
}

fn at_random<const COUNT: usize>() -> Vec<Contestant> {
    everyone!(passes(COUNT, 1, shuffled))
}

fn churn() -> Vec<Contestant> {
    everyone!(changes())
}

fn fresh() -> Vec<Contestant> {
    vec![
        new_pool::<Plain>(),
        new_pool::<PlainOnHeap>(),
        new_pool::<ReferenceSlab>(),
        new_pool::<ReferenceOnHeap>(),
        new_pool::<FreePointers>(),
        new_pool::<Intrusive>(),
        new_pool::<SlabCrate>(),
        new_pool::<SlotMapCrate>(),
        new_pool::<Mimalloc>(),
        new_pool::<SystemMalloc>(),
        #[cfg(feature = "snmalloc")]
        new_pool::<Snmalloc>(),
        one_way(),
    ]
}

/// Returns the numbers from 0.
pub fn ordered(count: usize) -> Vec<u32> {
    (0..count as u32).collect()
}

/// Returns the numbers down to 0.
pub fn reversed(count: usize) -> Vec<u32> {
    (0..count as u32).rev().collect()
}

/// Returns the numbers below `count` at random, in the same order in every run.
pub fn shuffled(count: usize) -> Vec<u32> {
    let mut order = ordered(count);
    let mut random = Random::new(0x51ab);
    for last in (1..count).rev() {
        order.swap(last, random.between(0, last));
    }
    order
}

/// Returns a contestant of a row about one slot at a time.
pub fn pair<S: Slots>() -> Contestant {
    let mut slots = Box::new(S::with_capacity(1024));
    Contestant::new(S::NAME, S::SIDE, check::<S>, move || {
        take_and_give(&mut *slots, 1024);
        timed(|| take_and_give(&mut *slots, PAIRS))
    })
}

/// Takes a slot and gives it back, `count` times.
#[inline(never)]
pub fn take_and_give<S: Slots>(slots: &mut S, count: u64) {
    keep(slots);
    let mut sum = 0_u64;
    for word in 0..count {
        let slot = slots.take(word);
        keep(slots);
        // SAFETY: the slot was just taken.
        sum = sum.wrapping_add(unsafe { slots.give(slot) });
        keep(slots);
    }
    keep(&raw const sum);
}

fn passes<S: Slots>(count: usize, passes: usize, order: fn(usize) -> Vec<u32>) -> Contestant {
    let mut pool = Held::<S>::new(count, order(count));
    Contestant::new(S::NAME, S::SIDE, check::<S>, move || {
        pool.pass();
        timed(|| (0..passes).for_each(|_| pool.pass()))
    })
}

/// A pool, and the names of slots that were taken.
struct Held<S: Slots> {
    slots: Box<S>,
    held: Vec<S::Slot>,
    order: Vec<u32>,
}

impl<S: Slots> Held<S> {
    /// Returns a pool of `count` slots, none of them taken, to be given back in `order`.
    fn new(count: usize, order: Vec<u32>) -> Self {
        let mut slots = Box::new(S::with_capacity(count));
        let held: Vec<_> = (0..count as u64).map(|word| slots.take(word)).collect();
        for &slot in &held {
            // SAFETY: each slot was taken and is given back once.
            unsafe { slots.give(slot) };
        }
        Self { slots, held, order }
    }

    /// Takes as many slots as there are, then gives them back in order.
    #[inline(never)]
    fn pass(&mut self) {
        let slots = &mut *self.slots;
        keep(slots);
        for (place, word) in self.held.iter_mut().zip(0..) {
            *place = slots.take(word);
            keep(slots);
        }
        let mut sum = 0_u64;
        for &place in &self.order {
            // SAFETY: the order has each place once, so each slot is given back once.
            sum = sum.wrapping_add(unsafe { slots.give(self.held[place as usize]) });
            keep(slots);
        }
        keep(&raw const sum);
    }
}

fn changes<S: Slots>() -> Contestant {
    let mut pool = None;
    Contestant::new(S::NAME, S::SIDE, check::<S>, move || {
        let pool = pool.get_or_insert_with(Churn::<S>::new);
        pool.run();
        timed(|| pool.run())
    })
}

/// A full pool, one slot of which changes at a time.
struct Churn<S: Slots> {
    slots: Box<S>,
    live: Vec<S::Slot>,
    victims: Vec<u32>,
}

impl<S: Slots> Churn<S> {
    fn new() -> Self {
        let mut slots = Box::new(S::with_capacity(LIVE));
        let mut live: Vec<_> = (0..LIVE as u64).map(|word| slots.take(word)).collect();
        // A pool that was in use for a while does not hold its objects in the order of their addresses.
        let order = shuffled(LIVE);
        for place in &order {
            // SAFETY: the order has each place once, and all slots are taken.
            unsafe { slots.give(live[*place as usize]) };
        }
        live.iter_mut().zip(0..).for_each(|(place, word)| *place = slots.take(word));
        let mut random = Random::new(0xc4a7);
        let victims = (0..CHANGES).map(|_| random.between(0, LIVE - 1) as u32).collect();
        Self { slots, live, victims }
    }

    /// Gives back and takes one slot after another.
    #[inline(never)]
    fn run(&mut self) {
        let slots = &mut *self.slots;
        keep(slots);
        let mut sum = 0_u64;
        for &victim in &self.victims {
            let place = &mut self.live[victim as usize];
            // SAFETY: the slot is live, and another one takes its place.
            sum = sum.wrapping_add(unsafe { slots.give(*place) });
            keep(slots);
            *place = slots.take(sum);
            keep(slots);
        }
        keep(&raw const sum);
    }
}

impl<S: Slots> Drop for Churn<S> {
    fn drop(&mut self) {
        self.slots.end(&self.live);
    }
}

fn new_pool<S: Slots>() -> Contestant {
    new_pool_with::<S>(check::<S>)
}

/// Returns the limit of the row about new pools, which reuses nothing.
fn one_way() -> Contestant {
    new_pool_with::<OneWay>(|| {
        let mut slots = OneWay::with_capacity(FRESH);
        let live: Vec<_> = (0..FRESH as u64).map(|word| slots.take(word)).collect();
        // SAFETY: each slot is live and given back once.
        let words = live.into_iter().map(|slot| unsafe { slots.give(slot) });
        if words.eq(0..FRESH as u64) { Ok(()) } else { Err("an object was overwritten".to_string()) }
    })
}

fn new_pool_with<S: Slots>(check: fn() -> Result<(), String>) -> Contestant {
    let mut cycle = NewPool::<S>::default();
    Contestant::new(S::NAME, S::SIDE, check, move || {
        cycle.run();
        timed(|| cycle.run())
    })
}

/// The names of the slots of a pool that is made anew.
struct NewPool<S: Slots>(Vec<S::Slot>, PhantomData<S>);

impl<S: Slots> Default for NewPool<S> {
    fn default() -> Self {
        Self(Vec::with_capacity(FRESH), PhantomData)
    }
}

impl<S: Slots> NewPool<S> {
    /// Makes a pool, fills it and drops it.
    #[inline(never)]
    fn run(&mut self) {
        let mut slots = S::with_capacity(FRESH);
        keep(&raw const slots);
        self.0.clear();
        for word in 0..FRESH as u64 {
            self.0.push(slots.take(word));
            keep(&raw const slots);
        }
        slots.end(&self.0);
    }
}

/// Returns an error unless objects keep their words while their neighbours come and go.
pub fn check<S: Slots>() -> Result<(), String> {
    const COUNT: usize = 1000;
    let mut slots = S::with_capacity(COUNT);
    let mut live: Vec<(S::Slot, u64)> =
        (0..COUNT as u64).map(|word| (slots.take(word << 20), word << 20)).collect();
    for round in 1..4 {
        for place in shuffled(COUNT).into_iter().filter(|place| place % 3 < round) {
            let (slot, word) = &mut live[place as usize];
            // SAFETY: the slot is live, and another one takes its place.
            let found = unsafe { slots.give(*slot) };
            if found != *word {
                return Err(format!("an object reads {found:x} instead of {word:x}"));
            }
            *word = word.wrapping_mul(3) + 1;
            *slot = slots.take(*word);
        }
    }
    for place in shuffled(COUNT) {
        let (slot, word) = live[place as usize];
        // SAFETY: each slot is live and given back once.
        if unsafe { slots.give(slot) } != word {
            return Err(format!("an object lost {word:x}"));
        }
    }
    Ok(())
}
