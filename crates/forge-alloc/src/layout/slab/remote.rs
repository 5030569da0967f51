//! The slab whose blocks other threads may free: one owner that allocates, and any number of remote handles.
//!
//! ```text
//!     owner's thread                                    other threads
//!   SlabOwner ── allocate, deallocate                 SlabRemote ── deallocate
//!     |   free: a chain of slots                         |
//!     |     ^ the next, when it is empty                 | link into the slot, one store
//!     |   pending: a chain per lane                      |
//!     |     ^ taken over: one load per lane,             v
//!     |     | whatever its length          lane of the thread ──> slot ──> slot ──> ..
//!     └──── Arc<Shared>: the slab, the lanes, the alarm ─────────────────────────────┘
//! ```
//!
//! # Invariants
//!
//! - (I1) Exactly one `SlabOwner` exists for a `Shared`, which is not moved, and it stays on one thread at a time. The state
//!   of the slab is its alone.
//! - (I2) A slot that was issued is live, in the chain, in a pending batch, in a lane, or lost: exactly one of the five. The
//!   slab's own free list stays empty.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | allocate, free by the owner | O(1), plus a batch where one is due |
//! | free by another thread | O(1): plain loads and stores, no lock, no loop; a loop of exchanges for a thread beyond the number of thread slots |
//! | a batch | O(number of lanes), plus the frees of threads beyond the number of thread slots |
//!
//! # Design
//!
//! *No queue beside the slots.* A freed slot is memory that nobody needs, so the list of frees runs through it: it has no
//! bound to wait at, and needs no heap. See [`lane`] for how a free is published, [`lane_chain`](crate::raw::lane_chain) for
//! how a batch becomes the owner's free list as it is, and [`pending`] for how it waits for that.
//!
//! *A lane per thread*, after the thread-delayed lists of mimalloc (Leijen, Zorn and de Moura, "Mimalloc: free list sharding
//! in action", 2019), whose exchange on a shared word is what a lane with a single writer saves. Lanes are those of
//! [`thread_slot`](crate::thread_slot), so they are few, and the lane of a thread that ends goes on with the next.
//!
//! *The owner looks rarely.* A line that other threads write costs a message between cores at every look. The freeing side
//! therefore counts what waits in its lane and raises an alarm, and the owner reads that alone; see
//! [`policy`] for why this follows the documented law. Only when the slab is full does the owner look at every lane.
#![allow(unsafe_code)]

mod contract;
mod handle;
mod lane;
mod pending;
pub(crate) mod policy;
mod shared;
mod slots;

use core::cell::Cell;
use core::fmt;
use core::ptr::NonNull;

use forge_alloc_core::sync::Arc;
use forge_alloc_core::{AllocError, Allocator, FixedRange, FreelistCorruption};

use super::slot_box::SlotBox;
use super::typed::Slab;
use crate::raw::lane_chain::{Chain, next_of};
use crate::raw::prefetch::{self, prefetch_for_writing};
use crate::report;
pub use handle::SlabRemote;
use lane::Batch;
use pending::Pending;
use policy::{BatchPolicy, Batching};
use shared::Shared;
use slots::Slots;

/// The queue capacity of [`SlabOwner::new`].
const QUEUE_CAPACITY: usize = 1024;

/// A slab that one thread at a time allocates from, and whose blocks any thread may free through a [`SlabRemote`].
///
/// Blocks that other threads have freed wait until the owner takes them over: when so many wait as the [`BatchPolicy`]
/// says, when the slab is full, or at [`drain`](Self::drain). Each operation of the owner looks whether that is due.
///
/// Blocks stay where they are when the owner is moved. They are freed by the owner or any remote handle; destructors are the
/// caller's business. The memory lives until the owner and the last handle are gone.
///
/// # Examples
///
/// ```
/// use forge_alloc::{Allocator, Deallocator, MmapBacked, NonZeroLayout, SlabOwner};
///
/// let owner = SlabOwner::<[u64; 8], _>::new(4, MmapBacked::new(4096)?)?;
/// let layout = NonZeroLayout::for_type::<[u64; 8]>().unwrap();
/// let blocks = [(); 4].map(|()| owner.allocate(layout).unwrap().cast::<u8>());
///
/// let remote = owner.remote();
/// // Sound: the blocks are live, and this is their layout.
/// blocks.map(|block| unsafe { remote.deallocate(block, layout) });
/// assert!(owner.is_empty());
/// // No slot is free any more, so the owner takes over what waits: last in, first out.
/// assert_eq!(owner.allocate(layout)?.cast(), blocks[3]);
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
///
/// An owner belongs to one thread at a time:
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<forge_alloc::SlabOwner<u64, forge_alloc::InlineBacked<64>>>();
/// ```
///
/// and there is only one:
///
/// ```compile_fail,E0277
/// fn clone<T: Clone>() {}
/// clone::<forge_alloc::SlabOwner<u64, forge_alloc::InlineBacked<64>>>();
/// ```
pub struct SlabOwner<T, B: Allocator + FixedRange> {
    slots: Slots<T, B>,
    free: Chain,
    pending: Pending,
    /// How many slots the slab has handed out: those with the numbers below.
    issued: Cell<u32>,
    lost: Cell<u32>,
    corruptions: Cell<u64>,
    batching: Batching,
    shared: Arc<Shared<T, B>>,
}

impl<T, B: Allocator + FixedRange> SlabOwner<T, B> {
    /// Returns the owner of an empty slab of `capacity` slots in one block of `backing`, with `BatchPolicy::Fixed(64)` and a
    /// queue capacity of 1024. O(1); no slot is touched.
    ///
    /// # Errors
    ///
    /// As for [`Slab::new`].
    pub fn new(capacity: usize, backing: B) -> Result<Self, AllocError> {
        Self::with_batch_policy(capacity, backing, BatchPolicy::default(), QUEUE_CAPACITY)
    }

    /// Returns the owner of an empty slab of `capacity` slots in one block of `backing`. O(1); no slot is touched.
    ///
    /// `queue_capacity` is what [`BatchPolicy::Adaptive`] measures the queue by, and how many frees of one thread may wait
    /// before [`SlabRemote::try_deallocate`] refuses. It bounds nothing else, and takes no memory.
    ///
    /// # Errors
    ///
    /// As for [`Slab::new`].
    pub fn with_batch_policy(
        capacity: usize,
        backing: B,
        batch_policy: BatchPolicy,
        queue_capacity: usize,
    ) -> Result<Self, AllocError> {
        let batching = Batching::new(batch_policy, queue_capacity);
        let slab = Slab::new(capacity, backing)?;
        let shared = Arc::new(Shared::new(slab, queue_capacity, batching.limit(), batching.patience()));
        Ok(Self {
            slots: Slots::of(&shared.slab),
            free: Chain::new(),
            pending: Pending::new(),
            issued: Cell::new(0),
            lost: Cell::new(0),
            corruptions: Cell::new(0),
            batching,
            shared,
        })
    }

    /// Returns a handle through which any thread may free blocks of this slab. O(1).
    #[must_use]
    pub fn remote(&self) -> SlabRemote<T, B> {
        SlabRemote::new(self.slots, Arc::clone(&self.shared))
    }

    /// Puts `value` into a slot and returns the box that owns it. O(1), plus a batch where one is due.
    ///
    /// The box stays on the owner's thread; [`SlabRemote::adopt`] makes it one that may leave.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if no slot is free, here or waiting in a lane; `value` is dropped and nothing else changes.
    #[inline]
    pub fn insert(&self, value: T) -> Result<SlotBox<'_, T, Self>, AllocError> {
        self.try_insert(value).map_err(|_| AllocError)
    }

    /// Puts `value` into a slot as [`insert`](Self::insert) does, but gives it back if none is free.
    ///
    /// # Errors
    ///
    /// `value` itself if no slot is free; nothing else changes.
    #[inline]
    pub fn try_insert(&self, value: T) -> Result<SlotBox<'_, T, Self>, T> {
        self.tick();
        let Some(slot) = self.take() else { return Err(value) };
        // SAFETY: the slot has room for a value and is aligned for it, ours alone, and stays so until the box frees it as
        // a block with the layout of a value.
        unsafe {
            slot.cast::<T>().write(value);
            Ok(SlotBox::from_raw(slot.cast(), self))
        }
    }

    /// Takes over every block that other threads have freed, as far as this thread can see. O(number of lanes), plus the
    /// frees of threads that found no lane of their own.
    pub fn drain(&self) {
        let (lanes, common) = self.shared.lanes();
        for (number, lane) in lanes.iter().enumerate() {
            if let Some(batch) = lane.take() {
                self.pending.add(number, batch);
            }
        }
        if let Some(batch) = common.take() {
            self.follow(batch);
        }
    }

    /// Returns the number of waiting frees at which the owner takes them over, under [`BatchPolicy::Adaptive`]; `None` under
    /// `Fixed`. O(1).
    #[must_use]
    pub fn adaptive_threshold_snapshot(&self) -> Option<usize> {
        self.batching.adaptive_threshold()
    }

    /// Returns how many slots there are. O(1).
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.capacity() as usize
    }

    /// Returns how many blocks are live. O(number of lanes).
    ///
    /// Exact if every free happens before this call; a free of another thread at the same moment may be counted or not.
    #[must_use]
    pub fn len(&self) -> usize {
        let free = self.free.depth() + self.pending.slots();
        let kept = self.issued.get().saturating_sub(free).saturating_sub(self.lost.get());
        u64::from(kept).saturating_sub(self.shared.waiting()) as usize
    }

    /// Returns whether no block is live. O(number of lanes). As exact as [`len`](Self::len).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether this is the owner that shares this with its handles. O(1).
    fn is_of(&self, shared: &Arc<Shared<T, B>>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    /// Does what one operation of the owner has to do first.
    #[inline(always)]
    fn tick(&self) {
        if self.shared.is_alarmed() | self.batching.is_restless() {
            self.tick_with_law();
        }
    }

    /// Measures the queue if a lane has reached the limit, follows the law of the policy, and takes over what is due.
    #[cold]
    #[inline(never)]
    fn tick_with_law(&self) {
        let alarmed = self.shared.is_alarmed();
        let length = if alarmed { self.shared.waiting() } else { 0 };
        if self.batching.tick(length) {
            self.shared.set_limit(self.batching.limit());
        }
        let due = length >= self.batching.threshold();
        if due || (alarmed && length < u64::from(self.batching.limit())) {
            self.shared.calm();
        }
        if due {
            self.drain();
        }
    }

    /// Makes a pending batch the chain, which is empty, and takes a slot.
    #[cold]
    #[inline(never)]
    fn take_pending(&self) -> Option<NonNull<u8>> {
        let (number, batch) = self.pending.take()?;
        if let (true, Some(lane)) = (prefetch::ENABLED, self.shared.lanes().0.get(number)) {
            lane.for_each_recent(|number| {
                if number < self.slots.capacity() {
                    prefetch_for_writing(self.slots.place(number));
                }
            });
        }
        let bound = self.issued.get();
        // SAFETY: the batch is ours (lane, I2), and it was taken with an Acquire load, so its links were written before, and
        // by nobody since (pending, I2).
        let adopted =
            unsafe { self.free.adopt(batch.head, batch.count, bound, |number| self.slots.place(number)) };
        if adopted.is_err() {
            self.lose(batch.count);
        }
        self.take()
    }

    /// Puts the batch of the common lane on the chain, link by link.
    fn follow(&self, batch: Batch) {
        let mut number = batch.head;
        for followed in 0..batch.count {
            if number >= self.issued.get() {
                return self.lose(batch.count - followed);
            }
            let slot = self.slots.place(number);
            // SAFETY: the batch is ours, as in `adopt`, and this slot is one of it.
            let next = unsafe { next_of(slot) };
            self.push(slot, number);
            number = next;
        }
    }

    /// Puts a slot that is ours on the chain.
    #[inline(always)]
    fn push(&self, slot: NonNull<u8>, number: u32) {
        // SAFETY: callers pass slots that are neither live nor anywhere else (I2), with the number of one that was issued;
        // a slot of a slab has room for a link.
        unsafe { self.free.push(slot, number) };
    }

    /// Takes the top off a chain that is not empty.
    #[inline(always)]
    fn pop(&self, chain: &Chain) -> Result<(NonNull<u8>, u32), FreelistCorruption> {
        let number = chain.top();
        let slot = self.slots.place(number);
        // SAFETY: the callers have looked that the chain is not empty; its numbers are those of slots that were issued.
        unsafe { chain.pop(slot, self.issued.get(), |number| self.slots.place(number)) }?;
        Ok((slot, number))
    }

    /// Takes the slot freed last, or else one that was never used, or else one that another thread has freed.
    #[inline(always)]
    fn take(&self) -> Option<NonNull<u8>> {
        if self.free.depth() == 0 {
            return self.take_past_chain();
        }
        match self.pop(&self.free) {
            Ok((slot, _)) => Some(slot),
            Err(FreelistCorruption) => self.take_after_corruption(),
        }
    }

    /// Takes a slot of a pending batch, or else one that was never used, or else one that another thread has freed.
    #[inline]
    fn take_past_chain(&self) -> Option<NonNull<u8>> {
        if !self.pending.is_empty() {
            return self.take_pending();
        }
        match self.shared.slab.take() {
            Some(slot) => {
                self.issued.set(self.issued.get() + 1);
                Some(slot)
            }
            None => self.take_drained(),
        }
    }

    /// Takes a slot that another thread has freed.
    #[cold]
    #[inline(never)]
    fn take_drained(&self) -> Option<NonNull<u8>> {
        self.drain();
        if self.free.depth() == 0 && self.pending.is_empty() { None } else { self.take() }
    }

    /// Drops the chain, and takes another slot.
    #[cold]
    #[inline(never)]
    fn take_after_corruption(&self) -> Option<NonNull<u8>> {
        // The slot whose link it was is off the chain already.
        let lost = self.free.depth() + 1;
        self.free.clear();
        self.lose(lost);
        self.take_past_chain()
    }

    /// Counts and reports slots that are lost, because a link to them was overwritten.
    #[cold]
    #[inline(never)]
    fn lose(&self, count: u32) {
        self.lost.set(self.lost.get().saturating_add(count));
        self.corruptions.set(self.corruptions.get().saturating_add(1));
        report::freelist_corruption();
    }
}

impl<T, B: Allocator + FixedRange> Drop for SlabOwner<T, B> {
    /// Closes the lanes: no block is issued any more, and a free has no effect. The memory lives until the last handle is
    /// gone.
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl<T, B: Allocator + FixedRange> fmt::Debug for SlabOwner<T, B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SlabOwner")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("waiting", &self.shared.waiting())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
