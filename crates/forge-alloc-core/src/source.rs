//! Where structures that grow obtain more memory: "give me at least this much".
//!
//! ```text
//!   growing structure --request(layout)--> source        (cold path: chunks, segments, slabs)
//!                     <------ Region ------
//!                     ------ release ----->
//! ```
//!
//! # Design
//!
//! The receiver is `&self`, so that one source can serve several structures, and it is called on cold paths only, with
//! no lock held. A [`Region`] is owned and has no lifetime, and a source may be a pool on somebody's stack: `request` is
//! therefore `unsafe`, and a structure that owns its source keeps the promise by releasing its regions in its drop.
//! A source that must not be asked again returns an error; [`NoSource`] always does, and turns a growing structure into
//! a fixed one. This is the seam that a page allocator, a mapping, a static pool and the host heap stand behind.
#![allow(unsafe_code)]

use crate::{AllocError, NonZeroLayout, Region};

/// A supplier of regions.
///
/// # Safety
///
/// A region that `request` returns satisfies the invariants of [`Region`], is at least `layout.size()` bytes long,
/// starts at a multiple of `layout.align()`, and stays valid at its place until it is released or the source is
/// dropped, also while the source is moved.
pub unsafe trait RegionSource {
    /// Returns a region of at least `layout.size()` bytes at `layout.align()`, with unspecified contents.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if there is none; nothing changes.
    ///
    /// # Safety
    ///
    /// The region, and all that is made of it, is out of use before the source is dropped: a [`Region`] has no lifetime
    /// that would say so.
    unsafe fn request(&self, layout: NonZeroLayout) -> Result<Region, AllocError>;

    /// Takes a region back.
    ///
    /// # Safety
    ///
    /// `region` is one that `request` of this source returned, whole; `layout` is the one of that request; nothing
    /// uses its bytes any more.
    unsafe fn release(&self, region: Region, layout: NonZeroLayout);
}

/// The source that has nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSource;

// SAFETY: no region is ever returned.
unsafe impl RegionSource for NoSource {
    unsafe fn request(&self, _: NonZeroLayout) -> Result<Region, AllocError> {
        Err(AllocError)
    }

    unsafe fn release(&self, _: Region, _: NonZeroLayout) {}
}

// SAFETY: every call reaches the one referent, which keeps the contract.
unsafe impl<S: RegionSource + ?Sized> RegionSource for &S {
    unsafe fn request(&self, layout: NonZeroLayout) -> Result<Region, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { (**self).request(layout) }
    }

    unsafe fn release(&self, region: Region, layout: NonZeroLayout) {
        // SAFETY: the caller's promises are the callee's.
        unsafe { (**self).release(region, layout) }
    }
}
