//! How a slab heap takes a region in, with the table of its units in front, and gives it back.
//!
//! ```text
//!   handed over   | table of units | memory of the parent                          |
//! ```
//!
//! # Design
//!
//! A table that is a block of the parent would lie in any region, and keep it when it is empty; two regions with each other's
//! tables would never leave. So the table of a region lies in front of it and leaves with it. Memory that is handed over as
//! addresses may join what lies below, where a table in front would be in the way: its table is a block of the parent.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use forge_alloc_core::{
    ByteAllocator, GrowableHeap, HeapError, NonZeroLayout, Region, RejectedRegion, align_up,
};

use super::SlabHeap;
use super::shape::Shape;
use crate::raw::span_map::SpanMap;

impl<P: ByteAllocator, const SPAN: usize> SlabHeap<P, SPAN> {
    /// Takes a region in.
    ///
    /// # Errors
    ///
    /// Those of the parent, with the whole region; also [`HeapError::MemoryOverlap`] if it overlaps a table.
    pub(super) fn add(&mut self, region: Region) -> Result<(), RejectedRegion> {
        let (start, size) = (region.base().addr().get(), region.len());
        if self.map.overlaps(start..start + size) {
            return Err(RejectedRegion { error: HeapError::MemoryOverlap, region });
        }
        let Some(front) = self.front_of(start, size) else { return self.parent.add_region(region) };
        let (table, rest) = match region.split_at(front.bytes) {
            Ok(parts) => parts,
            Err(region) => return self.parent.add_region(region),
        };
        let table = table.base();
        if let Err(rejected) = self.parent.add_region(rest) {
            // SAFETY: the two parts were one region, and neither is used.
            let region = unsafe { Region::from_raw(table, size) };
            return Err(RejectedRegion { error: rejected.error, region });
        }
        // SAFETY: the table lies in the part that the parent does not have, aligned, and is the heap's until the region is taken
        // back; its units are in no other table.
        unsafe { self.map.add(table.add(front.padding), front.first, front.units) };
        Ok(())
    }

    /// Returns the table in front of a region, or nothing if there is no room for a span behind it.
    fn front_of(&self, start: usize, size: usize) -> Option<Front> {
        let end = start + size;
        let most = SpanMap::layout(size / Shape::<SPAN>::UNIT + 2)?;
        let padding = align_up(start, most.align()) - start;
        let bytes = padding.checked_add(most.size())?;
        if size.checked_sub(bytes)? < Shape::<SPAN>::UNIT {
            return None;
        }
        let (mut first, mut last) = (Self::unit(start + bytes), Self::unit(end - 1));
        // A unit at an end may be in the table of a neighbouring region.
        first += usize::from(self.map.covers(first));
        last -= usize::from(last > first && self.map.covers(last));
        let units = (last + 1).checked_sub(first).filter(|units| *units != 0)?;
        Some(Front { padding, bytes, first, units })
    }
}

/// Where the table in front of a region lies, and for which units it is.
struct Front {
    padding: usize,
    bytes: usize,
    first: usize,
    units: usize,
}

// SAFETY: a region leaves if the parent, which keeps the contract, lets it; no span lies in it then, and no table but its own. If
// it stays, slots and blocks are as they were.
unsafe impl<P: GrowableHeap, const SPAN: usize> GrowableHeap for SlabHeap<P, SPAN> {
    fn region_for(&self, layout: Layout) -> Option<NonZeroLayout> {
        let plain = self.parent.region_for(layout)?;
        // The table is for what is handed over, itself included, which it makes longer by less than an eighth.
        let units = plain.size().get().checked_add(plain.size().get() / 8)? / Shape::<SPAN>::UNIT + 4;
        let table = SpanMap::layout(units)?;
        let size = plain.size().get().checked_add(table.size())?.checked_add(table.align())?;
        NonZeroLayout::from_size_align(size, plain.align().get()).ok()
    }

    unsafe fn take_region(&mut self, region: NonNull<[u8]>) -> bool {
        let (start, size) = (region.addr().get(), region.len());
        self.release_empty();
        let Some((table, first, units)) = self.map.remove_idle(start..start + size) else {
            // SAFETY: the caller's promise is the callee's. A region with a table and spans was not handed to the parent whole.
            return unsafe { self.parent.take_region(region) };
        };
        // As in `front_of`.
        let bytes = SpanMap::layout(size / Shape::<SPAN>::UNIT + 2).map_or(0, |most| most.size());
        let front = (table.addr().get() - start) + bytes;
        // SAFETY: the table lies in front of the region, which is longer; what is behind it was handed to the parent, if the
        // region was handed over as one.
        let taken = unsafe {
            let rest = NonNull::slice_from_raw_parts(region.cast::<u8>().add(front), size - front);
            self.parent.take_region(rest)
        };
        if !taken {
            // SAFETY: the table lies where it was, for the units that it was for.
            unsafe { self.map.add(table, first, units) };
        }
        taken
    }
}
