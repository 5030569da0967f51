//! Object caches: boxes made and dropped, by one thread and by two.
//!
//! ```text
//!   cache-pair, -shared     64 B, one box made and dropped; without a lock, and with one that threads could share
//!   cache-sweep             the same while 0, 1, 2 .. 255 others live: at every boundary of a slab
//!   cache-10k, -shared      10,000 made, dropped at random
//!   cache-million           1,000,000 u128 made, then all dropped in order
//!   cache-pair-2, -10k-2    as above, by two threads on one cache at once; an operation is one of each
//! ```
//!
//! # Design
//!
//! The first word of a value is written when its box is made and read when it is dropped. Memory stays from batch to batch,
//! where the library keeps it. Rows of two threads compare medians of the time from the first start to the last end.
#![allow(unsafe_code)]

use std::time::Duration;

use crate::contestants::caches::{
    Boxes, Cached, Fronted, Local, LocalLarge, Mi, ReferenceLocal, ReferenceSpin, Rooted, Spin, SpinLarge,
};
use crate::contestants::slabs::Object;
use crate::harness::{Contestant, Row, Statistic, timed};
use crate::rows::slabs::shuffled;
use crate::sink::keep;
use crate::threads::Helper;

/// Pairs per batch.
const PAIRS: usize = 16 * 1024;
/// Values that live at most beside the pair of the sweep.
const BESIDE: usize = 256;
/// Values in the rows of many.
const MANY: usize = 10_000;
/// Values in the row of a million.
const MILLION: usize = 1_000_000;

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let row = |id, title, operations: usize, goal, contestants| {
        let (operations, statistic) = (operations as u64, Statistic::Minimum);
        Row { id, title, unit: "pair", operations, goal, statistic, contestants }
    };
    let two = |row| Row { statistic: Statistic::Median, ..row };
    vec![
        row("cache-pair", "object cache, 64 B, no lock, made and dropped", PAIRS, 0.60, local_pairs),
        row("cache-pair-shared", "object cache, 64 B, made and dropped", PAIRS, 1.0, shared_pairs),
        row("cache-sweep", "object cache, 64 B, at every boundary of a slab", PAIRS, 0.60, local_sweeps),
        row("cache-10k", "object cache, 64 B, no lock, 10,000 at random", MANY, 0.90, local_many),
        row("cache-10k-shared", "object cache, 64 B, 10,000 at random", MANY, 1.0, shared_many),
        row("cache-million", "object cache, 1,000,000 u128, then all dropped", MILLION, 0.50, millions),
        two(row("cache-pair-2", "object cache, 64 B, made and dropped, 2 threads", PAIRS, 1.0, pairs_of_two)),
        two(row("cache-10k-2", "object cache, 64 B, 10,000 at random, 2 threads", MANY, 1.0, many_of_two)),
    ]
}

macro_rules! contestants {
    ($($row:ident: $make:ident, $($contestant:ident)*;)*) => {$(
        fn $row() -> Vec<Contestant> {
            vec![$($make::<$contestant<_>>()),*]
        }
    )*};
}

contestants! {
    local_pairs: pair, Local Boxes Mi ReferenceLocal;
    shared_pairs: pair, Spin Fronted Rooted Boxes Mi ReferenceSpin;
    local_sweeps: sweep, Local Boxes Mi ReferenceLocal;
    local_many: many, Local LocalLarge Boxes Mi ReferenceLocal;
    shared_many: many, Spin SpinLarge Fronted Rooted Boxes Mi ReferenceSpin;
    millions: million, Local LocalLarge Fronted Boxes Mi ReferenceLocal;
    pairs_of_two: pair_of_two, Spin Fronted Rooted Boxes Mi ReferenceSpin;
    many_of_two: many_by_two, Spin SpinLarge Fronted Rooted Boxes Mi ReferenceSpin;
}

/// Makes a box and drops it, `count` times.
#[inline(never)]
pub fn make_and_drop<C: Cached<Object>>(cache: &mut C, count: usize) {
    keep(cache);
    let mut sum = 0_u64;
    for word in 0..count as u64 {
        let boxed = cache.make(Object::new(word));
        keep(&raw const *boxed);
        sum = sum.wrapping_add(boxed.word());
        drop(boxed);
        keep(cache);
    }
    keep(&raw const sum);
}

fn pair<C: Cached<Object>>() -> Contestant {
    let mut cache = C::open(64);
    Contestant::new(C::NAME, C::SIDE, check::<C>, move || {
        make_and_drop(&mut cache, 1024);
        timed(|| make_and_drop(&mut cache, PAIRS))
    })
}

fn sweep<C: Cached<Object>>() -> Contestant {
    let mut cache = C::open(64);
    let mut beside = Vec::with_capacity(BESIDE);
    Contestant::new(C::NAME, C::SIDE, check::<C>, move || {
        let mut time = Duration::ZERO;
        for word in 0..BESIDE as u64 {
            time += timed(|| make_and_drop(&mut cache, PAIRS / BESIDE));
            beside.push(cache.make(Object::new(word)));
        }
        beside.clear();
        time
    })
}

/// A cache and its boxes, which are dropped at random.
struct Many<C: Cached<Object>> {
    cache: C,
    live: Vec<Option<C::Boxed>>,
    order: Vec<u32>,
}

impl<C: Cached<Object>> Many<C> {
    fn new(cache: C) -> Self {
        Self { cache, live: (0..MANY).map(|_| None).collect(), order: shuffled(MANY) }
    }

    /// Makes all, then drops them.
    #[inline(never)]
    fn pass(&mut self) {
        let cache = &mut self.cache;
        keep(cache);
        for (place, word) in self.live.iter_mut().zip(0..) {
            let boxed = cache.make(Object::new(word));
            keep(&raw const *boxed);
            *place = Some(boxed);
            keep(cache);
        }
        let mut sum = 0_u64;
        for &place in &self.order {
            if let Some(boxed) = self.live[place as usize].take() {
                sum = sum.wrapping_add(boxed.word());
            }
            keep(cache);
        }
        keep(&raw const sum);
    }
}

fn many<C: Cached<Object>>() -> Contestant {
    let mut many = None;
    Contestant::new(C::NAME, C::SIDE, check::<C>, move || {
        let many = many.get_or_insert_with(|| Many::new(C::open(MANY)));
        many.pass();
        timed(|| many.pass())
    })
}

fn million<C: Cached<u128>>() -> Contestant {
    let mut made: Option<(C, Vec<C::Boxed>)> = None;
    let check = || if *C::open(1).make(7) == 7 { Ok(()) } else { Err("a value was overwritten".to_string()) };
    Contestant::new(C::NAME, C::SIDE, check, move || {
        let (cache, boxes) = made.get_or_insert_with(|| (C::open(MILLION), Vec::with_capacity(MILLION)));
        timed(|| {
            for value in 0..MILLION as u128 {
                boxes.push(cache.make(value));
                keep(cache);
            }
            boxes.clear();
        })
    })
}

/// A state that its contestant sends to a thread before it is used.
struct Sent<S>(S);

// SAFETY: the contestants of these rows are made for several threads; the bound is not spelled on each of them.
unsafe impl<S> Send for Sent<S> {}

fn pair_of_two<C: Cached<Object>>() -> Contestant {
    let mut both = None;
    Contestant::new(C::NAME, C::SIDE, check::<C>, move || {
        let (here, there) = both.get_or_insert_with(|| {
            let cache = C::open(64);
            let another = Sent(cache.another());
            (cache, Helper::new(another))
        });
        there.at_once(|| make_and_drop(here, 1024), |there| make_and_drop(&mut there.0, 1024));
        there.at_once(|| make_and_drop(here, PAIRS), |there| make_and_drop(&mut there.0, PAIRS))
    })
}

fn many_by_two<C: Cached<Object>>() -> Contestant {
    let mut both = None;
    Contestant::new(C::NAME, C::SIDE, check::<C>, move || {
        let (here, there) = both.get_or_insert_with(|| {
            let cache = C::open(2 * MANY);
            let another = Sent(Many::new(cache.another()));
            (Many::new(cache), Helper::new(another))
        });
        // Warm, as in the rows of one thread.
        there.at_once(|| here.pass(), |there| there.0.pass());
        there.at_once(|| here.pass(), |there| there.0.pass())
    })
}

/// Returns an error unless values keep their words while their neighbours come and go.
fn check<C: Cached<Object>>() -> Result<(), String> {
    const COUNT: usize = 1000;
    let mut cache = C::open(COUNT);
    let mut live: Vec<_> =
        (0..COUNT as u64).map(|word| (cache.make(Object::new(word << 20)), word << 20)).collect();
    for round in 1..4 {
        for place in shuffled(COUNT).into_iter().filter(|place| place % 3 < round) {
            let (boxed, word) = &mut live[place as usize];
            if boxed.word() != *word {
                return Err(format!("a value reads {:x} instead of {word:x}", boxed.word()));
            }
            *word = word.wrapping_mul(3) + 1;
            *boxed = cache.make(Object::new(*word));
        }
    }
    Ok(())
}
