//! Steps on targets whose atomics only load and store: the plain ones.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

pub(super) use super::{plain_add as add, plain_replace as replace};

/// Raises the counter to at least `value`, which it is below.
#[inline(always)]
pub(super) fn raise(counter: &AtomicUsize, value: usize) {
    counter.store(value, Relaxed);
}
