//! Memory, from the map to the global allocator.
//!
//! ```text
//!   memory map --> PAGES: a bitmap of pages --> SmallHeap: a slab heap   for blocks up to 1 KiB   \
//!                                          \--> LargeHeap: TLSF          for the rest             > HEAP, the global allocator
//! ```
//!
//! # Design
//!
//! Both heaps grow by regions of pages and give empty ones back, so that no memory is set aside for either of them. A request
//! goes to one of them by its layout alone, which a free repeats: no pointer has to be looked up.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;

use forge_alloc::kernel::{
    AllocResult, BitmapPageAllocator, Growing, Locked, PageAllocator, Region, RegionSource,
    SlabByteAllocator, TlsfByteAllocator,
};
use forge_alloc::sync::{RawLock, SpinLock};
use forge_alloc::{AllocError, NonZeroLayout};

use crate::start_info::Entry;

/// The bytes of a page.
pub const PAGE: usize = 4096;
/// The largest block that the slab heap serves.
const SMALL: usize = 1024;
/// What the first MiB of the address space holds is left alone: parts of it are not memory, whatever a map says.
const LOW: usize = 1 << 20;

/// All pages of the machine, behind a lock.
pub struct Pages {
    lock: SpinLock,
    pages: UnsafeCell<BitmapPageAllocator<PAGE>>,
}

// SAFETY: the pages are reached by the holder of the lock only.
unsafe impl Sync for Pages {}

/// The pages of this machine.
pub static PAGES: Pages = Pages { lock: SpinLock::new(), pages: UnsafeCell::new(BitmapPageAllocator::new()) };

impl Pages {
    /// Calls `with` while no other processor has the pages.
    pub fn with<R>(&self, with: impl FnOnce(&mut BitmapPageAllocator<PAGE>) -> R) -> R {
        let _guard = self.lock.guard();
        // SAFETY: the lock is held, so this is the only reference.
        with(unsafe { &mut *self.pages.get() })
    }

    /// Takes the memory of an entry of the map over, except for what lies below `kernel_end`.
    ///
    /// # Errors
    ///
    /// That of the page allocator; an entry without a whole page is left alone.
    ///
    /// # Safety
    ///
    /// The entry is memory that nobody uses from `kernel_end` on.
    pub unsafe fn add(&self, entry: &Entry, kernel_end: usize) -> AllocResult {
        let start = (entry.start as usize).max(kernel_end).max(LOW).next_multiple_of(PAGE);
        let end = (entry.start + entry.size) as usize / PAGE * PAGE;
        if start >= end {
            return Ok(());
        }
        self.with(|pages| pages.add_range(start, end - start))
    }
}

/// Regions of whole pages.
pub struct PageSource;

// SAFETY: a run of pages is memory that nobody else uses until it is given back (`Pages::add`), aligned as asked.
unsafe impl RegionSource for PageSource {
    unsafe fn request(&self, layout: NonZeroLayout) -> Result<Region, AllocError> {
        let (count, align) = (layout.size().get().div_ceil(PAGE), layout.align().get().max(PAGE));
        let start = PAGES.with(|pages| pages.alloc_pages(count, align)).map_err(AllocError::from)?;
        // SAFETY: the pages are this region's alone, and mapped one to one.
        unsafe { Region::from_addresses(start, count * PAGE) }.ok_or(AllocError)
    }

    unsafe fn release(&self, region: Region, _: NonZeroLayout) {
        PAGES.with(|pages| pages.dealloc_pages(region.base().addr().get(), region.len() / PAGE));
    }
}

/// The heap of small blocks.
pub type SmallHeap = Growing<Locked<SlabByteAllocator, SpinLock>, PageSource>;
/// The heap of all others.
pub type LargeHeap = Growing<Locked<TlsfByteAllocator, SpinLock>, PageSource>;

/// The heaps of the kernel.
pub struct Heap {
    /// Serves blocks of up to 1 KiB.
    pub small: SmallHeap,
    /// Serves all others.
    pub large: LargeHeap,
}

impl Heap {
    /// Returns the heaps without memory.
    pub const fn new() -> Self {
        Self {
            small: Growing::new(Locked::with_lock(SlabByteAllocator::new(), SpinLock::new()), PageSource),
            large: Growing::new(Locked::with_lock(TlsfByteAllocator::new(), SpinLock::new()), PageSource),
        }
    }

    /// Gives the regions without a block back to the pages, and returns how many bytes that were.
    pub fn release_empty(&self) -> usize {
        self.small.release_empty() + self.large.release_empty()
    }
}

/// Returns whether the slab heap serves a layout.
fn is_small(layout: Layout) -> bool {
    layout.size().max(layout.align()) <= SMALL
}

// SAFETY: a layout goes to the same heap at its allocation and at its free, and both heaps keep the contract.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the callee's.
        unsafe { if is_small(layout) { self.small.alloc(layout) } else { self.large.alloc(layout) } }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe {
            if is_small(layout) {
                self.small.dealloc(block, layout);
            } else {
                self.large.dealloc(block, layout);
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises a size that is not zero and does not overflow when rounded to the alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the block is live with this layout, in the heap of that layout. A block that changes heaps is copied into one
        // that is as long as what both sizes hold, and given back.
        unsafe {
            match (is_small(layout), is_small(new)) {
                (true, true) => self.small.realloc(block, layout, size),
                (false, false) => self.large.realloc(block, layout, size),
                _ => {
                    let moved = self.alloc(new);
                    if !moved.is_null() {
                        moved.copy_from_nonoverlapping(block, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                    moved
                }
            }
        }
    }
}
