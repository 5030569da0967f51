//! One owned mapping of a system: what every OS backing is built on.
//!
//! ```text
//!      base - front           base                           base + size      base + size + guard
//!       |<---- no access ------>|<-------- usable bytes -------->|<-- no access -->|
//!       |<---------------------------- one mapping ------------------------------->|
//! ```
//!
//! # Invariants
//!
//! - (I1) `base - front` starts a live mapping of `front + size + guard` bytes of the system `os`; this value is its only
//!   owner.
//! - (I2) `base` is a multiple of `MIN_PAGE`; `size` is a multiple of `granule` and not zero.
//! - (I3) Outside `[base, base + size)` nothing is released or protected after construction.
//!
//! # Operations
//!
//! One system call each; building takes two more at most for an alignment above the page size, and up to three for a guard.
//!
//! # Design
//!
//! Lengths of zero, and lengths that overflow when rounded, are passed to the system as zero: it rejects them as it
//! rejects every other bad length, under its own name for the call. The alignment `MIN_PAGE` is asked for explicitly
//! instead of being believed, because `FixedRange::BASE_ALIGN` must hold on every system; where pages are larger the
//! wish costs nothing.
//!
//! Guards are markers in the page table where the system has them (`MADV_GUARD_INSTALL`): they split no mapping, of which a
//! process has some 65,000, and a child of `fork` has them too. Elsewhere pages without rights do the same, one more mapping
//! or two each.
#![allow(unsafe_code)]

use core::any::TypeId;
use core::ptr::NonNull;

use forge_alloc_core::align::checked_align_up;
use forge_alloc_core::{ProtectFlags, is_aligned};
use forge_os::{Advice, MapOptions, Native, Os, OsError, Protection};

use super::last_error::record;

/// The alignment in bytes that every mapping has: the smallest page of any supported system.
pub(super) const MIN_PAGE: usize = 4096;

/// An owned mapping, unmapped when dropped.
pub(super) struct Mapping<O: Os> {
    os: O,
    base: NonNull<u8>,
    front: usize,
    size: usize,
    guard: usize,
    granule: usize,
}

/// Which guards a mapping has outside of its usable bytes.
#[derive(Clone, Copy)]
pub(super) struct Guards {
    /// Whether there is one directly in front of them.
    pub(super) in_front: bool,
    /// Whether there is one directly behind them.
    pub(super) at_end: bool,
}

impl Guards {
    /// No guards.
    pub(super) const NONE: Self = Self { in_front: false, at_end: false };
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
    /// Maps `size` bytes, rounded up to whole pages of `granule` bytes (a power of two), and room for the `guards`, which
    /// are not armed yet.
    ///
    /// # Errors
    ///
    /// What the system reports; nothing is mapped then.
    pub(super) fn new(
        os: O,
        size: usize,
        granule: usize,
        guards: Guards,
        options: MapOptions,
    ) -> Result<Self, OsError> {
        let options = options.with_alignment(options.alignment.max(MIN_PAGE));
        let guard = if guards.at_end { os.page_size() } else { 0 };
        // As long as the alignment, so that what follows is aligned too; most of it is address space only.
        let front = if guards.in_front { options.alignment.max(os.page_size()) } else { 0 };
        let size = checked_align_up(size, granule).unwrap_or(0);
        let guarded = size.checked_add(guard).and_then(|len| len.checked_add(front));
        let start = os.map(guarded.filter(|_| size != 0).unwrap_or(0), options)?;
        // SAFETY: the mapping is `front + size + guard` bytes long.
        Ok(Self { os, base: unsafe { start.add(front) }, front, size, guard, granule })
    }

    /// Makes every touch of the guards fault, after committing them if the mapping is `reserved` only.
    ///
    /// # Errors
    ///
    /// What the system reports.
    pub(super) fn arm_guards(&self, reserved: bool) -> Result<(), OsError> {
        // SAFETY: the guards are in front of the usable bytes and behind them, inside the mapping (I1).
        let guards =
            unsafe { [(self.base.sub(self.front), self.front), (self.base.add(self.size), self.guard)] };
        for (start, len) in guards {
            if reserved && len != 0 {
                // SAFETY: the guard is whole pages of a mapping made for committing.
                unsafe { self.os.commit(start, len)? };
            }
            // SAFETY: the guard is whole committed pages of the mapping, outside the range that anyone is handed (I3), so
            // nothing accesses it.
            unsafe { self.guard_at(start, len)? };
        }
        Ok(())
    }

    /// Makes every touch of a span fault.
    ///
    /// # Safety
    ///
    /// `span` came from [`Mapping::span`] of this mapping, is committed and not locked, and nothing accesses it any more.
    pub(super) unsafe fn guard(&self, span: PageSpan) -> Result<(), OsError> {
        // SAFETY: the span is inside the mapping (I1), in whole pages; the caller promises the rest.
        unsafe { self.guard_at(self.base.add(span.start), span.end - span.start) }
    }

    /// Makes every touch of `len` bytes at `start` fault.
    ///
    /// # Safety
    ///
    /// They are whole committed pages of the mapping, and nothing accesses them any more.
    unsafe fn guard_at(&self, start: NonNull<u8>, len: usize) -> Result<(), OsError> {
        if len == 0 {
            return Ok(());
        }
        // SAFETY: the caller's promise covers the loss of what the pages held.
        match unsafe { self.os.advise(start, len, Advice::GuardInstall) } {
            Err(failure) if failure.is_unsupported() || failure.is_invalid_argument() => {
                // SAFETY: nothing accesses the pages, so no access is against the rights.
                unsafe { self.os.protect(start, len, Protection::NONE) }
            }
            result => result,
        }
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
        let result = unsafe { self.os.unmap(self.base.sub(self.front), self.front + self.size + self.guard) };
        if let Err(failure) = result {
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
