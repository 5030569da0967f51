//! How a heap takes a region in: as a segment of its own, or joined to the segments that it touches.
//!
//! ```text
//!   alone      | map | one run                      |
//!   joined     | map | blocks, runs ..   | . . new . . | map | blocks, runs ..   |
//!              |          one segment, one map, runs across the seams            |
//! ```
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | add a region | O(its size / 512 bytes + segments) |
//! | add one that joins | the same over the joined segment, and O(its blocks); O(1) if the map in front has room |
//!
//! # Design
//!
//! A block is one object for whoever uses it, so its pointer must be good for all of its bytes. A [`Region`] carries the
//! provenance of its own bytes; two of them that touch are still two objects, and a block across the seam would be neither's.
//! Regions handed over as values are therefore never joined, however they lie. Addresses handed over by `init` and
//! `add_memory` name memory that the program has no object for, of which the contract of
//! [`BaseAllocator`](forge_alloc_core::BaseAllocator) says that spans that touch are one: these are joined. A region of each
//! kind stays apart too.
//!
//! A joined segment needs one map. If the map of the lower segment has room, it is just longer afterwards; otherwise a new one
//! is made, with room for half as much again, so that a heap that grows by pages copies its marks a logarithmic number of
//! times. It lies in the new memory, or in a block of one of the segments where that is too short, and the old maps become free memory.
//! If neither has room, the region stays a segment of its own.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use forge_alloc_core::{AllocResult, HeapError, Region, RejectedRegion, align_down, align_up};

use super::run_heap::RunHeap;
use super::run_index::RunIndex;
use super::segment::{Ground, Segment};
use crate::raw::boundary::{BoundaryMap, GRANULE};

/// A segment, and where it lies itself.
type Noted = (NonNull<Segment>, Segment);

/// Memory that is being taken in.
struct Incoming {
    /// Its first byte.
    base: NonNull<u8>,
    /// Its first address, and the one behind it.
    handed: (usize, usize),
    exposed: bool,
}

impl Incoming {
    /// Returns the addresses of the whole granules that it adds between the segments that it joins: at a seam a granule may
    /// lie on both sides.
    fn span(&self, below: Option<Noted>, above: Option<Noted>) -> (usize, usize) {
        (
            below.map_or(align_up(self.handed.0, GRANULE), |(_, below)| below.ground.end()),
            above.map_or(align_down(self.handed.1, GRANULE), |(_, above)| above.ground.address()),
        )
    }
}

/// The block with a segment and its map.
pub(super) struct Bookkeeping {
    node: NonNull<Segment>,
    map: BoundaryMap,
    capacity: usize,
}

impl Bookkeeping {
    /// Returns how many granules the block for a map of `capacity` granules takes. O(1).
    pub(super) const fn granules_for(capacity: usize) -> usize {
        Segment::GRANULES + BoundaryMap::granules_for(capacity)
    }

    /// Returns the layout of that block. O(1).
    fn layout(capacity: usize) -> Option<Layout> {
        Layout::from_size_align(Self::granules_for(capacity).checked_mul(GRANULE)?, GRANULE).ok()
    }

    /// Makes the map of a span of `granules` granules without blocks. O(capacity / word).
    ///
    /// # Safety
    ///
    /// `place` is aligned to a granule and valid for writing [`granules_for(capacity)`](Self::granules_for) granules, which belong
    /// to the result, and `granules <= capacity`.
    unsafe fn create(place: NonNull<u8>, capacity: usize, granules: usize) -> Self {
        // SAFETY: the caller promises room for the segment and the map behind it.
        let map = unsafe { BoundaryMap::create(place.add(Segment::GRANULES * GRANULE), capacity, granules) };
        Self { node: place.cast(), map, capacity }
    }
}

impl<I: RunIndex> RunHeap<I> {
    /// Takes a region in; `exposed` says that it was handed over as addresses.
    ///
    /// # Errors
    ///
    /// The region, with [`HeapError::MemoryOverlap`] if the heap has a byte of it, [`HeapError::InvalidParam`] if it is too
    /// short.
    pub(crate) fn add(&mut self, region: Region, exposed: bool) -> Result<(), RejectedRegion> {
        self.take_in(region.base(), region.len(), exposed).map_err(|error| RejectedRegion { error, region })
    }

    fn take_in(&mut self, base: NonNull<u8>, len: usize, exposed: bool) -> AllocResult {
        let handed = (base.addr().get(), base.addr().get() + len);
        if len == 0 {
            return Err(HeapError::InvalidParam);
        }
        let below = self.segments.at_or_below(handed.1 - 1);
        let above = self.segments.at_or_above(handed.1);
        if below.is_some_and(|(_, below)| below.handed().1 > handed.0)
            || above.is_some_and(|(_, above)| above.handed().0 < handed.1)
        {
            return Err(HeapError::MemoryOverlap);
        }
        let incoming = Incoming { base, handed, exposed };
        let below = below.filter(|(_, below)| exposed && below.exposed && below.handed().1 == handed.0);
        let above = above.filter(|(_, above)| exposed && above.exposed && above.handed().0 == handed.1);
        if (below.is_some() || above.is_some()) && self.join(&incoming, below, above).is_some() {
            return Ok(());
        }
        self.found(&incoming)
    }

    /// Makes a segment of its own.
    fn found(&mut self, incoming: &Incoming) -> AllocResult {
        let (start, end) = incoming.span(None, None);
        let granules = end.saturating_sub(start) / GRANULE;
        let own = Bookkeeping::granules_for(granules);
        if granules < own + I::SHORTEST {
            return Err(HeapError::InvalidParam);
        }
        let scraps = ((start - incoming.handed.0) as u8, (incoming.handed.1 - end) as u8);
        // SAFETY: the span lies in the region, whose bytes are the heap's now; its first granules are those of the segment and
        // its map, and what lies behind them belongs to nothing yet.
        unsafe {
            let start = incoming.base.add(start - incoming.handed.0);
            let new = Bookkeeping::create(start, granules, granules);
            new.map.flip_block(0, own - 1);
            let ground = Ground::new(start, granules, new.map);
            self.segments.insert(new.node, Segment::new(ground, granules, scraps, incoming.exposed));
            self.total += granules;
            self.release(ground, own, granules - own);
            self.adopt(ground);
        }
        Ok(())
    }

    /// Joins new memory to the segments below and above it; `None` if there is no room for what that needs, or it is too
    /// short.
    fn join(&mut self, incoming: &Incoming, below: Option<Noted>, above: Option<Noted>) -> Option<()> {
        let (start, end) = incoming.span(below, above);
        let fresh = end.checked_sub(start)? / GRANULE;
        if fresh < I::SHORTEST {
            return None;
        }
        // It may not be the end of a segment for long.
        self.settle();
        let bottom = match below {
            Some((_, below)) => below.ground.start,
            // SAFETY: without a segment below, the span starts in the region.
            None => unsafe { incoming.base.add(start - incoming.handed.0) },
        };
        let top = above.map_or(end, |(_, above)| above.ground.end());
        let granules = (top - bottom.addr().get()) / GRANULE;
        let first = (start - bottom.addr().get()) / GRANULE;
        let scraps = (
            below.map_or(start.wrapping_sub(incoming.handed.0) as u8, |(_, below)| below.scraps.0),
            above.map_or(incoming.handed.1.wrapping_sub(end) as u8, |(_, above)| above.scraps.1),
        );
        if let (Some((node, below)), None) = (below, above) {
            if granules <= below.capacity {
                let ground = Ground::new(bottom, granules, below.ground.map);
                // SAFETY: the map covers what lies below and has room; the new granules belong to nothing yet.
                unsafe {
                    ground.map.lengthen(below.ground.granules(), granules);
                    self.segments.lengthen(node, ground, scraps.1);
                    self.total += fresh;
                    self.current = Ground::NONE;
                    self.release(ground, first, fresh);
                    self.adopt(ground);
                }
                return Some(());
            }
        }
        let (new, taken) = self.bookkeeping(bottom, granules, (first, first + fresh))?;
        let ground = Ground::new(bottom, granules, new.map);
        // SAFETY: the new map has no marks yet; those of the old ones move by the distance of the segments, and its own come into
        // memory that had none. What it left belongs to nothing yet; the old ones are blocks of the heap, without use then.
        unsafe {
            for (_, old) in [below, above].into_iter().flatten() {
                let offset = ground.position(old.ground.address());
                new.map.copy_blocks(&old.ground.map, old.ground.granules(), offset);
                self.segments.remove(old.ground.address());
            }
            if taken.1 > taken.0 {
                new.map.flip_block(taken.0, taken.1 - 1);
            }
            self.segments.insert(new.node, Segment::new(ground, new.capacity, scraps, true));
            self.total += fresh;
            self.current = Ground::NONE;
            if taken.0 > first {
                self.release(ground, first, taken.0 - first);
            }
            if taken.1 < first + fresh {
                self.release(ground, taken.1, first + fresh - taken.1);
            }
            for (node, old) in [below, above].into_iter().flatten() {
                self.dealloc(node.cast(), Bookkeeping::layout(old.capacity)?);
            }
            self.adopt(ground);
        }
        Some(())
    }

    /// Makes the bookkeeping of a joined segment of `granules` granules from `bottom` on, in its `fresh` granules or in a block
    /// of the heap, and returns it with the part of the fresh granules that it takes.
    fn bookkeeping(
        &mut self,
        bottom: NonNull<u8>,
        granules: usize,
        fresh: (usize, usize),
    ) -> Option<(Bookkeeping, (usize, usize))> {
        let roomy = granules + granules / 2;
        for capacity in [roomy, granules] {
            let own = Bookkeeping::granules_for(capacity);
            if own > fresh.1 - fresh.0 {
                continue;
            }
            // At the edge of the segment, so that the memory on both sides of the seam is one run.
            let at_end = fresh.1 == granules;
            let (mut from, mut to) = if at_end { (fresh.1 - own, fresh.1) } else { (fresh.0, fresh.0 + own) };
            if from - fresh.0 < I::SHORTEST {
                from = fresh.0;
            }
            if fresh.1 - to < I::SHORTEST {
                to = fresh.1;
            }
            // SAFETY: the new granules lie in the joined span, and belong to nothing yet.
            let new = unsafe { Bookkeeping::create(bottom.add(from * GRANULE), capacity, granules) };
            return Some((new, (from, to)));
        }
        let layout = Bookkeeping::layout(roomy)?;
        let block = self.alloc(layout).ok()?;
        if block.addr().get().wrapping_sub(bottom.addr().get()) >= granules * GRANULE {
            // A segment lies in the span that it describes.
            // SAFETY: the block was just allocated.
            unsafe { self.dealloc(block, layout) };
            return None;
        }
        // SAFETY: the block is long enough, and aligned to a granule.
        Some((unsafe { Bookkeeping::create(block, roomy, granules) }, (fresh.1, fresh.1)))
    }
}
