//! A vector of `u64` pushed to a million; two vectors pushed in turn, neither of which can keep growing in place.
//!
//! The vector is the one that the library works with: of allocator-api2, or the library's own. It is a local of the
//! loop, as in a program, so that its length may stay in a register.
//!
//! # Design
//!
//! The loop is a handful of instructions and takes one cycle or two depending on where the linker puts it, for every
//! contestant alike. Each contestant therefore has four copies of it at different places, and a sample is the fastest of
//! them.

use std::time::Duration;

use crate::contestants::blink::LocalBlink;
use crate::contestants::bump_scope::{Default, OwnVector, Scoped, Up};
use crate::contestants::bumpalo::Bumpalo;
use crate::contestants::ours;
use crate::contestants::reference::Reference;
use crate::contestants::{Arena, Vectors};
use crate::harness::{Contestant, Row, Side, Statistic, timed};
use crate::sink::keep;

/// Pushes per vector.
const COUNT: u64 = 1_000_000;
/// Room for two vectors that leave every shorter version of themselves behind.
const ROOM: usize = 80 << 20;

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let unit = "push";
    let (one, two) = ("Vec<u64> pushed to a million", "two Vec<u64> pushed in turn to a million each");
    vec![
        Row {
            id: "vec-push",
            title: one,
            unit,
            operations: COUNT,
            goal: 1.0,
            statistic: Statistic::Minimum,
            contestants: one_vector,
        },
        Row {
            id: "vec-push-two",
            title: two,
            unit,
            operations: 2 * COUNT,
            goal: 0.95,
            statistic: Statistic::Minimum,
            contestants: two_vectors,
        },
    ]
}

macro_rules! everyone {
    ($contestant:ident) => {
        vec![
            $contestant::<ours::Fixed>(),
            $contestant::<ours::Growing>(),
            $contestant::<Bumpalo<1>>(),
            $contestant::<Bumpalo<8>>(),
            $contestant::<Scoped<Default>>(),
            $contestant::<Scoped<Up>>(),
            $contestant::<OwnVector>(),
            $contestant::<LocalBlink>(),
            $contestant::<Reference>(),
            $contestant::<GlobalVec>(),
        ]
    };
}

fn one_vector() -> Vec<Contestant> {
    everyone!(one)
}

fn two_vectors() -> Vec<Contestant> {
    everyone!(two)
}

fn one<A: Vectors>() -> Contestant {
    contestant::<A>([push_one::<A, 0>, push_one::<A, 1>, push_one::<A, 2>, push_one::<A, 3>])
}

fn two<A: Vectors>() -> Contestant {
    contestant::<A>([push_two::<A, 0>, push_two::<A, 1>, push_two::<A, 2>, push_two::<A, 3>])
}

fn contestant<A: Vectors>(copies: [fn(&mut A); 4]) -> Contestant {
    let mut arena = Box::new(A::with_capacity(ROOM));
    let check = || {
        let mut arena = A::with_capacity(ROOM);
        let hold = arena.pushes_hold(COUNT / 10);
        if hold { Ok(()) } else { Err("a vector does not hold what was pushed".to_string()) }
    };
    let batch = move || -> Duration {
        copies[0](&mut arena);
        copies.iter().map(|work| timed(|| work(&mut arena))).min().unwrap_or(Duration::MAX)
    };
    Contestant::new(A::NAME, A::SIDE, check, batch)
}

/// Pushes to one vector. The number of pushes depends on `COPY`, so that the copies stay different functions.
#[inline(never)]
fn push_one<A: Vectors, const COPY: u64>(arena: &mut A) {
    keep(arena);
    arena.push_one(COUNT + COPY);
    arena.reset();
}

/// Pushes to two vectors in turn; `COPY` as above.
#[inline(never)]
fn push_two<A: Vectors, const COPY: u64>(arena: &mut A) {
    keep(arena);
    arena.push_two(COUNT + COPY);
    arena.reset();
}

/// The standard vector over the global allocator, for context.
struct GlobalVec;

impl Arena for GlobalVec {
    const NAME: &'static str = "std Vec, global allocator";
    const SIDE: Side = Side::Context;

    fn with_capacity(_: usize) -> Self {
        Self
    }

    fn reset(&mut self) {}
}

crate::vectors!(GlobalVec, arena => {
    let _: &GlobalVec = arena;
    Vec::new()
});
