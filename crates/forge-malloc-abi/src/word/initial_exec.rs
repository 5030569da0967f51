//! A word at a distance from the thread pointer that the loader writes down once.
//!
//! ```text
//!   global offset table  | distance |        thread pointer ──▶ thread control block
//!                              └── added to the thread pointer ──▶ | word |   0 in every new thread
//! ```
//!
//! # Invariants
//!
//! - (I1) The symbol names eight bytes of thread-local storage, aligned, zero in every new thread, in the initial-exec model.
//!
//! # Design
//!
//! The symbol is hidden, so no other object can take its place, and global, since the parts that the compiler
//! cuts a crate into are objects of their own.
#![allow(unsafe_code)]

use core::arch::{asm, global_asm};

global_asm!(
    ".pushsection .tbss.forge_malloc_word,\"awT\",%nobits",
    ".globl forge_malloc_word",
    ".hidden forge_malloc_word",
    ".type forge_malloc_word, %object",
    ".size forge_malloc_word, 8",
    ".p2align 3",
    "forge_malloc_word:",
    ".zero 8",
    ".popsection",
);

/// Returns the word of the calling thread.
#[inline(always)]
pub(crate) fn get() -> usize {
    let word: usize;
    // SAFETY: the symbol is a word of the calling thread (I1), which is read.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!(
            "mov {word}, qword ptr [rip + forge_malloc_word@GOTTPOFF]",
            "mov {word}, qword ptr fs:[{word}]",
            word = out(reg) word,
            options(pure, readonly, nostack, preserves_flags),
        );
        #[cfg(target_arch = "aarch64")]
        asm!(
            "mrs {base}, tpidr_el0",
            "adrp {word}, :gottprel:forge_malloc_word",
            "ldr {word}, [{word}, :gottprel_lo12:forge_malloc_word]",
            "ldr {word}, [{base}, {word}]",
            base = out(reg) _,
            word = out(reg) word,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    word
}

/// Sets the word of the calling thread.
pub(crate) fn set(word: usize) {
    // SAFETY: the symbol is a word of the calling thread (I1), which is written.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!(
            "mov {distance}, qword ptr [rip + forge_malloc_word@GOTTPOFF]",
            "mov qword ptr fs:[{distance}], {word}",
            distance = out(reg) _,
            word = in(reg) word,
            options(nostack, preserves_flags),
        );
        #[cfg(target_arch = "aarch64")]
        asm!(
            "mrs {base}, tpidr_el0",
            "adrp {distance}, :gottprel:forge_malloc_word",
            "ldr {distance}, [{distance}, :gottprel_lo12:forge_malloc_word]",
            "str {word}, [{base}, {distance}]",
            base = out(reg) _,
            distance = out(reg) _,
            word = in(reg) word,
            options(nostack, preserves_flags),
        );
    }
}
