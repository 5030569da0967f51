//! How a heap gives a region back, and how large one has to be for a request.
//!
//! ```text
//!   leaves    | segment, map | one run, up to the end of the segment |
//!   stays     | segment, map | run | block |  run                    |
//! ```
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | the size of a region for a request | O(1) |
//! | take a region back | O(log segments), and one removal of the index |
//!
//! # Design
//!
//! A region leaves if nothing is in it but what the heap knows about it. A segment that may have been joined from several spans
//! is one, and stays.
#![allow(unsafe_code)]

use core::alloc::Layout;

use forge_alloc_core::NonZeroLayout;

use super::joining::Bookkeeping;
use super::run_heap::RunHeap;
use super::run_index::{Need, RunIndex};
use super::segment::Ground;
use super::wilderness::Wilderness;
use crate::raw::boundary::{GRANULE, REACH};
use crate::raw::run::length;

impl<I: RunIndex> RunHeap<I> {
    /// Returns what a region needs to serve `layout`: the block, what an index that rounds sizes up asks for beyond it (a
    /// quarter), and what the heap notes about the region.
    pub(crate) fn region_for(&self, layout: Layout) -> Option<NonZeroLayout> {
        let need = Need::of(layout, I::SHORTEST).anywhere(I::SHORTEST);
        let room = need.checked_add(need / 4)?.checked_add(4 * REACH)?;
        // The marks of a word of granules take less than a granule and a half, and some words besides.
        let granules = room.checked_add(room / 16)?.checked_add(Bookkeeping::granules_for(REACH))?;
        NonZeroLayout::from_size_align(granules.checked_mul(GRANULE)?, align_of::<u128>()).ok()
    }

    /// Forgets the region that was handed over with these addresses if no block lies in it, and returns whether it did.
    pub(crate) fn take_region(&mut self, handed: (usize, usize)) -> bool {
        let found = handed.1.checked_sub(1).and_then(|last| self.segments.at_or_below(last));
        let whole = found.filter(|(_, segment)| segment.handed() == handed && !segment.exposed);
        let Some((_, segment)) = whole else { return false };
        let (ground, granules) = (segment.ground, segment.ground.granules());
        // A segment that is not joined begins with what is noted about it, with a map that covers it and no more.
        let own = Bookkeeping::granules_for(granules);
        let wild = self.wilderness.starts_at(ground.address() + own * GRANULE);
        // SAFETY: the position is behind the map, and what is not marked there is a run, with its length where the marks do
        // not show it, or the wilderness.
        let run = unsafe {
            let gap = ground.map.gap_after(own);
            if wild {
                self.wilderness.granules
            } else if gap >= REACH {
                length(ground.place(own))
            } else {
                gap
            }
        };
        if own + run != granules {
            return false;
        }
        if wild {
            self.wilderness = Wilderness::NONE;
        } else {
            // SAFETY: the index holds the run with this length.
            unsafe { self.index.remove(ground.place(own), run) };
            self.free -= run;
        }
        self.total -= granules;
        self.segments.remove(ground.address());
        self.current = Ground::NONE;
        true
    }
}

#[cfg(test)]
mod tests;
