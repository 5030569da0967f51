//! The shape of a slab: how long a slot is, which slot an offset names, and what lies behind the slots.
//!
//! ```text
//!   0          stride     2 stride          slots              entries               map
//!   |  slot 1  |  slot 2  |  ..            | offset | ..      | bits of 32 slots | .. |
//!   |<--------------- slots -------------->|<-- if OFF_SLAB -->|<---- if TRACKS ----->|
//! ```
//!
//! # Design
//!
//! *From an offset to a slot without a division.* Let the stride be `m * 2^k` with `m` odd, and `r` the inverse of `m`
//! modulo the size of a word, which exists because `m` is odd. The function `f(x) = rotate_right(x * r, k)` is a
//! permutation of the words, since both of its steps can be undone. For a slot number `q` below 2^32 with
//! `q * stride <= isize::MAX`, `f(q * stride) = rotate_right(q * 2^k, k) = q`. So `f(x) < n` exactly if `x` is one of the
//! first `n` multiples of the stride: one comparison checks the bounds and that the offset is the start of a slot, also
//! for offsets that are negative or belong to other memory (Granlund and Montgomery, "Division by invariant integers
//! using multiplication", 1994, section 9).

use core::marker::PhantomData;

use forge_alloc_core::{FreelistProtection, NonZeroLayout, align_up};

use crate::raw::freelist::ENTRY;

/// The shape of slots for values of type `T`.
pub(super) struct Shape<T>(PhantomData<T>);

impl<T> Shape<T> {
    /// The alignment of every slot in bytes.
    pub(super) const ALIGN: usize = if align_of::<T>() > 4 { align_of::<T>() } else { 4 };

    /// The distance between two slots in bytes, at least eight: room for a link.
    pub(super) const STRIDE: usize = {
        assert!(size_of::<T>() != 0, "a slab of a zero-sized type has no slots: use a counter");
        align_up(if size_of::<T>() > 8 { size_of::<T>() } else { 8 }, Self::ALIGN)
    };

    /// The exponent of two in the stride.
    const TWOS: u32 = Self::STRIDE.trailing_zeros();

    /// The inverse of the odd part of the stride.
    const INVERSE: usize = inverse(Self::STRIDE >> Self::TWOS);

    /// Returns the number of the slot at an offset; not below the number of slots if none starts there. O(1).
    #[inline(always)]
    pub(super) const fn number_at(offset: usize) -> usize {
        offset.wrapping_mul(Self::INVERSE).rotate_right(Self::TWOS)
    }
}

/// Returns the inverse of an odd word modulo the number of words, by Newton's iteration: each step doubles the number of
/// right bits, of which an odd number as its own inverse has three.
const fn inverse(odd: usize) -> usize {
    let mut found = odd;
    let mut bits = 3;
    while bits < usize::BITS {
        found = found.wrapping_mul(2usize.wrapping_sub(odd.wrapping_mul(found)));
        bits *= 2;
    }
    found
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
pub(super) fn block_layout<T, M: FreelistProtection>(capacity: u32) -> Option<NonZeroLayout> {
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
