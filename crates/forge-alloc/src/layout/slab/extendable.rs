//! [`ExtendableSlab`]: a slab that grows and shrinks by whole segments, shared by threads.
//!
//! ```text
//!   thread A        thread B              pop, push: no lock
//!   [magazine]      [magazine]            a few free slots each
//!        \             /                  refill, flush: half a magazine under the lock
//!    pool: Room -> segment -> segment     Full -> ..     Empty -> segment (kept in reserve)
//!                    |
//!                    v
//!                  [ slab of `segment_capacity` slots in one mapping ]
//!
//!   segment map:  address -> segment, read without the lock
//! ```
//!
//! # Invariants
//!
//! - (I1) `pool` is reached by the holder of `lock` only, or through `&mut self`.
//! - (I2) A slot is in use by the caller, in exactly one magazine, or free in its segment. The segment of a slot of the
//!   first two kinds counts it as taken and so stays in the pool.
//! - (I3) A magazine is changed by the one thread that holds its thread slot, or through `&mut self`.
//! - (I4) With a policy that tracks, magazines are empty.
//!
//! # Operations
//!
//! | operation | cost at any number of segments |
//! |---|---|
//! | allocate, free | O(1); no lock, no atomic read-modify-write and no system call while the magazine serves |
//! | the same past the magazine | O(1) expected, amortized, under the lock, half a magazine at a time |
//! | a new segment, an empty segment given back | one system call, outside of the lock |
//! | `segment_count`, `capacity_bytes`, `corruption_events` | O(1), without the lock |
//! | `for_each_live`, `shrink_to_fit`, dropping | O(slots), O(segments), O(segments) |
//!
//! # Design
//!
//! *Hysteresis.* An empty segment goes back to the system, except for one in reserve (or as many as
//! [`with_initial_segments`](ExtendableSlab::with_initial_segments) asked for): a load that swings around the end of a
//! segment maps and unmaps nothing.
//!
//! *Magazines* hold at most 31 slots each and all together at most the slots of one segment: slots that other threads
//! cannot get cause at most one segment more than there would be without them. So segments of less than sixteen slots have
//! none. A slot in a magazine keeps its segment from becoming empty, until its thread, or the next holder of the thread's
//! slot, needs it, or somebody calls [`shrink_to_fit`](ExtendableSlab::shrink_to_fit). A single thread is served exactly:
//! every slot of a segment before the next segment, and the slot freed last first.
//!
//! *Racing growth.* A thread that finds no slot maps a segment outside of the lock. If others did the same, the first segment
//! serves all, the second is kept in reserve, and the rest go back; so each racer makes one at most.
//!
//! *The lock* spins and cannot be poisoned: nothing of the caller runs under it. Under it the system is called only to
//! extend the bookkeeping, which doubles each time. The bookkeeping lies in mappings of its own, so that the slab may stand
//! below a global allocator; a failure to extend it is an `Err`.
#![allow(unsafe_code)]

mod contract;
mod directory;
mod magazine;
mod pool;
mod segment;
mod segment_map;
mod values;

use core::array;
use core::fmt;
use core::ptr::NonNull;

use forge_alloc_core::sync::cell::UnsafeCell;
use forge_alloc_core::sync::{RawLock, SpinLock};
use forge_alloc_core::{AllocError, CachePadded, FreelistProtection, NoProtection};
use forge_os::{Native, Os};

use super::typed;
use crate::report;
use crate::thread_slot::{self, SLOTS};
use magazine::{MAGAZINE, Magazine};
use pool::{Counters, Pool, Put};
use segment::{SegmentSlab, Shape};
use segment_map::SegmentMap;

/// A magazine holds at most the slots of a segment divided by this.
const MAGAZINES_PER_SEGMENT: usize = 4;

/// A slab without a fixed size, for many threads: it maps segments of `segment_capacity` slots as it needs them, and gives
/// empty ones back.
///
/// Blocks stay where they are until they are freed. Freeing takes the same time at any number of segments. Up to 31 free
/// slots per thread are kept at hand for that thread; all such slots together are at most those of one segment.
///
/// The policy `M` protects the free slots of each segment as in a [`Slab`](crate::Slab); `mac_factory` makes one per segment. A policy
/// that tracks notices every second free, and keeps no slots at hand.
///
/// # Examples
///
/// ```
/// use forge_alloc::{Allocator, Deallocator, ExtendableSlab, NonZeroLayout};
///
/// let slab = ExtendableSlab::<[u64; 4]>::new(1024);
/// assert_eq!(slab.segment_count(), 0);
/// let layout = NonZeroLayout::for_type::<[u64; 4]>().unwrap();
/// std::thread::scope(|scope| {
///     for _ in 0..2 {
///         scope.spawn(|| {
///             let blocks: Vec<_> = (0..3000).map(|_| slab.allocate(layout)).collect();
///             for block in blocks.into_iter().flatten() {
///                 // Sound: the block is live, and this is its layout.
///                 unsafe { slab.deallocate(block.cast(), layout) };
///             }
///         });
///     }
/// });
/// assert!(slab.is_empty());
/// ```
///
/// The values need not be `Sync`, but they cross threads:
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<forge_alloc::ExtendableSlab<std::rc::Rc<u8>>>();
/// ```
pub struct ExtendableSlab<T, M: FreelistProtection = NoProtection, O: Os = Native> {
    map: SegmentMap,
    os: O,
    mac_factory: fn() -> M,
    segment_capacity: usize,
    /// The shape of the segments; `None` if there can be no segment of this capacity.
    shape: Option<Shape>,
    /// How many slots a magazine may hold.
    magazine_limit: usize,
    shared: CachePadded<Shared<T, M, O>>,
    magazines: [CachePadded<Magazine>; SLOTS],
}

/// What threads change under the lock.
struct Shared<T, M: FreelistProtection, O: Os> {
    lock: SpinLock,
    counters: Counters,
    pool: UnsafeCell<Pool<T, M, O>>,
}

// SAFETY: what the value owns, segments with their policies and the memory of values, may go to another thread with it
// because `T` and `M` may; pointers lead to mappings of the process.
unsafe impl<T: Send, M: FreelistProtection + Send, O: Os> Send for ExtendableSlab<T, M, O> {}
// SAFETY: the pool is used by one thread at a time, which is moving it from thread to thread (I1); a magazine is changed by
// one thread at a time (I3); the map and the counters are atomic. No method gives access to a `T` through `&self`.
unsafe impl<T: Send, M: FreelistProtection + Send, O: Os> Sync for ExtendableSlab<T, M, O> {}

impl<T> ExtendableSlab<T> {
    /// Returns a slab without segments, each of which will have `segment_capacity` slots. O(1); maps nothing.
    ///
    /// With a capacity of 0, or one whose bytes overflow, every request fails.
    #[must_use]
    pub fn new(segment_capacity: usize) -> Self {
        Self::with_protection(segment_capacity, || NoProtection)
    }
}

impl<T, M: FreelistProtection> ExtendableSlab<T, M> {
    /// Returns a slab as [`new`](ExtendableSlab::new) does, whose segments have policies from `mac_factory`. O(1).
    ///
    /// The factory runs once for each segment that is mapped, outside of the lock.
    #[must_use]
    pub fn with_protection(segment_capacity: usize, mac_factory: fn() -> M) -> Self {
        Self::on(Native, segment_capacity, mac_factory)
    }

    /// Returns a slab with `count` empty segments, and keeps that many empty ones (at least one) from then on.
    /// O(`count`).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the system refuses a segment, or if there can be none of this capacity and `count` is not 0.
    /// Nothing stays mapped.
    pub fn with_initial_segments(
        count: usize,
        segment_capacity: usize,
        mac_factory: fn() -> M,
    ) -> Result<Self, AllocError> {
        Self::with_initial_segments_on(Native, count, segment_capacity, mac_factory)
    }
}

impl<T, M: FreelistProtection, O: Os> ExtendableSlab<T, M, O> {
    /// Returns a slab as [`with_protection`](ExtendableSlab::with_protection) does, on the system `os`. O(1).
    #[must_use]
    pub fn on(os: O, segment_capacity: usize, mac_factory: fn() -> M) -> Self {
        let magazine_limit =
            if M::TRACKS { 0 } else { (segment_capacity / MAGAZINES_PER_SEGMENT).min(MAGAZINE) };
        let stride = SegmentSlab::<T, M, O>::STRIDE;
        let shape = Shape::new::<T, M, O>(segment_capacity);
        let (reach, granule_bits) =
            shape.map_or((0, 0), |shape| (segment_capacity * stride, shape.granule_bits()));
        Self {
            map: SegmentMap::new(reach, granule_bits),
            os,
            mac_factory,
            segment_capacity,
            shape,
            magazine_limit,
            shared: CachePadded::new(Shared {
                lock: SpinLock::new(),
                counters: Counters::new(),
                pool: UnsafeCell::new(Pool::new(os, 1, magazine_limit > 0)),
            }),
            magazines: array::from_fn(|_| CachePadded::new(Magazine::new())),
        }
    }

    /// Returns a slab as [`with_initial_segments`](ExtendableSlab::with_initial_segments) does, on the system `os`.
    /// O(`count`).
    ///
    /// # Errors
    ///
    /// As [`with_initial_segments`](ExtendableSlab::with_initial_segments).
    pub fn with_initial_segments_on(
        os: O,
        count: usize,
        segment_capacity: usize,
        mac_factory: fn() -> M,
    ) -> Result<Self, AllocError> {
        let spare = u32::try_from(count).map_err(|_| AllocError)?.max(1);
        let slab = Self::on(os, segment_capacity, mac_factory);
        slab.locked(|pool| pool.keep_spare(spare));
        for _ in 0..count {
            let segment = slab.map_segment()?;
            let refused = slab.locked(|pool| pool.install(&slab.map, &slab.shared.counters, segment));
            if refused.is_some() {
                return Err(AllocError);
            }
        }
        Ok(slab)
    }

    /// Returns how many segments are mapped. O(1).
    #[inline]
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.shared.counters.segments()
    }

    /// Returns how many slots a segment has. O(1).
    #[inline]
    #[must_use]
    pub const fn segment_capacity(&self) -> usize {
        self.segment_capacity
    }

    /// Returns how many slots are mapped, live and free. O(1).
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.segment_count() * self.segment_capacity
    }

    /// Returns how many blocks are live. O(number of magazines).
    ///
    /// Exact while no other thread allocates or frees; approximate otherwise.
    #[must_use]
    pub fn len(&self) -> usize {
        let at_hand: usize = self.magazines.iter().map(|magazine| magazine.len()).sum();
        self.shared.counters.taken().saturating_sub(at_hand)
    }

    /// Returns whether no block is live; as exact as [`len`](Self::len).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the distance between two slots in bytes. O(1).
    #[inline]
    #[must_use]
    pub const fn block_stride(&self) -> usize {
        SegmentSlab::<T, M, O>::STRIDE
    }

    /// Calls `visit` with the place of every live block. O(slots).
    ///
    /// Looking through a place is `unsafe`: not every block need hold a `T`, and its owner may have references to it.
    pub fn for_each_live(&mut self, mut visit: impl FnMut(NonNull<T>)) {
        self.flush_all();
        self.locked(|pool| pool.for_each(|segment| segment.iter().for_each(&mut visit)));
    }

    /// Takes the free slots that are at hand for threads into their segments, and gives every empty segment back to the
    /// system, also the reserve. O(segments).
    pub fn shrink_to_fit(&mut self) {
        self.flush_all();
        self.remove_segments(false);
    }

    /// Returns the magazine of the calling thread, if it has one.
    #[inline(always)]
    fn own_magazine(&self) -> Option<&Magazine> {
        self.magazines.get(thread_slot::current()).map(|magazine| &**magazine)
    }

    /// Returns the magazine that the calling thread can have, if there is one and magazines are used.
    fn acquired_magazine(&self) -> Option<&Magazine> {
        if self.magazine_limit == 0 {
            return None;
        }
        self.magazines.get(thread_slot::acquire()).map(|magazine| &**magazine)
    }

    /// Calls `work` with the pool, under the lock.
    #[inline]
    fn locked<R>(&self, work: impl FnOnce(&mut Pool<T, M, O>) -> R) -> R {
        let _held = self.shared.lock.guard();
        // SAFETY: the lock is held, so nobody else has a reference to the pool (I1); `work` does not come here again.
        self.shared.pool.with_mut(|pool| work(unsafe { &mut *pool }))
    }

    /// Returns the slot that starts at `ptr`, through the pointer of its segment, if it was ever handed out.
    ///
    /// For a live block it may still be `None` unless the lock is held, see [`SegmentMap::find`].
    #[inline(always)]
    fn slot_at(&self, ptr: NonNull<u8>) -> Option<NonNull<u8>> {
        let address = ptr.addr().get();
        let (base, issued) = self.map.find_issued(address)?;
        let offset = address.wrapping_sub(base.addr().get());
        if typed::shape::Shape::<T>::number_at(offset) >= issued as usize {
            return None;
        }
        // The sum is the address of `ptr`, for which nothing waits; what the pointer may reach is the segment's.
        NonNull::new(base.as_ptr().wrapping_sub(base.addr().get()).wrapping_add(address))
    }

    /// Returns the slot of a live block, through the pointer of its segment.
    #[inline]
    fn slot_of(&self, ptr: NonNull<u8>) -> Option<NonNull<u8>> {
        self.slot_at(ptr).or_else(|| self.locked(|_| self.slot_at(ptr)))
    }

    /// Takes a slot past the magazine, and refills that by the way.
    #[inline(never)]
    fn take_shared(&self) -> Result<NonNull<u8>, AllocError> {
        let magazine = self.acquired_magazine();
        // A thread that took its thread slot just now inherits what the last holder left.
        if let Some(slot) = magazine.and_then(Magazine::pop) {
            return Ok(slot);
        }
        if let Some(slot) = self.locked(|pool| self.refill(pool, magazine)) {
            return Ok(slot);
        }
        self.extend(magazine)
    }

    /// Maps a segment, unless another thread has meanwhile, and takes a slot.
    #[cold]
    fn extend(&self, magazine: Option<&Magazine>) -> Result<NonNull<u8>, AllocError> {
        let segment = self.map_segment()?;
        let (slot, refused) = self.locked(|pool| {
            let refused = pool.install(&self.map, &self.shared.counters, segment);
            (self.refill(pool, magazine), refused)
        });
        drop(refused);
        slot.ok_or(AllocError)
    }

    /// Returns a new segment that is not in the pool yet.
    fn map_segment(&self) -> Result<SegmentSlab<T, M, O>, AllocError> {
        let shape = self.shape.ok_or(AllocError)?;
        segment::map(self.os, shape, (self.mac_factory)())
    }

    /// Takes a slot from the pool and fills half of the empty magazine.
    fn refill(&self, pool: &mut Pool<T, M, O>, magazine: Option<&Magazine>) -> Option<NonNull<u8>> {
        let mut slots = [None; MAGAZINE.div_ceil(2)];
        let wanted = if magazine.is_some() { self.magazine_limit.div_ceil(2) } else { 1 };
        let mut places = slots.iter_mut().take(wanted);
        let mut place = places.next();
        pool.take_while(&self.map, &self.shared.counters, |slot| {
            if let Some(place) = place.take() {
                *place = Some(slot);
            }
            place = places.next();
            place.is_some()
        });
        let [first, others @ ..] = slots;
        // The pool's order is that in which the slots are to be used, and a magazine is used from its end.
        for slot in others.into_iter().rev().flatten() {
            if let Some(magazine) = magazine {
                magazine.push(slot);
            }
        }
        first
    }

    /// Frees a slot past the fast path: into the magazine if there is one, else into the pool.
    #[inline(never)]
    fn put_shared(&self, ptr: NonNull<u8>) {
        let Some(magazine) = self.acquired_magazine() else {
            // SAFETY: the caller of `deallocate` promises that a block is live and not used any more.
            return unsafe { self.put(ptr) };
        };
        let Some(slot) = self.slot_of(ptr) else { return self.refuse_foreign(ptr) };
        if magazine.len() >= self.magazine_limit {
            // The newer half stays: it is used first.
            self.flush(magazine, self.magazine_limit.div_ceil(2));
        }
        debug_assert!(!magazine.contains(slot), "a slot is freed twice");
        magazine.push(slot);
    }

    /// Frees a slot into the pool.
    ///
    /// # Safety
    ///
    /// If `ptr` is a slot that was handed out, it is not used any more; and it is live, unless the policy tracks.
    unsafe fn put(&self, ptr: NonNull<u8>) {
        // SAFETY: the caller's promise; a live slot is in use as far as the pool can tell (I2).
        match self.locked(|pool| unsafe { pool.put(&self.map, &self.shared.counters, ptr) }) {
            Put::Done => {}
            Put::Retired(segment) => drop(segment),
            Put::Foreign => self.refuse_foreign(ptr),
        }
    }

    /// Moves the `count` oldest slots of a magazine into the pool.
    fn flush(&self, magazine: &Magazine, count: usize) {
        let mut left = count.min(magazine.len());
        while left > 0 {
            let retired = self.locked(|pool| {
                let mut flushed = 0;
                let mut retired = None;
                while let (None, true, Some(first)) = (&retired, flushed < left, magazine.get(flushed)) {
                    let others = (flushed + 1..left).map_while(|place| magazine.get(place));
                    // SAFETY: slots in a magazine are distinct, were taken from the pool and not handed out (I2); they
                    // leave below.
                    let (count, put) =
                        unsafe { pool.put_run(&self.map, &self.shared.counters, first, others) };
                    flushed += count;
                    if let Put::Retired(segment) = put {
                        retired = Some(segment);
                    }
                }
                magazine.remove_oldest(flushed);
                left -= flushed.min(left).max(1);
                retired
            });
            // The segment is unmapped outside of the lock.
            drop(retired);
        }
    }

    /// Moves the slots of all magazines into the pool. No other thread has the slab.
    fn flush_all(&mut self) {
        for magazine in &self.magazines {
            self.flush(magazine, MAGAZINE);
        }
    }

    /// Unmaps the empty segments, or all, and what the bookkeeping does not need any more.
    fn remove_segments(&mut self, all: bool) {
        let (map, counters) = (&self.map, &self.shared.counters);
        while let Some(segment) = self.locked(|pool| pool.remove_one(map, counters, all)) {
            drop(segment);
        }
        // SAFETY: nobody else has the slab, so nobody reads its map.
        self.locked(|pool| unsafe { pool.shrink(map) });
    }

    /// Counts and reports a free of what the slab did not issue.
    #[cold]
    #[inline(never)]
    fn refuse_foreign(&self, ptr: NonNull<u8>) {
        self.locked(|pool| pool.count_foreign(&self.shared.counters));
        if M::TRACKS {
            report::fatal_foreign_free(ptr);
        }
        report::foreign_free();
    }
}

impl<T, M: FreelistProtection, O: Os> Drop for ExtendableSlab<T, M, O> {
    /// Unmaps everything. Values that are still live are forgotten, not dropped.
    fn drop(&mut self) {
        self.remove_segments(true);
    }
}

impl<T, M: FreelistProtection, O: Os> fmt::Debug for ExtendableSlab<T, M, O> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ExtendableSlab")
            .field("len", &self.len())
            .field("segments", &self.segment_count())
            .field("segment_capacity", &self.segment_capacity())
            .field("stride", &self.block_stride())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
