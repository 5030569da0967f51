//! A range of memory for secrets: never swapped out, and where the system allows, not dumped and not inherited.
//!
//! ```text
//!   parent   | secret bytes, locked |  --- fork --->  child   | zero bytes |
//!            not in core dumps                        not locked
//! ```
//!
//! # Invariants
//!
//! - (I1) Every page of the mapping is locked from construction to drop.
//!
//! # Operations
//!
//! Building takes three to four system calls, dropping two; allocating takes none.
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
//! **Not covered:** hibernation, debuggers, copies that the program makes. The range is not scrubbed; see
//! `ZeroizeOnFree`.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, OsBacked, ProtectFlags, StableAddress,
    relocate,
};
use forge_os::{Advice, MapOptions, Native, Os, OsError};

use super::last_error::record;
use super::mapping::{MIN_PAGE, Mapping};
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
}

impl<O: Os> LockedMmapBacked<O> {
    /// Maps and locks `size` bytes, rounded up to whole pages, on the system `os`.
    ///
    /// # Errors
    ///
    /// As [`LockedMmapBacked::map`]; nothing stays mapped or locked.
    pub fn map_on(os: O, size: usize) -> Result<Self, OsError> {
        let mapping = Mapping::new(os, size, os.page_size(), false, MapOptions::new())?;
        let kept_from_dumps = advise(&mapping, Advice::DontDump)?;
        let wiped_on_fork = advise(&mapping, Advice::WipeOnFork)?;
        let mapping = LockedMapping::lock(mapping)?;
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

/// A mapping whose pages are locked.
struct LockedMapping<O: Os>(Mapping<O>);

impl<O: Os> LockedMapping<O> {
    /// Locks the pages of `mapping`, which is unmapped if that fails.
    fn lock(mapping: Mapping<O>) -> Result<Self, OsError> {
        // SAFETY: the range is the whole live mapping.
        unsafe { mapping.os().lock(mapping.base(), mapping.size())? };
        Ok(Self(mapping))
    }
}

impl<O: Os> Drop for LockedMapping<O> {
    fn drop(&mut self) {
        // SAFETY: the range is the whole live mapping, which is unmapped right after.
        if let Err(failure) = unsafe { self.0.os().unlock(self.0.base(), self.0.size()) } {
            record(failure);
        }
    }
}

// SAFETY: the mapping is owned, live, aligned to `MIN_PAGE` and writable, and its pointer covers all of it; base and size
// never change; after `claim` the cursor stands at the end for good.
unsafe impl<O: Os> FixedRange for LockedMmapBacked<O> {
    const BASE_ALIGN: usize = MIN_PAGE;

    #[inline(always)]
    fn base(&self) -> NonNull<u8> {
        self.mapping.0.base()
    }

    #[inline(always)]
    fn size(&self) -> usize {
        self.mapping.0.size()
    }

    #[inline]
    fn claim(&mut self) -> Result<(), AllocError> {
        self.own.claim(self.mapping.0.size())
    }
}

bump_its_own_bytes!([O: Os] LockedMmapBacked<O>);

// SAFETY: the mapping stays where it is when the value moves.
unsafe impl<O: Os> StableAddress for LockedMmapBacked<O> {}

// SAFETY: base, size and system describe the owned mapping; spans outside it are refused, and pages are never released.
unsafe impl<O: Os> OsBacked for LockedMmapBacked<O> {
    #[inline]
    fn base_ptr(&self) -> NonNull<u8> {
        self.mapping.0.base()
    }

    #[inline]
    fn region_size(&self) -> usize {
        self.mapping.0.size()
    }

    #[inline]
    fn is_native(&self) -> bool {
        self.mapping.0.is_native()
    }

    /// Refuses: locked pages keep their contents.
    unsafe fn try_release_pages(&self, ptr: NonNull<u8>, size: usize) -> Result<(), AllocError> {
        self.mapping.0.span("release_pages", ptr, size).map_err(record)?;
        Err(record(OsError::unsupported("release_pages")))
    }

    unsafe fn try_protect(
        &self,
        ptr: NonNull<u8>,
        size: usize,
        flags: ProtectFlags,
    ) -> Result<(), AllocError> {
        let span = self.mapping.0.span("protect", ptr, size).map_err(record)?;
        // SAFETY: the span was checked; the caller keeps the rights.
        unsafe { self.mapping.0.protect(span, flags) }.map_err(record)
    }

    /// Does nothing: locked pages keep their contents.
    #[inline]
    unsafe fn release_pages(&self, _: NonNull<u8>, _: usize) {}
}

#[cfg(test)]
mod tests;
