//! One owned mapping of a system: what every OS backing is built on.
//!
//! ```text
//!   base                           base + size      base + size + guard
//!    |<-------- usable bytes -------->|<-- no access -->|
//!    |<---------------- one mapping ------------------->|
//! ```
//!
//! # Invariants
//!
//! - (I1) `base` starts a live mapping of `size + guard` bytes of the system `os`; this value is its only owner.
//! - (I2) `base` is a multiple of `MIN_PAGE`; `size` is a multiple of `granule` and not zero.
//! - (I3) Outside `[base, base + size)` nothing is released or protected after construction.
//!
//! # Operations
//!
//! One system call each; building takes two more at most for an alignment above the page size, and two for a guard.
//!
//! # Design
//!
//! Lengths of zero, and lengths that overflow when rounded, are passed to the system as zero: it rejects them as it
//! rejects every other bad length, under its own name for the call. The alignment `MIN_PAGE` is asked for explicitly
//! instead of being believed, because `FixedRange::BASE_ALIGN` must hold on every system; where pages are larger the
//! wish costs nothing.
#![allow(unsafe_code)]

use core::any::TypeId;
use core::ptr::NonNull;

use forge_alloc_core::align::checked_align_up;
use forge_alloc_core::{ProtectFlags, is_aligned};
use forge_os::{MapOptions, Native, Os, OsError, Protection};

use super::last_error::record;

/// The alignment in bytes that every mapping has: the smallest page of any supported system.
pub(super) const MIN_PAGE: usize = 4096;

/// An owned mapping, unmapped when dropped.
pub(super) struct Mapping<O: Os> {
    os: O,
    base: NonNull<u8>,
    size: usize,
    guard: usize,
    granule: usize,
}

/// A span of a mapping that was checked: inside it and made of whole pages.
#[derive(Clone, Copy)]
pub(super) struct PageSpan {
    pub(super) start: usize,
    pub(super) end: usize,
}

// SAFETY: the value owns the mapping alone (I1), and a mapping belongs to the process, not to a thread.
unsafe impl<O: Os> Send for Mapping<O> {}

impl<O: Os> Mapping<O> {
    /// Maps `size` bytes, rounded up to whole pages of `granule` bytes (a power of two), and one more page behind them
    /// if `guarded`. The guard page is not protected yet.
    ///
    /// # Errors
    ///
    /// What the system reports; nothing is mapped then.
    pub(super) fn new(
        os: O,
        size: usize,
        granule: usize,
        guarded: bool,
        options: MapOptions,
    ) -> Result<Self, OsError> {
        let guard = if guarded { os.page_size() } else { 0 };
        let size = checked_align_up(size, granule).unwrap_or(0);
        let len = if size == 0 { 0 } else { size.checked_add(guard).unwrap_or(0) };
        let base = os.map(len, options.with_alignment(options.alignment.max(MIN_PAGE)))?;
        Ok(Self { os, base, size, guard, granule })
    }

    /// Takes every right to the guard page away, after committing it if the mapping is `reserved` only.
    ///
    /// # Errors
    ///
    /// What the system reports.
    pub(super) fn arm_guard(&self, reserved: bool) -> Result<(), OsError> {
        // SAFETY: the guard starts where the usable bytes end, inside the mapping (I1).
        let guard = unsafe { self.base.add(self.size) };
        if reserved {
            // SAFETY: the guard is whole pages of a mapping made for committing.
            unsafe { self.os.commit(guard, self.guard)? };
        }
        // SAFETY: the guard is whole committed pages of the mapping, outside the range that anyone is handed (I3), so
        // nothing accesses it.
        unsafe { self.os.protect(guard, self.guard, Protection::NONE) }
    }

    #[inline(always)]
    pub(super) fn os(&self) -> O {
        self.os
    }

    #[inline(always)]
    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    #[inline(always)]
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// Returns whether the running system, not a simulated one, made the mapping.
    #[inline]
    pub(super) fn is_native(&self) -> bool {
        TypeId::of::<O>() == TypeId::of::<Native>()
    }

    #[inline]
    pub(super) const fn granule(&self) -> usize {
        self.granule
    }

    /// Returns the offsets of `size` bytes at `ptr`, or an error of `call` if the span leaves the usable bytes or is
    /// not made of whole pages.
    pub(super) fn span(
        &self,
        call: &'static str,
        ptr: NonNull<u8>,
        size: usize,
    ) -> Result<PageSpan, OsError> {
        let start = ptr.addr().get().wrapping_sub(self.base.addr().get());
        let inside = start <= self.size && size <= self.size - start;
        if !inside || !is_aligned(start, self.granule) || !is_aligned(size, self.granule) {
            return Err(OsError::invalid_argument(call));
        }
        Ok(PageSpan { start, end: start + size })
    }

    /// Gives the pages of a span back to the system.
    ///
    /// # Safety
    ///
    /// `span` came from [`Mapping::span`] of this mapping (or is a part of such a span, in whole pages), is committed,
    /// and nothing relies on its contents.
    pub(super) unsafe fn release(&self, span: PageSpan) -> Result<(), OsError> {
        if span.start == span.end {
            return Ok(());
        }
        // SAFETY: the span is inside the mapping (I1), in whole pages; nothing relies on its contents.
        unsafe { self.os.release_pages(self.base.add(span.start), span.end - span.start).map(|_contents| ()) }
    }

    /// Sets the rights of the pages of a span.
    ///
    /// # Safety
    ///
    /// `span` came from [`Mapping::span`] of this mapping, is committed, and nothing accesses it against `flags`.
    pub(super) unsafe fn protect(&self, span: PageSpan, flags: ProtectFlags) -> Result<(), OsError> {
        if span.start == span.end {
            return Ok(());
        }
        // SAFETY: the span is inside the mapping (I1), in whole pages; the caller keeps the rights.
        unsafe { self.os.protect(self.base.add(span.start), span.end - span.start, protection(flags)) }
    }
}

impl<O: Os> Drop for Mapping<O> {
    fn drop(&mut self) {
        // SAFETY: this is the whole mapping, and its owner's end is the end of its use (I1).
        if let Err(failure) = unsafe { self.os.unmap(self.base, self.size + self.guard) } {
            record(failure);
        }
    }
}

/// Returns the same rights as the OS layer's type.
fn protection(flags: ProtectFlags) -> Protection {
    let mut rights = Protection::NONE;
    if flags.read {
        rights = rights | Protection::READ;
    }
    if flags.write {
        rights = rights | Protection::WRITE;
    }
    if flags.exec {
        rights = rights | Protection::EXECUTE;
    }
    rights
}

#[cfg(test)]
mod tests;
