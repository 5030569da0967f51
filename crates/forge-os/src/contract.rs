//! [`Os`], the seam to the operating system, and the small values that its methods take.
//!
//! # Design
//!
//! Methods take `&self`, so that the real system is a unit type and a simulated one is a `Copy` handle.
//! Lengths and pointers are raw: this is the level at which a mapping is bytes that the kernel handed over,
//! and ownership is built on top (`MmapBacked` and the segment layers own what they map). Every `# Safety`
//! section is a list that a caller can check.

#![allow(unsafe_code)]

mod advice;
mod huge_page_sizes;
mod options;
mod protection;

use core::ptr::NonNull;

use crate::OsError;

pub use advice::Advice;
pub use huge_page_sizes::HugePageSizes;
pub use options::MapOptions;
pub use protection::Protection;

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
    /// Whether a mapping made with [`MapOptions::reserve`] must be [committed](Self::commit) before it is touched.
    const MUST_COMMIT: bool = true;

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

    /// Writes into `resident`, for each page of a range, 1 if it is in physical memory now and 0 if it is not: if it was never touched, was given
    /// back, or is swapped out. O(pages).
    ///
    /// # Errors
    ///
    /// Unsupported if the target does not tell; invalid argument if `resident` has not one place for each page.
    ///
    /// # Safety
    ///
    /// The range is page-aligned and lies in one live mapping of this system.
    unsafe fn resident(&self, ptr: NonNull<u8>, len: usize, resident: &mut [u8]) -> Result<(), OsError> {
        let _ = (ptr, len, resident);
        Err(OsError::unsupported("mincore"))
    }

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

    /// Returns how many milliseconds have passed since a moment that never changes; never less than before. A coarse clock, which
    /// costs a few nanoseconds where the system shares it with its programs.
    ///
    /// Where the system has no clock it is 0, always.
    fn milliseconds(&self) -> u64 {
        0
    }

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

#[cfg(test)]
mod tests;
