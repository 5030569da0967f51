//! Power-of-two arithmetic on addresses and sizes.
//!
//! ```text
//!   align_down(x, 8)          x          align_up(x, 8)
//!        |--------------------|---------------|
//!        0x1000            0x1005          0x1008
//! ```
//!
//! All functions are `const`, take a power-of-two `align` (checked with `debug_assert!`) and cost one to three
//! instructions. A sum that would leave `usize` saturates to the highest aligned value instead of wrapping to a small
//! one, so a bound check that follows fails as it should; code that must know uses [`checked_align_up`].

/// Returns `value` rounded down to a multiple of `align` bytes. O(1).
#[inline]
#[must_use]
pub const fn align_down(value: usize, align: usize) -> usize {
    debug_assert!(align.is_power_of_two());
    value & !(align - 1)
}

/// Returns `value` rounded up to a multiple of `align` bytes, or the highest such multiple that `usize` holds. O(1).
#[inline]
#[must_use]
pub const fn align_up(value: usize, align: usize) -> usize {
    debug_assert!(align.is_power_of_two());
    align_down(value.saturating_add(align - 1), align)
}

/// Returns `value` rounded up to a multiple of `align` bytes, or `None` where that exceeds `usize::MAX`. O(1).
#[inline]
#[must_use]
pub const fn checked_align_up(value: usize, align: usize) -> Option<usize> {
    debug_assert!(align.is_power_of_two());
    match value.checked_add(align - 1) {
        Some(sum) => Some(align_down(sum, align)),
        None => None,
    }
}

/// Returns whether `value` is a multiple of `align` bytes. O(1).
#[inline]
#[must_use]
pub const fn is_aligned(value: usize, align: usize) -> bool {
    debug_assert!(align.is_power_of_two());
    value & (align - 1) == 0
}

#[cfg(test)]
mod tests;
