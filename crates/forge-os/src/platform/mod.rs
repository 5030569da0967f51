//! One file per kind of target behind one name: every file offers the same functions.
//!
//! `native`, `numa`, `random`, `secret`, `thread` and `fatal` call `platform::f` and contain no `cfg` of
//! their own on what the target can do. A function that a target cannot honour returns
//! [`OsError::unsupported`](crate::OsError).

#![allow(unsafe_code)]

use core::ptr::NonNull;

#[cfg(system = "linux")]
mod linux;
#[cfg(system = "linux")]
pub(crate) use linux::*;

#[cfg(system = "unix")]
mod unix;
#[cfg(system = "unix")]
pub(crate) use unix::*;

#[cfg(system = "windows")]
mod windows;
#[cfg(system = "windows")]
pub(crate) use windows::*;

#[cfg(not(hosted))]
mod unsupported;
#[cfg(not(hosted))]
pub(crate) use unsupported::*;

#[cfg(any(all(system = "linux", feature = "libc"), system = "unix"))]
mod pthread;

#[cfg(hosted)]
mod stderr;
#[cfg(hosted)]
pub(crate) use stderr::{die, say};

/// True if one of the files above, other than `unsupported`, serves this target.
pub(crate) const HAS_OS: bool = cfg!(hosted);

#[cfg(feature = "std")]
pub(crate) fn last_error_code() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Touches one byte of every page of a fresh mapping, so that each is backed by memory.
///
/// # Safety
///
/// `ptr` and `len` are a mapping of zero bytes that nothing else uses yet, readable, and writable if `write`
/// is set.
#[cfg_attr(not(hosted), allow(dead_code))]
unsafe fn touch_pages(ptr: NonNull<u8>, len: usize, page_size: usize, write: bool) {
    for offset in (0..len).step_by(page_size) {
        // SAFETY: `offset < len`, so the byte lies in the mapping, which allows this access; writing zero
        // over zero keeps the content. Volatile, because the access itself is the purpose.
        unsafe {
            let page = ptr.add(offset);
            if write {
                page.write_volatile(0);
            } else {
                let _ = page.read_volatile();
            }
        }
    }
}
