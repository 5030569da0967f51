//! How a heap gives a region back, and how large one has to be for a request.
//!
//! ```text
//!   leaves    | map | one run, up to the end of the segment |
//!   stays     | map | run | block |  run                    |
//! ```
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | the size of a region for a request | O(1) |
//! | take a region back | O(segments), and one removal of the index |
//!
//! # Design
//!
//! A region leaves if nothing but its own map is in it: the heap's table of segments is a block like any other, and keeps the
//! region that it lies in. A segment that was joined from several spans is one, and stays.
#![allow(unsafe_code)]

use core::alloc::Layout;

use forge_alloc_core::NonZeroLayout;

use super::run_heap::{Need, RunHeap, RunIndex};
use super::segment::Ground;
use crate::raw::boundary::{BoundaryMap, GRANULE, REACH};
use crate::raw::run::length;

impl<I: RunIndex> RunHeap<I> {
    /// Returns what a region needs to serve `layout`: the block, what an index that rounds sizes up asks for beyond it (a
    /// quarter), the marks, and a longer table of segments.
    pub(crate) fn region_for(&self, layout: Layout) -> Option<NonZeroLayout> {
        let need = Need::of(layout, I::SHORTEST).anywhere(I::SHORTEST);
        let table = self.segments.wanted().map_or(0, |table| table.size().div_ceil(GRANULE));
        let room = need.checked_add(need / 4)?.checked_add(table + 4 * REACH)?;
        // The marks of a word of granules take less than a granule and a half, and some words besides.
        let granules = room.checked_add(room / 16)?.checked_add(BoundaryMap::granules_for(REACH))?;
        NonZeroLayout::from_size_align(granules.checked_mul(GRANULE)?, align_of::<u128>()).ok()
    }

    /// Forgets the region that was handed over with these addresses if no block lies in it, and returns whether it did.
    pub(crate) fn take_region(&mut self, handed: (usize, usize)) -> bool {
        let found = self.segments.as_slice().iter().find(|segment| segment.handed == handed).copied();
        let Some(segment) = found.filter(|segment| !segment.exposed) else { return false };
        let (ground, granules) = (segment.ground, segment.ground.granules());
        // A segment that is not joined begins with its map, which covers it and no more.
        let own = BoundaryMap::granules_for(granules).max(I::SHORTEST);
        // SAFETY: the position is behind the map, and what is not marked there is a run, with its length where the marks do
        // not show it.
        let run = unsafe {
            let gap = ground.map.gap_after(own);
            if gap == REACH { length(ground.place(own)) } else { gap }
        };
        if own + run != granules {
            return false;
        }
        // SAFETY: the index holds the run with this length.
        unsafe { self.index.remove(ground.place(own), run) };
        self.free -= run;
        self.total -= granules;
        self.segments.remove(ground.address());
        self.current = Ground::NONE;
        true
    }
}

#[cfg(test)]
mod tests;
