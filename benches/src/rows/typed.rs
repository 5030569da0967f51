//! Values of one type, then a reset: the arena's shortest path, and what memory adds to it.
//!
//! Two hundred and fifty-six values of 8 or 32 bytes stay in the first-level cache; a million values of 8, 32 or 128
//! bytes go to the second level, the third and memory. Each batch fills the arena once before the timed part, so that
//! what other contestants left in the caches does not count.

use crate::contestants::Put;
use crate::contestants::blink::LocalBlink;
use crate::contestants::bump_scope::{Default, Down, Scoped, Up};
use crate::contestants::bumpalo::Bumpalo;
use crate::contestants::limit::Limit;
use crate::contestants::ours;
use crate::contestants::reference::Reference;
use crate::contestants::typed_arena::Typed;
use crate::harness::{Contestant, Row, Statistic, timed};
use crate::sink::keep;

/// Values per reset in the hot rows.
const FEW: u64 = 256;
/// Fillings per batch in the hot rows.
const REPEATS: u64 = 256;
/// Values per reset in the rows that leave the caches.
const MANY: u64 = 1_000_000;

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    vec![
        row("typed-8", "8 B values, 256 then reset", FEW * REPEATS, 0.95, hot::<1>),
        row("typed-32", "32 B values, 256 then reset", FEW * REPEATS, 0.85, hot::<4>),
        row("typed-8-million", "8 B values, a million then reset", MANY, 1.0, million::<1>),
        row("typed-32-million", "32 B values, a million then reset", MANY, 1.0, million::<4>),
        row("typed-128-million", "128 B values, a million then reset", MANY, 1.0, million::<16>),
    ]
}

fn row(
    id: &'static str,
    title: &'static str,
    operations: u64,
    goal: f64,
    contestants: fn() -> Vec<Contestant>,
) -> Row {
    Row { id, title, unit: "allocation", operations, goal, statistic: Statistic::Minimum, contestants }
}

fn hot<const WORDS: usize>() -> Vec<Contestant> {
    let mut contestants = everyone::<WORDS>(FEW, REPEATS);
    contestants.push(contestant::<Typed<[u64; WORDS]>, WORDS>(FEW, REPEATS));
    contestants
}

fn million<const WORDS: usize>() -> Vec<Contestant> {
    everyone::<WORDS>(MANY, 1)
}

/// Returns the contestants that can be reset.
fn everyone<const WORDS: usize>(count: u64, repeats: u64) -> Vec<Contestant> {
    vec![
        contestant::<ours::Fixed, WORDS>(count, repeats),
        contestant::<ours::Growing, WORDS>(count, repeats),
        contestant::<Bumpalo<1>, WORDS>(count, repeats),
        contestant::<Bumpalo<8>, WORDS>(count, repeats),
        contestant::<Scoped<Default>, WORDS>(count, repeats),
        contestant::<Scoped<Down>, WORDS>(count, repeats),
        contestant::<Scoped<Up>, WORDS>(count, repeats),
        contestant::<LocalBlink, WORDS>(count, repeats),
        contestant::<Reference, WORDS>(count, repeats),
        contestant::<Limit, WORDS>(count, repeats),
    ]
}

fn contestant<A: Put<[u64; WORDS]>, const WORDS: usize>(count: u64, repeats: u64) -> Contestant {
    let bytes = count as usize * size_of::<[u64; WORDS]>();
    let mut arena = Box::new(A::with_capacity(bytes));
    let check = move || check::<A, WORDS>(&mut A::with_capacity(bytes), count.min(10 * FEW));
    Contestant::new(A::NAME, A::SIDE, check, move || {
        fill(&mut *arena, count, 1);
        timed(|| fill(&mut *arena, count, repeats))
    })
}

/// Fills the arena with `count` values and resets it, `repeats` times.
#[inline(never)]
fn fill<A: Put<[u64; WORDS]>, const WORDS: usize>(arena: &mut A, count: u64, repeats: u64) {
    keep(arena);
    for _ in 0..repeats {
        for value in 0..count {
            keep(arena.put([value; WORDS]));
        }
        arena.reset();
    }
}

/// Returns an error unless `count` values keep their contents, before and after a reset.
fn check<A: Put<[u64; WORDS]>, const WORDS: usize>(arena: &mut A, count: u64) -> Result<(), String> {
    for first in [0, count] {
        let blocks: Vec<&[u64; WORDS]> =
            (first..first + count).map(|value| arena.put([value; WORDS])).collect();
        for (block, value) in blocks.into_iter().zip(first..) {
            if *block != [value; WORDS] {
                return Err(format!("value {value} reads {block:?}"));
            }
        }
        arena.reset();
    }
    Ok(())
}
