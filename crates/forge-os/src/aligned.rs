//! Mapping at an alignment above the page size: map too much, keep the aligned middle, return both ends.
//!
//! ```text
//!   raw                aligned                   aligned + len        raw + len + alignment - granule
//!   ├──── head ────────┼────────── kept ─────────┼──── tail ──────────┤
//!         unmapped                                      unmapped
//! ```

#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::OsError;

/// Maps `len` bytes aligned to `alignment` with a `map` that guarantees only `granule` and an `unmap` for
/// parts.
///
/// # Errors
///
/// Whatever `map` or `unmap` report. Nothing stays mapped, unless the system refuses to take the pages back
/// twice.
///
/// # Safety
///
/// * `map(n)` returns a fresh mapping of `n` bytes aligned to `granule`.
/// * `unmap` returns a part of it, in multiples of `granule`.
/// * `granule` and `alignment` are powers of two; `len` is a multiple of `granule`; `len + alignment` does
///   not overflow.
pub(crate) unsafe fn map_aligned(
    len: usize,
    granule: usize,
    alignment: usize,
    map: impl FnOnce(usize) -> Result<NonNull<u8>, OsError>,
    unmap: impl Fn(NonNull<u8>, usize) -> Result<(), OsError>,
) -> Result<NonNull<u8>, OsError> {
    if alignment <= granule {
        return map(len);
    }
    let slack = alignment - granule;
    let raw = map(len + slack)?;
    let head = raw.addr().get().wrapping_neg() & (alignment - 1);
    let tail = slack - head;
    // SAFETY: `raw` is a multiple of `granule`, so `head <= alignment - granule = slack`, inside the mapping.
    let aligned = unsafe { raw.add(head) };
    if head != 0 {
        if let Err(error) = unmap(raw, head) {
            // The first error is the one to report; a second refusal leaves nothing else to try.
            let _ = unmap(raw, len + slack);
            return Err(error);
        }
    }
    if tail != 0 {
        // SAFETY: `head + len + tail` is the length of the mapping, so the tail starts inside it.
        let end = unsafe { aligned.add(len) };
        if let Err(error) = unmap(end, tail) {
            let _ = unmap(aligned, len + tail);
            return Err(error);
        }
    }
    Ok(aligned)
}

#[cfg(test)]
mod tests;
