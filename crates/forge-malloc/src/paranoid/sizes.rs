//! What a request needs, and where its block lies: arithmetic only.
//!
//! ```text
//!   slot: `span` pages and a guard
//!
//!   lo                       first        start          end of the block        hi
//!   |  guards ..             | lead       | block        | slack |   guards ..   | guard |
//!                            |<-- pages that are opened: `open` bytes -->|
//! ```
//!
//! # Invariants
//!
//! - (I1) `first <= start`, and `lead = start - first` is less than a page.
//! - (I2) The opened pages end where a page begins that belongs to the slot and stays a guard.
//! - (I3) `slack` is less than the alignment and less than a page.
//!
//! # Operations
//!
//! O(1).
//!
//! # Design
//!
//! Slots have four sizes to a doubling, so that address space is wasted by a quarter at most; memory is not wasted by it at all, since only
//! the pages of the block are opened. An alignment above the page size takes as many more addresses in its slot.

/// The most classes of slots; the largest is beyond any address space.
pub(super) const CLASSES: usize = 144;

/// What a request needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) size: usize,
    pub(super) align: usize,
    pub(super) class: usize,
}

/// Where a block lies. Addresses and lengths in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) first: usize,
    pub(super) open: usize,
    pub(super) lead: usize,
    pub(super) slack: usize,
}

impl Request {
    /// Returns what `size` bytes at a multiple of the power of two `align` need; none if no address space has it.
    pub(super) fn of(size: usize, align: usize, page: usize) -> Option<Self> {
        let bytes = size.max(1).checked_next_multiple_of(page)?.checked_add(align.saturating_sub(page))?;
        let class = class_of(bytes.div_ceil(page));
        (bytes <= isize::MAX as usize && class < CLASSES).then_some(Self { size, align, class })
    }

    /// Returns the bytes of a slot for it, with the guard; none if no address space has them.
    pub(super) fn slot_bytes(&self, page: usize) -> Option<usize> {
        span_of(self.class)?.checked_add(1)?.checked_mul(page).filter(|&bytes| bytes <= isize::MAX as usize)
    }

    /// Returns where in a slot whose guard is at `hi` the block lies: as far behind as its alignment lets it.
    pub(super) fn place(&self, hi: usize, page: usize) -> Place {
        let start = hi.wrapping_sub(self.size.max(1)) & !(self.align - 1);
        Place::of(start, self.size, page)
    }
}

impl Place {
    /// Returns the place of a block from its start and size. A block without a byte opens no page: it lies in a guard.
    pub(super) fn of(start: usize, size: usize, page: usize) -> Self {
        if size == 0 {
            return Self { start, first: start, open: 0, lead: 0, slack: 0 };
        }
        let first = start & !(page - 1);
        let lead = start - first;
        let open = (lead + size).next_multiple_of(page);
        Self { start, first, open, lead, slack: open - lead - size }
    }
}

/// Returns the smallest class of slots with at least this many pages, at least 1.
fn class_of(pages: usize) -> usize {
    let below = pages.saturating_sub(1);
    if below < 4 {
        return below;
    }
    let log = below.ilog2() as usize;
    4 * (log - 1) + (below >> (log - 2)) - 4
}

/// Returns the pages of a slot of a class, without the guard.
fn span_of(class: usize) -> Option<usize> {
    if class < 4 {
        return Some(class + 1);
    }
    let (quarters, shift) = (class % 4 + 5, class / 4 - 1);
    // What is shifted out would be lost silently.
    (shift < quarters.leading_zeros() as usize).then(|| quarters << shift)
}

#[cfg(test)]
mod tests;
