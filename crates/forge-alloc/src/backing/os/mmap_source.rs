//! Regions straight from the operating system: one mapping each.
//!
//! # Operations
//!
//! [`request`](RegionSource::request): one system call, up to three for an alignment above the page size.
//! [`release`](RegionSource::release): one.
//!
//! # Design
//!
//! The source keeps nothing, so it is as large as its system handle (the native one has no size) and serves any number
//! of structures and threads. Whoever wants fewer system calls asks for larger regions.
#![allow(unsafe_code)]

use forge_alloc_core::align::checked_align_up;
use forge_alloc_core::{AllocError, NonZeroLayout, Region, RegionSource};
use forge_os::{MapOptions, Native, Os};

use super::last_error::record;

/// Regions of zeroed memory, each a mapping of whole pages.
///
/// # Examples
///
/// ```
/// use forge_alloc::{AllocError, MmapSource, NonZeroLayout, RegionSource};
///
/// # fn main() -> Result<(), AllocError> {
/// let source = MmapSource::new();
/// let layout = NonZeroLayout::from_size_align(100_000, 1 << 16).map_err(|_| AllocError)?;
/// // SAFETY: the region is released below, before the source is dropped.
/// let region = unsafe { source.request(layout) }?;
/// assert!(region.len() >= 100_000);
/// // SAFETY: the region came from this source for this layout and is not used again.
/// unsafe { source.release(region, layout) };
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MmapSource<O: Os = Native> {
    os: O,
}

impl MmapSource {
    /// Returns the source of the operating system.
    #[must_use]
    pub const fn new() -> Self {
        Self { os: Native }
    }
}

impl<O: Os> MmapSource<O> {
    /// Returns the source of the system `os`.
    #[must_use]
    pub const fn on(os: O) -> Self {
        Self { os }
    }
}

// SAFETY: a region is a whole fresh mapping: exclusive, aligned as asked, at least as long as asked, and in place until
// it is unmapped, whatever happens to the source.
unsafe impl<O: Os> RegionSource for MmapSource<O> {
    unsafe fn request(&self, layout: NonZeroLayout) -> Result<Region, AllocError> {
        // A `NonZeroLayout` has at most `isize::MAX` bytes, so rounding overflows on no system; zero would be refused.
        let len = checked_align_up(layout.size().get(), self.os.page_size()).unwrap_or(0);
        let options = MapOptions::new().with_alignment(layout.align().get());
        let base = self.os.map(len, options).map_err(record)?;
        // SAFETY: the mapping is fresh, exclusively the caller's, and `len` bytes long.
        Ok(unsafe { Region::from_raw(base, len) })
    }

    unsafe fn release(&self, region: Region, _: NonZeroLayout) {
        let (base, len) = region.into_raw();
        // SAFETY: the region is a whole mapping of this system, and nothing uses it any more.
        if let Err(failure) = unsafe { self.os.unmap(base, len) } {
            record(failure);
        }
    }
}

#[cfg(test)]
mod tests;
