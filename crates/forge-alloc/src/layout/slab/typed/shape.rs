//! The shape of a slab: how long a slot is, which slot an offset names, and what lies behind the slots.
//!
//! ```text
//!   0          stride     2 stride          entries            map
//!   |  slot 1  |  slot 2  |  ..            | offset | ..      | state | ..        |
//!   |<--------------- slots -------------->|<-- if OFF_SLAB -->|<---- if TRACKS ----->|
//!
//!   over a guarded backing                      |       slots        |guard|
//!   | entries | map |   unused                  | slot 1 | slot 2 |..| no access
//!
//!   over a split backing                        | slots |            | entries | map |
//! ```
//!
//! # Design
//!
//! *Lines of distance.* Slots mostly start at a page and often end at one. A processor that compares no more than the offset in a
//! page takes a load of the first entry, or of the first state, for one of what was just stored to the first slot, and waits for
//! it (Intel's optimization manual calls that 4 KiB aliasing). Where the list or the map would start at the same offset in a page
//! as another part, a line is left out in front of it.

use core::marker::PhantomData;

use forge_alloc_core::{FixedRange, FreelistProtection, NonZeroLayout, align_down, align_up};

use super::super::stride::Stride;
use crate::raw::freelist::ENTRY;

/// The bytes of a line, and the distance at which processors take one address for another.
pub(super) const LINE: usize = 64;
const PERIOD: usize = 4096;

/// The shape of slots for values of type `T`.
pub(in crate::layout::slab) struct Shape<T>(PhantomData<T>);

impl<T> Shape<T> {
    /// The alignment of every slot in bytes.
    pub(in crate::layout::slab) const ALIGN: usize = if align_of::<T>() > 4 { align_of::<T>() } else { 4 };

    /// The distance between two slots in bytes, at least eight: room for a link.
    pub(in crate::layout::slab) const STRIDE: usize = {
        assert!(size_of::<T>() != 0, "a slab of a zero-sized type has no slots: use a counter");
        align_up(if size_of::<T>() > 8 { size_of::<T>() } else { 8 }, Self::ALIGN)
    };

    /// What divides by the stride.
    const DIVISOR: Stride = Stride::new(Self::STRIDE);

    /// Returns the number of the slot at an offset, counted from 0 at the offset 0; not below the number of slots if none
    /// starts there. O(1).
    #[inline(always)]
    pub(in crate::layout::slab) const fn number_at(offset: usize) -> usize {
        Self::DIVISOR.number(offset)
    }
}

/// Returns whether a slot for a `T` has room for `layout`. O(1).
#[inline(always)]
pub(in crate::layout::slab) fn fits<T>(layout: NonZeroLayout) -> bool {
    layout.align().get() <= Shape::<T>::ALIGN && layout.size().get() <= Shape::<T>::STRIDE
}

/// What a slab keeps beside its slots, and where, by the policy `M` and the backing `B`.
pub(super) struct Keeps<B, M>(PhantomData<(B, M)>);

impl<B: FixedRange, M: FreelistProtection> Keeps<B, M> {
    /// Whether the free list lies outside of the slots.
    pub(super) const OFF_SLAB: bool = M::OFF_SLAB || B::SPLIT;

    /// Whether links carry a tag.
    pub(super) const SIGNS: bool = M::SIGNS && !Self::OFF_SLAB;

    /// Whether there is a map of live slots.
    pub(super) const TRACKS: bool = M::TRACKS || B::SPLIT;

    /// Whether release builds check what is freed, and untagged links.
    pub(super) const CHECKS: bool = M::CHECKS || Self::TRACKS;
}

/// Where the parts of a slab lie.
pub(in crate::layout::slab) struct Plan {
    /// The layout of the block.
    pub(in crate::layout::slab) block: NonZeroLayout,
    /// The offset of the first slot from the start of the block.
    pub(super) slots: usize,
    /// The offset of the list from the start of the block, or of the split span.
    pub(super) entries: usize,
    /// The offset of the map from the start of the block, or of the split span.
    pub(super) map: usize,
    /// How many bytes of the split span are used.
    pub(super) split: usize,
}

impl Plan {
    /// Returns the alignment of the block in bytes.
    pub(super) const fn align<T, B: FixedRange, M: FreelistProtection>() -> usize {
        let words = Keeps::<B, M>::OFF_SLAB && !B::SPLIT;
        if words && Shape::<T>::ALIGN < ENTRY { ENTRY } else { Shape::<T>::ALIGN }
    }

    /// Returns the plan for `capacity` slots; `None` if there are none or their size overflows. `room` is the size of the
    /// block that a guarded backing has, which is taken whole, so that the last slot ends at the guard. O(1).
    pub(in crate::layout::slab) fn new<T, B: FixedRange, M: FreelistProtection>(
        capacity: u32,
        room: Option<usize>,
    ) -> Option<Self> {
        let count = usize::try_from(capacity).ok()?;
        let slots = count.checked_mul(Shape::<T>::STRIDE)?;
        let words = if Keeps::<B, M>::OFF_SLAB { count.checked_mul(ENTRY)? } else { 0 };
        let states = if Keeps::<B, M>::TRACKS { count } else { 0 };
        let align = Self::align::<T, B, M>();
        let layout = |size| NonZeroLayout::from_size_align(size, align).ok();
        // Beside the slots in their block: behind them, or in front of them if the end is the guard's.
        let behind = if B::SPLIT || room.is_some() { 0 } else { slots };
        let entries = if words == 0 { behind } else { behind.checked_next_multiple_of(ENTRY)? };
        let first = match room {
            Some(room) => align_down(room.checked_sub(slots).filter(|_| slots != 0)?, Shape::<T>::ALIGN),
            None => 0,
        };
        let entries = if words == 0 { entries } else { apart_from(&[(first, B::SPLIT)], entries)? };
        let map = entries.checked_add(words)?;
        let map = if states == 0 { map } else { apart_from(&[(first, B::SPLIT), (entries, false)], map)? };
        let aside_end = map.checked_add(states)?;
        let split = if B::SPLIT { aside_end } else { 0 };
        let Some(room) = room else {
            let size = if B::SPLIT { slots } else { aside_end };
            return Some(Self { block: layout(size)?, slots: 0, entries, map, split });
        };
        if !B::SPLIT && first < aside_end {
            return None;
        }
        Some(Self { block: layout(room)?, slots: first, entries, map, split })
    }
}

/// Returns the first offset from `start` on, in whole lines, that no processor takes for one of `parts`, of each of which is
/// said whether it lies in another mapping. O(1).
fn apart_from(parts: &[(usize, bool)], start: usize) -> Option<usize> {
    let line = |offset: usize| offset % PERIOD / LINE;
    // What lies in the same line of the same page has other addresses.
    let is_taken_for = |offset: usize, part: usize, elsewhere| {
        line(part) == line(offset) && (elsewhere || part.abs_diff(offset) >= LINE)
    };
    // Two parts leave one of three lines.
    let mut offsets = (0..3).filter_map(|lines| start.checked_add(lines * LINE));
    offsets.find(|&offset| !parts.iter().any(|&(part, elsewhere)| is_taken_for(offset, part, elsewhere)))
}

#[cfg(test)]
mod tests;
