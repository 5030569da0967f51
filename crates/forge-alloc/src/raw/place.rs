//! Where a block goes: the arithmetic of every cursor.
//!
//! ```text
//!   base        next   start         end      limit        size of the range
//!    |           | pad  |   block     |        |            |
//! ```
//!
//! # Design
//!
//! The alignment holds for the address. No sum leaves the range by wrapping: `next <= isize::MAX`, rounding adds at most
//! `align - 1`, and a [`NonZeroLayout`] has `size <= isize::MAX - (align - 1)`, so the end stays below `usize::MAX`.
//! Where the base is known to be aligned, the offset alone decides; for a constant layout that choice is made at compile
//! time. Otherwise the address is rounded. Those sums may wrap at the top of the address space, and come out right,
//! because a power of two divides the modulus. They are bracketed so that only three operations depend on the cursor,
//! whose latency is what bounds a run of requests.

use forge_alloc_core::{FixedRange, NonZeroLayout};

/// The place of a block: offsets from the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Returns the lowest place for `layout` in `range` at or above `next`, which may end past the range. O(1).
#[inline(always)]
pub(crate) fn place_at<R: FixedRange>(range: &R, next: usize, layout: NonZeroLayout) -> Span {
    debug_assert!(next <= range.size());
    let (size, align) = (layout.size().get(), layout.align().get());
    if align <= R::BASE_ALIGN {
        let start = (next + (align - 1)) & !(align - 1);
        return Span { start, end: start + size };
    }
    let base = range.base().addr().get();
    let aligned = next.wrapping_add(base.wrapping_add(align - 1)) & !(align - 1);
    Span { start: aligned.wrapping_sub(base), end: aligned.wrapping_add(size.wrapping_sub(base)) }
}

/// Returns the lowest place for `layout` in `range` at or above `next` that ends at or below `limit`. O(1).
#[inline(always)]
pub(crate) fn place_below<R: FixedRange>(
    range: &R,
    next: usize,
    limit: usize,
    layout: NonZeroLayout,
) -> Option<Span> {
    debug_assert!(limit <= range.size());
    let span = place_at(range, next, layout);
    if span.end <= limit { Some(span) } else { None }
}
