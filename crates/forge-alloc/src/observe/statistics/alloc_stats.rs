//! [`AllocStats`]: the counters of one allocator.
//!
//! # Invariants
//!
//! - (I1) A counter is written by [`count`](AllocStats::count) or by [`show`](AllocStats::show), never by both: the counters
//!   of an allocator live here, or in its shards, of which these are a view.
//!
//! # Operations
//!
//! All O(1).
//!
//! # Design
//!
//! Each counter has cache lines of its own, so that a reader of one, or a writer, does not slow the writers of the others
//! down. Who holds the reference may store into the counters too: it then reads what it wrote.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use forge_alloc_core::CachePadded;

use super::snapshot::StatsSnapshot;
use crate::observe::tally;

/// Something that is counted; sizes are the requested ones, in bytes.
#[derive(Clone, Copy)]
pub(super) enum Event {
    Allocated(usize),
    Freed(usize),
    Resized { from: usize, to: usize },
    Failed,
}

/// The counters of one allocator. They wrap at `usize::MAX`.
///
/// A counter is read with a relaxed load. What is read of several of them while the allocator works may stem from
/// different moments.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct AllocStats {
    /// How many blocks were allocated.
    pub total_allocations: CachePadded<AtomicUsize>,
    /// How many blocks were freed, by a free or by a reset.
    pub total_deallocations: CachePadded<AtomicUsize>,
    /// The requested sizes of the live blocks in bytes.
    pub bytes_allocated: CachePadded<AtomicUsize>,
    /// The largest value of `bytes_allocated` so far.
    pub bytes_peak: CachePadded<AtomicUsize>,
    /// How many allocations and resizes failed.
    pub failures: CachePadded<AtomicUsize>,
    /// The largest value of the inner allocator's `corruption_events` that was seen.
    pub corruption_events: CachePadded<AtomicUsize>,
    /// How many blocks were grown or shrunk. A resize is neither an allocation nor a free, even if the block moved.
    pub resizes: CachePadded<AtomicUsize>,
}

impl AllocStats {
    /// Returns counters that are all zero. O(1).
    #[must_use]
    pub const fn new() -> Self {
        Self {
            total_allocations: CachePadded::new(AtomicUsize::new(0)),
            total_deallocations: CachePadded::new(AtomicUsize::new(0)),
            bytes_allocated: CachePadded::new(AtomicUsize::new(0)),
            bytes_peak: CachePadded::new(AtomicUsize::new(0)),
            failures: CachePadded::new(AtomicUsize::new(0)),
            corruption_events: CachePadded::new(AtomicUsize::new(0)),
            resizes: CachePadded::new(AtomicUsize::new(0)),
        }
    }

    /// Returns the requested sizes of the live blocks in bytes. O(1).
    pub fn current_bytes(&self) -> u64 {
        self.bytes_allocated.load(Relaxed) as u64
    }

    /// Returns the largest value of [`current_bytes`](Self::current_bytes) so far. O(1).
    pub fn peak_bytes(&self) -> u64 {
        self.bytes_peak.load(Relaxed) as u64
    }

    /// Returns how many blocks are live: the allocations less the frees. O(1).
    pub fn live_count(&self) -> i64 {
        self.snapshot().live_count()
    }

    /// Returns all counters as plain numbers. O(1).
    pub fn snapshot(&self) -> StatsSnapshot {
        StatsSnapshot {
            total_allocations: self.total_allocations.load(Relaxed) as u64,
            total_deallocations: self.total_deallocations.load(Relaxed) as u64,
            bytes_allocated: self.current_bytes(),
            bytes_peak: self.peak_bytes(),
            failures: self.failures.load(Relaxed) as u64,
            corruption_events: self.corruption_events.load(Relaxed) as u64,
            resizes: self.resizes.load(Relaxed) as u64,
        }
    }

    /// Counts one event; `alone` if no other thread counts at the same time.
    #[inline(always)]
    pub(super) fn count(&self, event: Event, alone: bool) {
        match event {
            Event::Allocated(size) => {
                tally::add(&self.total_allocations, 1, alone);
                self.count_more(size, alone);
            }
            Event::Freed(size) => {
                tally::add(&self.total_deallocations, 1, alone);
                self.count_fewer(size, alone);
            }
            Event::Resized { from, to } => {
                tally::add(&self.resizes, 1, alone);
                if to >= from {
                    self.count_more(to - from, alone);
                } else {
                    self.count_fewer(from - to, alone);
                }
            }
            Event::Failed => {
                tally::add(&self.failures, 1, alone);
            }
        }
    }

    #[inline(always)]
    fn count_more(&self, bytes: usize, alone: bool) {
        let sum = tally::add(&self.bytes_allocated, bytes, alone);
        tally::raise(&self.bytes_peak, sum, alone);
    }

    #[inline(always)]
    fn count_fewer(&self, bytes: usize, alone: bool) {
        debug_assert!(
            self.bytes_allocated.load(Relaxed) >= bytes,
            "Statistics::deallocate underflow: a block was freed with a larger size than it was allocated with"
        );
        tally::sub(&self.bytes_allocated, bytes, alone);
    }

    /// Raises the mirror of the inner allocator's count, which never falls, to `events`.
    #[inline(always)]
    pub(super) fn mirror(&self, events: u64, alone: bool) {
        let events = usize::try_from(events).unwrap_or(usize::MAX);
        if alone {
            // A look at each call costs less than a store: of those, a processor retires one a cycle to different lines.
            if self.corruption_events.load(Relaxed) != events {
                self.corruption_events.store(events, Relaxed);
            }
        } else {
            tally::raise(&self.corruption_events, events, false);
        }
    }

    /// Forgets the live blocks: they count as freed.
    pub(super) fn forget_live(&mut self) {
        let allocations = *self.total_allocations.get_mut();
        *self.total_deallocations.get_mut() = allocations;
        *self.bytes_allocated.get_mut() = 0;
    }

    /// Sets the counters to what the shards add up to. The mirror is not theirs.
    pub(super) fn show(&self, sums: &StatsSnapshot) {
        self.total_allocations.store(sums.total_allocations as usize, Relaxed);
        self.total_deallocations.store(sums.total_deallocations as usize, Relaxed);
        self.bytes_allocated.store(sums.bytes_allocated as usize, Relaxed);
        tally::raise(&self.bytes_peak, sums.bytes_peak as usize, false);
        self.failures.store(sums.failures as usize, Relaxed);
        self.resizes.store(sums.resizes as usize, Relaxed);
    }
}
