//! Chunks: regions with a header at their start, linked in the order of their use.
//!
//! ```text
//!   region base                                          base + region_len
//!   | header: next, region_len, layout | usable bytes ........... | trim |
//!                                      ^ start()                  ^ end()
//! ```
//!
//! # Invariants
//!
//! - (I1) A chunk owns its region and its header is initialised, until [`Chunk::into_region`] takes it apart.
//! - (I2) `start()` and `end()` are multiples of [`CHUNK_ALIGN`], and `start() <= end()`.
//! - (I3) `end() <= usize::MAX - HEADROOM`: a cursor inside a chunk can be advanced by up to `HEADROOM` bytes without
//!   overflow.
//!
//! # Design
//!
//! The header remembers the layout that its region was requested with, because the source wants it back on release. A
//! chunk is a copyable name; the structure that links it decides when the region goes back.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{NonZeroLayout, Region, align_down};

/// The alignment in bytes of a chunk and of both ends of its usable part.
pub(crate) const CHUNK_ALIGN: usize = 16;

/// How far in bytes a cursor inside a chunk can be advanced without leaving `usize`.
pub(crate) const HEADROOM: usize = 1 << 18;

/// The bytes that a header takes from its region.
pub(crate) const HEADER_SIZE: usize = size_of::<Header>().next_multiple_of(CHUNK_ALIGN);

struct Header {
    next: Option<Chunk>,
    region_len: usize,
    layout: NonZeroLayout,
}

/// The name of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk(NonNull<Header>);

impl Chunk {
    /// Makes a chunk of `region`, which was requested with `layout`, or gives the region back if it is too small,
    /// misaligned, or too close to the top of the address space (I2, I3).
    pub(crate) fn new(region: Region, layout: NonZeroLayout) -> Result<Self, Region> {
        let base = region.base().addr().get();
        if region.len() < HEADER_SIZE
            || base % CHUNK_ALIGN != 0
            || base + region.len() > usize::MAX - HEADROOM
        {
            return Err(region);
        }
        let (base, region_len) = region.into_raw();
        let header = base.cast::<Header>();
        // SAFETY: the region is ours, long enough and aligned for a header, as checked above.
        unsafe { header.write(Header { next: None, region_len, layout }) };
        Ok(Self(header))
    }

    /// Takes the chunk apart into its region and the layout of its request.
    ///
    /// # Safety
    ///
    /// The chunk is live (I1), and nothing uses it or its bytes afterwards.
    pub(crate) unsafe fn into_region(self) -> (Region, NonZeroLayout) {
        // SAFETY: the header is initialised (I1), and the region it describes is the one that the chunk owns.
        unsafe {
            let Header { region_len, layout, .. } = self.0.read();
            (Region::from_raw(self.0.cast(), region_len), layout)
        }
    }

    /// Returns the first usable byte.
    ///
    /// # Safety
    ///
    /// The chunk is live (I1).
    #[inline]
    pub(crate) unsafe fn start(self) -> NonNull<u8> {
        // SAFETY: the region is at least as long as its header.
        unsafe { self.0.cast::<u8>().add(HEADER_SIZE) }
    }

    /// Returns the address past the last usable byte.
    ///
    /// # Safety
    ///
    /// The chunk is live (I1).
    #[inline]
    pub(crate) unsafe fn end(self) -> usize {
        // SAFETY: the header is initialised (I1).
        self.0.addr().get() + align_down(unsafe { (*self.0.as_ptr()).region_len }, CHUNK_ALIGN)
    }

    /// Returns the length of the chunk's region in bytes, header included.
    ///
    /// # Safety
    ///
    /// The chunk is live (I1).
    #[inline]
    pub(crate) unsafe fn region_len(self) -> usize {
        // SAFETY: the header is initialised (I1).
        unsafe { (*self.0.as_ptr()).region_len }
    }

    /// Returns the chunk that follows.
    ///
    /// # Safety
    ///
    /// The chunk is live (I1).
    #[inline]
    pub(crate) unsafe fn next(self) -> Option<Self> {
        // SAFETY: the header is initialised (I1).
        unsafe { (*self.0.as_ptr()).next }
    }

    /// Makes `next` the chunk that follows.
    ///
    /// # Safety
    ///
    /// The chunk is live (I1), and no other call uses its header meanwhile.
    #[inline]
    pub(crate) unsafe fn set_next(self, next: Option<Self>) {
        // SAFETY: the header is initialised (I1) and ours to write.
        unsafe { (*self.0.as_ptr()).next = next };
    }
}

#[cfg(test)]
mod tests;
