//! Heaps over one region: what each library calls serving a block of any layout.
//!
//! ```text
//!   ours, peers    | region of the row                                  |     given whole, when the heap is made
//!                    ^ its bookkeeping, as far as it keeps any there
//! ```
//!
//! # Design
//!
//! All memory is the row's region, so that rows about memory compare the same thing; the few words of a heap's own value
//! are not counted, for nobody. A refused request is `None`: whether that may happen is a question of the row.
//!
//! `dlmalloc` asks a system for memory and gets the region as its only grant. The crate of the seed wraps `rlsf` and
//! `buddy_system_allocator`, which take part themselves, and `ax_slab_allocator`, which takes part through it.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::harness::Side;
use crate::sink::exhausted;

mod ours;
mod peers;

pub use ours::{BestFitList, Buddy, FirstFitList, SlabHeap, Tlsf};
pub use peers::{BuddySystem, Dlmalloc, GoodMemory, LinkedList, Rlsf, SeedSlab, Talc};

/// The alignment of a block that asks for none in particular.
pub const ALIGN: usize = 8;

/// A heap over one region.
pub trait Heap: Sized + 'static {
    /// The library and its configuration.
    const NAME: &'static str;
    /// Whose code it is.
    const SIDE: Side;

    /// Returns a heap over `bytes` bytes at `start`, or `None` if that is too little for its bookkeeping.
    ///
    /// # Safety
    ///
    /// The region is valid, is aligned to [`REGION_ALIGN`], belongs to nobody else, and outlives the heap and its blocks.
    unsafe fn over(start: NonNull<u8>, bytes: usize) -> Option<Self>;

    /// Returns a block.
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>>;

    /// Takes a block back.
    ///
    /// # Safety
    ///
    /// `block` is live and has this layout.
    unsafe fn dealloc(&mut self, block: NonNull<u8>, layout: Layout);

    /// Gives a block another size, here or elsewhere, with its contents.
    ///
    /// # Safety
    ///
    /// `block` is live and has the layout `old`; `size` is not zero.
    #[inline(always)]
    unsafe fn realloc(&mut self, block: NonNull<u8>, old: Layout, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: the caller's contract.
        unsafe { self.realloc_by_copy(block, old, size) }
    }

    /// Gives a block another size elsewhere.
    ///
    /// # Safety
    ///
    /// As [`realloc`](Self::realloc).
    #[inline(always)]
    unsafe fn realloc_by_copy(
        &mut self,
        block: NonNull<u8>,
        old: Layout,
        size: usize,
    ) -> Option<NonNull<u8>> {
        let new = self.alloc(layout_of(size, old.align()))?;
        // SAFETY: both blocks are live and as long as the shorter size, and the old one ends here.
        unsafe {
            new.copy_from_nonoverlapping(block, size.min(old.size()));
            self.dealloc(block, old);
        }
        Some(new)
    }
}

/// Returns a layout whose parts are known to be valid.
#[inline(always)]
pub const fn layout_of(size: usize, align: usize) -> Layout {
    debug_assert!(Layout::from_size_align(size, align).is_ok());
    // SAFETY: rows ask for powers of two and sizes far below the limit (asserted above).
    unsafe { Layout::from_size_align_unchecked(size, align) }
}

/// The alignment of a region in bytes: that of a large page, which flatters nobody by chance.
pub const REGION_ALIGN: usize = 2 << 20;

/// One region, from the global allocator.
pub struct Region {
    start: NonNull<u8>,
    layout: Layout,
}

impl Region {
    /// Returns a region of `bytes` bytes whose pages were written.
    pub fn new(bytes: usize) -> Self {
        let layout = layout_of(bytes.max(1), REGION_ALIGN);
        // SAFETY: the size is not zero.
        let Some(start) = NonNull::new(unsafe { std::alloc::alloc(layout) }) else { exhausted() };
        // SAFETY: the region has this many bytes.
        unsafe { start.write_bytes(0xa5, bytes) };
        Self { start, layout }
    }

    /// Returns a heap over the first `bytes` bytes.
    ///
    /// # Safety
    ///
    /// The region outlives the heap, and no other heap over it is used afterwards.
    pub unsafe fn heap<H: Heap>(&self, bytes: usize) -> Option<H> {
        assert!(bytes <= self.layout.size(), "a heap beyond its region");
        // SAFETY: the region has these bytes; the caller promises the rest.
        unsafe { H::over(self.start, bytes) }
    }

    /// Returns its size in bytes.
    pub fn bytes(&self) -> usize {
        self.layout.size()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the memory came from `alloc` with this layout and is freed once.
        unsafe { std::alloc::dealloc(self.start.as_ptr(), self.layout) };
    }
}
