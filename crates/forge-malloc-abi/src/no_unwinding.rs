//! Nothing in this object panics, so it brings no unwinder: what the standard library would call of one ends the process.
//!
//! # Design
//!
//! The standard library of a build that unwinds names the functions of the C compiler's unwinder, and a shared object that names
//! them makes every program load that library, which takes longer than all that this object does at the start of a process. The
//! names are defined here, hidden from every other object, as one function that ends the process with a message. An exception of
//! C++ that passes through a frame of `operator new` is carried by the unwinder of the program, which reads the tables of the
//! frame and calls nothing in here, since the frame has nothing to clean up.
#![allow(unsafe_code)]

use core::arch::global_asm;

/// Ends the process.
///
/// # Safety
///
/// It stands under names of functions with other arguments and results, of which it uses none.
unsafe extern "C" fn refuse() -> ! {
    forge_os::fatal(&["forge-malloc: a panic inside of the allocator"])
}

#[cfg(target_arch = "x86_64")]
macro_rules! jump {
    () => {
        "jmp {refuse}"
    };
}

#[cfg(target_arch = "aarch64")]
macro_rules! jump {
    () => {
        "b {refuse}"
    };
}

macro_rules! refuse {
    ($($name:literal)*) => {
        $(
            global_asm!(
                concat!(".globl ", $name),
                concat!(".hidden ", $name),
                concat!(".type ", $name, ", %function"),
                concat!($name, ":"),
                jump!(),
                refuse = sym refuse,
            );
        )*
    };
}

refuse! {
    "_Unwind_Backtrace"
    "_Unwind_DeleteException"
    "_Unwind_FindEnclosingFunction"
    "_Unwind_GetCFA"
    "_Unwind_GetDataRelBase"
    "_Unwind_GetIP"
    "_Unwind_GetIPInfo"
    "_Unwind_GetLanguageSpecificData"
    "_Unwind_GetRegionStart"
    "_Unwind_GetTextRelBase"
    "_Unwind_RaiseException"
    "_Unwind_Resume"
    "_Unwind_SetGR"
    "_Unwind_SetIP"
}
