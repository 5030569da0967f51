//! Where memory comes from: the system call that asks the kernel for pages.
//!
//! ```text
//!   virtual addresses of this process
//!   | program |   heap?   |        nothing        | libraries | ... | stack |
//!                                  ^
//!             mmap(null, 8192, READ | WRITE, PRIVATE | ANON, -1, 0)
//!                                  |
//!   | program |           |        | 2 new pages of zeros | libraries | ... | stack |
//! ```
//!
//! A process cannot touch an address that the kernel has not given it. `mmap` is the request: *anywhere* (a null address),
//! so many bytes, *readable* and *writable*, *private* to this process and *anonymous*, which is to say not the contents of
//! a file. The kernel deals in whole pages, often 4096 bytes, and only notes the promise. A page gets real memory, filled
//! with zeros, when the program first touches it. `munmap` is the way back.
//!
//! # Design
//!
//! The instruction itself, one file per processor and kernel with the registers explained, is `forge_os::raw`; here is the
//! call in the shape of its manual page. The feature `use_libc` goes through the C library, which exists on every Unix; so do
//! targets for which `forge_os::raw` has no file.
#![allow(unsafe_code)]

use core::fmt;

use forge_os::OsError;

#[cfg(not(feature = "use_libc"))]
pub use asm::{mmap, munmap};
#[cfg(feature = "use_libc")]
pub use libc_mmap::{mmap, munmap};

/// The numbers by which the kernel knows what is asked for.
pub mod consts {
    pub use forge_os::posix::flags::{MAP_ANON, MAP_PRIVATE, PROT_READ, PROT_WRITE};
}

/// The reason for which the kernel refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmapError(OsError);

impl MmapError {
    /// Returns the kernel's error number, such as 12 for `ENOMEM`; positive.
    #[must_use]
    pub fn code(&self) -> i64 {
        self.0.code().into()
    }
}

impl fmt::Display for MmapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::error::Error for MmapError {}

/// Returns the size of a page in bytes, which the kernel tells at run time. O(1).
#[must_use]
pub fn page_size() -> usize {
    forge_os::page_size()
}

/// Writes the module of one way to the kernel.
macro_rules! way {
    ($(#[$meta:meta])* $name:ident: $calls:path) => {
        $(#[$meta])*
        pub mod $name {
            use core::ptr::NonNull;

            use super::MmapError;
            use $calls as calls;

            /// Maps `len` bytes, rounded up to whole pages, and returns their address. One system call.
            ///
            /// # Errors
            ///
            /// The kernel's reason, for example that `len` is zero or that there is no memory.
            ///
            /// # Safety
            ///
            /// The arguments meet the contract of the system call: a fixed address replaces what is mapped there.
            pub unsafe fn mmap(
                addr: *mut u8,
                len: usize,
                prot: u64,
                flags: u64,
                fd: u64,
                offset: i64,
            ) -> Result<*mut u8, MmapError> {
                // SAFETY: the caller's promise is the callee's.
                let memory = unsafe { calls::mmap(addr, len, prot, flags, fd, offset) };
                memory.map(NonNull::as_ptr).map_err(MmapError)
            }

            /// Returns memory to the kernel. One system call.
            ///
            /// # Errors
            ///
            /// The kernel's reason; the memory stays mapped.
            ///
            /// # Safety
            ///
            /// `ptr` and `len` are whole pages of mappings of the caller's that nothing uses any more.
            pub unsafe fn munmap(ptr: NonNull<u8>, len: usize) -> Result<(), MmapError> {
                // SAFETY: the caller's promise is the callee's.
                unsafe { calls::munmap(ptr, len) }.map_err(MmapError)
            }
        }
    };
}

way! {
    /// The way to the kernel by the processor's own instruction.
    asm: forge_os::posix
}

#[cfg(feature = "use_libc")]
way! {
    /// The way to the kernel through the C library.
    libc_mmap: forge_os::posix::c_library
}

#[cfg(test)]
mod tests;
