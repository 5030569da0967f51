//! [`ExtendableSlab`]: a slab that grows and shrinks by whole segments, shared by threads.
//!
//! ```text
//!   thread A        thread B              pop, push: no lock
//!   [magazine]      [magazine]            free slots of one thread
//!        \             /                  half a magazine at a time, under the lock
//!    pool: depot                          free slots of all threads
//!             |                           slot by slot, what there is no room or nothing left for
//!          Room -> segment -> segment     Full -> ..     Empty -> segment (kept in reserve)
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
//! - (I2) A slot is in use by the caller, in exactly one magazine, in the depot or on its way there, or free in its
//!   segment. The segment of a slot of any kind but the last counts it as taken and so stays in the pool.
//! - (I3) A magazine is changed by the one thread that holds its thread slot, or through `&mut self`.
//! - (I4) With a policy that tracks, the magazines and the depot are empty.
//!
//! # Operations
//!
//! | operation | cost at any number of segments |
//! |---|---|
//! | allocate, free | O(1); no lock, no atomic read-modify-write and no system call while the magazine serves |
//! | the same past the magazine | O(1) amortized, under the lock, half a magazine at a time; no segment is looked at |
//! | the same past the depot | O(1) expected, amortized, under the lock |
//! | a new segment, an empty segment given back | one system call, outside of the lock |
//! | `segment_count`, `capacity_bytes`, `corruption_events` | O(1), without the lock |
//! | `for_each_live`, `shrink_to_fit`, dropping | O(slots), O(segments), O(segments) |
//!
//! # Design
//!
//! *Hysteresis.* Empty segments go back to the system, except for a reserve: half as many as are in use, at least one (or
//! as many as [`with_initial_segments`](ExtendableSlab::with_initial_segments) asked for). A load that swings around the
//! end of a segment, or by a third of what it is at its height, maps and unmaps nothing.
//!
//! *Magazines* hold at most 127 slots each, and at most a quarter of the slots of a segment, so that segments of less than
//! four slots have none. These slots other threads cannot get. The [`depot`] holds at most half of the slots of a segment,
//! which any thread gets. A slot in either keeps its segment from becoming empty, until it is needed, or somebody calls
//! [`shrink_to_fit`](ExtendableSlab::shrink_to_fit). A single thread is served exactly: every slot of a segment before the
//! next segment, and the slot freed last first.
//!
//! *Addresses.* What a free hands to the next allocation is the address that it was given, with the right to the whole
//! segment taken from the map. A pair of calls then waits for no lookup, whose result is only looked at.
//!
//! *Racing growth.* A thread that finds no slot maps a segment outside of the lock. If others did the same, the first segment
//! serves all, the second is kept in reserve, and the rest go back; so each racer makes one at most.
//!
//! *The lock* spins and cannot be poisoned: nothing of the caller runs under it. Under it the system is called only to
//! extend the bookkeeping, which doubles each time. The bookkeeping lies in mappings of its own, so that the slab may stand
//! below a global allocator; a failure to extend it is an `Err`.
#![allow(unsafe_code)]

mod contract;
mod depot;
mod directory;
mod exchange;
pub(crate) mod magazine;
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
use crate::thread_slot::{self, SLOTS};
use depot::Depot;
use magazine::{MAGAZINE, Magazine};
use pool::{Counters, Pool};
use segment::{SegmentSlab, Shape};
use segment_map::SegmentMap;

/// A magazine holds at most the slots of a segment divided by this.
const MAGAZINES_PER_SEGMENT: usize = 4;
/// The depot holds at most the slots of a segment divided by this.
const DEPOTS_PER_SEGMENT: usize = 2;

/// A slab without a fixed size, for many threads: it maps segments of `segment_capacity` slots as it needs them, and gives
/// empty ones back.
///
/// Blocks stay where they are until they are freed. Freeing takes the same time at any number of segments. Up to 127 free
/// slots per thread are kept at hand for that thread, though not more than a quarter of a segment's.
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

    /// Returns a slab with `count` empty segments, and keeps at least that many empty ones, and one, from then on.
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
        let depot = Depot::new(segment_capacity / DEPOTS_PER_SEGMENT, magazine_limit.div_ceil(2));
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
                pool: UnsafeCell::new(Pool::new(os, depot, magazine_limit > 0)),
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

    /// Takes the free slots that are at hand into their segments, and gives every empty segment back to the
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

    /// Unmaps the empty segments, or all, and what the bookkeeping does not need any more.
    fn remove_segments(&mut self, all: bool) {
        let (map, counters) = (&self.map, &self.shared.counters);
        while let Some(segment) = self.locked(|pool| pool.remove_one(map, counters, all)) {
            drop(segment);
        }
        // SAFETY: nobody else has the slab, so nobody reads its map.
        self.locked(|pool| unsafe { pool.shrink(map) });
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
