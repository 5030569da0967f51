//! The latest failure of a system call, one slot per thread, for interfaces whose error has no room for a reason.
//!
//! # Design
//!
//! [`AllocError`] is a unit, so the reason travels beside it. Constructors that return [`OsError`] carry it themselves;
//! the slot serves the others. Success never clears it. The slot needs no destructor, so backings that are dropped
//! while their thread ends can still record.

use core::cell::Cell;

use forge_alloc_core::AllocError;
use forge_os::OsError;

std::thread_local! {
    static LATEST: Cell<Option<OsError>> = const { Cell::new(None) };
}

/// Returns the latest failure that a backing met on this thread, with the name of the call, or `None`.
///
/// # Examples
///
/// ```
/// use forge_alloc::{MmapBacked, last_os_failure, mmap_clear_last_os_error};
///
/// mmap_clear_last_os_error();
/// assert!(MmapBacked::new(usize::MAX).is_err());
/// assert!(last_os_failure().is_some_and(|failure| failure.is_invalid_argument()));
/// ```
#[must_use]
pub fn last_os_failure() -> Option<OsError> {
    LATEST.try_with(Cell::get).ok().flatten()
}

/// Returns the number of the latest failure that a backing met on this thread as an I/O error, or `None`.
#[must_use]
pub fn mmap_last_os_error() -> Option<std::io::Error> {
    last_os_failure().map(Into::into)
}

/// Empties the slot of this thread.
pub fn mmap_clear_last_os_error() {
    let _ = LATEST.try_with(|slot| slot.set(None));
}

/// Puts the calling thread's current system error (`errno`, `GetLastError`) into its slot.
///
/// It is meaningful directly after a failed system call of the caller's own.
pub fn mmap_record_os_error() {
    record(OsError::last("a call of the program"));
}

/// Puts `failure` into the slot of this thread and returns what is left of it.
#[cold]
pub(crate) fn record(failure: OsError) -> AllocError {
    // A thread without storage for the slot loses the reason, not the error.
    let _ = LATEST.try_with(|slot| slot.set(Some(failure)));
    AllocError
}

#[cfg(test)]
mod tests;
