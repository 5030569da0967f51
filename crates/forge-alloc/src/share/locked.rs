//! A heap behind a lock: the exclusive contract becomes the shared one.
//!
//! ```text
//!   allocate --lock--> heap.alloc --unlock--> block        (zeroing and copying come after the unlock)
//!
//!   Locked { lock: L, heap: H }        the blocks lie in the heap's regions, never in here
//! ```
//!
//! # Invariants
//!
//! - (I1) The heap is reached only through `&mut self`, or by whoever holds the lock, of which there is one.
//! - (I2) The lock is held while the heap works and while a [`HeapGuard`] lives; never while bytes of blocks are written or
//!   copied, and never across a call into other foreign code.
//! - (I3) Safe code gets no `&mut H` through a shared reference: a heap that is swapped away while its blocks are live would
//!   take them back as its own.
//!
//! # Operations
//!
//! Those of the heap, and a lock and unlock each. A resize that cannot stay in place is an allocation, a copy without the
//! lock, and a free; the heap's own `realloc` is not used, because it would copy while others wait.
//!
//! # Design
//!
//! One adapter for all locks, because they differ in the lock alone. [`Local`] is the one whose lock is a flag: a heap may
//! call foreign code that calls back (a source of regions, say), and the flag turns the second exclusive reference that
//! this would be into the end of the process. A guard implements the exclusive traits and dereferences to `&H`, which is
//! everything but (I3).
//!
//! In interrupts: a handler that interrupts the holder of a spin lock on its own core waits for ever. Either handlers use
//! [`try_lock`](Locked::try_lock) and do without memory when it fails, or the lock is one that keeps interrupts out, such as
//! the `CriticalSection` of the feature `critical-section`.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;

use forge_alloc_core::sync::{LockGuard, NoLock, RawLock};
use forge_alloc_core::{
    AllocError, AllocResult, Allocator, BaseAllocator, ByteAllocator, Deallocator, GrowableHeap, HeapBlock,
    NonZeroLayout, Region, RejectedRegion, StableAddress, relocate,
};

use super::const_init::{ConstInit, DefaultLock};
use super::global::global_alloc;
use crate::forward::{forward_base, forward_heap};

/// A heap shared through a lock. It is `Sync` where the lock is.
///
/// # Examples
///
/// ```
/// use core::mem::MaybeUninit;
/// use forge_alloc::{Allocator, ByteAllocator, Deallocator, Locked, NonZeroLayout, Region, Tlsf};
///
/// static HEAP: Locked<Tlsf> = Locked::new(Tlsf::new());
///
/// let memory: &'static mut [MaybeUninit<u8>] = Box::leak(Box::new_uninit_slice(1 << 16));
/// HEAP.lock().add_region(Region::from(memory)).map_err(|rejected| rejected.error)?;
///
/// let layout = NonZeroLayout::for_type::<[u64; 100]>().unwrap();
/// std::thread::spawn(move || {
///     let block = HEAP.allocate(layout).unwrap();
///     // SAFETY: the block is live, and this is its layout.
///     unsafe { HEAP.deallocate(block.cast(), layout) };
/// });
/// # Ok::<(), forge_alloc::HeapError>(())
/// ```
pub struct Locked<H, L = DefaultLock> {
    lock: L,
    heap: UnsafeCell<H>,
}

/// A heap shared by the owners of one thread.
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<forge_alloc::Local<()>>();
/// ```
pub type Local<H> = Locked<H, NoLock>;

// SAFETY: the heap is reached by one holder of the lock at a time (I1), whose type says that threads may share it.
unsafe impl<H: Send, L: RawLock + Sync> Sync for Locked<H, L> {}

impl<H, L> Locked<H, L> {
    /// Returns `heap` behind a lock that is free now. O(1).
    pub const fn new(heap: H) -> Self
    where
        L: ConstInit,
    {
        Self::with_lock(heap, L::INIT)
    }

    /// Returns `heap` behind `lock`. O(1).
    pub const fn with_lock(heap: H, lock: L) -> Self {
        Self { lock, heap: UnsafeCell::new(heap) }
    }

    /// Returns the heap, which nobody else can reach now. O(1).
    pub const fn get_mut(&mut self) -> &mut H {
        self.heap.get_mut()
    }

    /// Returns the heap and drops the lock. O(1).
    pub fn into_inner(self) -> H {
        self.heap.into_inner()
    }
}

impl<H: ByteAllocator, L: RawLock> Locked<H, L> {
    /// Returns `heap` behind a free lock, with `region` to serve from.
    ///
    /// # Errors
    ///
    /// The region with the reason, if the heap does not take it.
    pub fn over(mut heap: H, region: Region) -> Result<Self, RejectedRegion>
    where
        L: ConstInit,
    {
        heap.add_region(region)?;
        Ok(Self::new(heap))
    }

    /// Takes the lock, waiting until it is free, and returns the heap until the guard is dropped.
    ///
    /// Whoever holds the guard and allocates from this allocator waits for itself, as [`RawLock::lock`] says. Two guards in
    /// one statement are that too, and so is printing a global allocator's figures with its guard in the arguments.
    #[inline]
    pub fn lock(&self) -> HeapGuard<'_, H, L> {
        HeapGuard { _held: self.lock.guard(), heap: &self.heap }
    }

    /// Takes the lock if it is free, and returns the heap until the guard is dropped. Never waits.
    #[inline]
    pub fn try_lock(&self) -> Option<HeapGuard<'_, H, L>> {
        self.lock.try_guard().map(|held| HeapGuard { _held: held, heap: &self.heap })
    }

    /// Resizes in place under the lock, or moves the block with the lock held only by the heap.
    ///
    /// # Safety
    ///
    /// `ptr` is a live block of this allocator and `old` is its layout.
    #[inline]
    unsafe fn resize(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callees'.
        unsafe {
            if self.lock().resize_in_place(ptr, old.to_layout(), new.to_layout()) {
                return Ok(NonNull::slice_from_raw_parts(ptr, new.size().get()));
            }
            relocate(self, ptr, old, new)
        }
    }
}

// SAFETY: the heap takes back what it issued, one call at a time (I1).
unsafe impl<H: ByteAllocator, L: RawLock> Deallocator for Locked<H, L> {
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.lock().dealloc(ptr, layout.to_layout()) };
    }
}

// SAFETY: what `ByteAllocator` promises of blocks is what `Allocator` promises, and calls reach the heap one at a time
// (I1). Blocks lie in regions, so neither a move nor a borrow of this value ends one.
unsafe impl<H: ByteAllocator, L: RawLock> Allocator for Locked<H, L> {
    #[inline]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.lock().alloc(layout.to_layout())?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size().get()))
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.resize(ptr, old, new) }
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.resize(ptr, old, new) }
    }

    #[inline]
    unsafe fn stays_in_place(&self, ptr: NonNull<u8>, old: NonZeroLayout, new: NonZeroLayout) -> bool {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.lock().stays_in_place(ptr, old.to_layout(), new.to_layout()) }
    }

    fn capacity_bytes(&self) -> Option<usize> {
        Some(self.lock().total_bytes())
    }

    fn corruption_events(&self) -> u64 {
        self.lock().corruption_events()
    }
}

// SAFETY: a block stays where it is while its heap is moved, by the contract of `ByteAllocator`.
unsafe impl<H: ByteAllocator, L: RawLock> StableAddress for Locked<H, L> {}

// SAFETY: what `Allocator` promises is what `GlobalAlloc` promises, and no method unwinds.
unsafe impl<H: ByteAllocator, L: RawLock> GlobalAlloc for Locked<H, L> {
    global_alloc!(core::convert::identity::<&Self>);
}

impl<H: Default, L: ConstInit> Default for Locked<H, L> {
    fn default() -> Self {
        Self::new(H::default())
    }
}

impl<H, L> fmt::Debug for Locked<H, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locked").finish_non_exhaustive()
    }
}

/// The heap of a [`Locked`], whose lock is held: an exclusive allocator until it is dropped.
#[must_use = "a guard that is dropped at once guards nothing"]
pub struct HeapGuard<'a, H, L: RawLock> {
    _held: LockGuard<'a, L>,
    heap: &'a UnsafeCell<H>,
}

impl<H, L: RawLock> HeapGuard<'_, H, L> {
    /// Returns the heap itself. O(1).
    ///
    /// # Safety
    ///
    /// The heap is not replaced, and nothing is done to it that ends a live block.
    #[inline]
    pub unsafe fn heap_mut(&mut self) -> &mut H {
        self.exclusive()
    }

    #[inline]
    fn exclusive(&mut self) -> &mut H {
        // SAFETY: the guard holds the lock (I1), and is borrowed exclusively.
        unsafe { &mut *self.heap.get() }
    }
}

impl<H, L: RawLock> Deref for HeapGuard<'_, H, L> {
    type Target = H;

    #[inline]
    fn deref(&self) -> &H {
        // SAFETY: the guard holds the lock (I1), and is borrowed.
        unsafe { &*self.heap.get() }
    }
}

impl<H: ByteAllocator, L: RawLock> BaseAllocator for HeapGuard<'_, H, L> {
    forward_base!(Self::exclusive);
}

// SAFETY: every call reaches the one heap, which keeps the contract.
unsafe impl<H: ByteAllocator, L: RawLock> ByteAllocator for HeapGuard<'_, H, L> {
    #[inline]
    fn alloc(&mut self, layout: Layout) -> AllocResult<NonNull<u8>> {
        self.exclusive().alloc(layout)
    }

    unsafe fn realloc(&mut self, pos: NonNull<u8>, old: Layout, new: Layout) -> AllocResult<NonNull<u8>> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.exclusive().realloc(pos, old, new) }
    }

    forward_heap!(Self::exclusive, Self::deref);
}

// SAFETY: every call reaches the one heap, which keeps the contract.
unsafe impl<H: GrowableHeap, L: RawLock> GrowableHeap for HeapGuard<'_, H, L> {
    fn region_for(&self, layout: Layout) -> Option<NonZeroLayout> {
        (**self).region_for(layout)
    }

    unsafe fn take_region(&mut self, region: NonNull<[u8]>) -> bool {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.exclusive().take_region(region) }
    }
}

impl<H, L: RawLock> fmt::Debug for HeapGuard<'_, H, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeapGuard").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
