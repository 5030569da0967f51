//! `mmap` and `munmap` on top of the bare system call: the same six arguments on every target here.
//!
//! ```text
//!   mmap(address: kernel's choice, length, rights, flags, file: none, offset: none) -> address or error
//!   munmap(address, length) -> nothing or error
//! ```
//!
//! # Design
//!
//! The instruction, the registers and the numbers differ between targets and stand in their files; what the kernel is
//! asked for does not. Rights and the private flag have one value everywhere, the anonymous flag has two.
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};

use super::target::{ANONYMOUS, MMAP, MUNMAP, syscall6};
use crate::OsError;

const READ: usize = 1;
const WRITE: usize = 2;
const PRIVATE: usize = 2;
/// The file descriptor of a mapping without a file: -1.
const NO_FILE: usize = usize::MAX;

/// Maps `len` bytes of fresh, zeroed, private memory, readable and writable. One system call.
///
/// The kernel rounds `len` up to whole pages, and the address is a multiple of the page size.
///
/// # Errors
///
/// `EINVAL` if `len` is zero; `ENOMEM` if the address space or a limit is exhausted.
pub fn mmap(len: usize) -> Result<NonNull<u8>, OsError> {
    let arguments = [
        0, // address: the kernel's choice
        len,
        READ | WRITE,
        PRIVATE | ANONYMOUS,
        NO_FILE,
        0, // offset
    ];
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches no existing memory.
    let address = unsafe { syscall6(MMAP, arguments) }.map_err(|code| OsError::new("mmap", code))?;
    // The kernel hands over an address; this is where it becomes a pointer.
    NonNull::new(ptr::with_exposed_provenance_mut(address)).ok_or(OsError::out_of_memory("mmap"))
}

/// Returns memory to the kernel. One system call.
///
/// # Errors
///
/// `EINVAL` if `ptr` is not a multiple of the page size or `len` is zero. The memory stays mapped.
///
/// # Safety
///
/// * `ptr` and `len` (rounded up to whole pages) are a mapping of the caller's, or whole pages of one.
/// * Nothing uses that memory during or after the call.
pub unsafe fn munmap(ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
    let arguments = [ptr.as_ptr().expose_provenance(), len, 0, 0, 0, 0];
    // SAFETY: the caller gives the range up.
    match unsafe { syscall6(MUNMAP, arguments) } {
        Ok(_) => Ok(()),
        Err(code) => Err(OsError::new("munmap", code)),
    }
}
