//! The exclusive contract: allocators of bytes, pages and ids through `&mut self`, fed with regions.
//!
//! ```text
//!                 BaseAllocator            init, add_memory: "here is a span"
//!        +---------------+---------------+
//!   ByteAllocator   PageAllocator   IdAllocator
//!   layouts         runs of pages   runs of numbers
//! ```
//!
//! # Invariants
//!
//! - (I1) An `Err` changes nothing.
//! - (I2) `used + available == total`, in bytes, pages or ids, at every moment.
//! - (I3) Before the first span is handed over, every request is [`HeapError::NoMemory`].
//! - (I4) No method locks, grows, or unwinds; adapters lock and grow.
//!
//! # Design
//!
//! These are the traits of the kernel family as documented, with four changes for soundness: handing over raw
//! addresses and freeing raw pointers is `unsafe`, memory that is owned can be handed over without `unsafe` as a
//! [`Region`], and the two traits whose results unsafe code uses as memory (adapters to [`Allocator`](crate::Allocator),
//! sources of regions) are `unsafe` to implement. The traits stay usable as trait objects, except where `PAGE_SIZE` forbids it.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::error::AllocResult;
use crate::{HeapError, Region};

/// What all exclusive allocators share: they are handed spans.
///
/// An error of any method here and in the traits built on this one changes nothing; what is used and what is available
/// add up to what was handed over; before the first span every request is [`HeapError::NoMemory`]; no method locks, grows
/// or unwinds.
pub trait BaseAllocator {
    /// Hands the first span over: `size` bytes at `start` (for ids: `size` ids from `start`). Called once.
    ///
    /// A span that cannot be used leaves the allocator as it was, which then answers [`HeapError::NoMemory`].
    ///
    /// # Safety
    ///
    /// If the allocator touches memory, the span satisfies the invariants of [`Region`] under exposed provenance, and together
    /// with the spans handed over as addresses that it touches it is one object, as the memory of a machine is: a block may
    /// lie across the seam. What is no such object is handed over as regions.
    unsafe fn init(&mut self, start: usize, size: usize);

    /// Hands one more span over.
    ///
    /// # Errors
    ///
    /// [`HeapError::MemoryOverlap`] if it overlaps a span that the allocator has, [`HeapError::InvalidParam`] if it is
    /// unusable, [`HeapError::NoMemory`] if the allocator cannot note another span.
    ///
    /// # Safety
    ///
    /// As [`BaseAllocator::init`], except that an overlap with a span of this allocator is reported.
    unsafe fn add_memory(&mut self, start: usize, size: usize) -> AllocResult;
}

/// A region that an allocator did not take, with the reason.
#[derive(Debug, PartialEq, Eq)]
pub struct RejectedRegion {
    /// Why it was not taken.
    pub error: HeapError,
    /// The region, still owned by the caller.
    pub region: Region,
}

/// A block or a free run of a heap, bookkeeping included: together they fill the spans that were handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeapBlock {
    /// The address of its first byte.
    pub address: usize,
    /// Its length in bytes.
    pub size: usize,
    /// Whether it is free.
    pub free: bool,
}

impl HeapBlock {
    /// Returns the block or run of `size` bytes at `address`.
    #[must_use]
    pub const fn new(address: usize, size: usize, free: bool) -> Self {
        Self { address, size, free }
    }
}

/// An exclusive allocator of bytes.
///
/// # Safety
///
/// - A block is aligned to its layout, at least as long, overlaps no other live block, and its pointer may read and write
///   it; it stays live and in place until it is freed, also while the allocator is moved.
/// - Blocks lie in spans that were handed over.
/// - No method unwinds.
pub unsafe trait ByteAllocator: BaseAllocator {
    /// Hands a region over.
    ///
    /// # Errors
    ///
    /// The region with the reasons of [`BaseAllocator::add_memory`].
    fn add_region(&mut self, region: Region) -> Result<(), RejectedRegion>;

    /// Returns a block of `layout.size()` bytes at `layout.align()`.
    ///
    /// # Errors
    ///
    /// [`HeapError::NoMemory`] if no free run is large enough, [`HeapError::InvalidParam`] for a zero size.
    fn alloc(&mut self, layout: Layout) -> AllocResult<NonNull<u8>>;

    /// Takes the block at `pos` back.
    ///
    /// # Safety
    ///
    /// `pos` is a live block of this allocator, `layout` is its layout, and nothing uses it afterwards.
    unsafe fn dealloc(&mut self, pos: NonNull<u8>, layout: Layout);

    /// Takes the block at `pos` back, if there is one.
    ///
    /// The default does not look: it is [`dealloc`](Self::dealloc).
    ///
    /// # Errors
    ///
    /// [`HeapError::NotAllocated`] if the allocator sees that no live block of this layout starts there; nothing changes.
    ///
    /// # Safety
    ///
    /// If there is a live block at `pos`, it is the caller's, and nothing uses it afterwards.
    unsafe fn dealloc_checked(&mut self, pos: NonNull<u8>, layout: Layout) -> AllocResult {
        // SAFETY: an allocator that does not look is only used where the caller knows.
        unsafe { self.dealloc(pos, layout) };
        Ok(())
    }

    /// Gives the block at `pos` the layout `new` without moving it, and returns whether that was possible; if not, nothing
    /// changes. The bytes that both sizes hold are kept.
    ///
    /// # Safety
    ///
    /// `pos` is a live block of this allocator, and `old` is its layout.
    unsafe fn resize_in_place(&mut self, pos: NonNull<u8>, old: Layout, new: Layout) -> bool {
        let _ = (pos, old, new);
        false
    }

    /// Returns whether [`resize_in_place`](Self::resize_in_place) with these arguments is possible now and stays so whatever
    /// happens to other blocks. O(1); changes nothing. The default is to promise nothing.
    ///
    /// # Safety
    ///
    /// As [`resize_in_place`](Self::resize_in_place).
    unsafe fn stays_in_place(&self, pos: NonNull<u8>, old: Layout, new: Layout) -> bool {
        let _ = (pos, old, new);
        false
    }

    /// Gives the block at `pos` the layout `new`, in place where that is possible, and returns where it is then. The bytes
    /// that both sizes hold are kept. O(size) if it moves.
    ///
    /// # Errors
    ///
    /// As [`alloc`](Self::alloc); the block is live and unchanged then.
    ///
    /// # Safety
    ///
    /// As [`resize_in_place`](Self::resize_in_place); if the block moves, nothing uses the old place afterwards.
    unsafe fn realloc(&mut self, pos: NonNull<u8>, old: Layout, new: Layout) -> AllocResult<NonNull<u8>> {
        // SAFETY: the caller's promises are the callees'. Both blocks are live, disjoint and hold what is copied.
        unsafe {
            if self.resize_in_place(pos, old, new) {
                return Ok(pos);
            }
            let block = self.alloc(new)?;
            block.copy_from_nonoverlapping(pos, old.size().min(new.size()));
            self.dealloc(pos, old);
            Ok(block)
        }
    }

    /// Returns the size in bytes of the largest block of alignment 1 that could be had now, or `None` where that is not
    /// known.
    fn largest_free(&self) -> Option<usize> {
        None
    }

    /// Returns how many corruptions of its own bookkeeping the allocator has detected. Monotonic.
    fn corruption_events(&self) -> u64 {
        0
    }

    /// Passes every block and every free run to `visit`, in the order of their addresses within a span. O(blocks and runs).
    ///
    /// The default knows of none.
    fn for_each_block(&self, visit: &mut dyn FnMut(HeapBlock)) {
        let _ = visit;
    }

    /// Returns the bytes handed over that can ever be part of a block.
    fn total_bytes(&self) -> usize;

    /// Returns the bytes that are not available now, bookkeeping included.
    fn used_bytes(&self) -> usize;

    /// Returns the bytes that are free now.
    fn available_bytes(&self) -> usize;
}

/// An exclusive allocator of runs of pages, named by their addresses.
///
/// # Safety
///
/// - A run is aligned as asked, lies in spans that were handed over, and overlaps no other run that is handed out.
/// - A run stays handed out until exactly it, or a part of it, is given back.
/// - No method unwinds.
pub unsafe trait PageAllocator: BaseAllocator {
    /// The size of a page in bytes, a power of two.
    const PAGE_SIZE: usize;

    /// Returns the address of the first of `num_pages` free pages in a row, a multiple of `align_pow2` bytes.
    ///
    /// # Errors
    ///
    /// [`HeapError::InvalidParam`] for a zero count or an alignment that is not a power of two of at least a page,
    /// [`HeapError::NoMemory`] if there is no such run.
    fn alloc_pages(&mut self, num_pages: usize, align_pow2: usize) -> AllocResult<usize>;

    /// Takes `num_pages` pages from the address `pos` back.
    fn dealloc_pages(&mut self, pos: usize, num_pages: usize);

    /// Takes exactly the `num_pages` pages from the address `base`.
    ///
    /// # Errors
    ///
    /// As [`PageAllocator::alloc_pages`]; [`HeapError::NoMemory`] if any of those pages is not free.
    fn alloc_pages_at(&mut self, base: usize, num_pages: usize, align_pow2: usize) -> AllocResult<usize>;

    /// Returns the number of pages managed.
    fn total_pages(&self) -> usize;

    /// Returns the number of pages handed out.
    fn used_pages(&self) -> usize;

    /// Returns the number of pages free.
    fn available_pages(&self) -> usize;
}

/// An exclusive allocator of runs of ids.
pub trait IdAllocator: BaseAllocator {
    /// Returns the first of `count` free ids in a row, a multiple of `align_pow2`.
    ///
    /// # Errors
    ///
    /// [`HeapError::InvalidParam`] for a zero count or an alignment that is not a power of two,
    /// [`HeapError::NoMemory`] if there is no such run.
    fn alloc_id(&mut self, count: usize, align_pow2: usize) -> AllocResult<usize>;

    /// Takes `count` ids from `start_id` back.
    fn dealloc_id(&mut self, start_id: usize, count: usize);

    /// Returns whether `id` is handed out.
    fn is_allocated(&self, id: usize) -> bool;

    /// Takes exactly `id`.
    ///
    /// # Errors
    ///
    /// [`HeapError::InvalidParam`] if `id` is not managed, [`HeapError::NoMemory`] if it is handed out already.
    fn alloc_fixed_id(&mut self, id: usize) -> AllocResult;

    /// Returns the number of ids managed.
    fn size(&self) -> usize;

    /// Returns the number of ids handed out.
    fn used(&self) -> usize;

    /// Returns the number of ids free.
    fn available(&self) -> usize;
}
