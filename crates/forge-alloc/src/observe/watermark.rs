//! [`Watermark`]: reports when another allocator runs full.
//!
//! ```text
//!   allocate --> inner allocator --> used += usable size --> a level is reached for the first time --> handler
//!   free     --> used -= usable size --> inner allocator
//!   refused  --> handler
//! ```
//!
//! # Invariants
//!
//! - (I1) Every block is a block of the inner allocator, with the layout that the inner allocator knows.
//! - (I2) A block counts, from its allocation or latest resize to its free, with what the inner allocator calls its usable
//!   size, and where it calls none, with its requested size.
//!
//! # Operations
//!
//! As the inner allocator's, and O(1) for the count: two multiplications and a comparison, no division. With an inner
//! allocator of many threads, one atomic read-modify-write a call.
//!
//! # Design
//!
//! What fills an allocator is what it gives out, not what it was asked for: a slab of one-byte values with slots of eight
//! bytes is full at 100 % here. Events are edges: a level fires when it is reached and not again before it is armed, by
//! [`rearm`](Watermark::rearm) or, with a hysteresis, by a fall of the use far enough below. An allocator without a bound,
//! or that has no capacity at the moment, has no share and no edges; its refusals are reported.
//!
//! The capacity is asked at each allocation, because a growing allocator changes it; it is a field where it does not
//! change. The router's capacity is its primary's, so what overflows counts against the primary and may exceed 100 %.
//!
//! A handler that unwinds would unwind through an allocator, whose callers do not expect it; it ends the process.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, CachePadded, Deallocator, FixedRange, NonZeroLayout, OsBacked, ProtectFlags,
    StableAddress,
};

use crate::forward::{
    forward_block_facts, forward_os_backed, forward_totals, forward_uncarvable_range, forward_visit,
};
use crate::layout::quarantinable::Quarantinable;
use crate::report;

pub(crate) mod event;
mod gauge;
pub(crate) mod handler;
#[cfg(feature = "std")]
mod line;
#[cfg(any(feature = "std", feature = "log"))]
pub(crate) mod log;
#[cfg(any(feature = "std", feature = "log"))]
mod text;

use event::{WatermarkEvent, WatermarkLevel, WatermarkThresholds};
use gauge::Gauge;
use handler::WatermarkHandler;

/// An allocator that tells a handler when it runs full.
///
/// # Examples
///
/// ```
/// use core::sync::atomic::{AtomicUsize, Ordering};
/// use forge_alloc::{Allocator, FnHandler, InlineBacked, NonZeroLayout, Slab, Watermark, WatermarkEvent};
///
/// let calls = AtomicUsize::new(0);
/// let count = |_: WatermarkEvent| {
///     calls.fetch_add(1, Ordering::Relaxed);
/// };
/// let slab = Watermark::new(Slab::<u64, _>::new(16, InlineBacked::<128>::new())?, FnHandler(count));
/// for _ in 0..12 {
///     slab.allocate(NonZeroLayout::for_type::<u64>().unwrap())?;
/// }
/// assert_eq!((slab.allocated_bytes(), calls.load(Ordering::Relaxed)), (96, 1)); // 75 %
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
#[derive(Debug)]
pub struct Watermark<I, H> {
    inner: I,
    handler: H,
    gauge: CachePadded<Gauge>,
}

impl<I: Allocator, H: WatermarkHandler> Watermark<I, H> {
    /// Returns `inner` with the thresholds 75 % and 90 %. O(1).
    #[must_use]
    pub fn new(inner: I, handler: H) -> Self {
        Self::with_thresholds(inner, handler, WatermarkThresholds::USUAL)
    }

    /// Returns `inner` with thresholds of one's own. O(1).
    ///
    /// A share that reaches both thresholds is reported as critical only. Blocks that are live already are not counted.
    #[must_use]
    pub fn with_thresholds(inner: I, handler: H, thresholds: WatermarkThresholds) -> Self {
        Self { inner, handler, gauge: CachePadded::new(Gauge::new(thresholds, 0)) }
    }

    /// Returns the allocator with a hysteresis, and both levels armed. O(1).
    ///
    /// A level that has fired is armed again when the use has fallen by at least `points` percentage points below its
    /// threshold, or to nothing where the threshold is smaller than that; the warning level, only together with the critical
    /// one or after it. With 0 points, as without this call, only [`rearm`](Self::rearm) does that.
    #[must_use]
    pub fn with_hysteresis(self, points: u8) -> Self {
        let gauge = CachePadded::new(self.gauge.into_inner().with_hysteresis(points));
        Self { gauge, ..self }
    }

    /// Returns how many bytes are used: the usable sizes of the live blocks. O(1).
    ///
    /// Exact if all that was counted happened before the call.
    pub fn allocated_bytes(&self) -> usize {
        self.gauge.used()
    }

    /// Returns the handler.
    pub const fn handler(&self) -> &H {
        &self.handler
    }

    /// Returns the inner allocator. Blocks that are taken from it directly are not counted.
    #[inline]
    pub const fn inner(&self) -> &I {
        &self.inner
    }

    /// Returns the inner allocator and the handler. O(1).
    pub fn into_parts(self) -> (I, H) {
        (self.inner, self.handler)
    }

    /// Arms both levels again: each fires when it is reached by the next allocation. O(1).
    pub fn rearm(&self) {
        self.gauge.rearm();
    }

    /// Returns what a block counts (I2).
    ///
    /// # Safety
    ///
    /// As [`Allocator::usable_size`].
    #[inline(always)]
    unsafe fn counted_size(&self, ptr: NonNull<u8>, layout: NonZeroLayout) -> usize {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.inner.usable_size(ptr, layout) }.unwrap_or(layout.size().get())
    }

    /// Returns the capacity, or 0 for none.
    #[inline(always)]
    fn capacity(&self) -> usize {
        self.inner.capacity_bytes().unwrap_or(0)
    }

    /// Counts a fresh block of `bytes` bytes.
    #[inline(always)]
    fn rise(&self, bytes: usize) {
        let used = self.gauge.rise(bytes, self.inner.is_single_threaded());
        let capacity = self.capacity();
        if self.gauge.may_fire(used, capacity) && capacity != 0 {
            self.report_level(used, capacity);
        }
    }

    /// Takes `bytes` bytes off the count.
    #[inline(always)]
    fn fall(&self, bytes: usize) {
        if self.gauge.fall(bytes, self.inner.is_single_threaded()) {
            self.settle();
        }
    }

    /// Arms the levels that a fall of the use arms again.
    #[cold]
    #[inline(never)]
    fn settle(&self) {
        self.gauge.settle(self.capacity(), self.inner.is_single_threaded());
    }

    /// Counts an allocation that was tried, or reports that it was refused.
    #[inline(always)]
    fn counted(
        &self,
        block: Result<NonNull<[u8]>, AllocError>,
        layout: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        match block {
            // SAFETY: the block is live and has this layout.
            Ok(block) => self.rise(unsafe { self.counted_size(block.cast(), layout) }),
            Err(_) => self.report_refusal(layout),
        }
        block
    }

    /// Resizes a block by `resize`, and counts the difference or reports that it was refused.
    ///
    /// # Safety
    ///
    /// `ptr` is a live block with the layout `old`; `resize` resizes it to the layout `new`.
    #[inline(always)]
    unsafe fn resized(
        &self,
        ptr: NonNull<u8>,
        [old, new]: [NonZeroLayout; 2],
        resize: impl FnOnce(&I) -> Result<NonNull<[u8]>, AllocError>,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the block is live with this layout until `resize`.
        let before = unsafe { self.counted_size(ptr, old) };
        let block = resize(&self.inner);
        match block {
            Ok(block) => {
                // SAFETY: the block is live and has this layout.
                let after = unsafe { self.counted_size(block.cast(), new) };
                if after >= before {
                    self.rise(after - before);
                } else {
                    self.fall(before - after);
                }
            }
            Err(_) => self.report_refusal(new),
        }
        block
    }

    /// Reports a level, if `used` of `capacity` bytes make one fire.
    #[cold]
    #[inline(never)]
    fn report_level(&self, used: usize, capacity: usize) {
        let Some(level) = self.gauge.fire(used, capacity, self.inner.is_single_threaded()) else { return };
        let event =
            WatermarkEvent { level, allocated_bytes: used, capacity_bytes: capacity, requested_layout: None };
        report::call_watermark_handler(|| match level {
            WatermarkLevel::Warn => self.handler.on_warn(event),
            _ => self.handler.on_critical(event),
        });
    }

    /// Reports that a request was refused.
    #[cold]
    #[inline(never)]
    fn report_refusal(&self, layout: NonZeroLayout) {
        let event = WatermarkEvent {
            level: WatermarkLevel::Oom,
            allocated_bytes: self.allocated_bytes(),
            capacity_bytes: self.capacity(),
            requested_layout: Some(layout),
        };
        report::call_watermark_handler(|| self.handler.on_oom(event));
    }
}

// SAFETY: every block is the inner allocator's (I1), which takes it back; counting is safe from any thread.
unsafe impl<I: Allocator, H: WatermarkHandler> Deallocator for Watermark<I, H> {
    #[inline(always)]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the caller's promises are the callees' (I1).
        unsafe {
            self.fall(self.counted_size(ptr, layout));
            self.inner.deallocate(ptr, layout);
        }
    }
}

// SAFETY: every call reaches the inner allocator, which keeps the contract, and returns what it returns (I1). A handler
// cannot unwind out of a call.
unsafe impl<I: Allocator, H: WatermarkHandler> Allocator for Watermark<I, H> {
    #[inline(always)]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.counted(self.inner.allocate(layout), layout)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.counted(self.inner.allocate_zeroed(layout), layout)
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callees' (I1).
        unsafe { self.resized(ptr, [old, new], |inner| inner.grow(ptr, old, new)) }
    }

    #[inline]
    unsafe fn grow_zeroed(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callees' (I1).
        unsafe { self.resized(ptr, [old, new], |inner| inner.grow_zeroed(ptr, old, new)) }
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callees' (I1).
        unsafe { self.resized(ptr, [old, new], |inner| inner.shrink(ptr, old, new)) }
    }

    /// Resets the inner allocator; nothing is used then. With a hysteresis this arms the levels.
    #[inline]
    fn reset(&mut self) -> Result<(), AllocError> {
        self.inner.reset()?;
        self.gauge.empty();
        Ok(())
    }

    forward_block_facts!(inner);
    forward_totals!(inner);
    forward_visit!(inner);
}

// SAFETY: the range is the inner allocator's, and blocks are its blocks (I1). Nobody carves it.
unsafe impl<I: FixedRange, H> FixedRange for Watermark<I, H> {
    forward_uncarvable_range!(inner: I);
}

// SAFETY: the mapping is the inner allocator's.
unsafe impl<I: OsBacked, H: WatermarkHandler> OsBacked for Watermark<I, H> {
    forward_os_backed!(inner);
}

// SAFETY: every block is the inner allocator's (I1), and a move of the wrapper moves it and the count.
unsafe impl<I: StableAddress, H> StableAddress for Watermark<I, H> {}

impl<I: Allocator + Quarantinable, H: WatermarkHandler> Quarantinable for Watermark<I, H> {}

#[cfg(test)]
mod tests;
