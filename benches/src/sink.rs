//! The sink: what the compiler must believe is used.
//!
//! # Design
//!
//! `core::hint::black_box` of a pointer stores it to the stack, which costs a row of two-store allocations half of its
//! time again. An empty piece of assembly that takes the pointer in a register and may read or write any memory costs
//! nothing: stores to the block are kept, and whatever escaped earlier is assumed to have changed.
#![allow(unsafe_code)]

use core::ptr::NonNull;

/// Lets `pointer` escape: what it points to counts as read and written by someone else, here and later.
#[inline(always)]
pub fn keep<T: ?Sized>(pointer: *const T) {
    let address = pointer.cast::<u8>();
    #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
    // SAFETY: the text is a comment, so no instruction runs; the default options let it be taken to touch memory.
    unsafe {
        core::arch::asm!("/* {0} */", in(reg) address, options(nostack, preserves_flags));
    }
    #[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
    core::hint::black_box(address);
}

/// Returns `number`, which the compiler must then compute here and in this order, as if the rest depended on it.
#[inline(always)]
pub fn settled(number: u64) -> u64 {
    #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
    {
        let mut number = number;
        // SAFETY: the text is a comment, so no instruction runs and no memory is touched.
        unsafe {
            core::arch::asm!("/* {0} */", inout(reg) number, options(nomem, nostack, preserves_flags));
        }
        number
    }
    #[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
    core::hint::black_box(number)
}

/// Writes one byte to the start of a block and lets it escape: the least that a program does with a block.
///
/// # Safety
///
/// `block` is valid for a write of one byte.
#[inline(always)]
pub unsafe fn touch(block: NonNull<u8>, byte: u8) {
    // SAFETY: the caller's contract.
    unsafe { block.as_ptr().write(byte) };
    keep(block.as_ptr());
}

/// Ends the process: an arena of a benchmark was too small for its row.
#[cold]
#[inline(never)]
pub fn exhausted() -> ! {
    panic!("the arena of a benchmark is too small for its row")
}
