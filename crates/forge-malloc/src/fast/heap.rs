//! A heap: what threads share, put together.
//!
//! ```text
//!   ThreadCache   ThreadCache   ..            one per thread, front/cache
//!        \            /
//!   Heap  shelf of class 0 | shelf of class 1 | ..    middle/shelf: depot and spans
//!         batches                                     middle/batches
//!         units: segments                             back/units
//!         huge: mappings                              back/huge
//!         arrays: of the bins                         back/arrays
//! ```
//!
//! # Invariants
//!
//! - (I1) A block is live, in the cache of one thread, in a depot, or in its span: exactly one of the four.
//! - (I2) Locks are taken in the order shelves by class, units, huge, guarded, arrays; a thread waits for a lock of a lower place only while it
//!   holds none of a higher.
//!
//! # Operations
//!
//! [`trim`](Heap::trim): O(what is free). [`stats`](Heap::stats): O(classes and large blocks).
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use forge_alloc_core::CachePadded;
use forge_alloc_core::sync::RawLock;
use forge_alloc_core::sync::atomic::{AtomicU64, Ordering};
use forge_os::{Advice, Os};

use super::LARGEST_BATCH;
use super::back::arrays::Arrays;
use super::back::guarded::Guarded;
use super::back::huge::Huge;
use super::back::units::Units;
use super::checks::{self, Misuse};
use super::front::sizes::{CLASSES, Class};
use super::glue::{array_of, const_unless_loom};
use super::middle::batches::Batches;
use super::middle::shelf::Shelf;
use super::profile::Profile;
use super::stats::{ClassStats, Stats};

/// What the threads of a process share: the spans, mappings and free blocks of one allocator.
///
/// A thread reaches it through a [`ThreadCache`](super::ThreadCache). Its memory lives as long as the process: dropping a heap
/// returns nothing.
pub struct Heap<P: Profile, O: Os> {
    shelves: [CachePadded<Shelf>; CLASSES],
    batches: Batches,
    pub(super) units: Units<O>,
    pub(super) huge: Huge<O>,
    /// Used instead of `huge` where blocks are armed.
    pub(super) guarded: Guarded<O>,
    pub(super) arrays: Arrays<O>,
    key: AtomicU64,
    pub(super) os: O,
    profile: PhantomData<fn() -> P>,
}

impl<P: Profile, O: Os> Heap<P, O> {
    const_unless_loom! {
        /// Returns an empty heap over an operating system. O(classes).
        pub fn new(os: O) -> Self {
            Self {
                shelves: array_of!(CachePadded::new(Shelf::new(P::INTERRUPTIBLE)); CLASSES),
                batches: Batches::new(),
                units: Units::new(os, P::RETAINED_BYTES, P::ARMED, P::INTERRUPTIBLE),
                huge: Huge::new(os, P::RETAINED_HUGE_BYTES, P::INTERRUPTIBLE),
                guarded: Guarded::new(os, P::INTERRUPTIBLE),
                arrays: Arrays::new(os, P::INTERRUPTIBLE),
                key: AtomicU64::new(0),
                os,
                profile: PhantomData,
            }
        }
    }

    /// Returns the class of the span that an address lies in; none if it lies in no span. O(1).
    #[inline(always)]
    pub(super) fn class_at(&self, address: usize) -> Option<Class> {
        self.units.directory.class_at(address)
    }

    /// Returns the secret of the heap, which is odd. O(1) after the first call.
    #[inline(always)]
    pub(super) fn key(&self) -> u64 {
        // Relaxed: the number is all there is.
        match self.key.load(Ordering::Relaxed) {
            0 => self.make_key(),
            key => key,
        }
    }

    /// Returns the secret of the heap where a block was armed before, or a cache was opened that arms blocks. O(1).
    #[inline(always)]
    pub(super) fn key_in_use(&self) -> u64 {
        // Relaxed: who has a block, or an open cache, got it from who made the key or did so itself.
        self.key.load(Ordering::Relaxed)
    }

    /// Draws the secret of the heap. Where the system has no random numbers yet, it is where the heap lies.
    #[cold]
    fn make_key(&self) -> u64 {
        let mut bytes = (ptr::from_ref(self).addr() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_ne_bytes();
        let _ = forge_os::fill_random(&mut bytes);
        let key = u64::from_ne_bytes(bytes) | 1;
        // Relaxed: as above; whoever is first decides.
        match self.key.compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => key,
            Err(first) => first,
        }
    }

    fn shelf(&self, class: Class) -> &Shelf {
        let shelf: &CachePadded<Shelf> = class.of_each(&self.shelves);
        shelf
    }

    /// Takes up to `wanted` blocks out of their spans; see [`Shelf::take`].
    ///
    /// # Safety
    ///
    /// `out` is valid for writing `wanted` words.
    pub(super) unsafe fn take(&self, class: Class, out: *mut usize, wanted: usize) -> (usize, bool) {
        let (shelf, shape) = (self.shelf(class), class.shape::<P>());
        // SAFETY: the caller's promise, and the class's own shape and shelf.
        let taken = unsafe { shelf.take(&self.units, class, shape, out, wanted) };
        if taken.0 > 0 {
            return taken;
        }
        // What waits for any thread may be what the system lacks.
        self.trim();
        // SAFETY: as above.
        unsafe { shelf.take(&self.units, class, shape, out, wanted) }
    }

    /// Returns a block with a mapping of its own, and the number of its first bytes that may not be zero; none if there is
    /// no memory.
    #[cold]
    pub(super) fn allocate_huge(&self, layout: Layout) -> Option<(NonNull<u8>, usize)> {
        let attempt = || match P::ARMED {
            true => self.guarded.allocate(layout).map(|block| (block, 0)),
            false => self.huge.allocate(layout),
        };
        attempt().or_else(|| {
            self.trim();
            attempt()
        })
    }

    /// Returns memory for what belongs to one thread and is no block, `bytes` bytes aligned to a line, far from all blocks; none if there is no
    /// memory. What is in it is of no use.
    pub fn take_aside(&self, bytes: usize) -> Option<NonNull<u8>> {
        self.arrays.take(bytes)
    }

    /// Takes back what [`take_aside`](Self::take_aside) returned.
    ///
    /// # Safety
    ///
    /// It was taken from this heap with that many bytes, and nobody uses it any more.
    pub unsafe fn give_aside(&self, memory: NonNull<u8>, bytes: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.arrays.give(memory, bytes) };
    }

    /// Takes one block out of its span, and tells whether it is zero. The address is 0 if there is no memory.
    pub(super) fn take_one(&self, class: Class) -> (usize, bool) {
        let mut address = 0;
        // SAFETY: there is room for one word.
        let (_, zero) = unsafe { self.take(class, &raw mut address, 1) };
        (address, zero)
    }

    /// Takes a batch from the depot and writes it from `out` on; returns how many blocks that is. Lock-free.
    ///
    /// # Safety
    ///
    /// `out` is valid for writing as many words as a batch of the class has.
    pub(super) unsafe fn take_batch(&self, class: Class, out: *mut usize) -> usize {
        // SAFETY: the caller's promise.
        unsafe { self.shelf(class).depot.take(&self.batches, out) }
    }

    /// Returns whether the depot of a class had a batch a moment ago.
    pub(super) fn has_batches(&self, class: Class) -> bool {
        self.shelf(class).depot.len() != 0
    }

    /// Takes blocks back into their spans. Ends the process if one of them is none, and no lock is held then.
    ///
    /// # Safety
    ///
    /// As [`Shelf::give`].
    pub(super) unsafe fn give(&self, class: Class, blocks: *const usize, count: usize) {
        // SAFETY: the caller's promise, and the class's own shape and shelf.
        let given = unsafe { self.shelf(class).give(&self.units, class, class.shape::<P>(), blocks, count) };
        match given {
            Ok(false) => {}
            Ok(true) => self.age(),
            Err(_) => checks::misuse(Misuse::NotLive),
        }
    }

    /// Gives back to the system what was not needed for a while.
    #[cold]
    fn age(&self) {
        self.huge.age();
        self.units.age();
    }

    /// Takes up to a batch of blocks back, for any thread if the depot has room, else into their spans.
    ///
    /// # Safety
    ///
    /// As [`Shelf::give`], and `1 <= count <=` the batch of the class.
    pub(super) unsafe fn give_batch(&self, class: Class, blocks: *const usize, count: usize) {
        let shape = class.shape::<P>();
        // SAFETY: the caller's promise; batches are no larger than the largest.
        unsafe {
            if !self.shelf(class).depot.put(&self.batches, &self.os, shape.depot, blocks, count) {
                self.give(class, blocks, count);
            }
        }
    }

    /// Gives everything back that is free and in no thread's cache: depots to their spans, empty spans to segments,
    /// pages, segments and mappings to the system.
    pub fn trim(&self) {
        let mut blocks = [0; LARGEST_BATCH];
        for class in Class::all() {
            loop {
                // SAFETY: there is room for the largest batch; what was in the depot is no one's.
                unsafe {
                    let count = self.take_batch(class, blocks.as_mut_ptr());
                    if count == 0 {
                        break;
                    }
                    self.give(class, blocks.as_ptr(), count);
                }
            }
            self.shelf(class).give_spare(&self.units);
        }
        self.huge.purge();
        self.units.purge();
        self.arrays.purge();
    }

    /// Returns how much memory the heap holds. Allocates nothing; each number is right for some moment of the call.
    pub fn stats(&self) -> Stats {
        let units = self.units.extent();
        let huge = if P::ARMED { self.guarded.extent() } else { self.huge.extent() };
        let (mut issued, mut waiting) = (0, 0);
        for class in self.class_stats() {
            issued += class.issued * class.size;
            waiting += class.waiting * class.size;
        }
        Stats {
            live: issued.saturating_sub(waiting) + huge.used,
            peak: units.peak + huge.peak,
            mapped: units.mapped + huge.mapped + self.arrays.mapped(),
            resident: units.used + units.retained + huge.used + huge.idle,
            retained: units.retained + huge.idle + waiting,
        }
    }

    /// Does what the variable `FORGE_MALLOC` of the environment says; `help` lists what it may be. Allocates nothing.
    #[cfg(not(loom))]
    pub fn configure(&self) {
        super::settings::apply(self);
    }

    /// Sets how many milliseconds free memory stays that no request needs; it goes back within two such delays, if there are requests. At first
    /// a second.
    pub fn set_purge_delay(&self, milliseconds: u64) {
        self.units.set_delay(milliseconds);
        self.huge.set_delay(milliseconds);
    }

    /// Sets how many bytes of free memory stay for the next request: of segments, besides a quarter of what is in use, and of
    /// large blocks, besides three quarters. None leaves what the profile says.
    pub fn set_retention(&self, bytes: Option<usize>, huge_bytes: Option<usize>) {
        bytes.into_iter().for_each(|bytes| self.units.set_retainable(bytes));
        huge_bytes.into_iter().for_each(|bytes| self.huge.set_retainable(bytes));
    }

    /// Sets what the system is told about each mapping that is made from now on, for instance that huge pages are wanted.
    pub fn set_advice(&self, advice: Option<Advice>) {
        self.units.set_advice(advice);
        self.huge.set_advice(advice);
        self.guarded.set_advice(advice);
    }

    /// Returns what the spans of each size class hold, the smallest first. Allocates nothing.
    pub fn class_stats(&self) -> impl Iterator<Item = ClassStats> {
        Class::all().map(|class| {
            let (shelf, shape) = (self.shelf(class), class.shape::<P>());
            ClassStats { size: shape.size, issued: shelf.issued(), waiting: shelf.depot.blocks() }
        })
    }

    /// Takes every lock, so that a fork finds all that they guard whole. Until they are given back, requests that a cache
    /// cannot serve wait.
    pub fn lock_all(&self) {
        Class::all().for_each(|class| self.shelf(class).lock.lock());
        self.units.lock.lock();
        self.huge.lock.lock();
        self.guarded.lock.lock();
        self.arrays.lock.lock();
    }

    /// Gives every lock back.
    ///
    /// # Safety
    ///
    /// [`lock_all`](Self::lock_all) took them, on this thread or on the one that this process was forked from.
    pub unsafe fn unlock_all(&self) {
        // SAFETY: the caller's promise.
        unsafe {
            self.arrays.lock.unlock();
            self.guarded.lock.unlock();
            self.huge.lock.unlock();
            self.units.lock.unlock();
            Class::all().rev().for_each(|class| self.shelf(class).lock.unlock());
        }
    }
}

impl<P: Profile, O: Os> core::fmt::Debug for Heap<P, O> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Heap").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
