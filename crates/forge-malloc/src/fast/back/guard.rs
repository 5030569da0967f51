//! What stands around a block with a mapping of its own: guards, and zeros up to them.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_os::{Advice, Os, Protection};

/// Makes pages fault on every touch. Where the system refuses, they are ordinary memory: less is detected, and nothing else.
///
/// # Safety
///
/// The pages lie in one mapping and are nobody's.
pub(super) unsafe fn guard(os: &impl Os, start: NonNull<u8>, len: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if os.advise(start, len, Advice::GuardInstall).is_err() {
            let _ = os.protect(start, len, Protection::NONE);
        }
    }
}

/// Returns whether `len` bytes are all zero. O(`len`).
///
/// # Safety
///
/// The bytes are readable, and nobody writes them meanwhile.
pub(crate) unsafe fn is_zero(start: *const u8, len: usize) -> bool {
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts(start, len) }.iter().fold(0, |all, byte| all | byte) == 0
}
