//! [`Os`], the seam to the operating system, and the small values that its methods take.
//!
//! # Design
//!
//! Methods take `&self`, so that the real system is a unit type and a simulated one is a `Copy` handle.
//! Lengths and pointers are raw: this is the level at which a mapping is bytes that the kernel handed over,
//! and ownership is built on top (`MmapBacked` and the segment layers own what they map). Every `# Safety`
//! section is a list that a caller can check.

#![allow(unsafe_code)]

use core::ops::BitOr;
use core::ptr::NonNull;

use crate::OsError;

/// An operating system's memory interface: the contract of a port, see the [crate documentation](crate).
///
/// # Safety
///
/// An implementation guarantees that
///
/// * memory from [`map`](Self::map) is at least `len` bytes, zero, aligned as asked, readable and writable as
///   its options say, and overlaps no other live mapping or object until it is unmapped;
/// * no method reads or writes mapped memory except where its documentation says so;
/// * after an `Err` the same ranges are mapped with the same content;
/// * [`page_size`](Self::page_size) is a power of two that never changes;
/// * copies of the value are the same system: what one maps another may unmap;
/// * no method unwinds.
pub unsafe trait Os: Copy + Send + Sync + 'static {
    /// Maps `len` bytes of fresh, zeroed, anonymous, private memory.
    ///
    /// The address is a multiple of the page size (of the huge page size, if one is asked for) and of
    /// [`MapOptions::alignment`]. Constant number of system calls; at most three.
    ///
    /// # Errors
    ///
    /// * `len` is zero or not a multiple of the page size (of the huge page size): invalid argument;
    /// * the options contradict each other, see [`MapOptions`]: invalid argument;
    /// * the address space or a limit is exhausted: out of memory;
    /// * the target lacks an option: unsupported.
    fn map(&self, len: usize, options: MapOptions) -> Result<NonNull<u8>, OsError>;

    /// Returns a mapping to the system.
    ///
    /// # Errors
    ///
    /// The range was not mapped, or the system refused. The range stays mapped.
    ///
    /// # Safety
    ///
    /// * `ptr` and `len` are a whole live mapping of this system, or, except on Windows, a part of one whose
    ///   ends are multiples of the page size (of the huge page size) from its start.
    /// * Nothing uses that range during or after the call (unless it fails).
    unsafe fn unmap(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError>;

    /// Sets the access rights of whole pages.
    ///
    /// # Errors
    ///
    /// The range is not page-aligned or not mapped, a security policy forbids the rights, or splitting the
    /// mapping exceeds the system's number of mappings. A first part of the range may have the new rights
    /// already.
    ///
    /// # Safety
    ///
    /// * The range lies in one live mapping of this system (and is committed).
    /// * While the new rights are in force, nothing accesses the range in a way that they forbid.
    unsafe fn protect(&self, ptr: NonNull<u8>, len: usize, protection: Protection) -> Result<(), OsError>;

    /// Makes a range of a mapping made with [`MapOptions::reserve`] readable and writable.
    ///
    /// Idempotent; committing keeps what committed pages contain. Windows backs the pages now and can refuse.
    /// Unix systems back pages at the first touch, so a reserved mapping is usable already and there is
    /// nothing left to do.
    ///
    /// # Errors
    ///
    /// The system has no memory left to promise. The range must not be touched then.
    ///
    /// # Safety
    ///
    /// The range is page-aligned and lies in one live mapping of this system made with
    /// [`MapOptions::reserve`].
    unsafe fn commit(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError>;

    /// Gives the pages of a range back and keeps its addresses reserved; the content is lost.
    ///
    /// The range must be [committed](Self::commit) again before it is touched, and reads as zero then.
    ///
    /// # Errors
    ///
    /// The system refused (locked pages, for instance). The content is kept.
    ///
    /// # Safety
    ///
    /// * The range is page-aligned and lies in one live mapping of this system made with
    ///   [`MapOptions::reserve`], whose protection was not changed.
    /// * Nothing accesses the range during the call, and nothing relies on its content after it.
    unsafe fn decommit(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError>;

    /// Tells the system how a range will be used, see [`Advice`].
    ///
    /// # Errors
    ///
    /// Unsupported if the target lacks this advice. A kernel older than the advice reports an invalid
    /// argument.
    ///
    /// # Safety
    ///
    /// * The range is page-aligned and lies in one live mapping of this system.
    /// * For the kinds that lose content ([`Advice::loses_content`]): nothing accesses the range during the
    ///   call, and nothing relies on its content after it.
    /// * For [`Advice::GuardInstall`]: nothing accesses the range until [`Advice::GuardRemove`].
    unsafe fn advise(&self, ptr: NonNull<u8>, len: usize, advice: Advice) -> Result<(), OsError>;

    /// Keeps a range in physical memory: it is never written to swap.
    ///
    /// # Errors
    ///
    /// Out of memory, temporarily refused or not permitted when the limit on locked memory is reached.
    ///
    /// # Safety
    ///
    /// The range is page-aligned and lies in one live mapping of this system (and is committed).
    unsafe fn lock(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError>;

    /// Ends [`lock`](Self::lock) for a range.
    ///
    /// # Errors
    ///
    /// The range is not mapped; on Windows also: it is not locked.
    ///
    /// # Safety
    ///
    /// The range is page-aligned and lies in one live mapping of this system.
    unsafe fn unlock(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError>;

    /// Resizes a mapping, moving it if `may_move` and there is no room behind it. Content is kept, new bytes
    /// are zero.
    ///
    /// # Errors
    ///
    /// Out of memory if it cannot grow (in place); unsupported outside Linux. The old mapping stays as it
    /// was.
    ///
    /// # Safety
    ///
    /// * `ptr` and `old_len` are a whole live mapping of this system, with one protection throughout.
    /// * Nothing uses the range during the call. If the mapping moved, the old range is gone; if it shrank,
    ///   the tail is.
    unsafe fn remap(
        &self,
        ptr: NonNull<u8>,
        old_len: usize,
        new_len: usize,
        may_move: bool,
    ) -> Result<NonNull<u8>, OsError>;

    /// Returns the page size in bytes: a power of two, the unit of every range here.
    fn page_size(&self) -> usize;

    /// Returns the huge page sizes in bytes that [`MapOptions::huge_page_size`] may name, in increasing
    /// order.
    ///
    /// Being listed does not mean that pages of this size are reserved.
    fn huge_page_sizes(&self) -> HugePageSizes;

    /// Returns the size in bytes of a transparent huge page, or `None` if the system has none.
    fn transparent_huge_page_size(&self) -> Option<usize>;

    /// Gives physical pages back in the system's cheapest dependable way and keeps the mapping usable.
    ///
    /// [`Advice::DontNeed`], and where the target lacks it, [`Advice::Free`]. The result tells what a reader
    /// sees.
    ///
    /// # Errors
    ///
    /// The system refused (locked pages, for instance). The content is kept.
    ///
    /// # Safety
    ///
    /// * The range is page-aligned and lies in one live mapping of this system (and is committed).
    /// * Nothing accesses the range during the call, and nothing relies on its content after it.
    unsafe fn release_pages(&self, ptr: NonNull<u8>, len: usize) -> Result<Released, OsError> {
        // SAFETY: the caller's promises are those of `advise` for advice that loses content.
        match unsafe { self.advise(ptr, len, Advice::DontNeed) } {
            Ok(()) => Ok(Released::Zeroed),
            // SAFETY: the same promises.
            Err(error) if error.is_unsupported() => unsafe {
                self.advise(ptr, len, Advice::Free).map(|()| Released::Undefined)
            },
            Err(error) => Err(error),
        }
    }
}

/// What memory contains after its pages were given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Released {
    /// Every byte reads as zero.
    Zeroed,
    /// Each page holds its old content or zero.
    Undefined,
}

/// The access rights of pages: any combination of read, write and execute.
///
/// Windows has no write-only pages: there, write implies read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Protection(u8);

impl Protection {
    /// No access: every touch faults.
    pub const NONE: Self = Self(0);
    /// Read only.
    pub const READ: Self = Self(1);
    /// Write only (see the note on Windows).
    pub const WRITE: Self = Self(2);
    /// Execute only.
    pub const EXECUTE: Self = Self(4);
    /// Read and write.
    pub const READ_WRITE: Self = Self(3);
    /// Read and execute.
    pub const READ_EXECUTE: Self = Self(5);

    /// Returns the rights of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns true if every right of `other` is included.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Protection {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

/// How [`Os::map`] maps: starts as plain readable and writable memory, each `with_` method adds one wish.
///
/// # Examples
///
/// ```
/// use forge_os::{MapOptions, Protection};
///
/// let guarded = MapOptions::new().with_protection(Protection::NONE).with_no_reserve();
/// let segment = MapOptions::new().with_alignment(4 << 20);
/// assert_eq!(segment.alignment, 4 << 20);
/// assert_eq!(guarded.protection, Protection::NONE);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct MapOptions {
    /// The access rights; [`Protection::READ_WRITE`] unless told.
    pub protection: Protection,
    /// Back every page now instead of at the first touch. Needs read or write rights; excludes `reserve`.
    pub populate: bool,
    /// Reserve addresses only: a range must be [committed](Os::commit) before its first touch. Needs the
    /// protection [`Protection::READ_WRITE`]; excludes `populate` and `huge_page_size`. Memory is promised
    /// only at `commit` on Windows; on Unix it implies `no_reserve`.
    pub reserve: bool,
    /// Do not count the mapping against the overcommit limit; a touch may then be killed for lack of memory.
    /// Windows has no such mapping and reports it as unsupported (use `reserve`).
    pub no_reserve: bool,
    /// Take pages of exactly this size in bytes from the reserved huge pages.
    pub huge_page_size: Option<usize>,
    /// The smallest alignment in bytes: a power of two; anything up to the page size is met in any case.
    pub alignment: usize,
}

impl MapOptions {
    /// Returns the options of plain readable and writable memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            protection: Protection::READ_WRITE,
            populate: false,
            reserve: false,
            no_reserve: false,
            huge_page_size: None,
            alignment: 1,
        }
    }

    /// Sets [`protection`](Self::protection).
    #[must_use]
    pub const fn with_protection(mut self, protection: Protection) -> Self {
        self.protection = protection;
        self
    }

    /// Sets [`populate`](Self::populate).
    #[must_use]
    pub const fn with_populate(mut self) -> Self {
        self.populate = true;
        self
    }

    /// Sets [`reserve`](Self::reserve).
    #[must_use]
    pub const fn with_reserve(mut self) -> Self {
        self.reserve = true;
        self
    }

    /// Sets [`no_reserve`](Self::no_reserve).
    #[must_use]
    pub const fn with_no_reserve(mut self) -> Self {
        self.no_reserve = true;
        self
    }

    /// Sets [`huge_page_size`](Self::huge_page_size).
    #[must_use]
    pub const fn with_huge_pages(mut self, size: usize) -> Self {
        self.huge_page_size = Some(size);
        self
    }

    /// Sets [`alignment`](Self::alignment).
    #[must_use]
    pub const fn with_alignment(mut self, alignment: usize) -> Self {
        self.alignment = alignment;
        self
    }

    /// Checks `len` and the options against each other and returns the granule: the size of the pages that
    /// will be used.
    ///
    /// A port calls it first in `map`, so that every system rejects the same requests.
    ///
    /// # Errors
    ///
    /// Those of [`Os::map`] that need no system call, as the failure of `call`.
    pub const fn check(&self, call: &'static str, len: usize, page_size: usize) -> Result<usize, OsError> {
        let granule = match self.huge_page_size {
            Some(size) => size,
            None => page_size,
        };
        let consistent = granule.is_power_of_two()
            && granule >= page_size
            && self.alignment.is_power_of_two()
            && len != 0
            && len & (granule - 1) == 0
            && !(self.populate && self.protection.0 & Protection::READ_WRITE.0 == 0)
            && !(self.reserve
                && (self.populate
                    || self.huge_page_size.is_some()
                    || self.protection.0 != Protection::READ_WRITE.0));
        if !consistent {
            return Err(OsError::invalid_argument(call));
        }
        match len.checked_add(self.alignment) {
            Some(padded) if padded <= isize::MAX as usize => Ok(granule),
            _ => Err(OsError::out_of_memory(call)),
        }
    }
}

impl Default for MapOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What [`Os::advise`] tells the system about a range.
///
/// "Linux" includes Android. A kind without a target is Linux only; elsewhere it is an unsupported error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Advice {
    /// The range will be read in order (Unix).
    Sequential,
    /// The range will be read at random (Unix).
    Random,
    /// The range will be used soon (Unix).
    WillNeed,
    /// Give the pages back now; they read as zero afterwards. Locked pages are refused.
    DontNeed,
    /// The same for locked pages (5.18).
    DontNeedLocked,
    /// Let the system take the pages when it needs memory; until the next write each holds its old content or
    /// zero (Linux 4.5, most Unix systems, Windows as `MEM_RESET`).
    Free,
    /// Move the pages to the end of the eviction order (5.4).
    Cold,
    /// Write the pages to swap now (5.4).
    PageOut,
    /// Back the range with transparent huge pages where possible.
    HugePage,
    /// Never use transparent huge pages here.
    NoHugePage,
    /// Collapse the range into huge pages now, waiting for it (6.1).
    Collapse,
    /// Leave the range out of core dumps (Linux, FreeBSD and DragonFly as `MADV_NOCORE`).
    DontDump,
    /// Undo [`DontDump`](Self::DontDump).
    DoDump,
    /// A child process does not inherit the range.
    DontFork,
    /// Undo [`DontFork`](Self::DontFork).
    DoFork,
    /// A child process sees the range as zero (4.14).
    WipeOnFork,
    /// Undo [`WipeOnFork`](Self::WipeOnFork).
    KeepOnFork,
    /// Back every page readably now, reporting failure (5.14).
    PopulateRead,
    /// Back every page writably now, reporting failure (5.14).
    PopulateWrite,
    /// Turn the pages into guards that fault on every touch, without splitting the mapping; content is lost
    /// (6.13).
    GuardInstall,
    /// Remove guards; the pages read as zero (6.13).
    GuardRemove,
}

impl Advice {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 21] = [
        Self::Sequential,
        Self::Random,
        Self::WillNeed,
        Self::DontNeed,
        Self::DontNeedLocked,
        Self::Free,
        Self::Cold,
        Self::PageOut,
        Self::HugePage,
        Self::NoHugePage,
        Self::Collapse,
        Self::DontDump,
        Self::DoDump,
        Self::DontFork,
        Self::DoFork,
        Self::WipeOnFork,
        Self::KeepOnFork,
        Self::PopulateRead,
        Self::PopulateWrite,
        Self::GuardInstall,
        Self::GuardRemove,
    ];

    /// Returns true if the content of the range may be gone after the advice was taken.
    #[must_use]
    pub const fn loses_content(self) -> bool {
        matches!(self, Self::DontNeed | Self::DontNeedLocked | Self::Free | Self::GuardInstall)
    }

    /// Returns the name that an [`OsError`] gives for this advice.
    #[must_use]
    pub const fn call(self) -> &'static str {
        match self {
            Self::Sequential => "madvise(MADV_SEQUENTIAL)",
            Self::Random => "madvise(MADV_RANDOM)",
            Self::WillNeed => "madvise(MADV_WILLNEED)",
            Self::DontNeed => "madvise(MADV_DONTNEED)",
            Self::DontNeedLocked => "madvise(MADV_DONTNEED_LOCKED)",
            Self::Free => "madvise(MADV_FREE)",
            Self::Cold => "madvise(MADV_COLD)",
            Self::PageOut => "madvise(MADV_PAGEOUT)",
            Self::HugePage => "madvise(MADV_HUGEPAGE)",
            Self::NoHugePage => "madvise(MADV_NOHUGEPAGE)",
            Self::Collapse => "madvise(MADV_COLLAPSE)",
            Self::DontDump => "madvise(MADV_DONTDUMP)",
            Self::DoDump => "madvise(MADV_DODUMP)",
            Self::DontFork => "madvise(MADV_DONTFORK)",
            Self::DoFork => "madvise(MADV_DOFORK)",
            Self::WipeOnFork => "madvise(MADV_WIPEONFORK)",
            Self::KeepOnFork => "madvise(MADV_KEEPONFORK)",
            Self::PopulateRead => "madvise(MADV_POPULATE_READ)",
            Self::PopulateWrite => "madvise(MADV_POPULATE_WRITE)",
            Self::GuardInstall => "madvise(MADV_GUARD_INSTALL)",
            Self::GuardRemove => "madvise(MADV_GUARD_REMOVE)",
        }
    }
}

/// A short list of huge page sizes in bytes, in increasing order, without an allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HugePageSizes {
    sizes: [usize; Self::CAPACITY],
    count: usize,
}

impl HugePageSizes {
    /// The most sizes that a list can hold; no known processor has more than seven.
    pub const CAPACITY: usize = 8;

    /// Returns the empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { sizes: [0; Self::CAPACITY], count: 0 }
    }

    /// Returns the sizes, smallest first.
    #[must_use]
    pub fn as_slice(&self) -> &[usize] {
        self.sizes.get(..self.count).unwrap_or(&[])
    }

    /// Appends `size`, which must exceed the sizes already there. A full list stays as it is and returns
    /// false.
    pub fn push(&mut self, size: usize) -> bool {
        debug_assert!(self.as_slice().last().is_none_or(|&last| last < size));
        match self.sizes.get_mut(self.count) {
            Some(free) => {
                *free = size;
                self.count += 1;
                true
            }
            None => false,
        }
    }
}

impl core::ops::Deref for HugePageSizes {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        self.as_slice()
    }
}

#[cfg(test)]
mod tests;
