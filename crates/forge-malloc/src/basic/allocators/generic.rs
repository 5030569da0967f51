//! `GenericAllocator`: one heap, any number of threads, one lock.
//!
//! ```text
//!   alloc  -->  enter the lock  --yes-->  RawAlloc  -->  leave the lock  -->  messages, if the feature `log` is on
//!                     | this thread is inside already
//!                     v
//!                the side door
//! ```
//!
//! # Invariants
//!
//! - (I1) `raw` is touched only by the thread that has entered the lock, and by no two calls of it at once.
//! - (I2) No code of the program runs while the lock is held, other than a signal handler.
//!
//! # Operations
//!
//! As [`RawAlloc`]'s, and one atomic exchange and one store more.
//!
//! # Design
//!
//! The heap is made at the first use, so that the allocator can be a `static` that needs no work before `main`.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr;

use super::grower::HeapGrower;
use super::lock::{HeapLock, OwnLock};
use super::raw_alloc::{RawAlloc, Usage};
use super::side_door::SideDoor;
use crate::basic::blocklist::{Stats, Validity};
use crate::basic::report;
use crate::basic::trace::Notes;

/// An allocator for any number of threads over a grower.
///
/// # Examples
///
/// ```
/// use forge_alloc_core::{Allocator, Deallocator, NonZeroLayout};
/// use forge_malloc::basic::{GenericAllocator, MmapHeapGrower};
///
/// let heap = GenericAllocator::<MmapHeapGrower>::new();
/// let layout = NonZeroLayout::from_size_align(100, 64).unwrap();
/// let block = heap.allocate(layout)?;
/// assert_eq!(heap.usage().live, 128);
/// // Sound: the block is live, and this is its layout.
/// unsafe { heap.deallocate(block.cast(), layout) };
/// # Ok::<(), forge_alloc_core::AllocError>(())
/// ```
pub struct GenericAllocator<G, L = OwnLock> {
    lock: L,
    raw: UnsafeCell<Option<RawAlloc<G>>>,
    door: SideDoor,
}

// SAFETY: the heap is reached by one thread at a time (I1), so it must be fit to be used by another; the door is atomic.
unsafe impl<G: Send, L: Sync> Sync for GenericAllocator<G, L> {}

impl<G, L: HeapLock> GenericAllocator<G, L> {
    /// Returns an allocator without memory, which obtains some when it is first used. O(1).
    #[must_use]
    pub const fn new() -> Self {
        Self { lock: L::NEW, raw: UnsafeCell::new(None), door: SideDoor::new() }
    }
}

impl<G: HeapGrower + Default, L: HeapLock> GenericAllocator<G, L> {
    /// Takes the lock and returns the heap. Until the guard is dropped, other threads that allocate wait, and this one is
    /// served by pages of their own.
    ///
    /// If this thread holds a guard already, the process ends with a message.
    #[must_use]
    pub fn get_raw(&self) -> RawGuard<'_, G, L> {
        if !self.lock.owner_lock().enter() {
            report::guard_inside_guard()
        }
        // SAFETY: this thread has just entered the lock (I1), and leaves it when the guard is dropped.
        RawGuard { heap: unsafe { self.heap() }, lock: &self.lock, thread: PhantomData }
    }

    /// Returns what was found wrong with the free blocks, which is nothing, and how much is free. Walks over all of them.
    ///
    /// Both are zero while this thread holds a guard, and in a signal handler that interrupts this allocator.
    #[must_use]
    pub fn stats(&self) -> (Validity, Stats) {
        self.with(|heap| heap.stats()).unwrap_or_default()
    }

    /// Returns whether the free blocks are as they should be. Walks over all of them.
    #[must_use]
    pub fn validate(&self) -> bool {
        self.stats().0.is_valid()
    }

    /// Returns how the memory is used. Walks over all free blocks.
    ///
    /// Everything is zero while this thread holds a guard, and in a signal handler that interrupts this allocator.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.with(|heap| heap.usage()).unwrap_or_default()
    }

    /// Calls `work` under the lock; `None` if this thread is inside already.
    #[inline]
    fn with<R>(&self, work: impl FnOnce(&mut RawAlloc<G>) -> R) -> Option<R> {
        let lock = self.lock.owner_lock();
        if !lock.enter() {
            return None;
        }
        // SAFETY: this thread has just entered the lock (I1).
        let heap = unsafe { self.heap() };
        let result = work(heap);
        let notes = heap.take_notes();
        lock.leave();
        notes.into_iter().for_each(Notes::emit);
        Some(result)
    }

    /// Returns the heap, with everything that was left at the door.
    ///
    /// # Safety
    ///
    /// The caller has entered the lock, and holds no other reference to the heap.
    #[inline]
    #[allow(clippy::mut_from_ref)]
    unsafe fn heap(&self) -> &mut RawAlloc<G> {
        // SAFETY: the caller is alone with it (I1).
        let raw = unsafe { &mut *self.raw.get() };
        let heap = raw.get_or_insert_with(RawAlloc::default);
        if !self.door.is_empty() {
            self.clear_door(heap);
        }
        heap
    }

    #[cold]
    fn clear_door(&self, heap: &mut RawAlloc<G>) {
        // SAFETY: memory at the door is given up, and came from growers of this kind.
        let obtained = self.door.take_all(|address, size| unsafe { heap.adopt(address, size) });
        heap.count(obtained);
    }

    /// Returns a block or null.
    #[inline]
    pub(super) fn alloc_block(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the users of blocks promise what is asked for.
        self.with(|heap| heap.alloc_block(layout).0).unwrap_or_else(|| unsafe { self.alloc_at_door(layout) })
    }

    /// Returns a block of zeros or null.
    #[inline]
    pub(super) fn alloc_zeroed_block(&self, layout: Layout) -> *mut u8 {
        self.with(|heap| heap.alloc_zeroed_block(layout)).unwrap_or_else(|| {
            // SAFETY: as in `alloc_block`; a block that is not null has the size of its layout.
            unsafe {
                let block = self.alloc_at_door(layout);
                if !block.is_null() && !G::ZEROED {
                    block.write_bytes(0, layout.size());
                }
                block
            }
        })
    }

    /// # Safety
    ///
    /// As for [`RawAlloc::alloc`].
    unsafe fn alloc_at_door(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the callee's.
        unsafe { self.door.alloc::<G>(RawAlloc::<G>::block_size(layout), layout.align()) }
    }

    /// # Safety
    ///
    /// As for [`RawAlloc::dealloc`].
    #[inline]
    pub(super) unsafe fn free_block(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the block is given up, and this is its layout.
        if self.with(|heap| unsafe { heap.free_block(ptr, layout) }).is_none() {
            let size = RawAlloc::<G>::block_size(layout);
            if size > 0 {
                // SAFETY: as above.
                unsafe { self.door.leave(ptr.expose_provenance(), size) };
            }
        }
    }

    /// # Safety
    ///
    /// As for [`RawAlloc::realloc`].
    #[inline]
    pub(super) unsafe fn resize_block(&self, ptr: *mut u8, old: Layout, new: Layout) -> *mut u8 {
        // SAFETY: a live block, and its layout.
        let resized = self.with(|heap| unsafe { heap.resize_block(ptr, old, new) });
        resized.unwrap_or_else(|| {
            // SAFETY: both blocks are live and have what is copied; the old one is given up.
            unsafe {
                let block = self.alloc_at_door(new);
                if !block.is_null() {
                    block.copy_from_nonoverlapping(ptr, old.size().min(new.size()));
                    self.free_block(ptr, old);
                }
                block
            }
        })
    }
}

impl<G: HeapGrower + Default, L: HeapLock> Default for GenericAllocator<G, L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<G, L: fmt::Debug> fmt::Debug for GenericAllocator<G, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenericAllocator")
            .field("lock", &self.lock)
            .field("door", &self.door)
            .finish_non_exhaustive()
    }
}

// SAFETY: blocks come from one heap under one lock, or from pages of their own; they are as long and as aligned as their
// layouts say, and nothing unwinds.
unsafe impl<G: HeapGrower + Default, L: HeapLock> GlobalAlloc for GenericAllocator<G, L> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.alloc_block(layout)
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { self.free_block(ptr, layout) };
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.alloc_zeroed_block(layout)
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Ok(new) = Layout::from_size_align(new_size, layout.align()) else { return ptr::null_mut() };
        // SAFETY: the caller's promise is the callee's.
        unsafe { self.resize_block(ptr, layout, new) }
    }
}

/// The heap of an allocator whose lock is held. It stays on its thread.
pub struct RawGuard<'a, G, L: HeapLock> {
    heap: &'a mut RawAlloc<G>,
    lock: &'a L,
    thread: PhantomData<*const ()>,
}

impl<G, L: HeapLock> RawGuard<'_, G, L> {
    /// Returns the heap for changes.
    ///
    /// # Safety
    ///
    /// The heap is not moved away or replaced: blocks of the allocator are live in it.
    pub unsafe fn get_mut(&mut self) -> &mut RawAlloc<G> {
        self.heap
    }
}

impl<G, L: HeapLock> Deref for RawGuard<'_, G, L> {
    type Target = RawAlloc<G>;

    fn deref(&self) -> &RawAlloc<G> {
        self.heap
    }
}

impl<G, L: HeapLock> Drop for RawGuard<'_, G, L> {
    fn drop(&mut self) {
        self.lock.owner_lock().leave();
    }
}

impl<G, L: HeapLock> fmt::Debug for RawGuard<'_, G, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawGuard").finish_non_exhaustive()
    }
}
