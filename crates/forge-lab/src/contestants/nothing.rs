//! The allocator that does nothing: every block is the same scratch memory. It shows what the replay itself costs.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use anyhow::{Context as _, Result};
use forge_alloc::{AllocError, Allocator, Deallocator, NonZeroLayout};

use super::region;
use crate::trial::Trial;

/// An allocator whose blocks all overlap, for a replay that only writes to them. Not a contestant.
#[derive(Debug)]
pub(super) struct Nothing {
    scratch: NonNull<u8>,
    bytes: usize,
}

impl Nothing {
    /// Returns the allocator with as much touched scratch memory as the trace's largest block needs.
    pub(super) fn for_trial(trial: &Trial) -> Result<Self> {
        let stats = trial.stats();
        let bytes = stats
            .largest
            .max(1)
            .checked_add(stats.largest_align)
            .context("the largest block is too large")?;
        let scratch = region::lasting_mapping(bytes)?;
        // SAFETY: the mapping is ours and this long.
        unsafe { scratch.cast::<u8>().write_bytes(0, scratch.len()) };
        Ok(Self { scratch: scratch.cast(), bytes: scratch.len() })
    }

    #[inline]
    fn block(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let start = self.scratch.align_offset(layout.align().get());
        let end = start.checked_add(layout.size().get()).ok_or(AllocError)?;
        if end > self.bytes {
            return Err(AllocError);
        }
        // SAFETY: `start` lies within the mapping.
        Ok(NonNull::slice_from_raw_parts(unsafe { self.scratch.add(start) }, layout.size().get()))
    }
}

// SAFETY: there is nothing to take back.
unsafe impl Deallocator for Nothing {
    #[inline]
    unsafe fn deallocate(&self, _: NonNull<u8>, _: NonZeroLayout) {}
}

// SAFETY: blocks are aligned, long enough and never move, and no method unwinds. They do overlap, against the contract;
// the only user is a replay that does not verify, which writes through raw pointers and reads nothing back.
unsafe impl Allocator for Nothing {
    #[inline]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.block(layout)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.block(layout)
    }

    #[inline]
    unsafe fn grow(
        &self,
        _: NonNull<u8>,
        _: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        self.block(new)
    }

    #[inline]
    unsafe fn shrink(
        &self,
        _: NonNull<u8>,
        _: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        self.block(new)
    }
}
