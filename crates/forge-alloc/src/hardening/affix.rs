//! The arithmetic of blocks with something in front and behind.
//!
//! ```text
//!   inner block                user block                   end of the inner block
//!   |<-------- prefix -------->|<------ size ------>|<- suffix ->|
//!   aligned to `floor`         aligned, if the prefix is a multiple of the alignment
//! ```
//!
//! # Invariants
//!
//! - (I1) The size of the inner layout is `prefix + size + suffix`, and its alignment the larger of `floor` and the block's.
//! - (I2) The same layout and affixes yield the same inner layout: a free finds what the allocation asked for.

use forge_alloc_core::NonZeroLayout;

/// Returns the layout of the block around a block of `layout`, with `prefix` bytes in front and `suffix` bytes behind, aligned
/// to at least `floor`; `None` if there is no such layout. O(1).
#[inline(always)]
pub(super) const fn around(
    layout: NonZeroLayout,
    prefix: usize,
    suffix: usize,
    floor: usize,
) -> Option<NonZeroLayout> {
    let align = if layout.align().get() > floor { layout.align().get() } else { floor };
    let Some(size) = layout.size().get().checked_add(suffix) else { return None };
    let Some(size) = size.checked_add(prefix) else { return None };
    match NonZeroLayout::from_size_align(size, align) {
        Ok(layout) => Some(layout),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests;
