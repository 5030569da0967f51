//! Steps on targets with compare-and-swap: none is ever lost.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Adds `amount` and returns the sum.
#[inline(always)]
pub(super) fn add(counter: &AtomicUsize, amount: usize) -> usize {
    counter.fetch_add(amount, Relaxed).wrapping_add(amount)
}

/// Raises the counter to at least `value`.
#[inline(always)]
pub(super) fn raise(counter: &AtomicUsize, value: usize) {
    counter.fetch_max(value, Relaxed);
}

/// Replaces `old` by `new`, if the word is `old`.
#[inline(always)]
pub(super) fn replace(word: &AtomicUsize, old: usize, new: usize) -> bool {
    word.compare_exchange(old, new, Relaxed, Relaxed).is_ok()
}
