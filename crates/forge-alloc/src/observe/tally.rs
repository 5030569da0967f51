//! Steps of a counter: plain where one thread counts, read-modify-write where several do.
//!
//! # Design
//!
//! Every function takes `alone`: whether no other thread updates the counter at the same time. It is a constant where
//! it is called, so one of the two ways remains. A wrong `alone` loses steps and harms nothing else, because the word is
//! an atomic either way. Targets without compare-and-swap have only the plain way; there, a step that is interrupted by
//! another one is lost.
//!
//! Counters order no other memory, and the constructors of what holds them are `const`, so they stay on `core`'s relaxed
//! atomics under model checking as well.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[cfg_attr(target_has_atomic = "ptr", path = "tally/swapping.rs")]
#[cfg_attr(not(target_has_atomic = "ptr"), path = "tally/storing.rs")]
mod shared;

/// Adds `amount` and returns the sum; wraps. O(1).
#[inline(always)]
pub(super) fn add(counter: &AtomicUsize, amount: usize, alone: bool) -> usize {
    if alone { plain_add(counter, amount) } else { shared::add(counter, amount) }
}

/// Subtracts `amount` and returns the difference; wraps. O(1).
#[inline(always)]
pub(super) fn sub(counter: &AtomicUsize, amount: usize, alone: bool) -> usize {
    add(counter, amount.wrapping_neg(), alone)
}

/// Raises the counter to at least `value`. O(1).
#[inline(always)]
pub(super) fn raise(counter: &AtomicUsize, value: usize, alone: bool) {
    // The look spares all but a new maximum the write.
    if counter.load(Relaxed) < value {
        if alone {
            counter.store(value, Relaxed);
        } else {
            shared::raise(counter, value);
        }
    }
}

/// Replaces `old` by `new`, if the word is `old`; returns whether it was. O(1).
#[inline(always)]
pub(super) fn replace(word: &AtomicUsize, old: usize, new: usize, alone: bool) -> bool {
    if alone { plain_replace(word, old, new) } else { shared::replace(word, old, new) }
}

#[inline(always)]
fn plain_add(counter: &AtomicUsize, amount: usize) -> usize {
    let sum = counter.load(Relaxed).wrapping_add(amount);
    counter.store(sum, Relaxed);
    sum
}

#[inline(always)]
fn plain_replace(word: &AtomicUsize, old: usize, new: usize) -> bool {
    let found = word.load(Relaxed) == old;
    if found {
        word.store(new, Relaxed);
    }
    found
}
