//! Fixed regions: how long a trace needs one to be, and the mapping of one that stays.

use std::ptr::NonNull;

use anyhow::{Context as _, Result};
use forge_os::{MapOptions, Native, Os as _};
use forge_trace::TraceStats;

/// Maps at least `bytes` of memory that stays until the process ends.
pub(super) fn lasting_mapping(bytes: usize) -> Result<NonNull<[u8]>> {
    let length = bytes.checked_next_multiple_of(Native.page_size()).context("the region is too long")?;
    let start =
        Native.map(length, MapOptions::new()).with_context(|| format!("cannot map {length} bytes"))?;
    Ok(NonNull::slice_from_raw_parts(start, length))
}

/// Returns the bytes that suffice when no block is ever reused: the sum of all requests, each with its padding.
pub(super) fn bytes_without_reuse(stats: &TraceStats) -> usize {
    let requests = (stats.blocks + stats.resizes) as u64;
    // Sizes of 0 are requested as 1 byte; an alignment pads by less than itself, and an arena by at most its own unit.
    let padding = requests.saturating_mul(stats.largest_align.max(16) as u64 + 1);
    to_usize(stats.requested_bytes.saturating_add(padding).saturating_add(SPARE))
}

/// Returns the bytes of a region that a heap should find roomy: twice the peak, with room for a header per block.
#[cfg(feature = "contestants")]
pub(super) fn bytes_with_reuse(stats: &TraceStats) -> usize {
    let headers = (stats.peak_live_blocks as u64).saturating_mul(stats.largest_align.max(16) as u64 + 32);
    to_usize(stats.peak_live_bytes.saturating_add(headers).saturating_mul(2).saturating_add(SPARE))
}

/// What a region has beyond what the trace asks for, in bytes.
const SPARE: u64 = 16 << 20;

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
