//! A walk over every block and every free run of a heap.
//!
//! # Design
//!
//! The marks say it all, so no block or run is read: the walk is over the map, a word of bits at a time.
#![allow(unsafe_code)]

use core::iter::FusedIterator;
use core::marker::PhantomData;

use forge_alloc_core::HeapBlock;

use super::segment::{Ground, Segments};
use crate::raw::boundary::GRANULE;

/// An iterator over every block and every free run of a heap, bookkeeping included, by address. O(1) a step, O(size /
/// word of bits) over long ones, and O(log segments) from one segment to the next.
#[derive(Clone, Debug)]
pub struct HeapBlocks<'heap> {
    segments: Segments,
    ground: Ground,
    position: usize,
    heap: PhantomData<&'heap Segments>,
}

impl<'heap> HeapBlocks<'heap> {
    /// Returns the walk over `segments`.
    pub(crate) fn new(segments: &'heap Segments) -> Self {
        Self { segments: *segments, ground: Ground::NONE, position: 0, heap: PhantomData }
    }
}

// SAFETY: the walk reads what a shared reference to the heap may read, and the heap may be shared.
unsafe impl Send for HeapBlocks<'_> {}
// SAFETY: as above.
unsafe impl Sync for HeapBlocks<'_> {}

impl Iterator for HeapBlocks<'_> {
    type Item = HeapBlock;

    fn next(&mut self) -> Option<HeapBlock> {
        if self.position == self.ground.granules() {
            let above = if self.position == 0 { 0 } else { self.ground.end() };
            self.ground = self.segments.at_or_above(above)?.1.ground;
            self.position = 0;
        }
        let (ground, first) = (self.ground, self.position);
        // SAFETY: `first` is the beginning of a block or a run of the segment, so a mark on it begins a block, whose end is
        // the next mark; a run ends before the next mark, or at the end of the segment, which is marked.
        let (end, free) = unsafe {
            if ground.map.is_marked(first) {
                (ground.map.next_mark(first + 1) + 1, false)
            } else {
                (ground.map.next_mark(first), true)
            }
        };
        self.position = end;
        let address = ground.address() + first * GRANULE;
        Some(HeapBlock::new(address, (end - first) * GRANULE, free))
    }
}

impl FusedIterator for HeapBlocks<'_> {}
