//! [`map_secret`]: memory that the kernel itself removes from its own address space.

use core::ptr::NonNull;

use crate::{OsError, platform};

/// Maps `len` bytes of zeroed secret memory (`memfd_secret`): locked, absent from the kernel's direct map,
/// from core dumps and from `/proc/PID/mem`.
///
/// The mapping is shared: a child process sees the same bytes. Unmap it with [`Native`](crate::Native)'s
/// [`unmap`](crate::Os::unmap).
///
/// # Errors
///
/// * `len` is zero, not a multiple of the page size, or above `isize::MAX`: invalid argument;
/// * the limit on locked memory is reached: temporarily refused or out of memory;
/// * the kernel is older than 5.14 or was started without secret memory, or the target is not Linux:
///   unsupported.
pub fn map_secret(len: usize) -> Result<NonNull<u8>, OsError> {
    if len == 0 || len > isize::MAX as usize || len % crate::page_size() != 0 {
        return Err(OsError::invalid_argument("memfd_secret"));
    }
    platform::map_secret(len)
}

#[cfg(test)]
#[cfg(all(target_os = "linux", not(miri)))]
mod tests;
