//! Heaps that grow and shrink by whole regions: what an adapter that feeds them has to know.
//!
//! ```text
//!   request --> region_for --> source --> region --> add_region --> heap
//!                              source <-- region <-- take_region <---+     if no block lies in it
//! ```
//!
//! # Design
//!
//! Two questions are the heap's alone: how large a region has to be for a request to fit once the heap has put its own
//! bookkeeping there, and whether a region is wholly free. A heap that answers them need not know any source of regions.
//! The trait stands beside [`ByteAllocator`] and not in it, because a heap may have good reasons to keep what it has.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::{ByteAllocator, NonZeroLayout};

/// A heap whose regions can be asked for by the request that they have to serve, and taken back.
///
/// # Safety
///
/// - After `take_region` returned `true`, no block lies in the region, and the heap neither touches it nor hands any of
///   it out, until it is handed over again; after `false` nothing has changed.
/// - `take_region` does not unwind.
pub unsafe trait GrowableHeap: ByteAllocator {
    /// Returns the size and alignment of a region that certainly has room for `layout` when it is handed over as the only
    /// one, or `None` if no region has. O(1).
    ///
    /// The default is generous enough for heaps that round to powers of two: twice the larger of size and alignment, rounded
    /// up to a power of two, and a page of 4 KiB.
    fn region_for(&self, layout: Layout) -> Option<NonZeroLayout> {
        let longest = layout.size().max(layout.align()).checked_next_power_of_two()?;
        let size = longest.checked_mul(2)?.checked_add(4096)?;
        NonZeroLayout::from_size_align(size, align_of::<u128>()).ok()
    }

    /// Takes `region` away from the heap if no block lies in it, and returns whether it did. A region that was merged with
    /// a neighbour may be kept.
    ///
    /// # Safety
    ///
    /// `region` spans the bytes of one region that was handed over to this heap, whole, and was not taken back since.
    unsafe fn take_region(&mut self, region: NonNull<[u8]>) -> bool;
}
