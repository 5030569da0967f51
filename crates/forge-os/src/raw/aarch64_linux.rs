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

/// The number of `mmap`.
pub(super) const MMAP: usize = 222;
/// The number of `munmap`.
pub(super) const MUNMAP: usize = 215;

/// The flag of a mapping without a file.
pub(super) const ANONYMOUS: usize = 0x20;

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
