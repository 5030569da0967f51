//! A segment: a self-aligned mapping of units, and the header with everything that is known about them, somewhere else.
//!
//! ```text
//!   base, a multiple of SEGMENT                              base + SEGMENT
//!   | unit 0 | unit 1 | unit 2 | unit 3 | .. | unit 127 |
//!       a span is a run of units
//!
//!   header: links, three sets of units, heads, spans, maps | states: a byte for each grain, where blocks are armed
//!
//!   block --> directory --> header;  unit number --> heads[unit] --> spans[head], maps[head]
//! ```
//!
//! # Invariants
//!
//! - (I1) A segment is mapped whole and readable, its base was exposed, and it starts at a multiple of [`SEGMENT`]. Its header is
//!   mapped as long as it is.
//! - (I2) The bit of a unit in `free` is set exactly if it belongs to no span.
//! - (I3) A unit outside of `touched` reads as zero; one in `resident` is free and may have pages.
//! - (I4) While a run of units belongs to a span, `heads` has its first unit for each of them. The run, its span and its map
//!   are the span holder's; everything else in the header belongs to who holds the lock of the [`Units`](super::units::Units).
//!
//! # Operations
//!
//! Finding the span of a block: O(1), four loads. Finding a run: O(log units).
//!
//! # Design
//!
//! Metadata lies [aside](super::aside): a free does not write to the block, and no write at a guessed distance from a block
//! reaches the metadata. The maps take room for the smallest class; what larger classes do not
//! need is never touched. Runs are found in a word of 128 bits by shifts.
//!
//! Blocks come back as addresses. What a caller hands over may have lost the right to reach beyond the block (a `Box`
//! narrows it), so nothing is read through it: the address leads to the segment, whose base was exposed when it was mapped.
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};
use core::sync::atomic::AtomicU8;

use super::directory::Directory;
use crate::fast::middle::span::Span;

/// The bytes of a unit, the smallest span.
pub(crate) const UNIT: usize = 32 << 10;

/// The bytes of a segment, and its alignment.
pub(crate) const SEGMENT: usize = 4 << 20;

/// The units of a segment.
pub(crate) const UNITS: usize = SEGMENT / UNIT;

/// The words of the map of a span: a bit for each slot of the smallest class.
pub(crate) const MAP_WORDS: usize = UNIT / 8 / 64;

/// The units that can belong to spans, as a set. Models keep the way to the header in the first one.
pub(crate) const ALL: u128 = if cfg!(loom) { u128::MAX << 1 } else { u128::MAX };

/// The bytes for which there is one state, where there are states.
pub(crate) const GRAIN: usize = 16;

/// The bytes of a header.
pub(super) const fn header_len(states: bool) -> usize {
    size_of::<Segment>() + if states { SEGMENT / GRAIN } else { 0 }
}

/// The header of a segment.
#[repr(C)]
pub(crate) struct Segment {
    pub(super) base: usize,
    pub(super) next: *mut Segment,
    pub(super) prev: *mut Segment,
    pub(super) free: u128,
    pub(super) touched: u128,
    pub(super) resident: u128,
    /// The list that the segment is on.
    pub(super) reach: usize,
    heads: [u8; UNITS],
    spans: [Span; UNITS],
    maps: [[u64; MAP_WORDS]; UNITS],
}

const _: () = assert!(UNITS == 128, "the sets of units are words of 128 bits");

/// Returns the set of `count` units from `first` on.
pub(super) const fn run(first: usize, count: usize) -> u128 {
    (u128::MAX >> (UNITS - count)) << first
}

/// Returns the first unit of the lowest run of `count` units in a set. O(log `count`).
pub(super) fn find_run(set: u128, count: usize) -> Option<usize> {
    let (mut starts, mut length) = (set, 1);
    while length < count {
        let step = length.min(count - length);
        starts &= starts >> step;
        length += step;
    }
    if starts == 0 { None } else { Some(starts.trailing_zeros() as usize) }
}

/// Returns how many powers of two fit into the longest run of a set: 0 if it is empty, 1 for 1, 2 for 2 and 3, 3 for 4 to 7; 7 for 64
/// and more.
pub(super) fn reach(set: u128) -> usize {
    let (mut starts, mut rank) = (set, 0);
    while starts != 0 && rank < 6 {
        starts &= starts >> (1 << rank);
        rank += 1;
    }
    rank + usize::from(starts != 0)
}

/// Returns the state of the grain that an address lies in. O(1).
///
/// # Safety
///
/// The address lies in a mapped segment, one with states.
#[inline(always)]
pub(crate) unsafe fn state_of(directory: &Directory, address: usize) -> &AtomicU8 {
    // SAFETY: the segment has a header (I1), and behind it is a byte for each of the grains.
    unsafe { &*directory.header_of(address).add(1).cast::<AtomicU8>().add(address % SEGMENT / GRAIN) }
}

/// Returns the span that the block at an address belongs to; null if it lies in no segment. O(1).
///
/// # Safety
///
/// The address is that of a block in a segment, or any other unless the segment that it lies in is about to be unmapped.
#[inline(always)]
pub(crate) unsafe fn span_of(directory: &Directory, address: usize) -> *mut Span {
    // SAFETY: the caller's promise.
    let segment = unsafe { directory.header_at(address) };
    if segment.is_null() {
        return ptr::null_mut();
    }
    let unit = address % SEGMENT / UNIT;
    // SAFETY: the header is mapped (I1), and `unit` and heads are below `UNITS`. The entries are the span
    // holder's (I4), who handed the block out after writing them.
    unsafe {
        let head = (&raw const (*segment).heads).cast::<u8>().add(unit).read();
        (&raw mut (*segment).spans).cast::<Span>().add(usize::from(head) % UNITS)
    }
}

/// Calls `work` with each span of a segment of which the units `taken` belong to spans. O(units).
///
/// # Safety
///
/// The segment is mapped, and no unit is taken or given back meanwhile.
pub(super) unsafe fn spans_of(segment: *mut Segment, taken: u128, mut work: impl FnMut(*mut Span)) {
    let mut left = taken;
    while left != 0 {
        let unit = left.trailing_zeros() as usize;
        left &= left - 1;
        // SAFETY: the unit is below `UNITS` and belongs to a span, whose first unit its head is (I4).
        unsafe {
            if usize::from((&raw const (*segment).heads).cast::<u8>().add(unit).read()) == unit {
                work((&raw mut (*segment).spans).cast::<Span>().add(unit));
            }
        }
    }
}

/// A run of units, before it becomes a span or after it was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) segment: NonNull<Segment>,
    pub(crate) base: usize,
    pub(crate) first: usize,
    pub(crate) count: usize,
    /// Whether every byte is zero.
    pub(crate) zero: bool,
}

impl Run {
    /// Returns the address of the first byte. O(1).
    pub(crate) fn start(&self) -> usize {
        self.base + self.first * UNIT
    }

    /// Returns the number of bytes. O(1).
    pub(crate) fn len(&self) -> usize {
        self.count * UNIT
    }

    /// Returns where the span of the run is kept, and where its map is, after every unit was told. O(`count`).
    ///
    /// # Safety
    ///
    /// The run is taken, and the caller's alone.
    pub(crate) unsafe fn claim(&self) -> (*mut Span, *mut u64) {
        let segment = self.segment.as_ptr();
        // SAFETY: the units of a run are below `UNITS`, and their entries are the holder's (I4).
        unsafe {
            let heads = (&raw mut (*segment).heads).cast::<u8>();
            heads.add(self.first).write_bytes(self.first as u8, self.count);
            let span = (&raw mut (*segment).spans).cast::<Span>().add(self.first);
            let map = (&raw mut (*segment).maps).cast::<[u64; MAP_WORDS]>().add(self.first).cast();
            (span, map)
        }
    }
}

#[cfg(test)]
mod tests;
