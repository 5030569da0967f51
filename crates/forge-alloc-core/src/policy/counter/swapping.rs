//! The counter for targets with compare-and-swap: no step is ever lost.

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
        let mut seen = self.value();
        loop {
            // Relaxed: the counter publishes nothing but itself.
            match self.0.compare_exchange_weak(seen, next(seen), Relaxed, Relaxed) {
                Ok(previous) => return previous,
                Err(current) => seen = current,
            }
        }
    }
}
