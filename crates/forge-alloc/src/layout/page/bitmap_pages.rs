//! Pages by a bitmap: runs of any length, at the lowest address that fits.
//!
//! ```text
//!   memory        | region A |     hole      |   region B  |          pages are named by address, and never touched
//!   bitmap        |AAAAAAAAAA|0|BBBBBBBBBBBBB|0|   unused  |          one bit a page, and a sixth more for the search
//! ```
//!
//! # Invariants
//!
//! - (I1) A page is available exactly if it lies whole in a region that was handed over and is in no run that is handed out;
//!   all other numbers follow from that: `used + available == total`.
//!
//! # Operations
//!
//! | | |
//! |---|---|
//! | one page, and back | O(1) at or below the lowest free page, else O(log pages) |
//! | a run of `n`, and back | O(log pages + n / 64), at the lowest address |
//! | a run aligned to more than a page | the same for each run that is long enough and lies wrong |
//! | one more region | O(1) above the others, else O(capacity) |
//!
//! # Design
//!
//! The lowest address comes first, as it is documented: what is left is high and in one piece, low memory is compact, and
//! the same history gives the same addresses.
//!
//! *Where the bitmap lives* is a parameter. `[u64; N]` inside the value needs no memory before there is memory, which is
//! where a kernel starts, and a `static` of it takes no room in the image; N comes from [`page_words`]. `&mut [u64]` is for
//! who learns the size of the machine at run time, or would not have megabytes in a value: a borrowed slice, because
//! who makes it knows what memory may hold it, and bookkeeping in the managed pages themselves would make this allocator touch
//! memory that it only counts, and could not serve device memory. The capacity counts pages, wherever they are: the bitmap
//! follows the regions, holes cost nothing, and a region may end with the address space or start at page 0.
//!
//! A free is checked, because it can be: `dealloc_pages` ignores what is not handed out, and
//! [`try_dealloc_pages`](BitmapPageAllocator::try_dealloc_pages) says so.
#![allow(unsafe_code)]

use forge_alloc_core::{AllocResult, BaseAllocator, HeapError, PageAllocator};

use super::addresses::{align_in_pages, whole_pages};
use super::spans::{DEFAULT_SPANS, SpanMap, page_words};
use crate::raw::bitmap::BitStorage;

/// The pages that an allocator holds which is not told how many: the largest of the `page-alloc` features that are on.
const DEFAULT_PAGES: usize = if cfg!(feature = "page-alloc-1t") {
    1 << 28
} else if cfg!(feature = "page-alloc-64g") {
    1 << 24
} else if cfg!(feature = "page-alloc-4g") {
    1 << 20
} else {
    1 << 16
};

/// An allocator of pages of `PAGE_SIZE` bytes that hands out the lowest addresses first, over a bitmap in `S`.
///
/// `S` is `[u64; N]`, inside the value, with an N from [`page_words`], or `&mut [u64]`. Without it, the features `page-alloc-1t`,
/// `-64g`, `-4g` and `-256m` choose how many pages fit, for every crate of the program: 2^28 pages are tens of MiB, which only a
/// `static` has room for.
///
/// # Examples
///
/// ```
/// use forge_alloc::{BaseAllocator, BitmapPageAllocator, HeapError, PageAllocator};
///
/// let mut pages = BitmapPageAllocator::<4096>::new();
/// pages.add_range(0x9000_0000, 1 << 20)?;
/// let run = pages.alloc_pages(2, 4096)?;
/// assert_eq!(run, 0x9000_0000);
/// pages.try_dealloc_pages(run, 2)?;
/// assert_eq!(pages.try_dealloc_pages(run, 2), Err(HeapError::NotAllocated));
/// # Ok::<(), HeapError>(())
/// ```
pub struct BitmapPageAllocator<
    const PAGE_SIZE: usize,
    S = [u64; page_words(DEFAULT_PAGES)],
    const REGIONS: usize = DEFAULT_SPANS,
> {
    pages: SpanMap<S, REGIONS>,
}

impl<const PAGE_SIZE: usize, const N: usize, const REGIONS: usize>
    BitmapPageAllocator<PAGE_SIZE, [u64; N], REGIONS>
{
    /// Returns the allocator without pages, with its bitmap inside.
    #[must_use]
    pub const fn new() -> Self {
        Self::over([0; N])
    }
}

impl<const PAGE_SIZE: usize, const N: usize, const REGIONS: usize> Default
    for BitmapPageAllocator<PAGE_SIZE, [u64; N], REGIONS>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<const PAGE_SIZE: usize, S: BitStorage, const REGIONS: usize> BitmapPageAllocator<PAGE_SIZE, S, REGIONS> {
    /// Returns the allocator without pages, with its bitmap in `words`, whatever they hold. The number of words decides how
    /// many pages it can manage: [`page_words`].
    pub const fn over(words: S) -> Self {
        const {
            assert!(
                PAGE_SIZE.is_power_of_two() && PAGE_SIZE > 1,
                "pages are found by the high bits of an address"
            );
        }
        Self { pages: SpanMap::new(words) }
    }

    /// Hands the whole pages of `size` bytes at `start` over. Nothing is done with their memory.
    ///
    /// # Errors
    ///
    /// [`HeapError::InvalidParam`] if there is no whole page or the range leaves the address space,
    /// [`HeapError::MemoryOverlap`] if one of them is managed, [`HeapError::NoMemory`] if the bitmap is too small or there are
    /// `REGIONS` regions apart from each other.
    pub fn add_range(&mut self, start: usize, size: usize) -> AllocResult {
        let (start, end) = whole_pages::<PAGE_SIZE>(start, size).ok_or(HeapError::InvalidParam)?;
        self.pages.add(start, end)
    }

    /// Takes `num_pages` pages from the address `pos` back. O(log pages + n / 64).
    ///
    /// # Errors
    ///
    /// [`HeapError::InvalidParam`] if `pos` is no multiple of the page size, [`HeapError::NotAllocated`] if any of the pages is
    /// free or not managed. Nothing changes.
    #[inline]
    pub fn try_dealloc_pages(&mut self, pos: usize, num_pages: usize) -> AllocResult {
        if pos % PAGE_SIZE != 0 {
            return Err(HeapError::InvalidParam);
        }
        if num_pages == 0 || self.pages.give(pos / PAGE_SIZE, num_pages) {
            Ok(())
        } else {
            Err(HeapError::NotAllocated)
        }
    }

    /// Returns whether the page at the address `pos` is managed and handed out. O(1).
    #[must_use]
    pub fn is_allocated(&self, pos: usize) -> bool {
        self.pages.is_free(pos / PAGE_SIZE) == Some(false)
    }

    /// Takes a run that is not simply one page.
    #[inline(never)]
    fn alloc_run(&mut self, num_pages: usize, align: usize) -> AllocResult<usize> {
        let align = align_in_pages::<PAGE_SIZE>(align)?;
        if num_pages == 0 {
            return Err(HeapError::InvalidParam);
        }
        self.pages.take_run(0, num_pages, align).map(|page| page * PAGE_SIZE).ok_or(HeapError::NoMemory)
    }
}

impl<const PAGE_SIZE: usize, S: BitStorage, const REGIONS: usize> BaseAllocator
    for BitmapPageAllocator<PAGE_SIZE, S, REGIONS>
{
    /// As [`add_range`](BitmapPageAllocator::add_range), with the error ignored.
    unsafe fn init(&mut self, start: usize, size: usize) {
        let _ = self.add_range(start, size);
    }

    unsafe fn add_memory(&mut self, start: usize, size: usize) -> AllocResult {
        self.add_range(start, size)
    }
}

// SAFETY: a run consists of pages that are available, which are whole pages of ranges handed over, and makes them
// unavailable until they are given back (I1). Nothing unwinds.
unsafe impl<const PAGE_SIZE: usize, S: BitStorage, const REGIONS: usize> PageAllocator
    for BitmapPageAllocator<PAGE_SIZE, S, REGIONS>
{
    const PAGE_SIZE: usize = PAGE_SIZE;

    #[inline]
    fn alloc_pages(&mut self, num_pages: usize, align_pow2: usize) -> AllocResult<usize> {
        if num_pages == 1 && align_pow2 == PAGE_SIZE {
            return self.pages.take_lowest().map(|page| page * PAGE_SIZE).ok_or(HeapError::NoMemory);
        }
        self.alloc_run(num_pages, align_pow2)
    }

    /// As [`try_dealloc_pages`](BitmapPageAllocator::try_dealloc_pages), with the error ignored.
    #[inline]
    fn dealloc_pages(&mut self, pos: usize, num_pages: usize) {
        let _ = self.try_dealloc_pages(pos, num_pages);
    }

    fn alloc_pages_at(&mut self, base: usize, num_pages: usize, align_pow2: usize) -> AllocResult<usize> {
        align_in_pages::<PAGE_SIZE>(align_pow2)?;
        if base % align_pow2 != 0 {
            return Err(HeapError::InvalidParam);
        }
        if num_pages != 0 && self.pages.take(base / PAGE_SIZE, num_pages) {
            Ok(base)
        } else {
            Err(HeapError::NoMemory)
        }
    }

    fn total_pages(&self) -> usize {
        self.pages.total()
    }

    fn used_pages(&self) -> usize {
        self.pages.total() - self.pages.available()
    }

    fn available_pages(&self) -> usize {
        self.pages.available()
    }
}

#[cfg(test)]
mod tests;
