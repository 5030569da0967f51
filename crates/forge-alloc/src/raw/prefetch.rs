//! Asking for a cache line before it is needed.
//!
//! # Design
//!
//! A hint changes no result, so targets and model checkers without one do nothing. The line is asked for with the right
//! to write: a free slot is read for its link and then written by its new owner, and asking once for both saves the
//! second message between the cores. A program built for processors that may lack that hint asks for reading.
#![allow(unsafe_code)]

use core::ptr::NonNull;

/// Whether a hint does anything here; where it does not, finding the address to hint at is wasted work.
#[cfg(all(feature = "std", target_has_atomic = "64"))]
pub(crate) const ENABLED: bool = cfg!(all(target_arch = "x86_64", not(loom), not(miri)));

/// Asks for the cache line at `place`, which may be any address. O(1).
#[inline(always)]
pub(crate) fn prefetch_for_writing(place: NonNull<u8>) {
    #[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
    // SAFETY: a prefetch has no effect that a program can see, whatever the address.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_ET0 }>(place.as_ptr().cast());
    }
    let _ = place;
}
