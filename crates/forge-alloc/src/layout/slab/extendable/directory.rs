//! The segments of a pool and what is known about each: numbered, in memory that never moves.
//!
//! ```text
//!   blocks   [0] 16 headers   [1] 32 headers   [2] 64 headers  ..        each mapped when it is first needed
//!             number 0..15     16..47           48..111
//!
//!   lists    Room -> 3 -> 17      Full -> 4 -> 0      Empty -> 5      Vacant -> 2
//! ```
//!
//! # Invariants
//!
//! - (I1) Headers with numbers below `fresh` are initialised and lie in the mapped blocks, at places that never change.
//! - (I2) Each of them is on exactly one list, the one that its `list` names; it has no slab exactly if that is `Vacant`.
//!
//! # Operations
//!
//! Everything is O(1), except that `prepare` maps a block now and then, each twice as long as the one before.
//!
//! # Design
//!
//! The headers come from the operating system and not from a heap, so that the pool can stand below a global allocator.
//! Blocks that double need no copy, and a number leads to its place by two instructions.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::marker::PhantomData;

use forge_alloc_core::{AllocError, FreelistProtection, NonZeroLayout, Region, RegionSource};
use forge_os::Os;

use super::segment::SegmentSlab;
use crate::backing::MmapSource;

/// How many headers the first block has.
const FIRST_BLOCK: usize = 16;
/// How many blocks there can be: enough for numbers of 31 bits.
const BLOCKS: usize = 26;
/// The number of no segment: the end of a list.
const NONE: u32 = u32::MAX;

/// The list that a segment is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// Headers without a segment.
    Vacant,
    /// Segments that had no free slot when they were last asked, and got none back since.
    Full,
    /// Segments with free slots and slots that are in use.
    Room,
    /// Segments without a slot in use.
    Empty,
}

/// A segment and what is known about it.
pub(super) struct Segment<T, M: FreelistProtection, O: Os> {
    pub(super) slab: Option<SegmentSlab<T, M, O>>,
    /// How many slots the map says were ever handed out.
    pub(super) issued: u32,
    /// How many corruptions of the slab were counted.
    pub(super) corruptions: u64,
    list: List,
    previous: u32,
    next: u32,
}

impl<T, M: FreelistProtection, O: Os> Segment<T, M, O> {
    /// Returns whether the segment is on this list. O(1).
    #[inline]
    pub(super) fn is_on(&self, list: List) -> bool {
        self.list == list
    }
}

/// The segments.
pub(super) struct Directory<T, M: FreelistProtection, O: Os> {
    source: MmapSource<O>,
    blocks: [Option<Region>; BLOCKS],
    heads: [u32; 4],
    counts: [u32; 4],
    fresh: u32,
    owns: PhantomData<Segment<T, M, O>>,
}

impl<T, M: FreelistProtection, O: Os> Directory<T, M, O> {
    /// Returns a directory without segments. O(1).
    pub(super) fn new(os: O) -> Self {
        Self {
            source: MmapSource::on(os),
            blocks: [const { None }; BLOCKS],
            heads: [NONE; 4],
            counts: [0; 4],
            fresh: 0,
            owns: PhantomData,
        }
    }

    /// Returns the segment with this number, if there is one. O(1).
    #[inline]
    pub(super) fn get(&mut self, number: u32) -> Option<&mut Segment<T, M, O>> {
        if number >= self.fresh {
            return None;
        }
        let (block, place) = position(number);
        let headers = self.blocks.get(block)?.as_ref()?.base().cast::<Segment<T, M, O>>();
        // SAFETY: the number is below `fresh`, so the header is there and initialised (I1); the directory is borrowed.
        Some(unsafe { headers.add(place).as_mut() })
    }

    /// Returns the first segment of a list. O(1).
    #[inline]
    pub(super) fn first(&self, list: List) -> Option<u32> {
        let head = self.heads[list as usize];
        if head == NONE { None } else { Some(head) }
    }

    /// Returns the segment after this one on its list. O(1).
    pub(super) fn after(&mut self, number: u32) -> Option<u32> {
        self.get(number).map(|segment| segment.next).filter(|&next| next != NONE)
    }

    /// Returns how many segments are on a list. O(1).
    pub(super) fn count(&self, list: List) -> u32 {
        self.counts[list as usize]
    }

    /// Returns how many segments there are. O(1).
    pub(super) fn segments(&self) -> usize {
        (self.fresh - self.count(List::Vacant)) as usize
    }

    /// Makes sure that there is a vacant header. O(1) amortized.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the headers do not suffice and the system refuses more; nothing changes.
    pub(super) fn prepare(&mut self) -> Result<(), AllocError> {
        if self.first(List::Vacant).is_some() {
            return Ok(());
        }
        let number = self.fresh;
        let (block, place) = position(number);
        let slot = self.blocks.get_mut(block).ok_or(AllocError)?;
        let region = match slot {
            Some(region) => region,
            None => {
                let layout = block_layout::<T, M, O>(block).ok_or(AllocError)?;
                // SAFETY: the region is kept and released by `release`, through the same source.
                slot.insert(unsafe { self.source.request(layout) }?)
            }
        };
        let header =
            Segment { slab: None, issued: 0, corruptions: 0, list: List::Vacant, previous: NONE, next: NONE };
        // SAFETY: the block has room for the place and is aligned for headers; nobody uses the header yet (I1).
        unsafe { region.base().cast::<Segment<T, M, O>>().add(place).write(header) };
        self.fresh += 1;
        self.heads[List::Vacant as usize] = number;
        self.counts[List::Vacant as usize] += 1;
        Ok(())
    }

    /// Returns the number that the next segment gets, if one is prepared. O(1).
    pub(super) fn next_number(&self) -> Option<u32> {
        self.first(List::Vacant)
    }

    /// Puts a slab into a vacant header and on a list. O(1).
    pub(super) fn occupy(&mut self, number: u32, slab: SegmentSlab<T, M, O>, issued: u32, list: List) {
        if let Some(segment) = self.get(number) {
            debug_assert!(segment.list == List::Vacant && segment.slab.is_none());
            (segment.issued, segment.corruptions) = (issued, 0);
            segment.slab = Some(slab);
        }
        self.move_to(number, list);
    }

    /// Takes the slab out of its header, which is vacant then. O(1).
    pub(super) fn vacate(&mut self, number: u32) -> Option<SegmentSlab<T, M, O>> {
        let slab = self.get(number)?.slab.take();
        self.move_to(number, List::Vacant);
        slab
    }

    /// Puts a segment at the head of a list, whichever it was on. O(1).
    pub(super) fn move_to(&mut self, number: u32, list: List) {
        let Some(segment) = self.get(number) else { return };
        let (from, previous, next) = (segment.list, segment.previous, segment.next);
        match self.get(previous) {
            Some(before) => before.next = next,
            None => self.heads[from as usize] = next,
        }
        if let Some(behind) = self.get(next) {
            behind.previous = previous;
        }
        self.counts[from as usize] -= 1;
        let head = self.heads[list as usize];
        if let Some(behind) = self.get(head) {
            behind.previous = number;
        }
        if let Some(segment) = self.get(number) {
            (segment.list, segment.previous, segment.next) = (list, NONE, head);
        }
        self.heads[list as usize] = number;
        self.counts[list as usize] += 1;
    }

    /// Unmaps the headers. Every segment must be vacant, or it leaks. O(blocks).
    pub(super) fn release(&mut self) {
        debug_assert!(self.segments() == 0);
        (self.heads, self.counts, self.fresh) = ([NONE; 4], [0; 4], 0);
        for (block, slot) in self.blocks.iter_mut().enumerate() {
            if let (Some(region), Some(layout)) = (slot.take(), block_layout::<T, M, O>(block)) {
                // SAFETY: the region came from this source for this layout, and no header is used any more.
                unsafe { self.source.release(region, layout) };
            }
        }
    }
}

/// Returns the block that a number lies in, and its place there.
#[inline]
fn position(number: u32) -> (usize, usize) {
    let number = number as usize;
    let block = (number / FIRST_BLOCK + 1).ilog2() as usize;
    (block, number - FIRST_BLOCK * ((1 << block) - 1))
}

/// Returns the layout of a block of headers; `None` if there is none.
fn block_layout<T, M: FreelistProtection, O: Os>(block: usize) -> Option<NonZeroLayout> {
    let headers = FIRST_BLOCK.checked_shl(block as u32)?;
    NonZeroLayout::try_from(Layout::array::<Segment<T, M, O>>(headers).ok()?).ok()
}
