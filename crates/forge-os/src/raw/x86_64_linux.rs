//! System calls on x86-64 Linux.
//!
//! # The convention
//!
//! A function call passes its arguments in rdi, rsi, rdx, rcx, r8, r9. The `syscall` instruction cannot use
//! rcx: it saves the address to return to *in* rcx and the flags in r11, because it has no stack to push them
//! on. So the kernel takes the fourth argument from r10, and the number of the call from rax, where the
//! result comes back.
//!
//! # What is destroyed
//!
//! rcx and r11, by the instruction itself, and rax, by the result. The kernel restores every other register,
//! the vector registers and the flags included. Rust is therefore told:
//!
//! * `lateout("rcx") _, lateout("r11") _`: forget these to live values in it and they silently become a
//!   return address;
//! * `options(nostack)`: the kernel runs on its own stack and never writes to ours, not even below the stack
//!   pointer, so the 128-byte red zone stays valid;
//! * *not* `nomem`: the kernel reads and writes memory through the arguments;
//! * *not* `preserves_flags`: the flags come back from r11 as they were, but `syscall` masks some while
//!   inside, and claiming nothing costs nothing.
//!
//! # Errors
//!
//! A result from -4095 to -1 is `-errno`. There is no `errno` variable here: that is the C library's
//! invention.

#![allow(unsafe_code)]

use core::arch::asm;

/// The number of `mmap`.
pub(super) const MMAP: usize = 9;
/// The number of `munmap`.
pub(super) const MUNMAP: usize = 11;

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
    // SAFETY: the caller vouches for the call; the operands name every register that the instruction and the
    // kernel change.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            in("r10") fourth,
            in("r8") fifth,
            in("r9") sixth,
            lateout("rcx") _, // the return address
            lateout("r11") _, // the flags
            options(nostack),
        );
    }
    decode(result)
}

/// Takes a result apart: the kernel returns small negative numbers, `-errno`, for failure. No valid address
/// or count lies in the last page of the address space, so the two cannot be confused.
const fn decode(result: usize) -> Result<usize, i32> {
    const LARGEST_ERROR: usize = 4095;
    if result > usize::MAX - LARGEST_ERROR { Err(result.wrapping_neg() as i32) } else { Ok(result) }
}
