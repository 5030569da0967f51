//! Arenas that are made, used and dropped: ten values of 32 bytes, and a million values of 8 bytes.
//!
//! Ten values: per-request arenas, where making and dropping dominate; a pool of arenas takes part where a library has
//! one. A million: an arena that does not know what will come and grows, beside those that are told the size.

use std::time::Duration;

use crate::contestants::blink::LocalBlink;
use crate::contestants::bump_scope::{Default, Down, Scoped, Up};
use crate::contestants::bumpalo::Bumpalo;
use crate::contestants::limit::{Limit, LimitFresh};
use crate::contestants::reference::{self, Reference, ReferenceMapped};
use crate::contestants::typed_arena::Typed;
use crate::contestants::{Arena, Fresh, Put, Wide, ours};
use crate::harness::{Contestant, Row, Side, Statistic, timed};
use crate::sink::keep;

/// Values per arena in the first row.
const TEN: u64 = 10;
/// Arenas per batch in the first row.
const CYCLES: u64 = 2048;
/// Values per arena in the second row.
const MILLION: u64 = 1_000_000;
/// Bytes of an arena that is told the size of a million values.
const MILLION_BYTES: usize = 8 * MILLION as usize;

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let (ten_title, million_title) =
        ("new arena, 10 values of 32 B, drop", "new arena, a million values of 8 B, drop");
    vec![
        Row {
            id: "new-ten-drop",
            title: ten_title,
            unit: "arena",
            operations: CYCLES,
            goal: 0.75,
            statistic: Statistic::Minimum,
            contestants: ten,
        },
        Row {
            id: "fresh-million",
            title: million_title,
            unit: "allocation",
            operations: MILLION,
            goal: 0.92,
            statistic: Statistic::Minimum,
            contestants: million,
        },
    ]
}

fn ten() -> Vec<Contestant> {
    let mut contestants = ours::ten_cycles();
    contestants.extend([
        fresh_ten::<Bumpalo<1>>(),
        fresh_ten::<Scoped<Default>>(),
        fresh_ten::<Scoped<Down>>(),
        fresh_ten::<LocalBlink>(),
        fresh_ten::<Typed<Wide>>(),
        sized_ten::<Reference>(),
    ]);
    contestants.extend(reference::ten_cycles());
    contestants.push(limit_ten());
    contestants
}

/// Returns a contestant of the first row that makes an arena of unknown size.
pub fn fresh_ten<A: Fresh<Wide>>() -> Contestant {
    cycles(A::NAME, A::SIDE, |first| ten_in(&A::fresh(), first), |first| check_ten(&A::fresh(), first))
}

/// Returns a contestant of the first row that makes an arena of 512 bytes.
pub fn sized_ten<A: Put<Wide>>() -> Contestant {
    let make = || A::with_capacity(512);
    cycles(A::NAME, A::SIDE, move |first| ten_in(&make(), first), move |first| check_ten(&make(), first))
}

/// Returns the limit of the first row: the values go to the start of the same memory each time.
fn limit_ten() -> Contestant {
    let mut timed = Limit::with_capacity(512);
    let mut checked = Limit::with_capacity(512);
    let cycle = move |first| {
        ten_in(&timed, first);
        timed.reset();
    };
    let check = move |first| {
        let result = check_ten(&checked, first);
        checked.reset();
        result
    };
    cycles(Limit::NAME, Limit::SIDE, cycle, check)
}

/// Returns a contestant of the first row: `cycle` makes an arena, calls [`ten_in`] and drops it; `check` does the same
/// with [`check_ten`].
pub fn cycles(
    name: &'static str,
    side: Side,
    mut cycle: impl FnMut(u64) + 'static,
    mut check: impl FnMut(u64) -> Result<(), String> + 'static,
) -> Contestant {
    let check = move || (0..3).try_for_each(&mut check);
    Contestant::new(name, side, check, move || {
        repeat(&mut cycle);
        repeat(&mut cycle)
    })
}

/// Times [`CYCLES`] calls.
#[inline(never)]
fn repeat(cycle: &mut impl FnMut(u64)) -> Duration {
    timed(|| (0..CYCLES).for_each(cycle))
}

/// Moves ten values in with `put`.
#[inline(always)]
pub fn ten_with<'a>(first: u64, put: impl Fn(Wide) -> &'a Wide) {
    for value in 0..TEN {
        keep(put([first + value; 4]));
    }
}

/// Moves ten values into `arena`.
#[inline(always)]
pub fn ten_in<A: Put<Wide>>(arena: &A, first: u64) {
    ten_with(first, |value| arena.put(value));
}

/// Moves ten values in with `put`; an error unless they keep their contents.
///
/// # Errors
///
/// Names the first value that differs.
pub fn check_ten_with<'a>(first: u64, put: impl Fn(Wide) -> &'a Wide) -> Result<(), String> {
    let blocks: Vec<_> = (first..first + TEN).map(|value| put([value; 4])).collect();
    let mut wrong = blocks.iter().zip(first..).filter(|(block, value)| ***block != [*value; 4]);
    wrong.next().map_or(Ok(()), |(block, value)| Err(format!("value {value} reads {block:?}")))
}

/// Moves ten values into `arena`; an error unless they keep their contents.
///
/// # Errors
///
/// Names the first value that differs.
pub fn check_ten<A: Put<Wide>>(arena: &A, first: u64) -> Result<(), String> {
    check_ten_with(first, |value| arena.put(value))
}

fn million() -> Vec<Contestant> {
    let mut contestants = ours::fresh_million_values();
    contestants.extend([
        fresh_million::<Bumpalo<1>>(),
        fresh_million::<Scoped<Default>>(),
        fresh_million::<Scoped<Down>>(),
        fresh_million::<Scoped<Up>>(),
        fresh_million::<LocalBlink>(),
        fresh_million::<Typed<u64>>(),
        sized_million::<Bumpalo<8>>("bumpalo, MIN_ALIGN 8, told the size"),
        sized_million::<Scoped<Down>>("bump-scope, tuned down, told the size"),
        sized_million::<Reference>("reference BumpArena, told the size"),
        sized_million::<ReferenceMapped>("reference BumpArena<MmapBacked>, told the size"),
        fresh_million::<LimitFresh>(),
    ]);
    contestants
}

/// Returns a contestant of the second row that makes an arena of unknown size.
pub fn fresh_million<A: Fresh<u64>>() -> Contestant {
    millions::<A>(A::NAME, A::fresh)
}

/// Returns a contestant of the second row that tells the arena how much will come.
pub fn sized_million<A: Put<u64>>(name: &'static str) -> Contestant {
    millions::<A>(name, || A::with_capacity(MILLION_BYTES))
}

/// Returns a contestant of the second row whose arenas come from `make`.
fn millions<A: Put<u64>>(name: &'static str, make: fn() -> A) -> Contestant {
    let check = move || {
        let arena = make();
        let blocks: Vec<&u64> = (0..MILLION).map(|value| arena.put(value)).collect();
        let equal = blocks.into_iter().copied().eq(0..MILLION);
        if equal { Ok(()) } else { Err("a value was overwritten".to_string()) }
    };
    Contestant::new(name, A::SIDE, check, move || {
        million_in(make);
        timed(|| million_in(make))
    })
}

/// Makes an arena, moves a million values in and drops it.
#[inline(never)]
fn million_in<A: Put<u64>>(make: fn() -> A) {
    let arena = make();
    keep(&raw const arena);
    for value in 0..MILLION {
        keep(arena.put(value));
    }
}
