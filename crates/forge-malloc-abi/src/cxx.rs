//! The operators `new` and `delete` of C++, under the names that the Itanium ABI gives them.
//!
//! ```text
//!   new       block, or: the new handler, again and again ── none is set ──▶ std::bad_alloc is thrown
//!   new(nothrow)   block, or null
//! ```
//!
//! # Design
//!
//! The standard says what a failing `new` does: it calls the handler of the program, which frees memory, throws or ends the process, and
//! throws if there is none. Handler and exception belong to the C++ library, so both are looked up when they are needed, in
//! whatever C++ library the process has; a process without one ends with a message. The exception passes through frames
//! of this object, which hold nothing that would have to be dropped.
//!
//! The forms that do not throw return null without calling the handler, since what a handler throws could not be caught here.
//! The sized forms of `delete` do not trust the size, as those of C; the hardened profile compares it.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_void};
use core::{mem, ptr};

use forge_os::posix;

use super::c::{MIN_ALIGN, allocate, at_hand, deallocate, deallocate_sized};

/// `std::get_new_handler()`.
const GET_HANDLER: &CStr = c"_ZSt15get_new_handlerv";
/// `std::__throw_bad_alloc()`.
const THROW: &CStr = c"_ZSt17__throw_bad_allocv";

type Handler = extern "C-unwind" fn();

/// Returns a block or throws.
#[inline(always)]
extern "C-unwind" fn new(size: usize, align: usize) -> *mut c_void {
    let block = if align <= MIN_ALIGN { at_hand(size) } else { ptr::null_mut() };
    if block.is_null() { new_or_throw(size, align.max(MIN_ALIGN)) } else { block }
}

/// Returns a block, and asks the program for memory until there is enough, or throws.
#[cold]
#[inline(never)]
extern "C-unwind" fn new_or_throw(size: usize, align: usize) -> *mut c_void {
    loop {
        let block = allocate(size, align);
        if !block.is_null() {
            return block;
        }
        let Some(handler) = handler() else { throw() };
        handler();
    }
}

/// Returns the handler that the program has set.
fn handler() -> Option<Handler> {
    let get = posix::symbol(GET_HANDLER)?;
    // SAFETY: the symbol is that function of the C++ library, which returns the address of a function or null.
    unsafe { mem::transmute::<*mut c_void, extern "C" fn() -> Option<Handler>>(get.as_ptr())() }
}

/// Throws `std::bad_alloc`.
fn throw() -> ! {
    if let Some(throw) = posix::symbol(THROW) {
        // SAFETY: the symbol is that function of the C++ library.
        unsafe { mem::transmute::<*mut c_void, Handler>(throw.as_ptr())() };
    }
    forge_os::fatal(&["forge-malloc: operator new has no memory, and nothing to throw"])
}

/// Exports functions by the names of their signatures, where `size_t` is `unsigned long`, and where it is `unsigned int`.
macro_rules! operators {
    ($($wide:literal, $narrow:literal: $function:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)? $body:block)*) => {
        $(
            #[cfg_attr(all(exported, not(test), target_pointer_width = "64"), unsafe(export_name = $wide))]
            #[cfg_attr(all(exported, not(test), target_pointer_width = "32"), unsafe(export_name = $narrow))]
            unsafe extern "C-unwind" fn $function($($argument: $kind),*) $(-> $result)? $body
        )*
    };
}

operators! {
    "_Znwm", "_Znwj": new_one(size: usize) -> *mut c_void { new(size, MIN_ALIGN) }
    "_Znam", "_Znaj": new_array(size: usize) -> *mut c_void { new(size, MIN_ALIGN) }
    "_ZnwmSt11align_val_t", "_ZnwjSt11align_val_t":
    new_aligned(size: usize, align: usize) -> *mut c_void { new(size, align) }
    "_ZnamSt11align_val_t", "_ZnajSt11align_val_t":
    new_array_aligned(size: usize, align: usize) -> *mut c_void { new(size, align) }

    "_ZnwmRKSt9nothrow_t", "_ZnwjRKSt9nothrow_t":
    new_nothrow(size: usize, _tag: *const c_void) -> *mut c_void { allocate(size, MIN_ALIGN) }
    "_ZnamRKSt9nothrow_t", "_ZnajRKSt9nothrow_t":
    new_array_nothrow(size: usize, _tag: *const c_void) -> *mut c_void { allocate(size, MIN_ALIGN) }
    "_ZnwmSt11align_val_tRKSt9nothrow_t", "_ZnwjSt11align_val_tRKSt9nothrow_t":
    new_aligned_nothrow(size: usize, align: usize, _tag: *const c_void) -> *mut c_void {
        allocate(size, align.max(MIN_ALIGN))
    }
    "_ZnamSt11align_val_tRKSt9nothrow_t", "_ZnajSt11align_val_tRKSt9nothrow_t":
    new_array_aligned_nothrow(size: usize, align: usize, _tag: *const c_void) -> *mut c_void {
        allocate(size, align.max(MIN_ALIGN))
    }
}

/// Exports the forms of `delete`, all of which free their first argument.
macro_rules! deletes {
    ($($wide:literal, $narrow:literal: $function:ident($($argument:ident: $kind:ty),*) $(with $size:expr, $align:expr)?;)*) => {
        operators! {
            $(
                $wide, $narrow: $function(block: *mut c_void $(, $argument: $kind)*) {
                    // SAFETY: the block is null or live, and the caller gives it up.
                    unsafe { deletes!(@free block $(, $size, $align)?) }
                }
            )*
        }
    };
    (@free $block:ident) => {
        deallocate($block)
    };
    (@free $block:ident, $size:expr, $align:expr) => {
        deallocate_sized($block, $size, $align)
    };
}

deletes! {
    "_ZdlPv", "_ZdlPv": delete_one();
    "_ZdaPv", "_ZdaPv": delete_array();
    "_ZdlPvm", "_ZdlPvj": delete_sized(size: usize) with size, MIN_ALIGN;
    "_ZdaPvm", "_ZdaPvj": delete_array_sized(size: usize) with size, MIN_ALIGN;
    "_ZdlPvSt11align_val_t", "_ZdlPvSt11align_val_t": delete_aligned(_align: usize);
    "_ZdaPvSt11align_val_t", "_ZdaPvSt11align_val_t": delete_array_aligned(_align: usize);
    "_ZdlPvmSt11align_val_t", "_ZdlPvjSt11align_val_t": delete_sized_aligned(size: usize, align: usize) with size, align.max(MIN_ALIGN);
    "_ZdaPvmSt11align_val_t", "_ZdaPvjSt11align_val_t": delete_array_sized_aligned(size: usize, align: usize) with size, align.max(MIN_ALIGN);
    "_ZdlPvRKSt9nothrow_t", "_ZdlPvRKSt9nothrow_t": delete_nothrow(_tag: *const c_void);
    "_ZdaPvRKSt9nothrow_t", "_ZdaPvRKSt9nothrow_t": delete_array_nothrow(_tag: *const c_void);
    "_ZdlPvSt11align_val_tRKSt9nothrow_t", "_ZdlPvSt11align_val_tRKSt9nothrow_t":
    delete_aligned_nothrow(_align: usize, _tag: *const c_void);
    "_ZdaPvSt11align_val_tRKSt9nothrow_t", "_ZdaPvSt11align_val_tRKSt9nothrow_t":
    delete_array_aligned_nothrow(_align: usize, _tag: *const c_void);
}

#[cfg(all(test, exported))]
#[path = "cxx/tests.rs"]
mod tests;
