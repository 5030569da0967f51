//! The buddy heap: blocks of powers of two bytes, aligned to their size.
//!
//! ```text
//!   region   | bookkeeping: bits |  block  |   block    |      ..      |
//!            ^ base              ^ first unit of MIN bytes
//! ```
//!
//! # Invariants
//!
//! - (I1) Each arena has the words at the start of its region to itself, and its blocks are made of the units behind them. No
//!   two regions overlap.
//! - (I2) A unit number is an address divided by `MIN`; `base` has the provenance of the whole region.
//! - (I3) A block of `size` bytes at `align` has the order of the greater of both in units, rounded up to a power of two.
//!
//! # Operations
//!
//! | | |
//! |---|---|
//! | alloc, dealloc, checked or not | O(log n) for each region that is looked at |
//! | shrink and grow in place | O(log n); growing needs free buddies behind the block |
//! | used, available, total, largest | O(regions) |
//! | one more region | O(bookkeeping), a fiftieth of the region with `MIN` of 16 bytes |
//! | take a region back | O(regions) |
//!
//! # Design
//!
//! The bits of [`BuddyMap`] are all that there is: free blocks are never touched, so a heap over fresh memory does not make
//! it resident, a free reads no cold block, and nothing that a program writes into a freed block misleads the heap. The price
//! of the buddy system is rounding to powers of two; what it gives is that a block is aligned to its size, that a free merges
//! in a bounded number of steps, and that a region can be as large as the address space.
//!
//! Blocks of regions that touch are not merged: the bookkeeping of the upper one lies between them.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;
use core::slice;

use forge_alloc_core::{
    AllocResult, BaseAllocator, ByteAllocator, GrowableHeap, HeapBlock, HeapError, NonZeroLayout, Region,
    RejectedRegion,
};

use crate::raw::buddy::BuddyMap;

/// One region.
struct Arena {
    base: NonNull<u8>,
    len: usize,
    words: &'static mut [u64],
    map: BuddyMap,
}

// SAFETY: an arena owns its region (I1), and nothing of it is tied to a thread.
unsafe impl Send for Arena {}

// SAFETY: a shared reference only reads the words.
unsafe impl Sync for Arena {}

/// An exclusive heap of blocks of powers of two bytes, from `MIN` on, in up to `REGIONS` regions.
///
/// Each region that may come costs 2.5 KiB in the value. One that grows by the regions of a source wants 16 or more, because such
/// regions begin small.
///
/// # Examples
///
/// ```
/// use std::alloc::Layout;
/// use std::mem::MaybeUninit;
///
/// use forge_alloc::{BuddyByteAllocator, ByteAllocator, HeapError, Region};
///
/// let memory: &'static mut [MaybeUninit<u8>] = Box::leak(Box::new([MaybeUninit::uninit(); 4096]));
/// let mut heap = BuddyByteAllocator::<16, 4>::new();
/// heap.add_region(Region::from(memory)).map_err(|rejected| rejected.error)?;
/// let layout = Layout::from_size_align(100, 64).unwrap();
/// let block = heap.alloc(layout)?;
/// assert_eq!(heap.used_bytes(), 128);
/// // Sound: the block is live, and this is its layout.
/// unsafe { heap.dealloc(block, layout) };
/// assert_eq!(heap.used_bytes(), 0);
/// # Ok::<(), HeapError>(())
/// ```
pub struct BuddyByteAllocator<const MIN: usize = 16, const REGIONS: usize = 8> {
    arenas: [Option<Arena>; REGIONS],
}

impl<const MIN: usize, const REGIONS: usize> BuddyByteAllocator<MIN, REGIONS> {
    /// Returns the heap without memory.
    #[must_use]
    pub const fn new() -> Self {
        const {
            assert!(
                MIN.is_power_of_two() && MIN >= 8,
                "a block is a power of two, and a byte costs more bits than it has"
            );
            assert!(REGIONS > 0, "a heap that can hold no region is of no use");
        }
        Self { arenas: [const { None }; REGIONS] }
    }

    /// Returns the order of the blocks of a layout (I3).
    #[inline(always)]
    fn order_of(layout: Layout) -> usize {
        let bytes = layout.size().max(layout.align()).max(MIN);
        (usize::BITS - (bytes - 1).leading_zeros()) as usize - MIN.trailing_zeros() as usize
    }

    /// Returns the arena that holds an address, if one does.
    #[inline]
    fn arena_of(&mut self, pos: NonNull<u8>) -> Option<&mut Arena> {
        let inside = |arena: &&mut Arena| pos.addr().get().wrapping_sub(arena.base.addr().get()) < arena.len;
        self.arenas.iter_mut().flatten().find(inside)
    }

    /// Returns the arena over a region, or why there is none.
    fn arena_over(region: Region) -> Result<Arena, Region> {
        let (start, len) = (region.base().addr().get(), region.len());
        let skip = start.wrapping_neg() % align_of::<u64>();
        // Enough words for all units of the region are enough for those behind the words.
        let (_, words) = BuddyMap::over(start.div_ceil(MIN), (start + len) / MIN);
        let bytes = words * size_of::<u64>() + skip;
        let (first, end) = ((start.saturating_add(bytes)).div_ceil(MIN), (start + len) / MIN);
        if first >= end {
            return Err(region);
        }
        let (map, needed) = BuddyMap::over(first, end);
        debug_assert!(needed <= words);
        let (base, _) = region.into_raw();
        // SAFETY: the region owns `skip + 8 * words` bytes from its base on, because a unit lies behind them; they are
        // aligned after `skip` bytes, set to 0 first, and no block holds any of them (I1).
        let words = unsafe {
            let at = base.add(skip).cast::<u64>();
            at.write_bytes(0, words);
            slice::from_raw_parts_mut(at.as_ptr(), words)
        };
        let mut arena = Arena { base, len, words, map };
        arena.map.free_all(arena.words);
        Ok(arena)
    }

    /// Sums something up over all arenas.
    fn sum(&self, of: impl Fn(&BuddyMap) -> usize) -> usize {
        self.arenas.iter().flatten().map(|arena| of(&arena.map)).sum::<usize>() * MIN
    }
}

impl<const MIN: usize, const REGIONS: usize> Default for BuddyByteAllocator<MIN, REGIONS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const MIN: usize, const REGIONS: usize> BaseAllocator for BuddyByteAllocator<MIN, REGIONS> {
    unsafe fn init(&mut self, start: usize, size: usize) {
        // SAFETY: the caller's promises are the callee's.
        let _ = unsafe { self.add_memory(start, size) };
    }

    unsafe fn add_memory(&mut self, start: usize, size: usize) -> AllocResult {
        // Address 0 is no pointer, so the first unit is left out.
        let skip = if start == 0 { MIN.min(size) } else { 0 };
        // SAFETY: the caller promises the bytes; if they overlap a region of this heap, they are not touched.
        let region = unsafe { Region::from_addresses(start + skip, size - skip) };
        self.add_region(region.ok_or(HeapError::InvalidParam)?).map_err(|rejected| rejected.error)
    }
}

// SAFETY: a block consists of whole units behind the words of an arena, which are free before and not until it is freed, and
// its first unit is a multiple of its length, which is at least size and alignment (I3). Nothing unwinds, and a move of the
// heap moves no region.
unsafe impl<const MIN: usize, const REGIONS: usize> ByteAllocator for BuddyByteAllocator<MIN, REGIONS> {
    fn add_region(&mut self, region: Region) -> Result<(), RejectedRegion> {
        let (start, len) = (region.base().addr().get(), region.len());
        let overlaps = |arena: &Arena| {
            let base = arena.base.addr().get();
            start < base + arena.len && base < start + len
        };
        if self.arenas.iter().flatten().any(overlaps) {
            return Err(RejectedRegion { error: HeapError::MemoryOverlap, region });
        }
        let Some(slot) = self.arenas.iter_mut().find(|slot| slot.is_none()) else {
            return Err(RejectedRegion { error: HeapError::NoMemory, region });
        };
        match Self::arena_over(region) {
            Ok(arena) => {
                *slot = Some(arena);
                Ok(())
            }
            Err(region) => Err(RejectedRegion { error: HeapError::InvalidParam, region }),
        }
    }

    #[inline]
    fn alloc(&mut self, layout: Layout) -> AllocResult<NonNull<u8>> {
        if layout.size() == 0 {
            return Err(HeapError::InvalidParam);
        }
        let order = Self::order_of(layout);
        for arena in self.arenas.iter_mut().flatten() {
            if let Some(unit) = arena.map.take(arena.words, order) {
                let offset = unit * MIN - arena.base.addr().get();
                // SAFETY: the units of an arena lie in its region (I1), of which `base` is the first byte (I2).
                return Ok(unsafe { arena.base.add(offset) });
            }
        }
        Err(HeapError::NoMemory)
    }

    #[inline]
    unsafe fn dealloc(&mut self, pos: NonNull<u8>, layout: Layout) {
        if let Some(arena) = self.arena_of(pos) {
            let (unit, order) = (pos.addr().get() / MIN, Self::order_of(layout));
            debug_assert!(
                arena.map.is_allocated(arena.words, unit, order),
                "no block of this layout starts there"
            );
            arena.map.give(arena.words, unit, order);
        }
    }

    unsafe fn dealloc_checked(&mut self, pos: NonNull<u8>, layout: Layout) -> AllocResult {
        let (address, order) = (pos.addr().get(), Self::order_of(layout));
        let arena = self.arena_of(pos).ok_or(HeapError::NotAllocated)?;
        if address % MIN != 0 || !arena.map.is_allocated(arena.words, address / MIN, order) {
            return Err(HeapError::NotAllocated);
        }
        arena.map.give(arena.words, address / MIN, order);
        Ok(())
    }

    unsafe fn resize_in_place(&mut self, pos: NonNull<u8>, old: Layout, new: Layout) -> bool {
        let (from, to, unit) = (Self::order_of(old), Self::order_of(new), pos.addr().get() / MIN);
        if new.size() == 0 || pos.addr().get() % new.align() != 0 {
            return false;
        }
        let Some(arena) = self.arena_of(pos) else { return false };
        if to <= from {
            arena.map.shrink(arena.words, unit, from, to);
            return true;
        }
        arena.map.grow(arena.words, unit, from, to)
    }

    fn largest_free(&self) -> Option<usize> {
        let greatest = self.arenas.iter().flatten().filter_map(|arena| arena.map.greatest()).max();
        Some(greatest.map_or(0, |order| MIN << order))
    }

    fn for_each_block(&self, visit: &mut dyn FnMut(HeapBlock)) {
        for arena in self.arenas.iter().flatten() {
            let block = |unit, order, free| visit(HeapBlock::new(unit * MIN, MIN << order, free));
            arena.map.for_each(arena.words, block);
        }
    }

    fn total_bytes(&self) -> usize {
        self.sum(BuddyMap::units)
    }

    fn used_bytes(&self) -> usize {
        self.sum(|map| map.units() - map.free())
    }

    fn available_bytes(&self) -> usize {
        self.sum(BuddyMap::free)
    }
}

// SAFETY: a region leaves with its words and its map, and no block lies in it, so nothing of it is known any more.
unsafe impl<const MIN: usize, const REGIONS: usize> GrowableHeap for BuddyByteAllocator<MIN, REGIONS> {
    /// Twice the block, in which one that is aligned lies, and the words in front of it.
    fn region_for(&self, layout: Layout) -> Option<NonZeroLayout> {
        let block = layout.size().max(layout.align()).max(MIN).checked_next_power_of_two()?;
        let room = block.checked_mul(2)?.checked_add(2 * MIN)?;
        // The words are for what they lie in as well, which is longer by less than this.
        let whole = room.checked_add(room / 16)?.checked_add(4096)?;
        let words = BuddyMap::most_words(whole / MIN).checked_mul(size_of::<u64>())?;
        let size = room.checked_add(words)?.checked_add(align_of::<u64>())?;
        debug_assert!(size <= whole);
        NonZeroLayout::from_size_align(size, align_of::<u128>()).ok()
    }

    unsafe fn take_region(&mut self, region: NonNull<[u8]>) -> bool {
        let is_it = |arena: &Arena| arena.base == region.cast() && arena.len == region.len();
        let slot = self.arenas.iter_mut().find(|slot| slot.as_ref().is_some_and(is_it));
        let idle = |arena: &mut Arena| arena.map.free() == arena.map.units();
        slot.is_some_and(|slot| slot.take_if(idle).is_some())
    }
}

#[cfg(test)]
mod tests;
