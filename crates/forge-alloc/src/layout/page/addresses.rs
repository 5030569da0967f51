//! Addresses and lengths in bytes, as numbers of pages.

use forge_alloc_core::{AllocResult, HeapError};

/// Returns the alignment in pages of `align` bytes.
#[inline(always)]
pub(super) fn align_in_pages<const PAGE_SIZE: usize>(align: usize) -> AllocResult<usize> {
    if align.is_power_of_two() && align >= PAGE_SIZE {
        Ok(align / PAGE_SIZE)
    } else {
        Err(HeapError::InvalidParam)
    }
}

/// Returns the numbers of the whole pages in `size` bytes at `start`, up to the one behind them; `None` if there are none, or
/// the bytes leave the address space.
pub(super) fn whole_pages<const PAGE_SIZE: usize>(start: usize, size: usize) -> Option<(usize, usize)> {
    let last = start.checked_add(size.checked_sub(1)?)?;
    let (first, end) =
        (start.div_ceil(PAGE_SIZE), last / PAGE_SIZE + usize::from(last % PAGE_SIZE == PAGE_SIZE - 1));
    if first < end { Some((first, end)) } else { None }
}
