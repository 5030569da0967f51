//! A scope: open it, move eight 32-byte values in, close it, so that the arena is where it was.

use crate::contestants::bump_scope::{Bytes, Default, Down, Scoped, Up};
use crate::contestants::limit::Limit;
use crate::contestants::ours;
use crate::contestants::reference::Reference;
use crate::contestants::{PutWide, Scopes};
use crate::harness::{Contestant, Row, Statistic, timed};
use crate::sink::keep;

/// Scopes per batch.
const SCOPES: u64 = 4096;
/// Values per scope.
const VALUES: u64 = 8;

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let title = "scope with 8 values of 32 B, rewound";
    vec![Row {
        id: "scope",
        title,
        unit: "scope",
        operations: SCOPES,
        goal: 0.72,
        statistic: Statistic::Minimum,
        contestants: everyone,
    }]
}

fn everyone() -> Vec<Contestant> {
    vec![
        contestant::<ours::Fixed>(),
        contestant::<ours::Growing>(),
        contestant::<Scoped<Default>>(),
        contestant::<Scoped<Down>>(),
        contestant::<Scoped<Up>>(),
        contestant::<Scoped<Bytes>>(),
        contestant::<Reference>(),
        contestant::<Limit>(),
    ]
}

fn contestant<A: Scopes>() -> Contestant {
    let mut arena = Box::new(A::with_capacity(4096));
    let check = || check(&mut A::with_capacity(4096));
    Contestant::new(A::NAME, A::SIDE, check, move || {
        scopes(&mut *arena, 1);
        timed(|| scopes(&mut *arena, SCOPES))
    })
}

/// Opens, fills and closes `count` scopes.
#[inline(never)]
fn scopes<A: Scopes>(arena: &mut A, count: u64) {
    keep(arena);
    for first in 0..count {
        arena.scoped(|scope| {
            for value in 0..VALUES {
                keep(scope.put_wide([first + value; 4]));
            }
        });
    }
}

/// Returns an error unless the values of a scope keep their contents and the next scope starts at the same place.
fn check<A: Scopes>(arena: &mut A) -> Result<(), String> {
    let mut starts = Vec::new();
    for first in [0, 100, 200] {
        let result = arena.scoped(|scope| {
            let blocks: Vec<_> = (first..first + VALUES).map(|value| scope.put_wide([value; 4])).collect();
            let equal = blocks.iter().zip(first..).all(|(block, value)| **block == [value; 4]);
            equal.then(|| std::ptr::from_ref(blocks[0]).addr())
        });
        starts.push(result.ok_or("a value was overwritten")?);
    }
    if starts.iter().any(|start| *start != starts[0]) {
        return Err(format!("scopes start at {starts:x?}"));
    }
    Ok(())
}
