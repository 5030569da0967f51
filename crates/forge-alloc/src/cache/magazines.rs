//! Free slots of a cache at hand for each thread, so that neither taking nor giving one takes a lock.
//!
//! ```text
//!   thread 0: magazine | slot | slot | .. |  --half of it-->  depot | bundle | bundle | .. |  --when it is full-->  SlabCache
//!   thread 1: magazine | slot | .. |         <--a bundle--                                     <--when it is empty--
//!   further threads: no magazine, the lock of the cache each time
//! ```
//!
//! # Invariants
//!
//! - (I1) Only the thread that holds thread slot `n` changes magazine `n`, or whoever has the front for itself.
//! - (I2) What lies in a magazine or a bundle are slots that were taken from the cache, each once, and handed to nobody.
//!
//! # Operations
//!
//! Taking and giving a slot: O(1) without a lock or an atomic exchange; one in 64 takes a lock, to move 64 of them.
//!
//! # Design
//!
//! The magazine layer of Bonwick and Adams ("Magazines and Vmem", 2001), per thread instead of per processor; the magazines and
//! bundles are those of the slab that grows by segments. A bundle passes through the depot as it is, so that a burst of frees
//! and allocations touches no slab, whose header the processor's caches may have lost. A thread that is out of bundles takes of
//! the slabs, then of other threads' bundles, whose slots are in the caches of other cores, and only then of the provider.
//!
//! A box that outlives its front could be dropped while another thread takes the magazines down, and nothing short of an
//! exchange per free would tell. So these boxes borrow the front: two words, and the compiler knows when the last one is gone.
//! Slots at hand count as taken in [`stats`](Magazines::stats) of the cache, up to 127 and 64 for each bundle, for each of 16
//! threads; [`flush`](Magazines::flush) gives them back.
#![allow(unsafe_code)]

use core::array;
use core::fmt;
use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, CachePadded, Deallocator, NonZeroLayout, StableAddress};

use super::contract::{fits, slot_facts};
use super::depot::Depot;
use super::locks::{DefaultLock, LockTrait};
use super::root;
use super::source::{Hooks, SlabSource};
use super::{CacheStats, SlabCache};
use crate::layout::slab::extendable::magazine::{BUNDLE, Bundle, MAGAZINE, Magazine};
use crate::layout::slab::slot_box::SlotBox;
use crate::thread_slot::{self, SLOTS};

/// A cache with magazines: the fastest form, for values that do not outlive it.
///
/// # Examples
///
/// ```
/// use forge_alloc::HeapSource;
/// use forge_alloc::cache::{Magazines, SlabCache, locks::SpinLock};
///
/// let cache = SlabCache::<[u64; 8], SpinLock, 4096, _>::new_in(HeapSource::new())?;
/// let front = Magazines::new(cache);
/// std::thread::scope(|scope| {
///     let value = front.insert([7; 8]).unwrap();
///     scope.spawn(move || drop(value)); // into the magazine of that thread
/// });
/// # Ok::<(), forge_alloc::cache::SlabError>(())
/// ```
///
/// ```compile_fail,E0505
/// # use forge_alloc::HeapSource;
/// # use forge_alloc::cache::{Magazines, SlabCache, locks::SpinLock};
/// # let cache = SlabCache::<[u64; 8], SpinLock, 4096, _>::new_in(HeapSource::new()).unwrap();
/// let front = Magazines::new(cache);
/// let value = front.insert([7; 8]).unwrap();
/// drop(front);
/// drop(value);
/// ```
pub struct Magazines<T, L: LockTrait = DefaultLock, const SLAB_SIZE: usize = 4096, S: SlabSource = Hooks> {
    cache: SlabCache<T, L, SLAB_SIZE, S>,
    depot: Depot<L>,
    magazines: [CachePadded<Magazine>; SLOTS],
}

// SAFETY: a handle of the cache goes to another thread, its lock too, and the rest are addresses of slots, which have no thread.
unsafe impl<T: Send, L: LockTrait + Sync, const SLAB_SIZE: usize, S: SlabSource + Send + Sync> Send
    for Magazines<T, L, SLAB_SIZE, S>
{
}
// SAFETY: magazines have one thread each (I1), the depot is reached under its locks, and the cache is `Sync`.
unsafe impl<T: Send, L: LockTrait + Sync, const SLAB_SIZE: usize, S: SlabSource + Send + Sync> Sync
    for Magazines<T, L, SLAB_SIZE, S>
{
}

impl<T, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> Magazines<T, L, SLAB_SIZE, S> {
    /// Returns empty magazines in front of `cache`, with a depot for 16,384 slots of each thread. Other handles of the cache may be
    /// used beside. O(magazines).
    #[must_use]
    pub fn new(cache: SlabCache<T, L, SLAB_SIZE, S>) -> Self {
        Self::with_depot(cache, 256)
    }

    /// Returns empty magazines in front of `cache`, with a depot for so many bundles of up to 64 slots for each thread.
    /// O(magazines).
    #[must_use]
    pub fn with_depot(cache: SlabCache<T, L, SLAB_SIZE, S>, bundles: usize) -> Self {
        Self {
            cache,
            depot: Depot::new(bundles),
            magazines: array::from_fn(|_| CachePadded::new(Magazine::new())),
        }
    }

    /// Puts `value` into a slot and returns the box that owns it. O(1).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the provider has no fit slab, or if a `T` has no size; `value` is dropped.
    #[inline]
    pub fn insert(&self, value: T) -> Result<SlotBox<'_, T, Self>, AllocError> {
        let layout = const { NonZeroLayout::for_type::<T>() }.ok_or(AllocError)?;
        let slot = self.allocate(layout)?.cast::<T>();
        // SAFETY: the block has the layout of a value, is ours alone, and stays so until the box frees it.
        unsafe {
            slot.write(value);
            Ok(SlotBox::from_raw(slot, self))
        }
    }

    /// Returns what the cache holds, where slots at hand count as live. O(slabs with free slots).
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.cache.stats()
    }

    /// Gives the slots at hand back to the cache. O(slots at hand).
    pub fn flush(&mut self) {
        for magazine in &self.magazines {
            let mut bundle = Bundle::EMPTY;
            while magazine.len() > 0 {
                magazine.move_oldest(BUNDLE, &mut bundle);
                self.give_bundle(&bundle);
            }
        }
        while let Some(bundle) = self.depot.take_any(|bundle| Some(*bundle)) {
            self.give_bundle(&bundle);
        }
    }

    /// Gives back the slots at hand, and every slab without a value except the first. O(slots at hand and spare slabs).
    pub fn shrink(&mut self) {
        self.flush();
        self.cache.shrink();
    }

    fn give_bundle(&self, bundle: &Bundle) {
        // SAFETY: the slots were in a magazine (I2) and are in none now; the handle is an owner.
        unsafe { root::give_some::<L, SLAB_SIZE>(self.cache.root_pointer(), bundle.slots()) };
    }

    /// Takes a slot past the magazine, and refills that by the way.
    #[cold]
    #[inline(never)]
    fn take_shared(&self) -> Result<NonNull<u8>, AllocError> {
        let thread = thread_slot::acquire();
        let Some(magazine) = self.magazines.get(thread) else {
            return self.cache.take().map(NonNull::cast).map_err(|_| AllocError);
        };
        // A thread that took its thread slot just now inherits what the last holder left.
        let slot = magazine.pop().or_else(|| self.depot.take_own(thread, |bundle| magazine.fill(bundle)));
        let slot = slot.or_else(|| self.refill(magazine));
        let slot = slot.or_else(|| self.depot.take_any(|bundle| magazine.fill(bundle)));
        slot.map_or_else(|| self.cache.take().map(NonNull::cast).map_err(|_| AllocError), Ok)
    }

    /// Takes a slot of the slabs that there are, and fills half of the empty magazine.
    fn refill(&self, magazine: &Magazine) -> Option<NonNull<u8>> {
        let mut places = [None; BUNDLE];
        // SAFETY: the handle keeps the root.
        unsafe { self.cache.root_pointer().as_ref() }.take_some::<SLAB_SIZE>(&mut places);
        let [first, others @ ..] = places;
        // A magazine is used from its end.
        for slot in others.into_iter().rev().flatten() {
            magazine.push(slot);
        }
        first
    }

    /// Gives a slot back past the fast path: into the magazine once it has room, or else to the cache.
    #[cold]
    #[inline(never)]
    fn give_shared(&self, slot: NonNull<u8>) {
        let thread = thread_slot::acquire();
        let Some(magazine) = self.magazines.get(thread) else {
            // SAFETY: the caller of `deallocate` promises that the slot is taken and not used any more.
            return unsafe { root::give::<L, SLAB_SIZE>(slot) };
        };
        if magazine.len() >= MAGAZINE {
            // The newer half stays: it is used first.
            let mut bundle = Bundle::EMPTY;
            if !self.depot.put(thread, |bundle| magazine.move_oldest(BUNDLE, bundle)) {
                magazine.move_oldest(BUNDLE, &mut bundle);
                self.give_bundle(&bundle);
            }
        }
        magazine.push(slot);
    }
}

impl<T, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> Drop for Magazines<T, L, SLAB_SIZE, S> {
    fn drop(&mut self) {
        self.flush();
    }
}

// SAFETY: a slot goes to the magazine of the calling thread, which nobody else uses (I1), or to the cache under its lock; the
// front is `Sync` only if the cache is.
unsafe impl<T, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> Deallocator
    for Magazines<T, L, SLAB_SIZE, S>
{
    /// Gives a slot back. O(1). Never runs the destructor of a `T`.
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, _: NonZeroLayout) {
        if let Some(magazine) = self.magazines.get(thread_slot::current()) {
            debug_assert!(cfg!(miri) || !magazine.contains(ptr), "a slot is freed twice");
            if magazine.push(ptr) {
                return;
            }
        }
        self.give_shared(ptr);
    }
}

// SAFETY: a slot is handed to one owner at a time (I2), is aligned and long enough for what `fits` lets pass, and its slab
// stays while it is taken.
unsafe impl<T, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> Allocator
    for Magazines<T, L, SLAB_SIZE, S>
{
    /// Returns a slot, all of it. O(1), and at the boundary of a slab a call of the provider.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if `layout` does not fit a slot, or if the provider has no fit slab.
    #[inline]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        if !fits::<T>(layout) {
            return Err(AllocError);
        }
        let slot = match self.magazines.get(thread_slot::current()).and_then(|magazine| magazine.pop()) {
            Some(slot) => slot,
            None => self.take_shared()?,
        };
        Ok(NonNull::slice_from_raw_parts(slot, size_of::<T>()))
    }

    slot_facts!(T);
}

// SAFETY: every block lies in a slab, which stays where it is.
unsafe impl<T, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> StableAddress
    for Magazines<T, L, SLAB_SIZE, S>
{
}

impl<T, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> fmt::Debug for Magazines<T, L, SLAB_SIZE, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Magazines").field("cache", &self.cache).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
