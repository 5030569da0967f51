//! Bundles of free slots behind the magazines: a stack for each thread, from which others help themselves when theirs is empty.
//!
//! ```text
//!   thread 0: lock | bundle | bundle | newest |
//!   thread 1: lock | bundle | newest |                 stocked: 0 1 1     one bit per stack that is not empty
//!   thread 2: lock |
//! ```
//!
//! # Invariants
//!
//! - (I1) A stack is reached under its lock, or by whoever has the depot for itself.
//!
//! # Operations
//!
//! `put` and `take_own`: O(1), and a copy of the bundle by the caller under the lock of the stack. The first `put` of a thread asks
//! the global allocator for the memory of its stack.
//!
//! # Design
//!
//! A thread gets its own bundles back, because the memory of their slots is in the cache of its core, and so is the lock of its
//! stack. The bits are a hint that saves a thread with nothing the way to as many locks: a bundle that is missed is found the
//! next time, and meanwhile there are the slabs.
#![allow(unsafe_code)]

use alloc::vec::Vec;
use core::array;
use core::cell::UnsafeCell;

use forge_alloc_core::CachePadded;
use forge_alloc_core::sync::atomic::{AtomicUsize, Ordering};

use super::locks::LockTrait;
use crate::layout::slab::extendable::magazine::Bundle;
use crate::thread_slot::SLOTS;

/// The bundles of one thread, the newest at the end.
struct Stack<L> {
    lock: L,
    bundles: UnsafeCell<Vec<Bundle>>,
}

/// The bundles of all threads.
pub(super) struct Depot<L> {
    stacks: [CachePadded<Stack<L>>; SLOTS],
    stocked: CachePadded<AtomicUsize>,
    /// How many bundles a stack may hold.
    limit: usize,
}

impl<L: LockTrait> Depot<L> {
    /// Returns a depot for up to `limit` bundles of each thread. O(thread slots).
    pub(super) fn new(limit: usize) -> Self {
        Self {
            stacks: array::from_fn(|_| {
                CachePadded::new(Stack { lock: L::init(), bundles: UnsafeCell::new(Vec::new()) })
            }),
            stocked: CachePadded::new(AtomicUsize::new(0)),
            limit,
        }
    }

    /// Calls `work` with the bundles of a thread, under their lock.
    #[inline]
    fn stack<R>(&self, thread: usize, work: impl FnOnce(&mut Vec<Bundle>) -> R) -> Option<R> {
        let stack = self.stacks.get(thread)?;
        let _held = stack.lock.lock();
        // SAFETY: the lock is held (I1), and `work` does not come here again.
        Some(work(unsafe { &mut *stack.bundles.get() }))
    }

    /// Adds a bundle of this thread, which `fill` fills; returns `false` without calling it if there is no place. O(1).
    pub(super) fn put(&self, thread: usize, fill: impl FnOnce(&mut Bundle)) -> bool {
        let first = self.stack(thread, |bundles| {
            if bundles.capacity() == 0 {
                // Without memory, bundles go to the slabs.
                let _ = bundles.try_reserve_exact(self.limit);
            }
            if bundles.len() >= bundles.capacity().min(self.limit) {
                return None;
            }
            bundles.push(Bundle::EMPTY);
            bundles.last_mut().map(fill);
            Some(bundles.len() == 1)
        });
        if first == Some(Some(true)) {
            // Relaxed: a hint; the lock of the stack orders what is in it.
            self.stocked.fetch_or(1 << thread, Ordering::Relaxed);
        }
        first.flatten().is_some()
    }

    /// Takes the newest bundle of any thread that has one, and returns what `empty` makes of it. O(thread slots).
    pub(super) fn take_any<R>(&self, mut empty: impl FnMut(&Bundle) -> Option<R>) -> Option<R> {
        // Relaxed: a hint, as above.
        let mut others = self.stocked.load(Ordering::Relaxed);
        while others != 0 {
            let found = self.take_own(others.trailing_zeros() as usize, &mut empty);
            if found.is_some() {
                return found;
            }
            others &= others - 1;
        }
        None
    }

    /// Takes the newest bundle of this thread, and returns what `empty` makes of it. O(1).
    pub(super) fn take_own<R>(&self, thread: usize, empty: impl FnOnce(&Bundle) -> Option<R>) -> Option<R> {
        let (made, last) = self.stack(thread, |bundles| {
            let made = bundles.last().map(empty);
            (made.flatten(), bundles.pop().is_some() && bundles.is_empty())
        })?;
        if last {
            // Relaxed: a hint, as above.
            self.stocked.fetch_and(!(1 << thread), Ordering::Relaxed);
        }
        made
    }
}

#[cfg(test)]
mod tests;
