//! Moves of the allocator between calls: what a program does when it passes an allocator on by value.
//!
//! ```text
//!   [ allocator ]  --Box-->  [ allocator ]  --return-->  [ allocator ]       three addresses, one value
//! ```
//!
//! # Design
//!
//! Under [`StableAddress`] the blocks must survive the move, contents and all. Without it a move ends them, so they are
//! freed before it; what is tested then is that the allocator remembers nothing that the move has made wrong.

use alloc::boxed::Box;
use core::hint::black_box;

use forge_alloc_core::{Allocator, StableAddress};

use super::{Checks, Shadow, Summary, Violation, demand};
use crate::Op;

impl<A: Allocator + StableAddress> Shadow<A> {
    /// Moves the allocator to other addresses, with its blocks alive, and compares them.
    ///
    /// # Errors
    ///
    /// [`Violation`] if a block does not hold what was written to it.
    pub fn moved(mut self) -> Result<Self, Violation> {
        self.allocator = through_the_heap(self.allocator);
        self.sweep()?;
        Ok(self)
    }
}

/// Moves `value` to the heap and back, so that its address changes twice.
fn through_the_heap<T>(value: T) -> T {
    let mut parked = black_box(Box::new(value));
    black_box(&mut parked);
    *parked
}

/// Passes `ops` to `allocator` and moves it, with its blocks alive, after every `every` of them.
///
/// # Errors
///
/// The first [`Violation`].
pub fn drive_moving<A>(allocator: A, ops: &[Op], every: usize, checks: Checks) -> Result<Summary, Violation>
where
    A: Allocator + StableAddress,
{
    let mut shadow = Shadow::with_checks(allocator, checks);
    let mut summary = Summary::default();
    for group in ops.chunks(every.max(1)) {
        summary.add(shadow.run(group)?);
        shadow = shadow.moved()?;
    }
    shadow.finish()?;
    Ok(summary)
}

/// Passes `ops` to `allocator`; after every `every` of them frees all blocks and moves it.
///
/// Later operations on the freed blocks are skipped. `checks` is asked again after each move, since the range of an
/// allocator that owns its bytes in place moves with it.
///
/// # Errors
///
/// The first [`Violation`].
pub fn drive_moving_empty<A: Allocator>(
    mut allocator: A,
    ops: &[Op],
    every: usize,
    checks: impl Fn(&A) -> Checks,
) -> Result<Summary, Violation> {
    let mut summary = Summary::default();
    let mut operations = 0;
    for group in ops.chunks(every.max(1)) {
        let mut shadow = Shadow::with_checks(&allocator, checks(&allocator));
        shadow.operations = operations;
        summary.add(shadow.run(group)?);
        operations = shadow.operations;
        shadow.finish()?;
        allocator = through_the_heap(allocator);
    }
    Ok(summary)
}

/// Passes `ops` to `allocator` and moves it, with its blocks alive, after every `every` of them.
///
/// # Panics
///
/// If a promise is broken, with the [`Violation`].
#[track_caller]
pub fn check_moving<A: Allocator + StableAddress>(allocator: A, ops: &[Op], every: usize) -> Summary {
    demand(drive_moving(allocator, ops, every, Checks::default()))
}

/// Passes `ops` to `allocator`; after every `every` of them frees all blocks and moves it.
///
/// # Panics
///
/// If a promise is broken, with the [`Violation`].
#[track_caller]
pub fn check_moving_empty<A: Allocator>(allocator: A, ops: &[Op], every: usize) -> Summary {
    demand(drive_moving_empty(allocator, ops, every, |_| Checks::default()))
}

#[cfg(test)]
mod tests;
