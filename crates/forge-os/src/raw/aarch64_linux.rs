//! System calls on 64-bit ARM Linux.
//!
//! # The convention
//!
//! The number goes into x8, the arguments into x0 to x5, and `svc #0` enters the kernel (the immediate is
//! ignored). The processor saves the return address and the flags in registers of the higher privilege level,
//! so unlike on x86-64 no general register is sacrificed. The result replaces the first argument in x0.
//!
//! # What is destroyed
//!
//! Only x0. The kernel saves and restores x1 to x30, the 128-bit vector registers and the condition flags.
//! What it does not keep is the state of the scalable vector extension beyond that: the upper part of each
//! vector register and the predicate registers. Code compiled for that extension therefore names every
//! register that a C call may change, which includes those; other code has no value there. Rust is told:
//!
//! * `inlateout("x0")`: an argument before, the result after;
//! * `options(nostack)`: the kernel runs on its own stack;
//! * *not* `nomem`: the kernel reads and writes memory through the arguments.
//!
//! # Errors
//!
//! A result from -4095 to -1 is `-errno`. Numbers are those of the generic table (`asm-generic/unistd.h`),
//! which newer architectures share; x86-64 has its own, older table.

#![allow(unsafe_code)]

use core::arch::asm;
use core::ptr::{self, NonNull};

use crate::OsError;

const MMAP: usize = 222;
const MUNMAP: usize = 215;

const READ: usize = 1;
const WRITE: usize = 2;
const PRIVATE: usize = 2;
const ANONYMOUS: usize = 0x20;
/// The file descriptor of a mapping without a file: -1.
const NO_FILE: usize = usize::MAX;

/// Performs the system call `number` with six arguments; what a call does not take is ignored. A failure is
/// its `errno`.
///
/// # Errors
///
/// The kernel's error number.
///
/// # Safety
///
/// * `number` is a system call of this kernel, and the arguments meet its contract.
/// * It returns to its caller in the ordinary way, and changes no memory that Rust believes unchanged.
/// * A pointer among the arguments was turned into a number with `expose_provenance`.
pub unsafe fn syscall6(number: usize, arguments: [usize; 6]) -> Result<usize, i32> {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    let result: usize;
    /// The instruction with its operands, and what else the kernel destroys.
    macro_rules! enter {
        ($($destroyed:tt)*) => {
            asm!(
                "svc #0",
                in("x8") number,
                inlateout("x0") first => result,
                in("x1") second,
                in("x2") third,
                in("x3") fourth,
                in("x4") fifth,
                in("x5") sixth,
                $($destroyed)*
                options(nostack),
            )
        };
    }
    // SAFETY: the caller vouches for the call; the operands name every register that the kernel changes.
    #[cfg(not(target_feature = "sve"))]
    unsafe {
        enter!();
    }
    // SAFETY: as above, the scalable vector and predicate registers included.
    #[cfg(target_feature = "sve")]
    unsafe {
        enter!(clobber_abi("C"),);
    }
    decode(result)
}

/// Takes a result apart: the kernel returns small negative numbers, `-errno`, for failure. No valid address
/// or count lies in the last page of the address space, so the two cannot be confused.
const fn decode(result: usize) -> Result<usize, i32> {
    const LARGEST_ERROR: usize = 4095;
    if result > usize::MAX - LARGEST_ERROR { Err(result.wrapping_neg() as i32) } else { Ok(result) }
}

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
