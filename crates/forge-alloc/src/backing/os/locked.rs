//! A range of memory for secrets: never swapped out, and where the system allows, not dumped and not inherited.
//!
//! ```text
//!   parent   | edge | secret bytes, locked | edge |  --- fork --->  child   | edge | zero bytes | edge |
//!                     not in core dumps                                            not locked
//! ```
//!
//! # Invariants
//!
//! - (I1) Every page of the range is locked from construction to drop, but those that were turned into guards.
//! - (I2) The range is the mapping without an edge of `edge` bytes, whole pages, on either side.
//!
//! # Operations
//!
//! Building takes three to four system calls, dropping two, a guard three; allocating takes none.
//!
//! # Design
//!
//! **Fail closed.** A refused lock is an error: memory that may reach the swap is not handed out as if it could not.
//! The error names `mlock`; the usual cause is the limit on locked memory, which is not raised on the caller's behalf.
//!
//! **Dumps and children.** The kernel is told to leave the pages out of core dumps and to show a forked child zeroes.
//! Zeroes rather than a hole, because the next mapping of the child would fall into a hole, and a stale pointer of this
//! range into that mapping. What a layout or a collection keeps in the range is zero in the child too, so the child may
//! neither use nor drop one: that is a condition on whoever calls `fork`, which is `unsafe` itself. Dropping the bare
//! backing is fine there. A system without these two advices still has its lock; [`LockedMmapBacked::is_kept_from_dumps`] and
//! [`LockedMmapBacked::is_wiped_on_fork`] tell what holds. Any other failure of them is an error.
//!
//! **Edges.** The limit on locked memory is often 64 KiB, too little to lock pages that hold nothing. A mapping with edges
//! has room for guards that were never locked. A page that becomes a guard is unlocked first, which splits the mapping there
//! in any case, so the guard is a page without rights: markers of `MADV_GUARD_INSTALL`, which locked memory refuses, would
//! be wiped in a child together with the contents.
//!
//! **Not covered:** hibernation, debuggers, copies that the program makes. The range is not scrubbed; see
//! `ZeroizeOnFree`.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::align::checked_align_up;
use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, OsBacked, ProtectFlags, StableAddress,
    relocate,
};
use forge_os::{Advice, MapOptions, Native, Os, OsError};

use super::last_error::record;
use super::mapping::{Guards, MIN_PAGE, Mapping, PageSpan};
use crate::backing::own::{OwnCursor, bump_its_own_bytes};

/// A range of locked memory, unlocked and unmapped when dropped.
///
/// # Forked processes
///
/// In a child of `fork` the bytes are zero (see [`is_wiped_on_fork`](Self::is_wiped_on_fork)). The child must neither
/// use nor drop what keeps its state in them: a layout over this backing, or a collection in it.
///
/// # Examples
///
/// ```
/// use forge_alloc::{FixedRange, LockedMmapBacked, last_os_failure};
///
/// match LockedMmapBacked::new(4096) {
///     Ok(backing) => assert!(backing.size() >= 4096),
///     Err(_) => println!("{}", last_os_failure().unwrap()),
/// }
/// ```
pub struct LockedMmapBacked<O: Os = Native> {
    mapping: LockedMapping<O>,
    own: OwnCursor,
    kept_from_dumps: bool,
    wiped_on_fork: bool,
}

impl LockedMmapBacked {
    /// Maps and locks `size` bytes, rounded up to whole pages.
    ///
    /// # Errors
    ///
    /// [`AllocError`] for a size of zero, one that overflows when rounded, and where the system refuses to map or to
    /// lock; the reason is in the thread's [last-error slot](crate::last_os_failure).
    pub fn new(size: usize) -> Result<Self, AllocError> {
        Self::map(size).map_err(record)
    }

    /// Maps and locks `size` bytes, rounded up to whole pages; the error carries the reason.
    ///
    /// # Errors
    ///
    /// As [`LockedMmapBacked::new`]: the call that failed and its number.
    pub fn map(size: usize) -> Result<Self, OsError> {
        Self::map_on(Native, size)
    }

    /// Maps `size` bytes, which are locked, between two edges of `edge` bytes, which are not, all rounded up to whole pages;
    /// the error carries the reason.
    ///
    /// The edges lie outside of the range and are for guards: see `GuardPage`.
    ///
    /// # Errors
    ///
    /// As [`LockedMmapBacked::new`]: the call that failed and its number.
    pub fn map_with_edges(size: usize, edge: usize) -> Result<Self, OsError> {
        Self::map_with_edges_on(Native, size, edge)
    }
}

impl<O: Os> LockedMmapBacked<O> {
    /// Maps and locks `size` bytes, rounded up to whole pages, on the system `os`.
    ///
    /// # Errors
    ///
    /// As [`LockedMmapBacked::map`]; nothing stays mapped or locked.
    pub fn map_on(os: O, size: usize) -> Result<Self, OsError> {
        Self::map_with_edges_on(os, size, 0)
    }

    /// Maps `size` locked bytes between two edges of `edge` bytes, rounded up to whole pages, on the system `os`.
    ///
    /// # Errors
    ///
    /// As [`LockedMmapBacked::map_with_edges`]; nothing stays mapped or locked.
    pub fn map_with_edges_on(os: O, size: usize, edge: usize) -> Result<Self, OsError> {
        let page = os.page_size();
        let edge = checked_align_up(edge, page).filter(|&edge| edge <= isize::MAX as usize / 2);
        let (edge, size) = edge.zip(checked_align_up(size, page)).unwrap_or((0, 0));
        // A length of zero, which the system rejects under its own name for the call, stands for one that is impossible.
        let whole = if size == 0 { 0 } else { size.checked_add(2 * edge).unwrap_or(0) };
        let mapping = Mapping::new(os, whole, page, Guards::NONE, MapOptions::new())?;
        let kept_from_dumps = advise(&mapping, Advice::DontDump)?;
        let wiped_on_fork = advise(&mapping, Advice::WipeOnFork)?;
        let mapping = LockedMapping::lock(mapping, edge)?;
        Ok(Self { mapping, own: OwnCursor::over_zeroes(), kept_from_dumps, wiped_on_fork })
    }

    /// Returns whether core dumps leave the range out.
    #[must_use]
    pub const fn is_kept_from_dumps(&self) -> bool {
        self.kept_from_dumps
    }

    /// Returns whether a forked child sees the range as zero.
    #[must_use]
    pub const fn is_wiped_on_fork(&self) -> bool {
        self.wiped_on_fork
    }
}

/// Gives `advice` for the whole fresh mapping; returns whether the system has it.
fn advise<O: Os>(mapping: &Mapping<O>, advice: Advice) -> Result<bool, OsError> {
    // SAFETY: the range is the whole mapping, and neither advice in use loses content of this process.
    match unsafe { mapping.os().advise(mapping.base(), mapping.size(), advice) } {
        Ok(()) => Ok(true),
        // A kernel older than the advice calls it an invalid argument.
        Err(failure) if failure.is_unsupported() || failure.is_invalid_argument() => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// A mapping whose pages are locked, but those of its edges.
struct LockedMapping<O: Os> {
    whole: Mapping<O>,
    edge: usize,
}

impl<O: Os> LockedMapping<O> {
    /// Locks the pages of `mapping` between edges of `edge` bytes each; it is unmapped if that fails.
    fn lock(whole: Mapping<O>, edge: usize) -> Result<Self, OsError> {
        // SAFETY: the range lies between the edges of the live mapping.
        unsafe { whole.os().lock(whole.base().add(edge), whole.size() - 2 * edge)? };
        Ok(Self { whole, edge })
    }

    #[inline(always)]
    fn base(&self) -> NonNull<u8> {
        // SAFETY: the mapping is two edges longer than the range (I2).
        unsafe { self.whole.base().add(self.edge) }
    }

    #[inline(always)]
    fn size(&self) -> usize {
        self.whole.size() - 2 * self.edge
    }

    /// Unlocks the pages of a span, gives them back and takes every right to them away.
    ///
    /// # Safety
    ///
    /// `span` came from [`Mapping::span`] of this mapping, and nothing accesses it any more.
    unsafe fn guard(&self, span: PageSpan) -> Result<(), OsError> {
        // SAFETY: the span lies in the live mapping, in whole pages; nothing accesses it, so neither its contents nor the
        // rights to it matter.
        unsafe {
            self.whole.os().unlock(self.whole.base().add(span.start), span.end - span.start)?;
            self.whole.release(span)?;
            self.whole.protect(span, ProtectFlags::NONE)
        }
    }
}

impl<O: Os> Drop for LockedMapping<O> {
    fn drop(&mut self) {
        // SAFETY: the range lies in the live mapping, which is unmapped right after.
        if let Err(failure) = unsafe { self.whole.os().unlock(self.base(), self.size()) } {
            record(failure);
        }
    }
}

// SAFETY: the mapping is owned, live, aligned to `MIN_PAGE` and writable, and its pointer covers all of it; base and size
// never change; after `claim` the cursor stands at the end for good.
unsafe impl<O: Os> FixedRange for LockedMmapBacked<O> {
    const BASE_ALIGN: usize = MIN_PAGE;
    const STAYS: bool = true;

    #[inline(always)]
    fn base(&self) -> NonNull<u8> {
        self.mapping.base()
    }

    #[inline(always)]
    fn size(&self) -> usize {
        self.mapping.size()
    }

    #[inline]
    fn claim(&mut self) -> Result<(), AllocError> {
        self.own.claim(self.mapping.size())
    }
}

bump_its_own_bytes!([O: Os] LockedMmapBacked<O>);

// SAFETY: the mapping stays where it is when the value moves.
unsafe impl<O: Os> StableAddress for LockedMmapBacked<O> {}

// SAFETY: base, size and system describe the owned mapping, edges included; spans outside it are refused, and pages are
// released only when they become guards.
unsafe impl<O: Os> OsBacked for LockedMmapBacked<O> {
    #[inline]
    fn base_ptr(&self) -> NonNull<u8> {
        self.mapping.whole.base()
    }

    #[inline]
    fn region_size(&self) -> usize {
        self.mapping.whole.size()
    }

    #[inline]
    fn is_native(&self) -> bool {
        self.mapping.whole.is_native()
    }

    /// Refuses: locked pages keep their contents.
    unsafe fn try_release_pages(&self, ptr: NonNull<u8>, size: usize) -> Result<(), AllocError> {
        self.mapping.whole.span("release_pages", ptr, size).map_err(record)?;
        Err(record(OsError::unsupported("release_pages")))
    }

    unsafe fn try_protect(
        &self,
        ptr: NonNull<u8>,
        size: usize,
        flags: ProtectFlags,
    ) -> Result<(), AllocError> {
        let span = self.mapping.whole.span("protect", ptr, size).map_err(record)?;
        // SAFETY: the span was checked; the caller keeps the rights.
        unsafe { self.mapping.whole.protect(span, flags) }.map_err(record)
    }

    /// Unlocks the pages and takes every right to them away.
    unsafe fn try_guard(&self, ptr: NonNull<u8>, size: usize) -> Result<(), AllocError> {
        let span = self.mapping.whole.span("guard", ptr, size).map_err(record)?;
        if span.start == span.end {
            return Ok(());
        }
        // SAFETY: the span was checked; nothing accesses it.
        unsafe { self.mapping.guard(span) }.map_err(record)
    }

    /// Does nothing: locked pages keep their contents.
    #[inline]
    unsafe fn release_pages(&self, _: NonNull<u8>, _: usize) {}
}

#[cfg(test)]
mod tests;
