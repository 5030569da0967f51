//! A heap that is not there yet: zero bytes until it is set, and then the heap.
//!
//! # Invariants
//!
//! - (I1) `heap` is initialised if and only if `is_set`, and stays so.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use forge_alloc_core::{
    AllocResult, BaseAllocator, ByteAllocator, HeapBlock, HeapError, Region, RejectedRegion,
};

use crate::share::const_init::ConstInit;

/// A heap that is set later. Until then it has no memory, and takes none.
pub struct Late<H> {
    is_set: bool,
    heap: MaybeUninit<H>,
}

impl<H> Late<H> {
    pub(super) const fn new() -> Self {
        Self { is_set: false, heap: MaybeUninit::uninit() }
    }

    pub(super) const fn is_set(&self) -> bool {
        self.is_set
    }

    /// Makes the heap from its constant, in its place: a heap may be too long for the stack of a kernel.
    pub(super) fn set_up(&mut self)
    where
        H: ConstInit,
    {
        debug_assert!(!self.is_set);
        self.heap.write(H::INIT);
        self.is_set = true;
    }

    /// Returns the heap, or `None` before it is set. O(1).
    #[inline]
    pub const fn get(&self) -> Option<&H> {
        if !self.is_set {
            return None;
        }
        // SAFETY: the heap is initialised once it is set (I1).
        Some(unsafe { self.heap.assume_init_ref() })
    }

    #[inline]
    const fn get_mut(&mut self) -> Option<&mut H> {
        if !self.is_set {
            return None;
        }
        // SAFETY: as in `get`.
        Some(unsafe { self.heap.assume_init_mut() })
    }
}

impl<H> Drop for Late<H> {
    fn drop(&mut self) {
        if self.is_set {
            // SAFETY: the heap is initialised (I1), and nothing uses it afterwards.
            unsafe { self.heap.assume_init_drop() };
        }
    }
}

impl<H: BaseAllocator> BaseAllocator for Late<H> {
    unsafe fn init(&mut self, start: usize, size: usize) {
        if let Some(heap) = self.get_mut() {
            // SAFETY: the caller's promises are the callee's.
            unsafe { heap.init(start, size) };
        }
    }

    unsafe fn add_memory(&mut self, start: usize, size: usize) -> AllocResult {
        match self.get_mut() {
            // SAFETY: the caller's promises are the callee's.
            Some(heap) => unsafe { heap.add_memory(start, size) },
            None => Err(HeapError::NoMemory),
        }
    }
}

// SAFETY: every call reaches the heap, which keeps the contract, or there is no heap and so no block.
unsafe impl<H: ByteAllocator> ByteAllocator for Late<H> {
    fn add_region(&mut self, region: Region) -> Result<(), RejectedRegion> {
        match self.get_mut() {
            Some(heap) => heap.add_region(region),
            None => Err(RejectedRegion { error: HeapError::NoMemory, region }),
        }
    }

    #[inline]
    fn alloc(&mut self, layout: Layout) -> AllocResult<NonNull<u8>> {
        self.get_mut().ok_or(HeapError::NoMemory)?.alloc(layout)
    }

    #[inline]
    unsafe fn dealloc(&mut self, pos: NonNull<u8>, layout: Layout) {
        if let Some(heap) = self.get_mut() {
            // SAFETY: the caller's promises are the callee's.
            unsafe { heap.dealloc(pos, layout) };
        }
    }

    unsafe fn dealloc_checked(&mut self, pos: NonNull<u8>, layout: Layout) -> AllocResult {
        let heap = self.get_mut().ok_or(HeapError::NotAllocated)?;
        // SAFETY: the caller's promises are the callee's.
        unsafe { heap.dealloc_checked(pos, layout) }
    }

    #[inline]
    unsafe fn resize_in_place(&mut self, pos: NonNull<u8>, old: Layout, new: Layout) -> bool {
        // SAFETY: the caller's promises are the callee's.
        self.get_mut().is_some_and(|heap| unsafe { heap.resize_in_place(pos, old, new) })
    }

    unsafe fn stays_in_place(&self, pos: NonNull<u8>, old: Layout, new: Layout) -> bool {
        // SAFETY: the caller's promises are the callee's.
        self.get().is_some_and(|heap| unsafe { heap.stays_in_place(pos, old, new) })
    }

    unsafe fn realloc(&mut self, pos: NonNull<u8>, old: Layout, new: Layout) -> AllocResult<NonNull<u8>> {
        let heap = self.get_mut().ok_or(HeapError::NoMemory)?;
        // SAFETY: the caller's promises are the callee's.
        unsafe { heap.realloc(pos, old, new) }
    }

    fn largest_free(&self) -> Option<usize> {
        self.get().map_or(Some(0), H::largest_free)
    }

    fn corruption_events(&self) -> u64 {
        self.get().map_or(0, H::corruption_events)
    }

    fn for_each_block(&self, visit: &mut dyn FnMut(HeapBlock)) {
        if let Some(heap) = self.get() {
            heap.for_each_block(visit);
        }
    }

    fn total_bytes(&self) -> usize {
        self.get().map_or(0, H::total_bytes)
    }

    fn used_bytes(&self) -> usize {
        self.get().map_or(0, H::used_bytes)
    }

    fn available_bytes(&self) -> usize {
        self.get().map_or(0, H::available_bytes)
    }
}

impl<H: fmt::Debug> fmt::Debug for Late<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Late").field(&self.get()).finish()
    }
}
