//! A heap: shards, and the way from an address to its shard.
//!
//! ```text
//!   Heap  -->  hall, in a vault:  | shard 0 | shard 1 | .. | grounds: directory, records of ranges |
//!
//!   allocate   thread --> its shard --> a slot --> the block
//!   free       address --> directory --> shard, locked --> slot: is it this block, live, of this layout, unharmed?
//! ```
//!
//! # Invariants
//!
//! - (I1) The hall is made once and stays for ever; a shard in it is reached under its lock.
//! - (I2) Locks are taken in the order: start, shards by number, grounds.
//! - (I3) No lock is held where the process ends because of a misuse.
//!
//! # Operations
//!
//! [`allocate`](Heap::allocate), [`deallocate`](Heap::deallocate): one system call and one page fault a page, besides growing.
//! [`reallocate`](Heap::reallocate): those of both and a copy. [`stats`](Heap::stats): O(shards).
//!
//! # Design
//!
//! An address that somebody frees is a number here until the directory knows it: nothing is read through it. A free goes to
//! the shard that the block came from, whichever thread calls, and is decided under its lock; of two threads that free the
//! same block one is told so. There is no cache in front: a block in a cache would be neither live nor guarded.
//!
//! Where the system has no more memory, other sizes and other shards have to help out, and then the addresses that wait: a program that
//! runs out of memory has a shorter quarantine. A request that could not be met even so does not shorten it.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use forge_alloc_core::CachePadded;
use forge_alloc_core::sync::atomic::{AtomicPtr, Ordering};
use forge_alloc_core::sync::cell::UnsafeCell;
use forge_alloc_core::sync::{RawLock, SpinLock};
use forge_os::Os;

use super::checks::{Misuse, misuse};
use super::dice::Dice;
use super::grounds::{Grounds, shard_in};
use super::shard::{Found, Shard, Site};
use super::sizes::Request;
use super::stats::Stats;
use super::vault::Vault;

/// The number of shards, a power of two.
const SHARDS: usize = if cfg!(miri) { 2 } else { 8 };

/// An allocator whose blocks have pages of their own between guards.
///
/// Its memory lives as long as the process: dropping a heap returns nothing.
///
/// # Examples
///
/// ```
/// use core::alloc::Layout;
/// use forge_malloc::paranoid::Heap;
///
/// static HEAP: Heap<forge_os::Native> = Heap::new(forge_os::Native);
///
/// let layout = Layout::new::<[u64; 3]>();
/// let block = HEAP.allocate(layout);
/// assert!(!block.is_null());
/// // Sound: a live block, written within its size and freed once with its layout.
/// unsafe {
///     assert_eq!(block.read(), 0);
///     block.write_bytes(1, layout.size());
///     HEAP.deallocate(block, layout);
/// }
/// assert_eq!(HEAP.stats().live_blocks, 0);
/// assert_eq!(HEAP.stats().quarantined_blocks, 1);
/// ```
pub struct Heap<O: Os> {
    os: O,
    starting: SpinLock,
    hall: AtomicPtr<Hall>,
}

/// What the threads share.
struct Hall {
    shards: [CachePadded<Locked>; SHARDS],
    grounds: Grounds,
}

struct Locked {
    lock: SpinLock,
    shard: UnsafeCell<Shard>,
}

impl<O: Os> Heap<O> {
    /// Returns an empty heap over an operating system. O(1): it asks for nothing until the first block.
    #[must_use]
    pub const fn new(os: O) -> Self {
        Self { os, starting: SpinLock::new(), hall: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Returns a zero block for a layout, or null if there is no memory. The block of a layout without a byte is an address of its own
    /// in a guard.
    pub fn allocate(&self, layout: Layout) -> *mut u8 {
        let block = Request::of(layout.size(), layout.align(), self.os.page_size()).and_then(|request| {
            let (hall, home) = (self.hall()?, home());
            self.locked(hall, home, |shard, site| shard.allocate(site, &request))
                .or_else(|| self.allocate_in_need(hall, home, &request))
        });
        block.map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    /// Tries what is left where the shard of the thread has no memory.
    #[cold]
    fn allocate_in_need(&self, hall: &Hall, home: usize, request: &Request) -> Option<NonNull<u8>> {
        let anywhere = || {
            (0..SHARDS).find_map(|distance| {
                let index = (home + distance) % SHARDS;
                self.locked(hall, index, |shard, site| shard.make_do(site, request))
            })
        };
        anywhere().or_else(|| {
            // Relaxed: an estimate.
            if request.slot_bytes(self.os.page_size())? > hall.grounds.mapped.load(Ordering::Relaxed) {
                return None;
            }
            (0..SHARDS).for_each(|index| self.locked(hall, index, |shard, site| shard.reclaim(site, true)));
            self.locked(hall, home, |shard, site| shard.allocate(site, request)).or_else(anywhere)
        })
    }

    /// Frees a block. Ends the process if it is none, or not of this layout, or if something was written beside it.
    ///
    /// # Safety
    ///
    /// Nothing uses the block any more. (What is wrong with the address or the layout is detected.)
    pub unsafe fn deallocate(&self, block: *mut u8, layout: Layout) {
        self.free(block.addr(), Some(layout));
    }

    /// Frees a block of any layout; otherwise as [`deallocate`](Self::deallocate).
    ///
    /// # Safety
    ///
    /// As [`deallocate`](Self::deallocate).
    pub unsafe fn deallocate_unsized(&self, block: *mut u8) {
        self.free(block.addr(), None);
    }

    fn free(&self, address: usize, layout: Option<Layout>) {
        self.with_block(address, layout, Shard::free);
    }

    /// Moves a block to one of another layout, with as much of its content as both have; returns null, and leaves the block as it was, if
    /// there is no memory. A block that has the layout stays where it is. Ends the process as [`deallocate`](Self::deallocate).
    ///
    /// # Safety
    ///
    /// Nothing else uses the block during the call, nor after it unless it returns null.
    pub unsafe fn reallocate(&self, block: *mut u8, old: Layout, new: Layout) -> *mut u8 {
        self.with_block(block.addr(), Some(old), |_, _, _| ());
        if old == new {
            return block;
        }
        let moved = self.allocate(new);
        if !moved.is_null() {
            // SAFETY: both blocks are live, apart, and at least that long; the old one is the caller's to give up.
            unsafe {
                moved.copy_from_nonoverlapping(block, old.size().min(new.size()));
                self.deallocate(block, old);
            }
        }
        moved
    }

    /// Returns the size of a block, which is what was asked for. Ends the process if no live block starts there.
    pub fn size_of_block(&self, block: *const u8) -> usize {
        self.with_block(block.addr(), None, |_, _, found| found.size)
    }

    /// Unmaps the ranges in which there is no live block and none that waits. Memory of freed blocks is given back at once anyway.
    pub fn trim(&self) {
        self.reclaim(false);
    }

    /// Unmaps the ranges without a live block, after the wait of all blocks was ended if `hurry`.
    pub(super) fn reclaim(&self, hurry: bool) {
        if let Some(hall) = self.started() {
            (0..SHARDS).for_each(|index| self.locked(hall, index, |shard, site| shard.reclaim(site, hurry)));
        }
    }

    /// Returns how much memory the heap holds. Allocates nothing; each number is right for some moment of the call.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        let Some(hall) = self.started() else { return stats };
        for index in 0..SHARDS {
            self.locked(hall, index, |shard, _| {
                let counts = shard.counts;
                stats.live_blocks += counts.live_blocks;
                stats.live_bytes += counts.live_bytes;
                stats.quarantined_blocks += counts.waiting_blocks;
                stats.quarantined_bytes += counts.waiting_bytes;
                stats.retired += counts.retired;
                stats.guessable |= shard.dice.guessable;
            });
        }
        // Relaxed: these count.
        stats.mapped = hall.grounds.mapped.load(Ordering::Relaxed);
        stats.guarded_by_rights = hall.grounds.by_rights.load(Ordering::Relaxed);
        stats.metadata = hall.grounds.vaults.load(Ordering::Relaxed);
        stats
    }

    /// Calls `work` with the live block that starts at an address; ends the process, with no lock held, if there is none.
    fn with_block<R>(
        &self,
        address: usize,
        layout: Option<Layout>,
        work: impl FnOnce(&mut Shard, &Site<'_, O>, Found) -> R,
    ) -> R {
        self.try_with_block(address, layout, work).unwrap_or_else(|what| misuse(what))
    }

    fn try_with_block<R>(
        &self,
        address: usize,
        layout: Option<Layout>,
        work: impl FnOnce(&mut Shard, &Site<'_, O>, Found) -> R,
    ) -> Result<R, Misuse> {
        let hall = self.started().ok_or(Misuse::Foreign)?;
        loop {
            let entry = hall.grounds.directory.get(address);
            if entry == 0 {
                return Err(Misuse::Foreign);
            }
            let index = shard_in(entry);
            let lock = &hall.shards.get(index).ok_or(Misuse::Foreign)?.lock;
            let _guard = lock.guard();
            // The range may have gone before the lock was taken; while the lock is held it stays.
            if hall.grounds.directory.get(address) == entry {
                // SAFETY: the lock is held until the end of this turn.
                return unsafe {
                    self.enter(hall, index, |shard, site| {
                        let found = shard.find(site, address, entry, layout)?;
                        Ok(work(shard, site, found))
                    })
                };
            }
        }
    }

    /// Calls `work` with a shard, under its lock.
    fn locked<R>(&self, hall: &Hall, index: usize, work: impl FnOnce(&mut Shard, &Site<'_, O>) -> R) -> R {
        let index = index % SHARDS;
        // SAFETY: the index is below the number of shards.
        let _guard = unsafe { hall.shards.get_unchecked(index) }.lock.guard();
        // SAFETY: the lock is held until the end of this function.
        unsafe { self.enter(hall, index, work) }
    }

    /// Calls `work` with a shard.
    ///
    /// # Safety
    ///
    /// The lock of the shard is held, and the index is that of a shard.
    unsafe fn enter<R>(
        &self,
        hall: &Hall,
        index: usize,
        work: impl FnOnce(&mut Shard, &Site<'_, O>) -> R,
    ) -> R {
        let site = Site { os: &self.os, grounds: &hall.grounds, page: self.os.page_size() };
        // SAFETY: the caller's promise; nothing leads to a shard but its lock (I1).
        unsafe { hall.shards.get_unchecked(index).shard.with_mut(|shard| work(&mut *shard, &site)) }
    }

    /// Returns the hall if there is one.
    fn started(&self) -> Option<&Hall> {
        // SAFETY: a hall that was made stays for ever (I1). Acquire: pairs with the Release in `start`.
        unsafe { self.hall.load(Ordering::Acquire).as_ref() }
    }

    fn hall(&self) -> Option<&Hall> {
        self.started().or_else(|| self.start())
    }

    /// Makes the hall unless another thread did.
    #[cold]
    fn start(&self) -> Option<&Hall> {
        let _guard = self.starting.guard();
        if self.started().is_none() {
            let mut dice = Dice::new();
            let vault = Vault::new(&self.os, size_of::<Hall>(), &mut dice)?;
            let hall = vault.data().cast::<Hall>();
            for index in 0..SHARDS {
                let locked = Locked { lock: SpinLock::new(), shard: UnsafeCell::new(Shard::new(index)) };
                // SAFETY: the place lies in the vault, which nobody else knows yet. Zero is a value of the grounds.
                unsafe {
                    let shards = (&raw mut (*hall.as_ptr()).shards).cast::<CachePadded<Locked>>();
                    shards.add(index).write(CachePadded::new(locked));
                }
            }
            // Release: publishes the hall to the Acquire in `started`.
            self.hall.store(hall.as_ptr(), Ordering::Release);
        }
        self.started()
    }

    /// Takes every lock, so that a fork finds all that they guard whole. Until they are given back, every request waits.
    pub fn lock_all(&self) {
        self.starting.lock();
        if let Some(hall) = self.started() {
            hall.shards.iter().for_each(|shard| shard.lock.lock());
            hall.grounds.lock.lock();
        }
    }

    /// Gives every lock back. In a child of a fork it first forgets the random words that the parent has, too.
    ///
    /// # Safety
    ///
    /// [`lock_all`](Self::lock_all) took them, on this thread or on the one that this process was forked from.
    pub unsafe fn unlock_all(&self, is_child: bool) {
        // SAFETY: the caller's promise: the locks are held, and there is a hall exactly if there was one then.
        unsafe {
            if let Some(hall) = self.started() {
                hall.grounds.lock.unlock();
                for locked in &hall.shards {
                    if is_child {
                        locked.shard.with_mut(|shard| (*shard).dice.forget());
                    }
                    locked.lock.unlock();
                }
            }
            self.starting.unlock();
        }
    }
}

/// Returns the number of the calling thread's shard.
fn home() -> usize {
    #[cfg(feature = "std")]
    let thread = forge_os::thread_id().get();
    #[cfg(not(feature = "std"))]
    let thread = 0_usize;
    // The golden ratio spreads addresses evenly (Knuth, The Art of Computer Programming 6.4).
    ((thread as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % SHARDS
}

// SAFETY: shards and their extents are reached under locks, the directory through atomics.
unsafe impl<O: Os> Sync for Heap<O> {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl<O: Os> Send for Heap<O> {}

impl<O: Os> core::fmt::Debug for Heap<O> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Heap").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
