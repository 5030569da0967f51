//! Allocators over one mapping of an operating system: pages that can be released and protected.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::{AllocError, Allocator};

/// An allocator over one contiguous OS mapping.
///
/// # Safety
///
/// - `base_ptr()` and `region_size()` describe one mapping that this value owns and that stays in place, page-rounded,
///   until the value is dropped.
/// - `try_release_pages`, `try_protect` and `try_guard` refuse every span that is not inside that mapping.
/// - After `try_guard` has returned `Ok`, every touch of the span faults, and no other byte was affected.
/// - If `is_native()` returns true, the running system itself made that mapping.
pub unsafe trait OsBacked: Allocator {
    /// Returns the first byte of the mapping. O(1).
    fn base_ptr(&self) -> NonNull<u8>;

    /// Returns the length of the mapping in bytes, a multiple of the page size. O(1).
    fn region_size(&self) -> usize;

    /// Returns whether the mapping was made by the running system, whose calls may then be made on it. O(1).
    ///
    /// A simulated system's mappings are bytes of the heap, which belong to others once they are freed. The default is not to
    /// know.
    #[inline]
    fn is_native(&self) -> bool {
        false
    }

    /// Gives the physical pages under `size` bytes at `ptr` back and keeps the reservation. One system call.
    ///
    /// The contents are zero afterwards on Linux and unspecified elsewhere.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the span leaves the mapping, is not page-aligned where the system demands it, or the system
    /// refuses; the reason is in the thread's last-error slot of the OS backings.
    ///
    /// # Safety
    ///
    /// No live block overlaps the span.
    unsafe fn try_release_pages(&self, ptr: NonNull<u8>, size: usize) -> Result<(), AllocError>;

    /// Changes the protection of the pages under `size` bytes at `ptr`. One system call.
    ///
    /// # Errors
    ///
    /// As [`OsBacked::try_release_pages`].
    ///
    /// # Safety
    ///
    /// Nothing accesses the pages afterwards in a way that `flags` forbids, this allocator included.
    unsafe fn try_protect(
        &self,
        ptr: NonNull<u8>,
        size: usize,
        flags: ProtectFlags,
    ) -> Result<(), AllocError>;

    /// Turns the whole pages under `size` bytes at `ptr` into guards: every touch of them faults until the value is dropped,
    /// and what they held is lost. One or two system calls.
    ///
    /// The default takes every right to the pages away, which splits the mapping where they lie. An allocator whose system
    /// has guards that split nothing uses those.
    ///
    /// # Errors
    ///
    /// As [`OsBacked::try_release_pages`], and if the span is not made of whole pages; nothing is guarded then, or only a
    /// part of the span.
    ///
    /// # Safety
    ///
    /// Nothing accesses the pages afterwards, this allocator included, and their protection is not changed any more.
    unsafe fn try_guard(&self, ptr: NonNull<u8>, size: usize) -> Result<(), AllocError> {
        // SAFETY: nothing accesses the pages, so taking the rights away is within the caller's promise.
        unsafe { self.try_protect(ptr, size, ProtectFlags::NONE) }
    }

    /// Does [`OsBacked::try_release_pages`] and drops its result.
    ///
    /// # Safety
    ///
    /// As [`OsBacked::try_release_pages`].
    #[inline]
    unsafe fn release_pages(&self, ptr: NonNull<u8>, size: usize) {
        // SAFETY: the caller's promise is the callee's.
        let _ = unsafe { self.try_release_pages(ptr, size) };
    }

    /// Does [`OsBacked::try_protect`] and drops its result.
    ///
    /// # Safety
    ///
    /// As [`OsBacked::try_protect`].
    #[inline]
    unsafe fn protect(&self, ptr: NonNull<u8>, size: usize, flags: ProtectFlags) {
        // SAFETY: the caller's promise is the callee's.
        let _ = unsafe { self.try_protect(ptr, size, flags) };
    }
}

/// What a page may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ProtectFlags {
    /// Whether the page may be read.
    pub read: bool,
    /// Whether the page may be written.
    pub write: bool,
    /// Whether the page may be executed.
    pub exec: bool,
}

impl ProtectFlags {
    /// No access.
    pub const NONE: Self = Self { read: false, write: false, exec: false };
    /// Read and write.
    pub const RW: Self = Self { read: true, write: true, exec: false };
    /// Read only.
    pub const READ: Self = Self { read: true, write: false, exec: false };
    /// Read and execute.
    pub const RX: Self = Self { read: true, write: false, exec: true };
}
