//! System calls on 64-bit ARM macOS (Apple silicon).
//!
//! # The convention
//!
//! The number goes into x16, one of the two registers that the procedure call standard sets aside for code
//! between caller and callee, and `svc #0x80` enters the kernel. Positive numbers are BSD calls, so no class
//! is added; negative ones are Mach traps. Arguments go into x0 to x5.
//!
//! # What is destroyed
//!
//! x0 and x1, by the result: BSD calls may return two words. The only documented interface is a call of a
//! libSystem function, after which every caller-saved register is lost (x0 to x17, half of the vector
//! registers, the flags); `clobber_abi("C")` says exactly that, so this file relies on nothing that the
//! system does not promise. x18 belongs to the platform and Rust never uses it here.
//!
//! # Errors
//!
//! Failure is the carry flag, with the positive `errno` in x0. `cset` turns the flag into a number inside the
//! same `asm!` block, before the compiler can place an instruction that changes it.
//!
//! # Not a stable interface
//!
//! Apple keeps the functions of libSystem stable, not these numbers. They have kept their meaning for two
//! decades, but a program that ships should call the library, as [`Native`](crate::Native) does on this
//! system; this file is for reading.

#![allow(unsafe_code)]

use core::arch::asm;

/// The number of `mmap`.
pub(super) const MMAP: usize = 197;
/// The number of `munmap`.
pub(super) const MUNMAP: usize = 73;

/// The flag of a mapping without a file.
pub(super) const ANONYMOUS: usize = 0x1000;

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
    let carry: usize;
    // SAFETY: the caller vouches for the call; the operands and the clobber name every register that may
    // change.
    unsafe {
        asm!(
            "svc #0x80",
            "cset x16, cs",
            inlateout("x16") number => carry,
            inlateout("x0") first => result,
            inlateout("x1") second => _, // the second result
            in("x2") third,
            in("x3") fourth,
            in("x4") fifth,
            in("x5") sixth,
            clobber_abi("C"),
            options(nostack),
        );
    }
    if carry == 0 { Ok(result) } else { Err(result as i32) }
}
