//! Copies of short slices (1 to 64 bytes) and strings (3 to 32 bytes), of lengths known only at run time.

use crate::contestants::Copies;
use crate::contestants::blink::LocalBlink;
use crate::contestants::bump_scope::{Bytes, Default, Scoped, Up};
use crate::contestants::bumpalo::Bumpalo;
use crate::contestants::limit::Limit;
use crate::contestants::ours;
use crate::contestants::reference::Reference;
use crate::harness::{Contestant, Row, Statistic, timed};
use crate::random::Random;
use crate::sink::keep;

/// Copies per reset.
const COUNT: usize = 1024;
/// Fillings per batch.
const REPEATS: usize = 32;

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let operations = (COUNT * REPEATS) as u64;
    vec![
        Row {
            id: "copy-slice",
            title: "copy a slice of 1..64 B",
            unit: "copy",
            operations,
            goal: 0.55,
            statistic: Statistic::Minimum,
            contestants: slices,
        },
        Row {
            id: "copy-str",
            title: "copy a string of 3..32 B",
            unit: "copy",
            operations,
            goal: 0.55,
            statistic: Statistic::Minimum,
            contestants: strings,
        },
    ]
}

macro_rules! everyone {
    ($contestant:ident) => {
        vec![
            $contestant::<ours::Fixed>(),
            $contestant::<ours::Growing>(),
            $contestant::<ours::GrowingPacked>(),
            $contestant::<Bumpalo<1>>(),
            $contestant::<Bumpalo<8>>(),
            $contestant::<Scoped<Default>>(),
            $contestant::<Scoped<Up>>(),
            $contestant::<Scoped<Bytes>>(),
            $contestant::<LocalBlink>(),
            $contestant::<Reference>(),
            $contestant::<Limit>(),
        ]
    };
}

fn slices() -> Vec<Contestant> {
    everyone!(slice_contestant)
}

fn strings() -> Vec<Contestant> {
    everyone!(string_contestant)
}

/// Returns strings whose lengths lie in `low..=high`, the same in every run, with their text in one piece.
pub fn strings_of(low: usize, high: usize) -> Vec<&'static str> {
    let mut random = Random::new(0xc0b1);
    let lengths: Vec<usize> = (0..COUNT).map(|_| random.between(low, high)).collect();
    let letters = (0..lengths.iter().sum::<usize>()).map(|index| char::from(b'a' + (index % 23) as u8));
    let mut text: &'static str = String::leak(letters.collect());
    let mut strings = Vec::new();
    for length in lengths {
        let (string, rest) = text.split_at(length);
        strings.push(string);
        text = rest;
    }
    strings
}

fn slice_contestant<A: Copies>() -> Contestant {
    let sources = strings_of(1, 64);
    let slices: Vec<&[u8]> = sources.iter().map(|source| source.as_bytes()).collect();
    let mut arena = Box::new(A::with_capacity(COUNT * (64 + 8)));
    let check = move || {
        let mut arena = A::with_capacity(COUNT * (64 + 8));
        let copies: Vec<&[u8]> = sources.iter().map(|source| arena.copy_slice(source.as_bytes())).collect();
        let equal = copies.iter().zip(&sources).all(|(copy, source)| *copy == source.as_bytes());
        arena.reset();
        if equal { Ok(()) } else { Err("a copy differs from its source".to_string()) }
    };
    Contestant::new(A::NAME, A::SIDE, check, move || {
        fill_slices(&mut *arena, &slices, 1);
        timed(|| fill_slices(&mut *arena, &slices, REPEATS))
    })
}

fn string_contestant<A: Copies>() -> Contestant {
    let sources = strings_of(3, 32);
    let strings = sources.clone();
    let mut arena = Box::new(A::with_capacity(COUNT * (64 + 8)));
    let check = move || {
        let mut arena = A::with_capacity(COUNT * (64 + 8));
        let copies: Vec<&str> = sources.iter().map(|source| arena.copy_str(source)).collect();
        let equal = copies == sources;
        arena.reset();
        if equal { Ok(()) } else { Err("a copy differs from its source".to_string()) }
    };
    Contestant::new(A::NAME, A::SIDE, check, move || {
        fill_strings(&mut *arena, &strings, 1);
        timed(|| fill_strings(&mut *arena, &strings, REPEATS))
    })
}

/// Copies every slice and resets the arena, `repeats` times.
#[inline(never)]
fn fill_slices<A: Copies>(arena: &mut A, sources: &[&[u8]], repeats: usize) {
    keep(arena);
    for _ in 0..repeats {
        for source in sources {
            keep(arena.copy_slice(source));
        }
        arena.reset();
    }
}

/// Copies every string and resets the arena, `repeats` times.
#[inline(never)]
fn fill_strings<A: Copies>(arena: &mut A, sources: &[&str], repeats: usize) {
    keep(arena);
    for _ in 0..repeats {
        for source in sources {
            keep(arena.copy_str(source));
        }
        arena.reset();
    }
}
