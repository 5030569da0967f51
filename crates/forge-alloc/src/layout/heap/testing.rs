//! Tests that every heap passes: histories against models, and the contract of the kernel family.
#![allow(unsafe_code)]

mod histories;
mod model;
mod properties;

use core::alloc::Layout;
use core::ptr::NonNull;

use forge_alloc_core::{ByteAllocator, Region};
pub(crate) use histories::{Length, histories, run_histories, shadow_histories};
pub(crate) use model::Model;
pub(crate) use properties::properties;

/// A heap that can be looked into.
pub(crate) trait Checked: ByteAllocator {
    /// Whether a free with a longer layout than the block has is refused.
    const KNOWS_SIZES: bool = true;

    /// Checks every invariant.
    fn check(&self);

    /// Gives back what the heap keeps for later.
    fn settle(&mut self) {}

    /// Returns the number of free runs.
    fn iter_free(&self) -> usize {
        let mut count = 0;
        self.for_each_block(&mut |block| count += usize::from(block.free));
        count
    }
}

#[cfg(feature = "tlsf")]
impl<const FIRST: usize, const SECOND: usize> Checked for crate::Tlsf<FIRST, SECOND> {
    fn check(&self) {
        self.check_all();
        assert_eq!(self.used_bytes() + self.available_bytes(), self.total_bytes());
    }
}

impl<F: crate::Fit> Checked for crate::FreeListHeap<F> {
    fn check(&self) {
        self.check_all();
        assert_eq!(self.used_bytes() + self.available_bytes(), self.total_bytes());
    }
}

/// Memory that heaps of a test are fed with, given back when it goes out of scope.
pub(crate) struct Memory {
    base: NonNull<u8>,
    layout: Layout,
}

impl Memory {
    /// Returns `size` bytes at `align`.
    pub(crate) fn new(size: usize, align: usize) -> Self {
        let layout = Layout::from_size_align(size, align).unwrap();
        // SAFETY: the size is not zero.
        let base = NonNull::new(unsafe { std::alloc::alloc(layout) }).unwrap();
        Self { base, layout }
    }

    /// Returns its size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.layout.size()
    }

    /// Returns the bytes from `start` to `end` as a region.
    pub(crate) fn region(&self, start: usize, end: usize) -> Region {
        assert!(start <= end && end <= self.layout.size());
        // SAFETY: the tests use what they make of it only as long as the memory lives, and pass disjoint ranges.
        unsafe { Region::from_raw(self.base.add(start), end - start) }
    }

    /// Returns the address of byte `offset`, under exposed provenance.
    pub(crate) fn address(&self, offset: usize) -> usize {
        self.base.as_ptr().expose_provenance() + offset
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: this is the block of `new`.
        unsafe { std::alloc::dealloc(self.base.as_ptr(), self.layout) };
    }
}

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as usize) % bound
    }
}

pub(crate) fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}
