//! Pages by the buddy system: any request in a bounded number of steps, whatever is taken.
//!
//! ```text
//!   memory   |     region A      |   hole   |    region B    |
//!   words    | bits of A | bits of B |      unused           |       a bit a page, and a quarter more for the search
//! ```
//!
//! # Invariants
//!
//! - (I1) Each zone is one range of pages, and its bits are the words from its offset on, which no other zone has.
//! - (I2) Zones do not overlap.
//!
//! # Operations
//!
//! | | |
//! |---|---|
//! | up to 32 pages, and back | O(1) for a length that was given back before, else O(log pages) for each zone that is looked at |
//! | a run of `n`, aligned or not, and back; a given run | O(log^2 pages + n / 64), the first for each zone |
//! | one more region | O(log^2 pages + pages / 64) |
//!
//! # Design
//!
//! [`BitmapPageAllocator`](super::bitmap_pages::BitmapPageAllocator) finds the lowest run that fits, and has to look at runs that
//! do not. This one takes the least block of a power of two that holds the request, which is one step for each order at
//! worst, and gives the rest of the block back at once, so that nothing is lost to rounding but the choice of place. It is for
//! machines where no request may take long. A run that is given back waits for the next request of its length, one for each
//! length: [`QuickMap`].
//!
//! Zones that touch are not merged, so a run lies in one region. A zone keeps its words for ever.
#![allow(unsafe_code)]

use forge_alloc_core::{AllocResult, BaseAllocator, HeapError, PageAllocator};

use super::addresses::{align_in_pages, whole_pages};
use super::spans::DEFAULT_SPANS;
use crate::raw::bitmap::BitStorage;
use crate::raw::buddy::quick::QuickMap;

/// One region.
struct Zone {
    map: QuickMap,
    /// The offset of its first word.
    at: usize,
}

/// Returns the words that a [`BuddyPageAllocator`] needs for a region of `pages` pages.
#[must_use]
pub const fn buddy_words(pages: usize) -> usize {
    QuickMap::most_words(pages)
}

/// An allocator of pages of `PAGE_SIZE` bytes by the buddy system, over bits in `S`, in up to `REGIONS` regions.
///
/// `S` is `[u64; N]`, inside the value, or `&mut [u64]`; [`buddy_words`] says how many words a region needs.
///
/// # Examples
///
/// ```
/// use forge_alloc::{BuddyPageAllocator, HeapError, PageAllocator, buddy_words};
///
/// let mut pages = BuddyPageAllocator::<4096, _, 1>::over([0; buddy_words(1000)]);
/// pages.add_range(1 << 30, 1000 * 4096)?;
/// let run = pages.alloc_pages(3, 2 << 20)?;
/// assert_eq!((run % (2 << 20), pages.used_pages()), (0, 3));
/// pages.try_dealloc_pages(run, 3)?;
/// # Ok::<(), HeapError>(())
/// ```
pub struct BuddyPageAllocator<const PAGE_SIZE: usize, S, const REGIONS: usize = DEFAULT_SPANS> {
    words: S,
    zones: [Option<Zone>; REGIONS],
    next: usize,
}

impl<const PAGE_SIZE: usize, S: BitStorage, const REGIONS: usize> BuddyPageAllocator<PAGE_SIZE, S, REGIONS> {
    /// Returns the allocator without pages, with its bits in `words`, whatever they hold.
    pub const fn over(words: S) -> Self {
        const {
            assert!(
                PAGE_SIZE.is_power_of_two() && PAGE_SIZE > 1,
                "pages are found by the high bits of an address"
            );
        }
        Self { words, zones: [const { None }; REGIONS], next: 0 }
    }

    /// Hands the whole pages of `size` bytes at `start` over. Nothing is done with their memory.
    ///
    /// # Errors
    ///
    /// [`HeapError::InvalidParam`] if there is no whole page or the range leaves the address space,
    /// [`HeapError::MemoryOverlap`] if one of them is managed, [`HeapError::NoMemory`] if there are too few words or there are
    /// `REGIONS` regions.
    pub fn add_range(&mut self, start: usize, size: usize) -> AllocResult {
        let (start, end) = whole_pages::<PAGE_SIZE>(start, size).ok_or(HeapError::InvalidParam)?;
        if self.zones.iter().flatten().any(|zone| zone.map.overlaps(start, end)) {
            return Err(HeapError::MemoryOverlap);
        }
        let (map, words) = QuickMap::over(start, end);
        let slot = self.zones.iter_mut().find(|slot| slot.is_none()).ok_or(HeapError::NoMemory)?;
        let at = self.next;
        let place = self.words.words_mut().get_mut(at..).and_then(|rest| rest.get_mut(..words));
        let place = place.ok_or(HeapError::NoMemory)?;
        place.fill(0);
        let zone = slot.insert(Zone { map, at });
        zone.map.free_all(place);
        self.next = at + words;
        Ok(())
    }

    /// Takes `num_pages` pages from the address `pos` back. O(log^2 pages + n / 64).
    ///
    /// # Errors
    ///
    /// [`HeapError::InvalidParam`] if `pos` is no multiple of the page size, [`HeapError::NotAllocated`] if any of the pages is
    /// free or not managed. Nothing changes.
    pub fn try_dealloc_pages(&mut self, pos: usize, num_pages: usize) -> AllocResult {
        if pos % PAGE_SIZE != 0 {
            return Err(HeapError::InvalidParam);
        }
        let page = pos / PAGE_SIZE;
        let given = num_pages == 0
            || self.zone_of(page, num_pages).is_some_and(|(map, words)| map.give_run(words, page, num_pages));
        if given { Ok(()) } else { Err(HeapError::NotAllocated) }
    }

    /// Returns the zone that holds `count` pages from `page` on, with its words.
    fn zone_of(&mut self, page: usize, count: usize) -> Option<(&mut QuickMap, &mut [u64])> {
        let zone = self.zones.iter_mut().flatten().find(|zone| zone.map.holds(page, count))?;
        Some((&mut zone.map, self.words.words_mut().get_mut(zone.at..)?))
    }
}

impl<const PAGE_SIZE: usize, S: BitStorage, const REGIONS: usize> BaseAllocator
    for BuddyPageAllocator<PAGE_SIZE, S, REGIONS>
{
    /// As [`add_range`](BuddyPageAllocator::add_range), with the error ignored.
    unsafe fn init(&mut self, start: usize, size: usize) {
        let _ = self.add_range(start, size);
    }

    unsafe fn add_memory(&mut self, start: usize, size: usize) -> AllocResult {
        self.add_range(start, size)
    }
}

// SAFETY: a run consists of pages of one zone that are free before, and not until they are given back; zones are whole pages of
// ranges handed over, and do not overlap (I2). Nothing unwinds.
unsafe impl<const PAGE_SIZE: usize, S: BitStorage, const REGIONS: usize> PageAllocator
    for BuddyPageAllocator<PAGE_SIZE, S, REGIONS>
{
    const PAGE_SIZE: usize = PAGE_SIZE;

    fn alloc_pages(&mut self, num_pages: usize, align_pow2: usize) -> AllocResult<usize> {
        let align = align_in_pages::<PAGE_SIZE>(align_pow2)?;
        if num_pages > self.available_pages() {
            return Err(HeapError::NoMemory);
        }
        if num_pages == 0 {
            return Err(HeapError::InvalidParam);
        }
        let words = self.words.words_mut();
        let take = |zone: &mut Zone| zone.map.take_run(words.get_mut(zone.at..)?, num_pages, align);
        let page = self.zones.iter_mut().flatten().find_map(take);
        page.map(|page| page * PAGE_SIZE).ok_or(HeapError::NoMemory)
    }

    /// As [`try_dealloc_pages`](BuddyPageAllocator::try_dealloc_pages), with the error ignored.
    fn dealloc_pages(&mut self, pos: usize, num_pages: usize) {
        let _ = self.try_dealloc_pages(pos, num_pages);
    }

    fn alloc_pages_at(&mut self, base: usize, num_pages: usize, align_pow2: usize) -> AllocResult<usize> {
        align_in_pages::<PAGE_SIZE>(align_pow2)?;
        if base % align_pow2 != 0 {
            return Err(HeapError::InvalidParam);
        }
        let page = base / PAGE_SIZE;
        let taken = num_pages != 0
            && self.zone_of(page, num_pages).is_some_and(|(map, words)| map.take_at(words, page, num_pages));
        if taken { Ok(base) } else { Err(HeapError::NoMemory) }
    }

    fn total_pages(&self) -> usize {
        self.zones.iter().flatten().map(|zone| zone.map.units()).sum()
    }

    fn used_pages(&self) -> usize {
        self.total_pages() - self.available_pages()
    }

    fn available_pages(&self) -> usize {
        self.zones.iter().flatten().map(|zone| zone.map.free()).sum()
    }
}

#[cfg(test)]
mod tests;
