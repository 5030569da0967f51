//! The calls of POSIX with all their arguments, for code that teaches or must be told about forks.
//!
//! ```text
//!   mmap, munmap   -- the processor's instruction, where `raw` has a file for the target
//!                  \- the C library elsewhere: other Unix systems, other processors, Miri
//!   c_library      -- the C library, wherever it is linked
//!   at_fork        -- the C library: functions to run before and after each fork
//!   at_exit        -- the C library: a function to run when the process ends in the usual way
//!   set_errno      -- the C library: what a C function leaves behind when it fails
//!   symbol         -- the loader: what another object of the process defines
//!   environment    -- the C library: a variable, without allocating
//! ```
//!
//! # Design
//!
//! [`Os`](crate::Os) is what an allocator should use: it says what is wanted and leaves the flags to the port. Here are the
//! six arguments themselves, with the numbers that the target gives to the flags. The functions exist on every target, so
//! that what is built on them compiles on every target; where there is nothing behind them they return an error for which
//! [`OsError::is_unsupported`] holds.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_void};
use core::ptr::NonNull;

use crate::OsError;

/// The numbers of the flags of `mmap` on the target.
pub mod flags {
    /// The memory may be read.
    pub const PROT_READ: u64 = 1;
    /// The memory may be written.
    pub const PROT_WRITE: u64 = 2;
    /// Writes stay in this process.
    pub const MAP_PRIVATE: u64 = 2;
    /// The mapping has no file.
    pub const MAP_ANON: u64 = ANON;

    #[cfg(posix)]
    const ANON: u64 = libc::MAP_ANON as u64;
    #[cfg(not(posix))]
    const ANON: u64 = 0x20;
}

/// Maps memory as the call of that name does, with all of its arguments. One system call.
///
/// # Errors
///
/// The system's error number; unsupported where neither an instruction nor a C library is known.
///
/// # Safety
///
/// The arguments meet the contract of the call: a mapping that is asked for at a fixed address replaces what is there.
pub unsafe fn mmap(
    addr: *mut u8,
    len: usize,
    prot: u64,
    flags: u64,
    fd: u64,
    offset: i64,
) -> Result<NonNull<u8>, OsError> {
    #[cfg(raw_calls)]
    // SAFETY: the caller's promise is the callee's.
    return unsafe { crate::raw::mmap_with(addr, len, prot, flags, fd, offset) };
    #[cfg(not(raw_calls))]
    // SAFETY: the caller's promise is the callee's.
    return unsafe { c_library::mmap(addr, len, prot, flags, fd, offset) };
}

/// Returns memory to the system. One system call.
///
/// # Errors
///
/// The system's error number, and then the memory stays mapped; unsupported as for [`mmap`].
///
/// # Safety
///
/// `ptr` and `len` are whole pages of mappings of the caller's that nothing uses during or after the call.
pub unsafe fn munmap(ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
    #[cfg(raw_calls)]
    // SAFETY: the caller's promise is the callee's.
    return unsafe { crate::raw::munmap(ptr, len) };
    #[cfg(not(raw_calls))]
    // SAFETY: the caller's promise is the callee's.
    return unsafe { c_library::munmap(ptr, len) };
}

/// The same calls through the C library.
#[cfg_attr(not(posix), allow(unused_variables))]
pub mod c_library {
    use super::{NonNull, OsError};

    /// Maps memory through the C library, which sets `errno` if it fails.
    ///
    /// # Errors
    ///
    /// The system's error number; unsupported where no C library is linked.
    ///
    /// # Safety
    ///
    /// As [`mmap`](super::mmap).
    pub unsafe fn mmap(
        addr: *mut u8,
        len: usize,
        prot: u64,
        flags: u64,
        fd: u64,
        offset: i64,
    ) -> Result<NonNull<u8>, OsError> {
        #[cfg(posix)]
        {
            // SAFETY: the caller answers for the arguments.
            let address = unsafe {
                // The offset is shorter on some targets.
                #[allow(trivial_numeric_casts)]
                libc::mmap(addr.cast(), len, prot as i32, flags as i32, fd as i32, offset as libc::off_t)
            };
            if address == libc::MAP_FAILED {
                return Err(OsError::last("mmap"));
            }
            NonNull::new(address.cast()).ok_or(OsError::out_of_memory("mmap"))
        }
        #[cfg(not(posix))]
        Err(OsError::unsupported("mmap"))
    }

    /// Returns memory to the system through the C library, which sets `errno` if it fails.
    ///
    /// # Errors
    ///
    /// As [`munmap`](super::munmap).
    ///
    /// # Safety
    ///
    /// As [`munmap`](super::munmap).
    pub unsafe fn munmap(ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
        #[cfg(posix)]
        {
            // SAFETY: the caller gives the range up.
            match unsafe { libc::munmap(ptr.as_ptr().cast(), len) } {
                0 => Ok(()),
                _ => Err(OsError::last("munmap")),
            }
        }
        #[cfg(not(posix))]
        Err(OsError::unsupported("munmap"))
    }
}

/// Runs `prepare` before each fork of this process, on the thread that forks, and afterwards `parent` in the parent and
/// `child` in the child.
///
/// Of several registrations the latest prepares first and is the last to run afterwards. They cannot be taken back.
///
/// # Errors
///
/// The system's error number; unsupported where no C library is linked, since then nothing intercepts a fork.
pub fn at_fork(
    prepare: extern "C" fn(),
    parent: extern "C" fn(),
    child: extern "C" fn(),
) -> Result<(), OsError> {
    #[cfg(posix)]
    {
        // SAFETY: the functions take nothing and live as long as the process.
        match unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) } {
            0 => Ok(()),
            code => Err(OsError::new("pthread_atfork", code)),
        }
    }
    #[cfg(not(posix))]
    {
        let _ = (prepare, parent, child);
        Err(OsError::unsupported("pthread_atfork"))
    }
}

/// Runs `work` when this process ends by `exit` or a return of `main`: of several registrations the latest runs first. They cannot be
/// taken back. The C library may allocate.
///
/// # Errors
///
/// The system has no memory for it; unsupported where no C library is linked.
pub fn at_exit(work: extern "C" fn()) -> Result<(), OsError> {
    #[cfg(posix)]
    {
        // SAFETY: the function takes nothing and lives as long as the process.
        match unsafe { libc::atexit(work) } {
            0 => Ok(()),
            _ => Err(OsError::out_of_memory("atexit")),
        }
    }
    #[cfg(not(posix))]
    {
        let _ = work;
        Err(OsError::unsupported("atexit"))
    }
}

/// Sets the `errno` of the calling thread. Does nothing where no C library is linked, since then nobody reads it.
pub fn set_errno(code: i32) {
    #[cfg(posix)]
    // SAFETY: the place is the calling thread's own.
    unsafe {
        crate::platform::error_place().write(code);
    }
    #[cfg(not(posix))]
    let _ = code;
}

/// Returns the address of what the objects of this process define under a name, in the order of the loader; none if nothing
/// does. The C library may allocate.
#[must_use]
pub fn symbol(name: &CStr) -> Option<NonNull<c_void>> {
    #[cfg(posix)]
    {
        // SAFETY: the name ends with its zero byte.
        NonNull::new(unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) })
    }
    #[cfg(not(posix))]
    {
        let _ = name;
        None
    }
}

/// Copies the value of a variable of the environment to `place`, as much as fits, and returns how many bytes it has; none if it is not
/// set. Allocates nothing.
///
/// As for `getenv`, nothing may change the environment meanwhile, which whoever changes it has to ensure.
#[must_use]
pub fn environment(name: &CStr, place: &mut [u8]) -> Option<usize> {
    #[cfg(posix)]
    {
        // SAFETY: the name ends with its zero byte, and so does the value.
        let value = unsafe {
            let value = libc::getenv(name.as_ptr());
            if value.is_null() {
                return None;
            }
            CStr::from_ptr(value).to_bytes()
        };
        for (to, from) in place.iter_mut().zip(value) {
            *to = *from;
        }
        Some(value.len())
    }
    #[cfg(not(posix))]
    {
        let _ = (name, place);
        None
    }
}

#[cfg(all(test, posix))]
mod tests;
