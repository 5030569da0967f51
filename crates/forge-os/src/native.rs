//! [`Native`]: the operating system that this program was built for.

#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::contract::{Advice, HugePageSizes, MapOptions, Os, Protection};
use crate::{OsError, platform};

/// True if the target has an operating system that this crate knows.
///
/// Where it is false, [`Native`] exists and every fallible method returns an unsupported error.
pub const HAS_OS: bool = platform::HAS_OS;

/// The operating system that this program was built for, as an [`Os`]; a type without size.
///
/// # Examples
///
/// ```
/// use forge_os::{MapOptions, Native, Os};
///
/// # fn main() -> Result<(), forge_os::OsError> {
/// let len = Native.page_size();
/// let memory = Native.map(len, MapOptions::new())?;
/// // SAFETY: the mapping is `len` bytes, live, and ours alone.
/// unsafe { memory.write(7) };
/// // SAFETY: the whole mapping, not used afterwards.
/// unsafe { Native.unmap(memory, len) }
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Native;

// SAFETY: each platform file maps to the system call whose contract the trait restates: the kernel hands out
// ranges that nothing else uses, zeroed; `page_size` is cached from one read and a power of two; the type has
// no state, so copies are the same system; and the platform files contain no panicking path.
unsafe impl Os for Native {
    const MUST_COMMIT: bool = platform::MUST_COMMIT;

    #[inline]
    fn map(&self, len: usize, options: MapOptions) -> Result<NonNull<u8>, OsError> {
        let call =
            if options.huge_page_size.is_some() { platform::MAP_HUGE_CALL } else { platform::MAP_CALL };
        let granule = options.check(call, len, crate::page_size())?;
        platform::map(len, granule, options)
    }

    #[inline]
    unsafe fn unmap(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
        // SAFETY: the caller's promise is the callee's precondition.
        unsafe { platform::unmap(ptr, len) }
    }

    #[inline]
    unsafe fn protect(&self, ptr: NonNull<u8>, len: usize, protection: Protection) -> Result<(), OsError> {
        // SAFETY: the caller's promise is the callee's precondition.
        unsafe { platform::protect(ptr, len, protection) }
    }

    #[inline]
    unsafe fn commit(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
        // SAFETY: the caller's promise is the callee's precondition.
        unsafe { platform::commit(ptr, len) }
    }

    #[inline]
    unsafe fn decommit(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
        // SAFETY: the caller's promise is the callee's precondition.
        unsafe { platform::decommit(ptr, len) }
    }

    #[inline]
    unsafe fn advise(&self, ptr: NonNull<u8>, len: usize, advice: Advice) -> Result<(), OsError> {
        // SAFETY: the caller's promise is the callee's precondition.
        unsafe { platform::advise(ptr, len, advice) }
    }

    unsafe fn resident(&self, ptr: NonNull<u8>, len: usize, resident: &mut [u8]) -> Result<(), OsError> {
        if resident.len() != len.div_ceil(crate::page_size()) {
            return Err(OsError::invalid_argument("mincore"));
        }
        // SAFETY: the caller's promise is the callee's precondition, and there is a place for each page.
        unsafe { platform::resident(ptr, len, resident) }
    }

    #[inline]
    unsafe fn lock(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
        // SAFETY: the caller's promise is the callee's precondition.
        unsafe { platform::lock(ptr, len) }
    }

    #[inline]
    unsafe fn unlock(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
        // SAFETY: the caller's promise is the callee's precondition.
        unsafe { platform::unlock(ptr, len) }
    }

    #[inline]
    unsafe fn remap(
        &self,
        ptr: NonNull<u8>,
        old_len: usize,
        new_len: usize,
        may_move: bool,
    ) -> Result<NonNull<u8>, OsError> {
        // SAFETY: the caller's promise is the callee's precondition.
        unsafe { platform::remap(ptr, old_len, new_len, may_move) }
    }

    #[inline]
    fn page_size(&self) -> usize {
        crate::page_size()
    }

    fn huge_page_sizes(&self) -> HugePageSizes {
        platform::huge_page_sizes()
    }

    fn transparent_huge_page_size(&self) -> Option<usize> {
        platform::transparent_huge_page_size()
    }

    #[inline]
    fn milliseconds(&self) -> u64 {
        platform::milliseconds()
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
