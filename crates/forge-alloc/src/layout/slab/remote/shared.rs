//! What the owner of a slab and its remote handles share: the slab, and a lane for each thread slot.
//!
//! ```text
//!   Shared  | slab | queue capacity | closed || alarm || lane 0 | lane 1 | .. | common lane |
//!             ^ the owner's alone               ^ read by the owner at every operation, written once per batch
//! ```
//!
//! # Invariants
//!
//! - (I1) Only the owner touches the state of `slab`, and only while it exists. Remote handles know the places of its slots
//!   from a copy.
//! - (I2) Lane `n` is used by the thread that holds thread slot `n`; the common lane by all threads that hold none.
//!
//! # Design
//!
//! *The alarm* may be lost: a thread that sees it raised does not raise it again, while the owner lowers it. The next free
//! through that lane raises it, and an owner that runs out of slots looks at every lane anyway, so that nothing depends on
//! it but the moment of a batch. Without that freedom each free would need a fence.
//!
//! *Closing* needs no exchange with the lanes. When the owner is gone nobody allocates any more, so whether a late free
//! was seen makes no difference; the memory lives until the last handle is gone.
#![allow(unsafe_code)]

use core::array;
use core::ptr::NonNull;

use forge_alloc_core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use forge_alloc_core::{Allocator, CachePadded, FixedRange};

use super::lane::Lane;
use crate::layout::slab::typed::Slab;
use crate::report;
use crate::thread_slot::{self, SLOTS};

/// The slab and the lanes of one owner.
pub(super) struct Shared<T, B: Allocator + FixedRange> {
    /// The owner's alone (I1).
    pub(super) slab: Slab<T, B>,
    queue_capacity: usize,
    closed: AtomicBool,
    /// Frees of pointers that are no slots.
    foreign_frees: AtomicU64,
    alarm: CachePadded<AtomicBool>,
    lanes: [Lane; SLOTS],
    common: Lane,
}

// SAFETY: other threads than the owner's reach only atomics, lanes, which argue for themselves, and `T` and `B` by
// dropping them with the last handle, which `Send` permits (I1).
unsafe impl<T: Send, B: Allocator + FixedRange + Send> Sync for Shared<T, B> {}

impl<T, B: Allocator + FixedRange> Shared<T, B> {
    /// Returns empty lanes with this limit and patience around `slab`.
    pub(super) fn new(slab: Slab<T, B>, queue_capacity: usize, limit: u32, patience: u32) -> Self {
        Self {
            slab,
            queue_capacity,
            closed: AtomicBool::new(false),
            foreign_frees: AtomicU64::new(0),
            alarm: CachePadded::new(AtomicBool::new(false)),
            lanes: array::from_fn(|_| Lane::new(limit, patience)),
            common: Lane::new(limit, patience),
        }
    }

    /// Returns the lanes that have one freeing thread each, and the common one.
    pub(super) fn lanes(&self) -> (&[Lane], &Lane) {
        (&self.lanes, &self.common)
    }

    /// Returns how many slots wait in all lanes. O(number of lanes).
    pub(super) fn waiting(&self) -> u64 {
        self.every_lane().map(|lane| u64::from(lane.waiting())).sum()
    }

    /// Tells every lane how many slots may wait before it raises the alarm. O(number of lanes).
    pub(super) fn set_limit(&self, limit: u32) {
        self.every_lane().for_each(|lane| lane.set_limit(limit));
    }

    fn every_lane(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().chain([&self.common])
    }

    /// Returns whether a lane has reached the limit. Relaxed: a hint about counts, which are read themselves.
    #[inline(always)]
    pub(super) fn is_alarmed(&self) -> bool {
        self.alarm.load(Ordering::Relaxed)
    }

    /// Lowers the alarm.
    pub(super) fn calm(&self) {
        self.alarm.store(false, Ordering::Relaxed);
    }

    /// Raises the alarm, with a store only if it is not raised: the line stays in the caches of its readers.
    fn alert(&self) {
        if !self.is_alarmed() {
            self.alarm.store(true, Ordering::Relaxed);
        }
    }

    /// Says that the owner is gone. Release: pairs with the Acquire in `is_closed`, so that a thread that is refused comes
    /// after all that the owner did.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Returns whether the owner is gone. Acquire: pairs with the Release in `close`.
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Frees a slot through the lane of the calling thread. O(1) without an atomic read-modify-write, but for a thread
    /// that has no lane of its own.
    ///
    /// # Safety
    ///
    /// `slot` is the place of the slot with the number `number`, which holds no value and is the caller's to free.
    #[inline(always)]
    pub(super) unsafe fn free(&self, slot: NonNull<u8>, number: u32) {
        let Some(lane) = self.lanes.get(thread_slot::current()) else {
            // SAFETY: the caller's promises are the callee's.
            return unsafe { self.free_without_lane(slot, number) };
        };
        // SAFETY: the calling thread holds the slot of this lane, and holders of a thread slot follow each other in
        // happens-before order (I2); a slot of a slab has room for a link.
        if let Some(count) = unsafe { lane.push(slot, number) } {
            self.look(lane, count);
        }
    }

    /// Raises the alarm if a lane of the calling thread, after so many frees, has reached the limit.
    #[cold]
    #[inline(never)]
    fn look(&self, lane: &Lane, count: u32) {
        if lane.look(count) {
            self.alert();
        }
    }

    /// Frees a slot for a thread that has not asked for a thread slot yet, or cannot have one.
    ///
    /// # Safety
    ///
    /// As [`free`](Self::free).
    #[cold]
    #[inline(never)]
    unsafe fn free_without_lane(&self, slot: NonNull<u8>, number: u32) {
        // SAFETY: as in `free`; the common lane is for any thread.
        let due = unsafe {
            match self.lanes.get(thread_slot::acquire()) {
                Some(lane) => lane.push(slot, number).is_some_and(|count| lane.look(count)),
                None => self.common.push_shared(slot, number),
            }
        };
        if due {
            self.alert();
        }
    }

    /// Returns whether the lane of the calling thread has no room for one more free, by the capacity of the queue. O(1).
    pub(super) fn is_full(&self) -> bool {
        let own = self.lanes.get(thread_slot::current());
        let lane = own.or_else(|| self.lanes.get(thread_slot::acquire())).unwrap_or(&self.common);
        lane.waiting() as usize >= self.queue_capacity
    }

    /// Counts and reports a free of a pointer that is no slot.
    #[cold]
    #[inline(never)]
    pub(super) fn refuse_foreign(&self) {
        // Relaxed: a count.
        self.foreign_frees.fetch_add(1, Ordering::Relaxed);
        report::foreign_free();
    }

    /// Returns how many frees of pointers that are no slots were refused. O(1).
    pub(super) fn foreign_frees(&self) -> u64 {
        self.foreign_frees.load(Ordering::Relaxed)
    }
}
