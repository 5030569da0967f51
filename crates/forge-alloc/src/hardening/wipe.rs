//! Stores that stay: memory is overwritten although nobody in the program will read it again.
//!
//! ```text
//!   write_bytes(block, 0)      an ordinary memset, as fast as the machine has one
//!   asm!("" : block)           may read all memory, as far as the compiler knows
//!   free(block)                the stores are not dead: somebody may have read them
//! ```
//!
//! # Design
//!
//! A store to memory that is about to be freed is dead, and an optimiser removes it. Two forms keep it. Where inline
//! assembly is stable for the target, the stores are ordinary and an empty piece of assembly follows that takes the
//! address and does not say that it leaves memory alone; this is as fast as `memset`, and what the kernels of Linux and
//! the BSDs do in `memzero_explicit` and `explicit_bzero`. Elsewhere, and in an interpreter, which runs no assembly, every
//! word is stored volatilely and a compiler fence follows. A fence alone would not do: it orders the stores that there
//! are, and a dead one is not there.
//!
//! What registers, spilled copies and caches hold is out of reach; see `ZeroizeOnFree`.
#![allow(unsafe_code)]

use core::ptr::NonNull;

#[cfg_attr(
    all(
        not(miri),
        any(
            target_arch = "x86",
            target_arch = "x86_64",
            target_arch = "arm",
            target_arch = "aarch64",
            target_arch = "riscv32",
            target_arch = "riscv64",
            target_arch = "loongarch64",
            target_arch = "s390x"
        )
    ),
    path = "wipe/barrier.rs"
)]
mod stores;

pub(super) use stores::{fill, may_start_with};

/// Fills `len` bytes at `ptr` with zeros that stay. O(len), as fast as `memset` on most targets.
///
/// # Safety
///
/// The bytes are valid for writes, and nobody else uses them.
#[inline(always)]
pub(super) unsafe fn zeroize(ptr: NonNull<u8>, len: usize) {
    // SAFETY: the caller's promise is the callee's.
    unsafe { fill(ptr, 0, len) };
}

/// Replaces a secret by zero, and the zero stays. O(1).
pub(super) fn forget<const N: usize>(secret: &mut [u64; N]) {
    // SAFETY: the words are ours alone while they are borrowed, and zero is a value of each.
    unsafe { zeroize(NonNull::from(&mut *secret).cast(), size_of_val(secret)) };
}

#[cfg(test)]
mod tests;
