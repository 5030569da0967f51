//! How pages become guards, and memory again.
//!
//! ```text
//!              Markers                        Rights
//!   open       remove the marks               read and write
//!   shut       mark: the content is gone      give the pages back, then no rights
//! ```
//!
//! # Invariants
//!
//! - (I1) A page that was shut has no content: what it held cannot be read again, by anybody.
//! - (I2) A page that is opened reads as zero.
//!
//! # Operations
//!
//! A system call each; two for [`shut`] by rights. O(pages).
//!
//! # Design
//!
//! A mark costs an entry in a page table and splits no mapping. It is tried first for every range; where it is refused (a kernel
//! before 6.13, an emulator, locked memory) the range has guards by rights, of which each block costs up to two mappings.
//! Where a system does not take pages back, they are overwritten.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_os::{Advice, Os, OsError, Protection, Released};

/// What guards consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Method {
    /// Marks in page tables. Zero, as in fresh memory.
    Markers = 0,
    /// Pages without rights.
    Rights = 1,
}

/// Makes all pages of a fresh mapping guards, by marks unless told otherwise, and returns how.
///
/// # Errors
///
/// The system has neither kind of guard.
///
/// # Safety
///
/// The range is whole pages of one committed mapping of the caller's, which nothing uses.
pub(super) unsafe fn shut_fresh(
    os: &impl Os,
    range: NonNull<u8>,
    len: usize,
    marks: bool,
) -> Result<Method, OsError> {
    // SAFETY: the caller's promise, here and below.
    if marks && unsafe { os.advise(range, len, Advice::GuardInstall) }.is_ok() {
        return Ok(Method::Markers);
    }
    // SAFETY: as above.
    unsafe { os.protect(range, len, Protection::NONE) }.map(|()| Method::Rights)
}

/// Makes memory of guards. After an error some of the pages may be memory.
///
/// # Errors
///
/// The system refused.
///
/// # Safety
///
/// The range is whole pages that [`shut_fresh`] or [`shut`] shut by this method.
pub(super) unsafe fn open(
    os: &impl Os,
    method: Method,
    range: NonNull<u8>,
    len: usize,
) -> Result<(), OsError> {
    // SAFETY: the caller's promise; nothing forbids an access that did not before.
    unsafe {
        match method {
            Method::Markers => os.advise(range, len, Advice::GuardRemove),
            Method::Rights => os.protect(range, len, Protection::READ_WRITE),
        }
    }
}

/// Makes guards of memory; the content is gone even after an error.
///
/// # Errors
///
/// The system refused: some of the pages may be memory still.
///
/// # Safety
///
/// The range is whole pages of a mapping guarded by this method, all open, and nothing uses them.
pub(super) unsafe fn shut(
    os: &impl Os,
    method: Method,
    range: NonNull<u8>,
    len: usize,
) -> Result<(), OsError> {
    // SAFETY: the caller's promise, throughout.
    unsafe {
        let marked = match method {
            Method::Markers => os.advise(range, len, Advice::GuardInstall),
            Method::Rights => Ok(()),
        };
        if method == Method::Markers && marked.is_ok() {
            return Ok(());
        }
        if !matches!(os.release_pages(range, len), Ok(Released::Zeroed)) {
            range.write_bytes(0, len);
        }
        os.protect(range, len, Protection::NONE)?;
        // Pages without rights in a range of marks are guards, but not to be opened by removing marks.
        marked
    }
}

#[cfg(test)]
mod tests;
