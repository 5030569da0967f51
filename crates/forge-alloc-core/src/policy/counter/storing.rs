//! The counter for targets whose atomics only load and store: a step that is interrupted by another one is lost.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A number that a shared reference can step.
#[derive(Debug)]
pub(crate) struct Counter(AtomicUsize);

impl Counter {
    pub(crate) const fn new(value: usize) -> Self {
        Self(AtomicUsize::new(value))
    }

    pub(crate) fn value(&self) -> usize {
        self.0.load(Relaxed)
    }

    /// Replaces the value `v` by `next(v)` and returns `v`.
    pub(crate) fn step(&self, next: impl Fn(usize) -> usize) -> usize {
        let seen = self.value();
        self.0.store(next(seen), Relaxed);
        seen
    }
}
