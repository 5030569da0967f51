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

const READ: u64 = 1;
const WRITE: u64 = 2;
const PRIVATE: u64 = 2;
/// The file descriptor of a mapping without a file: -1.
const NO_FILE: u64 = u64::MAX;

/// Maps `len` bytes of fresh, zeroed, private memory, readable and writable. One system call.
///
/// The kernel rounds `len` up to whole pages, and the address is a multiple of the page size.
///
/// # Errors
///
/// `EINVAL` if `len` is zero; `ENOMEM` if the address space or a limit is exhausted.
pub fn mmap(len: usize) -> Result<NonNull<u8>, OsError> {
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches no existing memory.
    unsafe { mmap_with(ptr::null_mut(), len, READ | WRITE, PRIVATE | ANONYMOUS as u64, NO_FILE, 0) }
}

/// Maps memory with all six arguments of the call. One system call.
///
/// # Errors
///
/// The kernel's error number.
///
/// # Safety
///
/// The arguments meet the contract of the call: a mapping that is asked for at a fixed address replaces what is there.
pub unsafe fn mmap_with(
    addr: *mut u8,
    len: usize,
    prot: u64,
    flags: u64,
    fd: u64,
    offset: i64,
) -> Result<NonNull<u8>, OsError> {
    let arguments =
        [addr.expose_provenance(), len, prot as usize, flags as usize, fd as usize, offset as usize];
    // SAFETY: the caller answers for the arguments.
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
