//! System calls on x86-64 macOS.
//!
//! # The convention
//!
//! The kernel is two kernels, Mach and BSD, so the number carries a class in its upper byte: `0x2000000` is
//! BSD, where `mmap` lives. It goes into rax; arguments into rdi, rsi, rdx, r10, r8, r9, with r10 in place of
//! rcx for the same reason as on Linux: the `syscall` instruction overwrites rcx with the return address and
//! r11 with the flags.
//!
//! # What is destroyed
//!
//! rcx and r11 by the instruction. rax and rdx by the kernel: BSD calls may return two words (`pipe` returned
//! both of its descriptors this way), and the second one is written whether or not the call has it. The only
//! documented interface is a call of a libSystem function, after which every caller-saved register is lost;
//! `clobber_abi("C")` says exactly that, so this file relies on nothing that the system does not promise.
//!
//! # Errors
//!
//! Unlike Linux, failure is a *flag*: the carry flag is set and rax holds the positive `errno`. The flag must
//! be read inside the same `asm!` block, before the compiler can place an instruction that changes it; `setc`
//! stores it in a byte. For the same reason `options(preserves_flags)` would be wrong.
//!
//! # Not a stable interface
//!
//! Apple keeps the functions of libSystem stable, not these numbers. They have kept their meaning for two
//! decades, but a program that ships should call the library, as [`Native`](crate::Native) does on this
//! system; this file is for reading.

#![allow(unsafe_code)]

use core::arch::asm;

/// The class of calls that the BSD half of the kernel serves.
const BSD_CLASS: usize = 0x200_0000;
/// The number of `mmap`.
pub(super) const MMAP: usize = BSD_CLASS | 197;
/// The number of `munmap`.
pub(super) const MUNMAP: usize = BSD_CLASS | 73;

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
    let carry: u8;
    // SAFETY: the caller vouches for the call; the operands and the clobber name every register that may
    // change.
    unsafe {
        asm!(
            "syscall",
            "setc cl", // rcx is lost anyway: it holds the return address
            inlateout("rax") number => result,
            in("rdi") first,
            in("rsi") second,
            inlateout("rdx") third => _, // the second result
            in("r10") fourth,
            in("r8") fifth,
            in("r9") sixth,
            lateout("cl") carry,
            clobber_abi("C"),
            options(nostack),
        );
    }
    if carry == 0 { Ok(result) } else { Err(result as i32) }
}
