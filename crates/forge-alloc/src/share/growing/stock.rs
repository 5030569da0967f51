//! The regions that a growing heap holds, and the steps by which it gets one: plan, ask, settle.
//!
//! ```text
//!   plan   reserves a part of the limit           with the lock
//!   ask    calls the source                       without
//!   settle pays the reservation, lists the region, hands it over, allocates     with the lock
//! ```
//!
//! # Invariants
//!
//! - (I1) The list holds the chunks whose usable part was handed to the heap and not taken back, each once.
//! - (I2) `held` is the sum of the lengths of their regions, and `reserved` that of the plans which are not settled.
//! - (I3) `held + reserved <= limit`, unless the limit was lowered below what was held.
//!
//! # Design
//!
//! Three steps, so that whoever holds a lock can let it go for the second. A plan is settled exactly once, with or without
//! a region.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use forge_alloc_core::{AllocResult, GrowableHeap, NonZeroLayout, Region, RegionSource, align_up};

use crate::raw::chunk::{CHUNK_ALIGN, Chunk, HEADER_SIZE};

/// The least that is asked for, in bytes, where the limit allows; sizes are multiples of it.
const STEP: usize = 4096;

/// The most that is asked for beyond what a request needs, in bytes.
const LARGEST: usize = 16 << 20;

/// A region and the layout of its request.
type Issued = (Region, NonZeroLayout);

/// The regions of a growing heap.
pub(super) struct Stock {
    first: Option<Chunk>,
    held: usize,
    reserved: usize,
    limit: usize,
}

/// A reserved part of the limit, and what to ask the source for.
#[must_use = "a plan that is not settled keeps its part of the limit"]
pub(super) struct Plan {
    /// What a request needs: the second thing to ask for.
    least: NonZeroLayout,
    /// The first thing to ask for, and what is reserved.
    wanted: NonZeroLayout,
}

impl Plan {
    /// Asks `source` for a region: for the wanted one, then for the least.
    ///
    /// # Safety
    ///
    /// As [`RegionSource::request`].
    pub(super) unsafe fn ask<S: RegionSource>(&self, source: &S) -> Option<Issued> {
        // SAFETY: the caller's promises are the callee's.
        let request = |layout| unsafe { source.request(layout) }.ok().map(|region| (region, layout));
        request(self.wanted).or_else(|| if self.least == self.wanted { None } else { request(self.least) })
    }
}

impl Stock {
    pub(super) const fn new() -> Self {
        Self { first: None, held: 0, reserved: 0, limit: usize::MAX }
    }

    /// Sets the limit. A stock that holds more already gets nothing more.
    pub(super) const fn limit_to(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn regions(&self) -> usize {
        // SAFETY: the chunks are live (I1).
        core::iter::successors(self.first, |chunk| unsafe { chunk.next() }).count()
    }

    /// Returns the most bytes that a heap of `total` bytes can come to have, or `None` where there is no bound.
    pub(super) fn capacity(&self, total: usize) -> Option<usize> {
        (self.limit != usize::MAX).then(|| total.saturating_add(self.limit.saturating_sub(self.held)))
    }

    /// Returns how many bytes more may be held.
    fn allowed(&self) -> usize {
        self.limit.saturating_sub(self.held + self.reserved)
    }

    /// Plans a region of which the part behind the header is at least `needed`, within the limit.
    pub(super) fn plan(&mut self, needed: Option<NonZeroLayout>) -> Option<Plan> {
        let needed = needed?;
        // The usable part starts at a multiple of `CHUNK_ALIGN`, which may be short of the alignment by the padding.
        let padding = needed.align().get().saturating_sub(CHUNK_ALIGN);
        let least = needed.size().get().checked_add(HEADER_SIZE)?.checked_add(padding)?;
        let least = least.checked_next_multiple_of(CHUNK_ALIGN)?;
        let allowed = self.allowed();
        if least > allowed {
            return None;
        }
        let usual = align_up(least.max((self.held / 2).min(LARGEST)), STEP).min(allowed);
        let least = NonZeroLayout::from_size_align(least, CHUNK_ALIGN).ok()?;
        let wanted = NonZeroLayout::from_size_align(usual, CHUNK_ALIGN).unwrap_or(least);
        self.reserved += wanted.size().get();
        Some(Plan { least, wanted })
    }

    /// Ends `plan`: lists what the source issued, hands it to `heap`, and allocates `layout`. Returns besides what is to be
    /// released: a region that is too long for the limit, or that neither the heap nor the request could use.
    pub(super) fn settle<H: GrowableHeap>(
        &mut self,
        plan: &Plan,
        issued: Option<Issued>,
        heap: &mut H,
        layout: Layout,
    ) -> (AllocResult<NonNull<u8>>, Option<Issued>) {
        self.reserved -= plan.wanted.size().get();
        let Some((region, request)) = issued else {
            // Another thread may have grown the heap, or freed a block, meanwhile.
            return (heap.alloc(layout), None);
        };
        if let Err(region) = self.add(region, request, heap) {
            return (heap.alloc(layout), Some((region, request)));
        }
        let block = heap.alloc(layout);
        let spare = if block.is_err() { self.withdraw(heap) } else { None };
        (block, spare)
    }

    /// Puts the region first in the list and hands its usable part to the heap, or returns it.
    fn add<H: GrowableHeap>(
        &mut self,
        region: Region,
        request: NonZeroLayout,
        heap: &mut H,
    ) -> Result<(), Region> {
        let len = region.len();
        if len > self.allowed() {
            return Err(region);
        }
        let chunk = Chunk::new(region, request)?;
        // SAFETY: the chunk is live and owns its region, whose usable part nobody else has; a part that was not taken
        // is whole again with its header.
        unsafe {
            let (base, len) = usable(chunk);
            if heap.add_region(Region::from_raw(base, len)).is_err() {
                return Err(chunk.into_region().0);
            }
            chunk.set_next(self.first);
        }
        self.first = Some(chunk);
        self.held += len;
        Ok(())
    }

    /// Takes the first chunk off the heap and the list, if the heap lets it go.
    fn withdraw<H: GrowableHeap>(&mut self, heap: &mut H) -> Option<Issued> {
        let chunk = self.first?;
        // SAFETY: the chunk is live, and its usable part was handed to the heap (I1).
        unsafe {
            if !heap.take_region(usable_slice(chunk)) {
                return None;
            }
            self.first = chunk.next();
            self.held -= chunk.region_len();
            Some(chunk.into_region())
        }
    }

    /// Takes every chunk in which no block lies off the heap and the list, and returns them as a list of their own.
    ///
    /// # Safety
    ///
    /// `heap` is the one that the regions were handed to.
    pub(super) unsafe fn detach_empty<H: GrowableHeap>(&mut self, heap: &mut H) -> Option<Chunk> {
        let (mut empty, mut kept_last) = (None, None::<Chunk>);
        let mut next = self.first;
        while let Some(chunk) = next {
            // SAFETY: the chunks are live, and their usable parts were handed to the heap (I1).
            unsafe {
                next = chunk.next();
                if !heap.take_region(usable_slice(chunk)) {
                    kept_last = Some(chunk);
                    continue;
                }
                match kept_last {
                    Some(kept) => kept.set_next(next),
                    None => self.first = next,
                }
                self.held -= chunk.region_len();
                chunk.set_next(empty);
                empty = Some(chunk);
            }
        }
        empty
    }

    /// Returns the list of all chunks, which the stock forgets.
    pub(super) fn detach_all(&mut self) -> Option<Chunk> {
        self.held = 0;
        self.first.take()
    }
}

/// Gives the regions of a list of chunks back to `source`, and returns their length in bytes.
///
/// # Safety
///
/// The chunks are live, and nothing else knows or uses them; `source` issued their regions.
pub(super) unsafe fn release_chain<S: RegionSource>(mut first: Option<Chunk>, source: &S) -> usize {
    let mut released = 0;
    while let Some(chunk) = first {
        // SAFETY: the chunk is live and unused, by the caller's promise; the next one is read before it goes.
        unsafe {
            first = chunk.next();
            released += chunk.region_len();
            let (region, layout) = chunk.into_region();
            source.release(region, layout);
        }
    }
    released
}

/// Returns the part of a chunk that the heap gets.
///
/// # Safety
///
/// The chunk is live.
unsafe fn usable(chunk: Chunk) -> (NonNull<u8>, usize) {
    // SAFETY: the caller's promise is the callees'.
    unsafe {
        let base = chunk.start();
        (base, chunk.end() - base.addr().get())
    }
}

/// As [`usable`], as a slice.
///
/// # Safety
///
/// The chunk is live.
unsafe fn usable_slice(chunk: Chunk) -> NonNull<[u8]> {
    // SAFETY: the caller's promise is the callee's.
    let (base, len) = unsafe { usable(chunk) };
    NonNull::slice_from_raw_parts(base, len)
}
