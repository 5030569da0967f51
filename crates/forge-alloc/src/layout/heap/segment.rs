//! Segments of a heap: the spans under one map of boundary marks, and the table that finds them by address.
//!
//! ```text
//!   handed over   |scrap|                 whole granules                 |scrap|
//!   segment             | map of marks | blocks and free runs ..         |
//!                       ^ start                                          ^ end
//! ```
//!
//! # Invariants
//!
//! - (I1) `start` is aligned to a granule and carries provenance over the granules of the segment; the map is that of these
//!   granules.
//! - (I2) The entries are sorted by address, and what was handed over of them is disjoint.
//! - (I3) The entries lie in `inline` until there is a spilled table, and then there.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | find | O(log segments) |
//! | insert, remove | O(segments) |
//!
//! # Design
//!
//! What the table knows cannot lie in the blocks, which have no header: a pointer that is freed says where its block is, and
//! the table says where the marks of that place are and lends the provenance to read and write around it. A search costs
//! nothing as long as requests stay in one segment, because the heap remembers the last one. A few entries are part of the
//! heap itself, so that its first region may be tiny; a longer table is a block of the heap.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;
use core::slice;

use crate::raw::boundary::{BoundaryMap, GRANULE};

/// How many segments need no table in memory of the heap.
const INLINE: usize = 4;

/// A span of granules and its marks: what an operation on a block needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    pub(crate) start: NonNull<u8>,
    bytes: usize,
    pub(crate) map: BoundaryMap,
}

impl Ground {
    /// The ground without bytes.
    pub(crate) const NONE: Self = Self { start: NonNull::dangling(), bytes: 0, map: BoundaryMap::NONE };

    /// Returns the `granules` granules from `start` on, with their marks. O(1).
    pub(crate) const fn new(start: NonNull<u8>, granules: usize, map: BoundaryMap) -> Self {
        Self { start, bytes: granules * GRANULE, map }
    }

    /// Returns the number of its granules. O(1).
    pub(crate) const fn granules(&self) -> usize {
        self.bytes / GRANULE
    }

    /// Returns the address of its first byte. O(1).
    #[inline(always)]
    pub(crate) fn address(&self) -> usize {
        self.start.addr().get()
    }

    /// Returns the address behind its last granule. O(1).
    pub(crate) fn end(&self) -> usize {
        self.address() + self.bytes
    }

    /// Returns whether an address lies in it. O(1).
    #[inline(always)]
    pub(crate) fn contains(&self, address: usize) -> bool {
        address.wrapping_sub(self.address()) < self.bytes
    }

    /// Returns the position of the granule with an address that lies in it. O(1).
    #[inline(always)]
    pub(crate) fn position(&self, address: usize) -> usize {
        address.wrapping_sub(self.address()) / GRANULE
    }

    /// Returns the place of a granule. O(1).
    ///
    /// # Safety
    ///
    /// `position <= granules`.
    #[inline(always)]
    pub(crate) unsafe fn place(&self, position: usize) -> NonNull<u8> {
        // SAFETY: the granule lies in the span of `start`, or it is one past the end (I1).
        unsafe { self.start.add(position * GRANULE) }
    }
}

/// A span under one map, and how it came about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) ground: Ground,
    /// The block that the map is in, and how many granules the map could cover.
    pub(crate) map_block: NonNull<u8>,
    pub(crate) map_capacity: usize,
    /// The addresses that were handed over, with the scraps.
    pub(crate) handed: (usize, usize),
    /// Whether it was handed over as addresses, so that a block may lie across its edge.
    pub(crate) exposed: bool,
}

impl Segment {
    /// The segment without bytes.
    pub(crate) const NONE: Self = Self {
        ground: Ground::NONE,
        map_block: NonNull::dangling(),
        map_capacity: 0,
        handed: (0, 0),
        exposed: false,
    };
}

/// All segments of a heap.
#[derive(Debug)]
pub(crate) struct Segments {
    inline: [Segment; INLINE],
    spilled: Option<NonNull<Segment>>,
    len: usize,
    capacity: usize,
}

impl Segments {
    /// Returns the empty table.
    pub(crate) const fn new() -> Self {
        Self { inline: [Segment::NONE; INLINE], spilled: None, len: 0, capacity: INLINE }
    }

    /// Returns the segments by address. O(1).
    pub(crate) fn as_slice(&self) -> &[Segment] {
        match self.spilled {
            // SAFETY: a spilled table holds `len` entries, and is the table's alone (I3).
            Some(table) => unsafe { slice::from_raw_parts(table.as_ptr(), self.len) },
            None => self.inline.get(..self.len).unwrap_or_default(),
        }
    }

    /// Returns all entries, used or not.
    fn entries(&mut self) -> &mut [Segment] {
        match self.spilled {
            // SAFETY: a spilled table is initialised, and the table's alone (I3).
            Some(table) => unsafe { slice::from_raw_parts_mut(table.as_ptr(), self.capacity) },
            None => &mut self.inline,
        }
    }

    /// Returns the segment with an address. O(log segments).
    pub(crate) fn find(&self, address: usize) -> Option<&Segment> {
        let segments = self.as_slice();
        let above = segments.partition_point(|segment| segment.ground.address() <= address);
        segments.get(above.wrapping_sub(1)).filter(|segment| segment.ground.contains(address))
    }

    /// Returns whether a span overlaps one that was handed over. O(segments).
    pub(crate) fn overlaps(&self, start: usize, end: usize) -> bool {
        self.as_slice().iter().any(|segment| start < segment.handed.1 && segment.handed.0 < end)
    }

    /// Returns whether another segment can be noted. O(1).
    pub(crate) fn has_room(&self) -> bool {
        self.len < self.capacity
    }

    /// Returns the layout of a table of twice the length if this one is about to be full, and `None` otherwise. O(1).
    pub(crate) fn wanted(&self) -> Option<Layout> {
        if self.len + 1 < self.capacity {
            return None;
        }
        Layout::array::<Segment>(self.capacity * 2).ok()
    }

    /// Goes on in a longer table, and returns the one that is no longer used, unless it is part of the heap. O(segments).
    ///
    /// # Safety
    ///
    /// `table` is a block of the layout [`wanted`](Self::wanted), which is the table's from now on.
    pub(crate) unsafe fn spill(&mut self, table: NonNull<u8>) -> Option<(NonNull<u8>, Layout)> {
        let table = table.cast::<Segment>();
        let (old, capacity) = (self.spilled, self.capacity);
        for index in 0..capacity * 2 {
            let segment = self.as_slice().get(index).copied().unwrap_or(Segment::NONE);
            // SAFETY: the block has room for twice the capacity.
            unsafe { table.add(index).write(segment) };
        }
        self.spilled = Some(table);
        self.capacity = capacity * 2;
        Some((old?.cast(), Layout::array::<Segment>(capacity).ok()?))
    }

    /// Notes a segment. O(segments). The caller has checked that there is [room](Self::has_room) and no overlap.
    pub(crate) fn insert(&mut self, segment: Segment) {
        let start = segment.ground.address();
        let index = self.as_slice().partition_point(|other| other.ground.address() < start);
        let len = self.len + 1;
        if let Some(rest) = self.entries().get_mut(index..len) {
            rest.rotate_right(1);
            if let Some(entry) = rest.first_mut() {
                *entry = segment;
                self.len = len;
            }
        }
    }

    /// Forgets the segment that starts at an address. O(segments).
    pub(crate) fn remove(&mut self, start: usize) {
        let Some(index) = self.as_slice().iter().position(|segment| segment.ground.address() == start) else {
            return;
        };
        let len = self.len;
        if let Some(rest) = self.entries().get_mut(index..len) {
            rest.rotate_left(1);
            self.len = len - 1;
        }
    }

    /// Returns whether the block at an address is bookkeeping of the heap and not of a user. O(segments).
    pub(crate) fn is_bookkeeping(&self, address: usize) -> bool {
        self.spilled.is_some_and(|table| table.addr().get() == address)
            || self.as_slice().iter().any(|segment| segment.map_block.addr().get() == address)
    }
}
