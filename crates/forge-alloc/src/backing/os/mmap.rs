//! A range of bytes that the operating system maps: a backing of any size whose pages can be released and protected.
//!
//! ```text
//!   +----------------+                         base                        size
//!   | mapping, state |------>          | guard |  | handed out |     free      | guard |
//!   +----------------+       `guard_in_front`                                  `guard_at_end`
//! ```
//!
//! # Invariants
//!
//! - (I1) Bytes below `committed` may be touched. `committed` is a multiple of the page size, at most the size, and
//!   only rises; without `lazy_commit` it is the size from the start.
//!
//! # Operations
//!
//! Building takes one to six system calls, dropping one. Allocating takes none, except that a lazy mapping commits
//! 64 KiB steps as the cursor passes them.
//!
//! # Design
//!
//! **Lazy commit.** Where the system distinguishes reserved from committed memory (Windows), a lazy mapping is reserved
//! and [`FixedRange::commit`] commits a growing prefix. Unix systems back pages at the first touch in any case; there
//! the flag makes a mapping that is not counted against the overcommit limit (`MAP_NORESERVE`), and committing is a
//! comparison. Eager mappings compare with a mark that never moves, which is the one comparison of every request.
//!
//! **Order of wishes.** Huge pages and the NUMA node are asked for before any page exists, because neither moves pages
//! that do; so a populated mapping is then populated by a separate step.
//!
//! **No silent flag.** A wish that the system lacks is an error of the constructor. Transparent huge pages that exist
//! but are turned off by the administrator are not an error: the system accepts the advice.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::sync::atomic::{AtomicUsize, Ordering};
use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, OsBacked, ProtectFlags, StableAddress,
    align_up, relocate,
};
use forge_os::{Advice, HAS_OS, MapOptions, Native, NodeMask, NumaMode, Os, OsError, numa_bind};

use super::last_error::record;
use super::mapping::{Guards, MIN_PAGE, Mapping};
use crate::backing::own::{OwnCursor, bump_its_own_bytes};

/// How many bytes a lazy mapping commits at a time, unless a request needs more.
const COMMIT_STEP: usize = 64 << 10;

/// What a mapping shall have beyond plain memory. Every flag has its effect or makes the constructor fail.
///
/// # Examples
///
/// ```
/// use forge_alloc::{FixedRange, MmapBacked, MmapFlags};
///
/// # fn main() -> Result<(), forge_alloc::OsError> {
/// let mut flags = MmapFlags::NONE;
/// flags.guard_at_end = true;
/// let backing = MmapBacked::map(10_000, flags)?;
/// assert!(backing.size() >= 10_000);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MmapFlags {
    /// Align the mapping to the transparent huge page size and ask for such pages (`MADV_HUGEPAGE`).
    pub huge_pages: bool,
    /// Back every page now instead of at the first touch. Excludes `lazy_commit`.
    pub populate: bool,
    /// Place the pages on this NUMA node only (`mbind`).
    pub numa_node: Option<u32>,
    /// Put inaccessible pages directly in front of the range, outside its size.
    pub guard_in_front: bool,
    /// Put one inaccessible page directly behind the range, outside its size.
    pub guard_at_end: bool,
    /// Promise memory only as it is committed. Excludes `populate`.
    pub lazy_commit: bool,
}

impl MmapFlags {
    /// Plain memory.
    pub const NONE: Self = Self {
        huge_pages: false,
        populate: false,
        numa_node: None,
        guard_in_front: false,
        guard_at_end: false,
        lazy_commit: false,
    };

    /// Returns whether `populate` has its effect here: on every system that can map.
    #[must_use]
    pub const fn populate_supported() -> bool {
        HAS_OS
    }
}

/// A range of mapped memory, unmapped when dropped.
///
/// # Examples
///
/// ```
/// use forge_alloc::{AllocError, Allocator, MmapBacked, NonZeroLayout};
///
/// # fn main() -> Result<(), AllocError> {
/// let backing = MmapBacked::new(1 << 20)?;
/// let layout = NonZeroLayout::from_size_align(100, 64).map_err(|_| AllocError)?;
/// let block = backing.allocate_zeroed(layout)?;
/// assert_eq!(block.len(), 100);
/// assert_eq!(backing.remaining(), backing.capacity() - 100);
/// # Ok(())
/// # }
/// ```
///
/// The cursor is not shared between threads:
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<forge_alloc::MmapBacked>();
/// ```
pub struct MmapBacked<O: Os = Native> {
    mapping: Mapping<O>,
    own: OwnCursor,
    committed: AtomicUsize,
}

impl MmapBacked {
    /// Maps `size` bytes, rounded up to whole pages.
    ///
    /// # Errors
    ///
    /// [`AllocError`] for a size of zero, one that overflows when rounded, and where the system refuses; the reason is
    /// in the thread's [last-error slot](crate::last_os_failure).
    pub fn new(size: usize) -> Result<Self, AllocError> {
        Self::with_flags(size, MmapFlags::NONE)
    }

    /// Maps `size` bytes with [`MmapFlags::huge_pages`].
    ///
    /// # Errors
    ///
    /// As [`MmapBacked::new`], and where the system has no transparent huge pages.
    pub fn with_huge_pages(size: usize) -> Result<Self, AllocError> {
        Self::with_flags(size, MmapFlags { huge_pages: true, ..MmapFlags::NONE })
    }

    /// Maps `size` bytes with [`MmapFlags::lazy_commit`].
    ///
    /// # Errors
    ///
    /// As [`MmapBacked::new`].
    pub fn new_lazy(size: usize) -> Result<Self, AllocError> {
        Self::with_flags(size, MmapFlags { lazy_commit: true, ..MmapFlags::NONE })
    }

    /// Maps `size` bytes with `flags`.
    ///
    /// # Errors
    ///
    /// As [`MmapBacked::new`], and where the system cannot meet a flag or two flags exclude each other.
    pub fn with_flags(size: usize, flags: MmapFlags) -> Result<Self, AllocError> {
        Self::map(size, flags).map_err(record)
    }

    /// Maps `size` bytes with `flags`; the error carries the reason instead of the last-error slot.
    ///
    /// # Errors
    ///
    /// As [`MmapBacked::with_flags`]: the call that failed and its number.
    pub fn map(size: usize, flags: MmapFlags) -> Result<Self, OsError> {
        Self::map_on(Native, size, flags)
    }
}

impl<O: Os> MmapBacked<O> {
    /// Maps `size` bytes with `flags` on the system `os`.
    ///
    /// # Errors
    ///
    /// As [`MmapBacked::map`]; nothing stays mapped.
    pub fn map_on(os: O, size: usize, flags: MmapFlags) -> Result<Self, OsError> {
        let guards = Guards { in_front: flags.guard_in_front, at_end: flags.guard_at_end };
        let mapping = Mapping::new(os, size, os.page_size(), guards, options(os, flags)?)?;
        let size = mapping.size();
        let committed = AtomicUsize::new(if flags.lazy_commit { 0 } else { size });
        let backing = Self { mapping, own: OwnCursor::over_zeroes(), committed };
        if flags.huge_pages {
            // SAFETY: the range is the fresh mapping; the advice loses no content.
            unsafe { os.advise(backing.base(), size, Advice::HugePage)? };
        }
        if let Some(node) = flags.numa_node {
            backing.bind(node)?;
        }
        if flags.populate && places_pages(flags) {
            backing.populate()?;
        }
        backing.mapping.arm_guards(flags.lazy_commit)?;
        Ok(backing)
    }

    /// Returns the system that has the mapping.
    pub(crate) fn os(&self) -> O {
        self.mapping.os()
    }

    /// Returns how many bytes are handed out or lost to padding; all of them once a layout carves the range.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.own.allocated()
    }

    /// Returns the length of the range in bytes, a multiple of the page size.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.mapping.size()
    }

    /// Returns how many bytes are free.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.capacity() - self.allocated()
    }

    /// Places the pages to come on `node`.
    fn bind(&self, node: u32) -> Result<(), OsError> {
        if !self.mapping.is_native() {
            return Err(OsError::unsupported("mbind"));
        }
        let nodes = NodeMask::single(node).ok_or(OsError::invalid_argument("mbind"))?;
        // SAFETY: the range is one live mapping of `Native`, as the question shows.
        unsafe { numa_bind(self.base(), self.size(), NumaMode::Bind, &nodes) }
    }

    /// Backs every page of the fresh mapping.
    fn populate(&self) -> Result<(), OsError> {
        // SAFETY: the range is the fresh mapping; the advice loses no content.
        match unsafe { self.mapping.os().advise(self.base(), self.size(), Advice::PopulateWrite) } {
            // The kernel predates the advice: a touch has the same effect.
            Err(failure) if failure.is_unsupported() || failure.is_invalid_argument() => {
                for offset in (0..self.size()).step_by(self.mapping.granule()) {
                    // SAFETY: the offset is inside the range, which nobody else knows yet.
                    unsafe { self.base().add(offset).write_volatile(0) };
                }
                Ok(())
            }
            result => result,
        }
    }

    /// Commits the pages up to the offset `end`, so that (I1) covers them; an error if it lies outside the range.
    #[cold]
    #[inline(never)]
    fn commit_up_to(&self, end: Option<usize>) -> Result<(), AllocError> {
        let Some(end) = end.filter(|&end| end <= self.size()) else {
            return Err(record(OsError::invalid_argument("commit")));
        };
        let generous = align_up(end, COMMIT_STEP.max(self.mapping.granule())).min(self.size());
        let exact = align_up(end, self.mapping.granule());
        self.extend_committed(generous).or_else(|_| self.extend_committed(exact)).map_err(record)
    }

    /// Raises the mark of (I1) to `end`, a multiple of the page size.
    fn extend_committed(&self, end: usize) -> Result<(), OsError> {
        // Acquire: pairs with the Release below, so that what another thread committed may be touched here.
        let start = self.committed.load(Ordering::Acquire);
        if start >= end {
            return Ok(());
        }
        // SAFETY: the offsets are multiples of the page size inside a mapping made for committing (I1); committing
        // twice, as a second thread may do at the same time, changes nothing.
        unsafe { self.mapping.os().commit(self.base().add(start), end - start)? };
        // Release: pairs with the Acquire loads. The maximum keeps the mark from falling under a second thread; what
        // lies below it is committed, because every thread starts at a mark that it has seen.
        self.committed.fetch_max(end, Ordering::Release);
        Ok(())
    }
}

/// Returns how to map for `flags`, or an error if the system has no transparent huge pages to ask for.
fn options<O: Os>(os: O, flags: MmapFlags) -> Result<MapOptions, OsError> {
    let mut options = MapOptions::new();
    if flags.populate && (flags.lazy_commit || !places_pages(flags)) {
        options = options.with_populate();
    }
    if flags.lazy_commit {
        options = options.with_reserve();
    }
    if flags.huge_pages {
        let unsupported = OsError::unsupported(Advice::HugePage.call());
        options = options.with_alignment(os.transparent_huge_page_size().ok_or(unsupported)?);
    }
    Ok(options)
}

/// Returns whether `flags` ask for something that must precede the first page.
fn places_pages(flags: MmapFlags) -> bool {
    flags.huge_pages || flags.numa_node.is_some()
}

// SAFETY: the mapping is owned, live, aligned to `MIN_PAGE` and writable below `committed`, and its pointer covers all of
// it; base and size never change and committing is atomic; after `claim` the cursor stands at the end for good.
unsafe impl<O: Os> FixedRange for MmapBacked<O> {
    const BASE_ALIGN: usize = MIN_PAGE;
    const STAYS: bool = true;
    const MUST_COMMIT: bool = O::MUST_COMMIT;

    #[inline(always)]
    fn base(&self) -> NonNull<u8> {
        self.mapping.base()
    }

    #[inline(always)]
    fn size(&self) -> usize {
        self.mapping.size()
    }

    #[inline(always)]
    fn committed(&self) -> usize {
        // Acquire: pairs with the Release in `extend_committed`.
        self.committed.load(Ordering::Acquire)
    }

    #[inline]
    fn commit(&self, offset: usize, len: usize) -> Result<(), AllocError> {
        match offset.checked_add(len) {
            Some(end) if end <= self.committed() => Ok(()),
            end => self.commit_up_to(end),
        }
    }

    #[inline]
    fn claim(&mut self) -> Result<(), AllocError> {
        self.own.claim(self.mapping.size())
    }
}

bump_its_own_bytes!([O: Os] MmapBacked<O>);

// SAFETY: the mapping stays where it is when the value moves.
unsafe impl<O: Os> StableAddress for MmapBacked<O> {}

// SAFETY: base, size and system describe the owned mapping (without its guard page); spans outside it are refused.
unsafe impl<O: Os> OsBacked for MmapBacked<O> {
    #[inline]
    fn base_ptr(&self) -> NonNull<u8> {
        self.mapping.base()
    }

    #[inline]
    fn region_size(&self) -> usize {
        self.mapping.size()
    }

    #[inline]
    fn is_native(&self) -> bool {
        self.mapping.is_native()
    }

    unsafe fn try_release_pages(&self, ptr: NonNull<u8>, size: usize) -> Result<(), AllocError> {
        let mut span = self.mapping.span("release_pages", ptr, size).map_err(record)?;
        // Pages that were never committed have nothing to give back.
        span.end = span.end.min(self.committed.load(Ordering::Acquire)).max(span.start);
        // SAFETY: the span was checked and cut to what is committed (I1); no live block overlaps it.
        unsafe { self.mapping.release(span) }.map_err(record)
    }

    unsafe fn try_protect(
        &self,
        ptr: NonNull<u8>,
        size: usize,
        flags: ProtectFlags,
    ) -> Result<(), AllocError> {
        let span = self.mapping.span("protect", ptr, size).map_err(record)?;
        // A later commit would set the rights anew, so it has to come first.
        self.commit(span.start, span.end - span.start)?;
        // SAFETY: the span was checked and is committed; the caller keeps the rights.
        unsafe { self.mapping.protect(span, flags) }.map_err(record)
    }

    unsafe fn try_guard(&self, ptr: NonNull<u8>, size: usize) -> Result<(), AllocError> {
        let span = self.mapping.span("guard", ptr, size).map_err(record)?;
        self.commit(span.start, span.end - span.start)?;
        // SAFETY: the span was checked and is committed, and mappings of this type are never locked; nothing accesses it.
        unsafe { self.mapping.guard(span) }.map_err(record)
    }
}

#[cfg(test)]
mod tests;
