//! The shape of a slab: how long a slot is, which slot an offset names, and what lies behind the slots.
//!
//! ```text
//!   0          stride     2 stride          slots              entries               map
//!   |  slot 1  |  slot 2  |  ..            | offset | ..      | bits of 32 slots | .. |
//!   |<--------------- slots -------------->|<-- if OFF_SLAB -->|<---- if TRACKS ----->|
//! ```

use core::marker::PhantomData;

use forge_alloc_core::{FreelistProtection, NonZeroLayout, align_up};

use super::super::stride::Stride;
use crate::raw::freelist::ENTRY;

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

/// Returns the alignment of the block in bytes.
pub(super) const fn block_align<T, M: FreelistProtection>() -> usize {
    if M::OFF_SLAB && Shape::<T>::ALIGN < ENTRY { ENTRY } else { Shape::<T>::ALIGN }
}

/// Returns where the list beside `capacity` slots starts, in bytes from the first slot; the block exists. O(1).
#[inline(always)]
pub(super) const fn entries_offset<T>(capacity: usize) -> usize {
    align_up(capacity * Shape::<T>::STRIDE, ENTRY)
}

/// Returns where the map of `capacity` slots starts, in bytes from the first slot; the block exists. O(1).
#[inline(always)]
pub(super) const fn map_offset<T, M: FreelistProtection>(capacity: usize) -> usize {
    if M::OFF_SLAB { entries_offset::<T>(capacity) + capacity * ENTRY } else { capacity * Shape::<T>::STRIDE }
}

/// Returns the layout of the block for `capacity` slots; `None` if there are none or their size overflows. O(1).
pub(in crate::layout::slab) fn block_layout<T, M: FreelistProtection>(
    capacity: u32,
) -> Option<NonZeroLayout> {
    let count = usize::try_from(capacity).ok()?;
    let slots = count.checked_mul(Shape::<T>::STRIDE)?;
    let entries = if M::OFF_SLAB {
        slots.checked_next_multiple_of(ENTRY)?.checked_add(count.checked_mul(ENTRY)?)?
    } else {
        slots
    };
    // Slots and entries end at a multiple of four, so the words of the map are aligned.
    let map = if M::TRACKS { count.div_ceil(32) * size_of::<u32>() } else { 0 };
    NonZeroLayout::from_size_align(entries.checked_add(map)?, block_align::<T, M>()).ok()
}

#[cfg(test)]
mod tests;
