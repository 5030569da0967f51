//! `UnixAllocator`: the heap of a whole process, over pages of the kernel.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};

use super::generic::GenericAllocator;
use super::grower::{MmapHeapGrower, SteppedGrower};
use super::lock::ProcessLock;
use super::raw_alloc::Usage;
use crate::basic::blocklist::{Stats, Validity};

/// The teaching allocator for a whole process.
///
/// Any thread may use it at any time: in signal handlers, in loggers, and in the child of a fork.
///
/// # Examples
///
/// ```
/// use forge_malloc::basic::UnixAllocator;
///
/// #[global_allocator]
/// static ALLOCATOR: UnixAllocator = UnixAllocator::new();
///
/// let numbers: Vec<u32> = (0..1000).collect();
/// assert!(ALLOCATOR.usage().live >= 4000);
/// # drop(numbers);
/// ```
#[derive(Debug, Default)]
pub struct UnixAllocator(GenericAllocator<SteppedGrower<MmapHeapGrower>, ProcessLock>);

impl UnixAllocator {
    /// Returns an allocator without memory, which maps some when it is first used. O(1).
    #[must_use]
    pub const fn new() -> Self {
        Self(GenericAllocator::new())
    }

    /// Returns what was found wrong with the free blocks, which is nothing, and how much is free. Walks over all of them.
    #[must_use]
    pub fn stats(&self) -> (Validity, Stats) {
        self.0.stats()
    }

    /// Returns whether the free blocks are as they should be. Walks over all of them.
    #[must_use]
    pub fn validate(&self) -> bool {
        self.0.validate()
    }

    /// Returns how the memory is used. Walks over all free blocks.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.0.usage()
    }
}

// SAFETY: every call reaches the one allocator inside, which keeps the contract.
unsafe impl GlobalAlloc for UnixAllocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.alloc_block(layout)
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { self.0.free_block(ptr, layout) };
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.0.alloc_zeroed_block(layout)
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise is the callee's.
        unsafe { GlobalAlloc::realloc(&self.0, ptr, layout, new_size) }
    }
}
