//! A heap that asks a source for regions when it has no room, and gives back those that are empty.
//!
//! ```text
//!   one region of the source                                    the list, youngest first
//!   | header: next, length, layout | a region of the heap .... |    stock.first -> header -> header -> none
//!   ^ what goes back on release    ^ what add_region gets
//! ```
//!
//! | | `Growing<H, S>` | `Growing<Locked<H, L>, S>` |
//! |---|---|---|
//! | contract | exclusive, as `H` | shared, and global |
//! | the source is asked | within the call | with no lock held |
//!
//! # Invariants
//!
//! - (I1) The stock lists every region that the source issued and did not take back, once.
//! - (I2) The stock is reached through `&mut self`, or with the lock of the heap held.
//! - (I3) The heap is dropped before the regions go back.
//!
//! # Operations
//!
//! Those of the heap, and on the cold path one request of the source, or two if it has no large region.
//! [`release_empty`](Growing::release_empty) is O(regions) calls of the heap; a heap may keep a region that holds its own
//! bookkeeping.
//!
//! # Design
//!
//! A request that fails for want of memory asks for as much as the heap says that it needs ([`GrowableHeap::region_for`]), or
//! half of what is held by now if that is more, so the number of regions stays logarithmic. The header of a region lies in
//! it and keeps the spans of two regions apart, so a heap that merges neighbours never merges across regions of the source.
//!
//! Which of the two orders is written says who waits for the source. `Locked<Growing<H, S>, L>` is allowed, and asks under
//! the lock; `Growing<Locked<H, L>, S>` looks, unlocks, asks, and locks again to hand the region over and allocate from it in
//! one step. Several threads may then ask at the same time: each reserves its part of the limit before it asks, so that the
//! limit holds, and a thread to which the reservations of others leave too little is refused. The source may allocate from
//! the allocator that it feeds.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use forge_alloc_core::sync::RawLock;
use forge_alloc_core::{
    AllocError, AllocResult, Allocator, BaseAllocator, ByteAllocator, Deallocator, GrowableHeap, HeapBlock,
    HeapError, NonZeroLayout, Region, RegionSource, RejectedRegion, StableAddress, relocate,
};

use super::global::global_alloc;
use super::locked::Locked;
use crate::forward::{forward_base, forward_heap};

mod stock;

use stock::{Stock, release_chain};

/// A heap, or a locked heap, that grows by regions of a source.
///
/// # Examples
///
#[cfg_attr(feature = "alloc", doc = "```")]
#[cfg_attr(not(feature = "alloc"), doc = "```ignore")]
/// use forge_alloc::{Growing, HeapSource, Local, StdCompat, Tlsf};
///
/// let heap = Growing::new(Local::new(Tlsf::<20, 32>::new()), HeapSource::new()).limited_to(1 << 20);
/// let mut numbers = allocator_api2::vec::Vec::new_in(StdCompat::new(&heap));
/// numbers.extend(0..10_000_u32);
/// assert!(heap.held_bytes() >= 40_000);
/// drop(numbers);
/// heap.release_empty();
/// assert_eq!(heap.held_bytes(), 0);
/// ```
pub struct Growing<A, S: RegionSource> {
    inner: ManuallyDrop<A>,
    source: S,
    stock: UnsafeCell<Stock>,
}

// SAFETY: the regions of the stock belong to this value, and nothing else of it is tied to a thread.
unsafe impl<A: Send, S: RegionSource + Send> Send for Growing<A, S> {}
// SAFETY: the heap and the stock are reached by one holder of the lock at a time (I2), and threads may share the source.
unsafe impl<H, L, S: RegionSource + Sync> Sync for Growing<Locked<H, L>, S> where Locked<H, L>: Sync {}

impl<A, S: RegionSource> Growing<A, S> {
    /// Returns `inner`, which grows by regions of `source`. O(1).
    pub const fn new(inner: A, source: S) -> Self {
        Self { inner: ManuallyDrop::new(inner), source, stock: UnsafeCell::new(Stock::new()) }
    }

    /// Returns the same with at most `bytes` bytes of the source held at any time. O(1).
    #[must_use]
    pub const fn limited_to(mut self, bytes: usize) -> Self {
        self.stock.get_mut().limit_to(bytes);
        self
    }

    /// Returns the heap, or the locked heap. O(1).
    pub fn inner(&self) -> &A {
        &self.inner
    }

    /// Returns the source of the regions. O(1).
    pub const fn source(&self) -> &S {
        &self.source
    }
}

/// The exclusive form.
impl<H: GrowableHeap, S: RegionSource> Growing<H, S> {
    /// Returns how many bytes of the source are held. O(1).
    pub fn held_bytes(&self) -> usize {
        self.stock().held()
    }

    /// Returns how many regions of the source are held. O(regions).
    pub fn region_count(&self) -> usize {
        self.stock().regions()
    }

    /// Gives the regions in which no block lies back to the source, and returns their length in bytes.
    pub fn release_empty(&mut self) -> usize {
        let (heap, stock) = (&mut *self.inner, self.stock.get_mut());
        // SAFETY: the regions were handed to this heap (I1), and go back to the source that issued them.
        unsafe { release_chain(stock.detach_empty(heap), &self.source) }
    }

    /// Returns the stock of a value that nobody changes meanwhile.
    fn stock(&self) -> &Stock {
        // SAFETY: only `&mut self` changes the stock (I2).
        unsafe { &*self.stock.get() }
    }

    /// Allocates from a region that the source gives for `layout`.
    #[cold]
    #[inline(never)]
    fn alloc_growing(&mut self, layout: Layout) -> AllocResult<NonNull<u8>> {
        let (heap, stock) = (&mut *self.inner, self.stock.get_mut());
        let plan = stock.plan(heap.region_for(layout)).ok_or(HeapError::NoMemory)?;
        // SAFETY: the source is dropped after the regions went back (I3).
        let region = unsafe { plan.ask(&self.source) };
        let (block, spare) = stock.settle(&plan, region, heap, layout);
        if let Some((region, layout)) = spare {
            // SAFETY: the region is whole, unused and of this source.
            unsafe { self.source.release(region, layout) };
        }
        block
    }

    fn heap_mut(&mut self) -> &mut H {
        &mut self.inner
    }
}

impl<H: GrowableHeap, S: RegionSource> BaseAllocator for Growing<H, S> {
    forward_base!(Self::heap_mut);
}

// SAFETY: blocks are the heap's, and its regions stay with it until no block lies in them, or it is dropped (I3).
unsafe impl<H: GrowableHeap, S: RegionSource> ByteAllocator for Growing<H, S> {
    #[inline]
    fn alloc(&mut self, layout: Layout) -> AllocResult<NonNull<u8>> {
        match self.inner.alloc(layout) {
            Err(HeapError::NoMemory) => self.alloc_growing(layout),
            done => done,
        }
    }

    forward_heap!(Self::heap_mut, Self::inner);
}

// SAFETY: as for the heap; a region of the source is never handed over from outside.
unsafe impl<H: GrowableHeap, S: RegionSource> GrowableHeap for Growing<H, S> {
    fn region_for(&self, layout: Layout) -> Option<NonZeroLayout> {
        self.inner.region_for(layout)
    }

    unsafe fn take_region(&mut self, region: NonNull<[u8]>) -> bool {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.inner.take_region(region) }
    }
}

/// The shared form.
impl<H: GrowableHeap, L: RawLock, S: RegionSource> Growing<Locked<H, L>, S> {
    /// Returns how many bytes of the source are held. O(1).
    pub fn held_bytes(&self) -> usize {
        self.with_stock(|stock, _| stock.held())
    }

    /// Returns how many regions of the source are held. O(regions).
    pub fn region_count(&self) -> usize {
        self.with_stock(|stock, _| stock.regions())
    }

    /// Gives the regions in which no block lies back to the source, and returns their length in bytes.
    pub fn release_empty(&self) -> usize {
        let empty = self.with_stock(|stock, heap| {
            // SAFETY: the regions were handed to this heap (I1).
            unsafe { stock.detach_empty(heap) }
        });
        // SAFETY: the regions are off the heap and off the list, and go back to the source that issued them.
        unsafe { release_chain(empty, &self.source) }
    }

    /// Calls `work` with the lock held.
    fn with_stock<R>(&self, work: impl FnOnce(&mut Stock, &mut H) -> R) -> R {
        let mut guard = self.inner.lock();
        // SAFETY: the lock is held until the guard is dropped (I2); the heap is neither replaced nor are blocks ended.
        unsafe { work(&mut *self.stock.get(), guard.heap_mut()) }
    }

    /// Allocates from a region that the source gives for `layout`, without the lock while it is asked.
    #[cold]
    #[inline(never)]
    fn allocate_growing(&self, layout: Layout) -> AllocResult<NonNull<u8>> {
        let plan = self.with_stock(|stock, heap| stock.plan(heap.region_for(layout)));
        let plan = plan.ok_or(HeapError::NoMemory)?;
        // SAFETY: the source is dropped after the regions went back (I3).
        let region = unsafe { plan.ask(&self.source) };
        let (block, spare) = self.with_stock(|stock, heap| stock.settle(&plan, region, heap, layout));
        if let Some((region, layout)) = spare {
            // SAFETY: the region is whole, unused and of this source.
            unsafe { self.source.release(region, layout) };
        }
        block
    }

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
            if self.inner.lock().resize_in_place(ptr, old.to_layout(), new.to_layout()) {
                return Ok(NonNull::slice_from_raw_parts(ptr, new.size().get()));
            }
            relocate(self, ptr, old, new)
        }
    }
}

// SAFETY: the heap takes back what it issued, one call at a time.
unsafe impl<H: GrowableHeap, L: RawLock, S: RegionSource> Deallocator for Growing<Locked<H, L>, S> {
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.inner.deallocate(ptr, layout) };
    }
}

// SAFETY: blocks are those of the locked heap, whose regions stay with it until no block lies in them, or it is dropped
// (I3).
unsafe impl<H: GrowableHeap, L: RawLock, S: RegionSource> Allocator for Growing<Locked<H, L>, S> {
    #[inline]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let block = match self.inner.lock().alloc(layout.to_layout()) {
            Err(HeapError::NoMemory) => None,
            done => Some(done?),
        };
        let block = match block {
            Some(block) => block,
            None => self.allocate_growing(layout.to_layout())?,
        };
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
        unsafe { Allocator::stays_in_place(&*self.inner, ptr, old, new) }
    }

    fn capacity_bytes(&self) -> Option<usize> {
        self.with_stock(|stock, heap| stock.capacity(heap.total_bytes()))
    }

    fn corruption_events(&self) -> u64 {
        Allocator::corruption_events(&*self.inner)
    }
}

// SAFETY: blocks lie in regions of the source, which stay in place.
unsafe impl<H: GrowableHeap, L: RawLock, S: RegionSource> StableAddress for Growing<Locked<H, L>, S> {}

// SAFETY: what `Allocator` promises is what `GlobalAlloc` promises, and no method unwinds.
unsafe impl<H: GrowableHeap, L: RawLock, S: RegionSource> GlobalAlloc for Growing<Locked<H, L>, S> {
    global_alloc!(core::convert::identity::<&Self>);
}

impl<A, S: RegionSource> Drop for Growing<A, S> {
    fn drop(&mut self) {
        let all = self.stock.get_mut().detach_all();
        // SAFETY: the heap is dropped once, before the regions (I3), and nothing uses either afterwards. The blocks end
        // with their allocator.
        unsafe {
            ManuallyDrop::drop(&mut self.inner);
            release_chain(all, &self.source);
        }
    }
}

impl<A: fmt::Debug, S: RegionSource> fmt::Debug for Growing<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Growing").field("inner", &*self.inner).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
