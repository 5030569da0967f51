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
use super::segment::{Ground, Segment};
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
            Some(below) => below.ground.end(),
            None => align_up(self.handed.0, GRANULE),
        };
        let end = self.above.map_or(align_down(self.handed.1, GRANULE), |above| above.ground.address());
        (start < end).then_some((start, end))
    }
}

/// The map that was made for a joined segment.
struct NewMap {
    ground: Ground,
    block: NonNull<u8>,
    capacity: usize,
    /// From where to where it takes granules of the new memory.
    taken: Option<(usize, usize)>,
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
            Segment {
                ground: Ground::new(start, granules, map),
                map_block: start,
                map_capacity: granules,
                handed: incoming.handed,
                exposed: incoming.exposed,
            }
        };
        self.segments.insert(segment);
        self.total += granules;
        // SAFETY: what lies behind the map belongs to nothing yet.
        unsafe { self.release(segment.ground, own, granules - own) };
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
            Some(below) => below.ground.start,
            // SAFETY: without a segment below, the span starts in the region.
            None => unsafe { incoming.base.add(start - incoming.handed.0) },
        };
        let granules = (above.map_or(end, |above| above.ground.end()) - bottom.addr().get()) / GRANULE;
        let handed = (
            below.map_or(incoming.handed.0, |below| below.handed.0),
            above.map_or(incoming.handed.1, |above| above.handed.1),
        );
        let first = (start - bottom.addr().get()) / GRANULE;
        if let (Some(below), None) = (below, above) {
            if granules <= below.map_capacity {
                let ground = Ground::new(bottom, granules, below.ground.map);
                // SAFETY: the map covers what lies below, and has room.
                unsafe { ground.map.lengthen(below.ground.granules(), granules) };
                self.replace([Some(below), None], Segment { ground, handed, ..below }, fresh);
                // SAFETY: the new granules belong to nothing yet.
                unsafe { self.release(ground, first, fresh) };
                return Some(());
            }
        }
        let new = self.new_map(Ground::new(bottom, granules, BoundaryMap::NONE), (first, first + fresh))?;
        let ground = new.ground;
        // SAFETY: the new map has no marks yet; those of the old ones move by the distance of the segments, and the new map's
        // own come into memory that had none.
        unsafe {
            if let Some(below) = below {
                ground.map.copy_blocks(&below.ground.map, below.ground.granules(), 0);
            }
            if let Some(above) = above {
                let offset = ground.position(above.ground.address());
                ground.map.copy_blocks(&above.ground.map, above.ground.granules(), offset);
            }
            if let Some((from, to)) = new.taken {
                ground.map.flip_block(from, to - 1);
            }
        }
        let joined =
            Segment { ground, map_block: new.block, map_capacity: new.capacity, handed, exposed: true };
        self.replace([below, above], joined, fresh);
        // SAFETY: what the new map left belongs to nothing yet; the old maps are blocks of the heap, without use now.
        unsafe {
            let (from, to) = new.taken.unwrap_or((first + fresh, first + fresh));
            if from > first {
                self.release(ground, first, from - first);
            }
            if to < first + fresh {
                self.release(ground, to, first + fresh - to);
            }
            for old in [below, above].into_iter().flatten() {
                self.dealloc(old.map_block, map_layout(old.map_capacity)?);
            }
        }
        Some(())
    }

    /// Makes the map of a joined segment in its new granules, or in a block of the heap.
    fn new_map(&mut self, ground: Ground, fresh: (usize, usize)) -> Option<NewMap> {
        let granules = ground.granules();
        let (start, roomy) = (ground.start, granules + granules / 2);
        let new = |block, capacity, taken| {
            // SAFETY: the block is long enough for the map, aligned to a granule, and the map's.
            let map = unsafe { BoundaryMap::create(block, capacity, granules) };
            NewMap { ground: Ground::new(start, granules, map), block, capacity, taken }
        };
        for capacity in [roomy, granules] {
            let own = BoundaryMap::granules_for(capacity).max(I::SHORTEST);
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
            return Some(new(unsafe { ground.place(from) }, capacity, Some((from, to))));
        }
        let block = self.alloc(map_layout(roomy)?).ok()?;
        Some(new(block, roomy, None))
    }

    /// Notes `joined` in place of the segments that it is made of and `fresh` new granules.
    fn replace(&mut self, old: [Option<Segment>; 2], joined: Segment, fresh: usize) {
        for segment in old.into_iter().flatten() {
            self.segments.remove(segment.ground.address());
        }
        self.segments.insert(joined);
        self.total += fresh;
        self.current = Ground::NONE;
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
