//! [`Statistics`]: how many blocks and bytes are live in another allocator, and how many were.
//!
//! ```text
//!   allocate, free, resize --> the inner allocator, in place as before
//!            |
//!            +-- one thread  --> AllocStats             plain loads and stores
//!            +-- many threads -> Shards, slot by slot   plain loads and stores; added up by `stats` and `snapshot`
//! ```
//!
//! # Invariants
//!
//! - (I1) Every block is a block of the inner allocator, with the layout that the inner allocator knows.
//! - (I2) Events are counted in `stats` or in `shards`, and in one of the two for all the life of the wrapper.
//!
//! # Operations
//!
//! As the inner allocator's, and O(1) for the count. [`stats`](Statistics::stats) and
//! [`snapshot`](Statistics::snapshot) are O(1) for an allocator of one thread, else O(thread slots).
//!
//! # Design
//!
//! Which way counts are kept is a constant of the inner type ([`Allocator::is_single_threaded`]). One thread updates the
//! public fields themselves, so that a reference from `stats` stays current. The corruptions of the inner allocator are
//! mirrored at each call then, which is a load; an allocator of many threads is asked when somebody reads.
//!
//! A resize is forwarded, so what stays in place without the wrapper does so with it. It changes the bytes by the difference
//! and is counted apart: as an allocation and a free it would hide how often blocks move, and show a peak that never was.
//! Bytes are requested sizes: what a block costs beyond them is the inner allocator's affair.
//!
//! A layout does not carve the range of a wrapper: it would go around the count.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, OsBacked, ProtectFlags, StableAddress,
};

use crate::forward::{
    forward_block_facts, forward_os_backed, forward_totals, forward_uncarvable_range, forward_visit,
};
use crate::layout::quarantinable::Quarantinable;

pub(crate) mod alloc_stats;
pub(crate) mod snapshot;

#[cfg(all(target_has_atomic = "ptr", feature = "std", any(unix, windows), not(loom)))]
mod shards;
#[cfg(not(all(target_has_atomic = "ptr", feature = "std", any(unix, windows), not(loom))))]
#[path = "statistics/shards/absent.rs"]
mod shards;

use alloc_stats::{AllocStats, Event};
use shards::Shards;
use snapshot::StatsSnapshot;

/// An allocator whose blocks and bytes are counted.
///
/// # Examples
///
/// ```
/// use forge_alloc::{Allocator, Deallocator, InlineBacked, NonZeroLayout, Slab, Statistics};
///
/// let slab = Statistics::new(Slab::<u64, _>::new(4, InlineBacked::<64>::new())?);
/// let layout = NonZeroLayout::for_type::<u64>().unwrap();
/// let block = slab.allocate(layout)?.cast();
/// assert_eq!((slab.stats().live_count(), slab.stats().current_bytes()), (1, 8));
/// // SAFETY: the block is live and not used afterwards.
/// unsafe { slab.deallocate(block, layout) };
/// assert_eq!((slab.stats().live_count(), slab.stats().peak_bytes()), (0, 8));
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
///
/// The wrapper of an allocator of one thread stays with one thread:
///
/// ```compile_fail,E0277
/// use forge_alloc::{InlineBacked, Slab, Statistics};
///
/// fn shared<T: Sync>() {}
/// shared::<Statistics<Slab<u64, InlineBacked<64>>>>();
/// ```
#[derive(Debug)]
pub struct Statistics<I> {
    inner: I,
    stats: AllocStats,
    shards: Shards,
}

impl<I> Statistics<I> {
    /// Returns `inner` with counters that are all zero. O(1).
    #[must_use]
    pub const fn new(inner: I) -> Self {
        Self { inner, stats: AllocStats::new(), shards: Shards::new() }
    }

    /// Returns the inner allocator. Blocks that are taken from it directly are not counted.
    #[inline]
    #[must_use]
    pub const fn inner(&self) -> &I {
        &self.inner
    }

    /// Returns the inner allocator; the counts are lost. O(1).
    #[must_use]
    pub fn into_inner(self) -> I {
        self.inner
    }
}

impl<I: Allocator> Statistics<I> {
    /// Returns the counters. O(1), or O(thread slots) if the inner allocator is for many threads.
    ///
    /// The fields of an allocator of one thread are always current. For an allocator of many threads this call brings them
    /// up to date; while several threads make it at once, a field holds what one of them has found. Each count is exact if
    /// all that was counted happened before the call. Nothing is promised between the counts of threads that are running.
    /// The peak is exact while one thread counts; otherwise it differs from the true one by at most 4 KiB for each of the 16
    /// thread slots.
    pub fn stats(&self) -> &AllocStats {
        if let Some(sums) = self.shards.sums() {
            self.stats.show(&sums);
        }
        self.mirror();
        &self.stats
    }

    /// Returns all counters as plain numbers, with the promises of [`stats`](Self::stats) whoever else reads. O(1), or
    /// O(thread slots) if the inner allocator is for many threads.
    pub fn snapshot(&self) -> StatsSnapshot {
        self.mirror();
        let fields = self.stats.snapshot();
        match self.shards.sums() {
            Some(sums) => StatsSnapshot { corruption_events: fields.corruption_events, ..sums },
            None => fields,
        }
    }

    /// Counts one event.
    #[inline(always)]
    fn count(&self, event: Event) {
        if self.inner.is_single_threaded() {
            self.stats.count(event, true);
        } else if !self.shards.count_in_slot(event) {
            self.count_among_many(event);
        }
    }

    /// Counts one event of a thread without a slot, or the first one of a thread.
    #[cold]
    #[inline(never)]
    fn count_among_many(&self, event: Event) {
        if !self.shards.count(event) {
            self.stats.count(event, false);
        }
    }

    /// Counts an allocation that was tried.
    #[inline(always)]
    fn counted(
        &self,
        block: Result<NonNull<[u8]>, AllocError>,
        success: Event,
    ) -> Result<NonNull<[u8]>, AllocError> {
        match block {
            Ok(_) => {
                self.count(success);
                self.poll();
            }
            Err(_) => self.count_failure(),
        }
        block
    }

    /// Counts an allocation that was refused.
    #[cold]
    #[inline(never)]
    fn count_failure(&self) {
        self.count(Event::Failed);
        self.poll();
    }

    /// Updates the mirror of the inner allocator's corruptions, where that is a load.
    #[inline(always)]
    fn poll(&self) {
        if self.inner.is_single_threaded() {
            self.mirror();
        }
    }

    /// Updates the mirror of the inner allocator's corruptions.
    #[inline(always)]
    fn mirror(&self) {
        self.stats.mirror(self.inner.corruption_events(), self.inner.is_single_threaded());
    }
}

// SAFETY: every block is the inner allocator's (I1), which takes it back; counting is safe from any thread.
unsafe impl<I: Allocator> Deallocator for Statistics<I> {
    #[inline(always)]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        self.count(Event::Freed(layout.size().get()));
        self.poll();
        // SAFETY: the caller's promises are the callee's (I1).
        unsafe { self.inner.deallocate(ptr, layout) }
    }
}

// SAFETY: every call reaches the inner allocator, which keeps the contract, and returns what it returns (I1).
unsafe impl<I: Allocator> Allocator for Statistics<I> {
    #[inline(always)]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.counted(self.inner.allocate(layout), Event::Allocated(layout.size().get()))
    }

    #[inline]
    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.counted(self.inner.allocate_zeroed(layout), Event::Allocated(layout.size().get()))
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's (I1).
        self.counted(unsafe { self.inner.grow(ptr, old, new) }, resized(old, new))
    }

    #[inline]
    unsafe fn grow_zeroed(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's (I1).
        self.counted(unsafe { self.inner.grow_zeroed(ptr, old, new) }, resized(old, new))
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's (I1).
        self.counted(unsafe { self.inner.shrink(ptr, old, new) }, resized(old, new))
    }

    /// Resets the inner allocator. The blocks that it forgets count as freed: `live_count` and the live bytes are 0 then.
    #[inline]
    fn reset(&mut self) -> Result<(), AllocError> {
        self.inner.reset()?;
        self.stats.forget_live();
        self.shards.forget_live();
        Ok(())
    }

    forward_block_facts!(inner);
    forward_totals!(inner);
    forward_visit!(inner);
}

/// Returns the event of a block whose layout changed.
#[inline(always)]
fn resized(old: NonZeroLayout, new: NonZeroLayout) -> Event {
    Event::Resized { from: old.size().get(), to: new.size().get() }
}

// SAFETY: the range is the inner allocator's, and blocks are its blocks (I1). Nobody carves it.
unsafe impl<I: FixedRange> FixedRange for Statistics<I> {
    forward_uncarvable_range!(inner: I);
}

// SAFETY: the mapping is the inner allocator's.
unsafe impl<I: OsBacked> OsBacked for Statistics<I> {
    forward_os_backed!(inner);
}

// SAFETY: every block is the inner allocator's (I1), and a move of the wrapper moves it and the counters.
unsafe impl<I: StableAddress> StableAddress for Statistics<I> {}

impl<I: Allocator + Quarantinable> Quarantinable for Statistics<I> {}

#[cfg(test)]
mod tests;
