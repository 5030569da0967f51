//! [`page_size`], read from the system once, and the usual huge page size.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::platform;

/// Zero until the first call; then the page size.
static CACHED: AtomicUsize = AtomicUsize::new(0);

/// Assumed where the system reports something that is not a power of two, and where there is no system.
const FALLBACK: usize = 4096;

/// Returns the page size in bytes: a power of two, read from the system once and then from an atomic.
///
/// Without an operating system it is 4096.
#[inline]
#[must_use]
pub fn page_size() -> usize {
    // Relaxed: the value stands alone, and every thread that finds zero computes the same one.
    match CACHED.load(Ordering::Relaxed) {
        0 => read_page_size(),
        size => size,
    }
}

#[cold]
fn read_page_size() -> usize {
    let size = plausible(platform::page_size());
    CACHED.store(size, Ordering::Relaxed);
    size
}

fn plausible(reported: usize) -> usize {
    if reported.is_power_of_two() && reported >= 512 { reported } else { FALLBACK }
}

/// Returns the huge page size in bytes that the target's processors use by default: 32 MiB on 64-bit ARM
/// macOS (16 KiB pages), otherwise 2 MiB. A constant, not a system call: for rounding, not a promise that the
/// system has any.
#[inline]
#[must_use]
pub const fn default_huge_page_size() -> usize {
    if cfg!(all(target_vendor = "apple", target_arch = "aarch64")) { 32 << 20 } else { 2 << 20 }
}

#[cfg(test)]
mod tests;
