//! What the conformance tests run on an allocator: the public checks, random histories against the shadow model, moves.
//!
//! The test that includes this file says with its constant `EFFORT` how many histories of which length there are.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use forge_alloc::testing::{assert_allocator_contract, assert_combined_invariants};
use forge_alloc::{Allocator, FixedRange, StableAddress};
use forge_trace::shadow::{Checks, Limits, drive, drive_moving, drive_moving_empty, random_ops};

use crate::EFFORT;

/// How much is run on each allocator.
pub(crate) struct Effort {
    /// How many random histories there are.
    pub(crate) seeds: u64,
    /// How many operations each of them has.
    pub(crate) operations: usize,
}

/// After how many operations the allocator is moved.
pub(crate) const MOVE_EVERY: usize = 17;

pub(crate) fn checks() -> Checks {
    Checks { vary_alignment: true, ..Checks::default() }
}

/// Runs `with` on the operations of every seed, usual and hostile ones.
///
/// An allocator without a `bound` has room for half of all addresses where these have 32 bits. Hostile requests are then
/// ordinary ones, of gigabytes that are copied and filled with zeros, so that only the bounded allocators get them there.
pub(crate) fn for_each_history(
    bound: Option<usize>,
    limits: Limits,
    mut with: impl FnMut(&[forge_trace::Op]),
) {
    let hostile = usize::BITS > 32 || bound.is_some();
    if !hostile {
        eprintln!("skipped: hostile requests, because 32 bits of addresses have room for them");
    }
    for seed in 0..EFFORT.seeds {
        with(&random_ops(seed, EFFORT.operations, &limits));
        if hostile {
            with(&random_ops(seed, EFFORT.operations, &limits.hostile(true)));
        }
    }
}

/// Runs all checks that any allocator passes.
pub(crate) fn conforms<A: Allocator>(limits: Limits, make: impl Fn() -> A) {
    assert_allocator_contract(&make());
    for_each_history(make().capacity_bytes(), limits, |history| {
        let allocator = make();
        let summary = drive(&allocator, history, checks()).unwrap_or_else(|violation| panic!("{violation}"));
        assert!(summary.done > 0, "the allocator refused everything");
    });
}

/// Moves the allocator with its blocks alive.
pub(crate) fn moves_alive<A: Allocator + StableAddress>(limits: Limits, make: impl Fn() -> A) {
    for_each_history(make().capacity_bytes(), limits, |history| {
        drive_moving(make(), history, MOVE_EVERY, checks()).unwrap_or_else(|violation| panic!("{violation}"));
    });
}

/// Moves the allocator between two lives of it.
pub(crate) fn moves_empty<A: Allocator>(limits: Limits, make: impl Fn() -> A) {
    for_each_history(make().capacity_bytes(), limits, |history| {
        drive_moving_empty(make(), history, MOVE_EVERY, |_| checks())
            .unwrap_or_else(|violation| panic!("{violation}"));
    });
}

/// Checks that blocks lie in the range, while it is moved between two lives, and that the base stays if it says so.
pub(crate) fn stays_in_range<A: Allocator + FixedRange>(limits: Limits, make: impl Fn() -> A) {
    let range = make();
    assert_combined_invariants(&range);
    let base = range.base();
    let moved = Box::new(range);
    assert!(!A::STAYS || moved.base() == base, "the base of a range that stays has moved");
    assert!(A::STAYS || !moved.blocks_stay(), "blocks of a range that moves cannot stay");
    for_each_history(make().capacity_bytes(), limits, |history| {
        drive_moving_empty(make(), history, MOVE_EVERY, |range| Checks {
            vary_alignment: true,
            ..Checks::within(range)
        })
        .unwrap_or_else(|violation| panic!("{violation}"));
    });
}

pub(crate) fn usual() -> Limits {
    Limits { size: if cfg!(miri) { 256 } else { 4096 }, ..Limits::default() }
}

/// Few blocks of moderate alignment, for ranges that move.
pub(crate) fn small() -> Limits {
    Limits::small()
}
