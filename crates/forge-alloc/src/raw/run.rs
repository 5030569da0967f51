//! Free runs of a heap: the links and the lengths in memory that nobody uses.
//!
//! ```text
//!    0      8      16       24                                      8 n
//!    | next | prev | length | ..                         | length |        n granules of 8 bytes, n >= 2
//!                     one end or both, as the heap and its index need it
//! ```
//!
//! # Design
//!
//! A run is at least as long as its two links. Links are pointers, so that what is reached through them keeps the provenance
//! of the region, and their places are the same for short and long pointers. Every word is read with the type that it was
//! written with.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use super::boundary::GRANULE;

/// A link of a list of runs; `None` ends it.
pub(crate) type Link = Option<NonNull<u8>>;

/// The length of the shortest run in granules.
pub(crate) const SHORTEST: usize = 2;

/// Reads the link to the next run. O(1).
///
/// # Safety
///
/// `run` is a free run whose next link was written.
#[inline(always)]
pub(crate) unsafe fn next(run: NonNull<u8>) -> Link {
    // SAFETY: the caller promises that the link is there.
    unsafe { run.cast::<Link>().read() }
}

/// Reads the link to the previous run. O(1).
///
/// # Safety
///
/// `run` is a free run whose previous link was written.
#[inline(always)]
pub(crate) unsafe fn prev(run: NonNull<u8>) -> Link {
    // SAFETY: the caller promises that the link is there.
    unsafe { run.add(GRANULE).cast::<Link>().read() }
}

/// Writes the link to the next run. O(1).
///
/// # Safety
///
/// `run` is a free run, aligned to a granule, and its owner holds its memory alone.
#[inline(always)]
pub(crate) unsafe fn set_next(run: NonNull<u8>, link: Link) {
    // SAFETY: the caller promises room and exclusiveness.
    unsafe { run.cast::<Link>().write(link) };
}

/// Writes the link to the previous run. O(1).
///
/// # Safety
///
/// As [`set_next`].
#[inline(always)]
pub(crate) unsafe fn set_prev(run: NonNull<u8>, link: Link) {
    // SAFETY: the caller promises room and exclusiveness.
    unsafe { run.add(GRANULE).cast::<Link>().write(link) };
}

/// Reads the length at the beginning of a run, in granules. O(1).
///
/// # Safety
///
/// `run` is a free run whose length was written there.
#[inline(always)]
pub(crate) unsafe fn length(run: NonNull<u8>) -> usize {
    // SAFETY: the caller promises that the length is there.
    unsafe { run.add(2 * GRANULE).cast::<usize>().read() }
}

/// Writes the length at the beginning of a run. O(1).
///
/// # Safety
///
/// As [`set_next`], and the run is at least three granules long.
#[inline(always)]
pub(crate) unsafe fn set_length(run: NonNull<u8>, granules: usize) {
    // SAFETY: the caller promises room and exclusiveness.
    unsafe { run.add(2 * GRANULE).cast::<usize>().write(granules) };
}

/// Reads the length at the end of a run that ends at `end`, in granules. O(1).
///
/// # Safety
///
/// A free run whose length was written at its end lies right before `end`, which carries its provenance.
#[inline(always)]
pub(crate) unsafe fn length_before(end: NonNull<u8>) -> usize {
    // SAFETY: the caller promises that the length is there.
    unsafe { end.sub(GRANULE).cast::<usize>().read() }
}

/// Writes the length of `run` at its beginning and at its end. O(1).
///
/// # Safety
///
/// As [`set_length`].
#[inline(always)]
pub(crate) unsafe fn set_lengths(run: NonNull<u8>, granules: usize) {
    // SAFETY: the last granule is the run's.
    unsafe {
        set_length(run, granules);
        run.add((granules - 1) * GRANULE).cast::<usize>().write(granules);
    }
}

#[cfg(test)]
mod tests;
