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
//! times. It lies in the new memory, or in a block of the heap where that is too short, and the old maps become free memory.
//! If neither has room, the region stays a segment of its own.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use forge_alloc_core::{AllocResult, HeapError, Region, RejectedRegion, align_down, align_up};

use super::run_heap::{RunHeap, RunIndex};
use super::segment::Segment;
use crate::raw::boundary::{BoundaryMap, GRANULE};

/// Memory that is being taken in.
struct Incoming {
    /// Its first byte.
    base: NonNull<u8>,
    handed: (usize, usize),
    /// The segments that it touches and joins.
    below: Option<Segment>,
    above: Option<Segment>,
    exposed: bool,
}

impl Incoming {
    /// Returns the addresses of the whole granules that it adds; at a seam a granule may lie on both sides.
    fn span(&self) -> Option<(usize, usize)> {
        let start = match &self.below {
            Some(below) => below.end(),
            None => align_up(self.handed.0, GRANULE),
        };
        let end = self.above.map_or(align_down(self.handed.1, GRANULE), |above| above.start.addr().get());
        (start < end).then_some((start, end))
    }
}

/// Returns the layout of the map for `capacity` granules.
fn map_layout(capacity: usize) -> Option<Layout> {
    Layout::from_size_align(BoundaryMap::granules_for(capacity).checked_mul(GRANULE)?, GRANULE).ok()
}

impl<I: RunIndex> RunHeap<I> {
    /// Takes a region in; `exposed` says that it was handed over as addresses.
    ///
    /// # Errors
    ///
    /// The region, with [`HeapError::MemoryOverlap`] if the heap has a byte of it, [`HeapError::InvalidParam`] if it is too
    /// short, [`HeapError::NoMemory`] if there is no room to note it.
    pub(crate) fn add(&mut self, region: Region, exposed: bool) -> Result<(), RejectedRegion> {
        match self.take_in(region.base(), region.len(), exposed) {
            Ok(()) => {
                self.lengthen_table();
                Ok(())
            }
            Err(error) => Err(RejectedRegion { error, region }),
        }
    }

    fn take_in(&mut self, base: NonNull<u8>, len: usize, exposed: bool) -> AllocResult {
        let handed = (base.addr().get(), base.addr().get() + len);
        if self.segments.overlaps(handed.0, handed.1) {
            return Err(HeapError::MemoryOverlap);
        }
        let touching = |test: &dyn Fn(&Segment) -> bool| {
            self.segments.as_slice().iter().copied().find(|other| exposed && other.exposed && test(other))
        };
        let below = touching(&|other| other.handed.1 == handed.0);
        let above = touching(&|other| other.handed.0 == handed.1);
        let joined = Incoming { base, handed, below, above, exposed };
        if (joined.below.is_some() || joined.above.is_some()) && self.join(&joined).is_some() {
            return Ok(());
        }
        self.found(&Incoming { below: None, above: None, ..joined })
    }

    /// Makes a segment of its own.
    fn found(&mut self, incoming: &Incoming) -> AllocResult {
        let (start, end) = incoming.span().ok_or(HeapError::InvalidParam)?;
        let granules = (end - start) / GRANULE;
        let own = BoundaryMap::granules_for(granules).max(I::SHORTEST);
        if granules < own + I::SHORTEST {
            return Err(HeapError::InvalidParam);
        }
        if !self.segments.has_room() {
            self.lengthen_table();
            if !self.segments.has_room() {
                return Err(HeapError::NoMemory);
            }
        }
        // SAFETY: the span lies in the region, whose bytes are the heap's now; its first granules are the map's.
        let segment = unsafe {
            let start = incoming.base.add(start - incoming.handed.0);
            let map = BoundaryMap::create(start, granules, granules);
            map.flip_block(0, own - 1);
            Segment { start, granules, map, handed: incoming.handed, exposed: incoming.exposed }
        };
        self.segments.insert(segment);
        self.total += granules;
        // SAFETY: what lies behind the map belongs to nothing yet.
        unsafe { self.release(&segment, own, granules - own) };
        Ok(())
    }

    /// Joins new memory to the segments below and above it; `None` if there is no room for what that needs, or it is too
    /// short.
    fn join(&mut self, incoming: &Incoming) -> Option<()> {
        let (start, end) = incoming.span()?;
        let fresh = (end - start) / GRANULE;
        if fresh < I::SHORTEST {
            return None;
        }
        let (below, above) = (incoming.below, incoming.above);
        let bottom = match below {
            Some(below) => below.start,
            // SAFETY: without a segment below, the span starts in the region.
            None => unsafe { incoming.base.add(start - incoming.handed.0) },
        };
        let granules = (above.map_or(end, |above| above.end()) - bottom.addr().get()) / GRANULE;
        let handed = (
            below.map_or(incoming.handed.0, |below| below.handed.0),
            above.map_or(incoming.handed.1, |above| above.handed.1),
        );
        let mut joined = Segment { start: bottom, granules, map: BoundaryMap::NONE, handed, exposed: true };
        let first = joined.position(start);
        if let (Some(below), None) = (below, above) {
            if granules <= below.map.capacity() {
                joined.map = below.map;
                // SAFETY: the map covers what lies below, and has room.
                unsafe { joined.map.lengthen(below.granules, granules) };
                self.replace(&[Some(below)], joined, fresh);
                // SAFETY: the new granules belong to nothing yet.
                unsafe { self.release(&joined, first, fresh) };
                return Some(());
            }
        }
        let (map, own) = self.new_map(&joined, first, fresh)?;
        joined.map = map;
        // SAFETY: the new map has no marks yet; those of the old ones move by the distance of the segments, and the new map's
        // own come into memory that had none.
        unsafe {
            if let Some(below) = below {
                map.copy_blocks(&below.map, below.granules, 0);
            }
            if let Some(above) = above {
                map.copy_blocks(&above.map, above.granules, joined.position(above.start.addr().get()));
            }
            if own != 0 {
                map.flip_block(first, first + own - 1);
            }
        }
        self.replace(&[below, above], joined, fresh);
        // SAFETY: what the new map left belongs to nothing yet; the old maps are blocks of the heap, without use now.
        unsafe {
            if own < fresh {
                self.release(&joined, first + own, fresh - own);
            }
            for old in [below, above].into_iter().flatten() {
                let layout = map_layout(old.map.capacity())?;
                self.dealloc(old.map.place(), layout);
            }
        }
        Some(())
    }

    /// Makes the map of a joined segment, and returns it with the number of granules that it takes of the `fresh` ones
    /// from `first` on.
    fn new_map(&mut self, joined: &Segment, first: usize, fresh: usize) -> Option<(BoundaryMap, usize)> {
        for capacity in [joined.granules + joined.granules / 2, joined.granules] {
            let own = BoundaryMap::granules_for(capacity).max(I::SHORTEST);
            if own <= fresh {
                let own = if fresh - own < I::SHORTEST { fresh } else { own };
                // SAFETY: the new granules are the heap's, and belong to nothing yet.
                let map = unsafe { BoundaryMap::create(joined.place(first), capacity, joined.granules) };
                return Some((map, own));
            }
        }
        let capacity = joined.granules + joined.granules / 2;
        let place = self.alloc(map_layout(capacity)?).ok()?;
        // SAFETY: the block is long enough, and aligned to a granule.
        Some((unsafe { BoundaryMap::create(place, capacity, joined.granules) }, 0))
    }

    /// Notes `joined` in place of the segments that it is made of and `fresh` new granules.
    fn replace(&mut self, old: &[Option<Segment>], joined: Segment, fresh: usize) {
        for segment in old.iter().flatten() {
            self.segments.remove(segment.start.addr().get());
        }
        self.segments.insert(joined);
        self.total += fresh;
        self.current = Segment::NONE;
    }

    /// Goes on in a longer table of segments, if it is about to be full and there is room.
    fn lengthen_table(&mut self) {
        let Some(layout) = self.segments.wanted() else { return };
        let Ok(table) = self.alloc(layout) else { return };
        // SAFETY: the block is the table's from now on, and the old one is a block of the heap without use.
        unsafe {
            if let Some((old, layout)) = self.segments.spill(table) {
                self.dealloc(old, layout);
            }
        }
    }
}
