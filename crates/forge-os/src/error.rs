//! [`OsError`]: which call failed, with which number, and what to do about it.
//!
//! # Design
//!
//! A `&'static str` and an `i32`: `Copy`, no allocation, safe to carry out of an allocator. The advice text
//! is chosen when the error is printed, so making one costs two moves. The number stays the system's own, so
//! that it can be compared with `errno` constants and converted into `std::io::Error`.

use core::fmt;

/// A failed operating-system call: its name and the error number that the system gave.
///
/// # Examples
///
/// ```
/// use forge_os::OsError;
///
/// let error = OsError::invalid_argument("mmap");
/// assert_eq!(error.call(), "mmap");
/// assert!(!error.is_unsupported());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OsError {
    call: &'static str,
    code: i32,
}

/// The numbers that this crate itself reports, in the numbering of the target.
pub(crate) mod code {
    /// The calls that a target may lack report this: `ENOSYS`, `ERROR_CALL_NOT_IMPLEMENTED`.
    pub(crate) const UNSUPPORTED: i32 = if cfg!(windows) {
        120
    } else if cfg!(any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "dragonfly",
        target_os = "netbsd",
        target_os = "openbsd"
    )) {
        78
    } else {
        38
    };
    /// `EINVAL`, `ERROR_INVALID_PARAMETER`.
    pub(crate) const INVALID_ARGUMENT: i32 = if cfg!(windows) { 87 } else { 22 };
    /// `ENOMEM`, `ERROR_NOT_ENOUGH_MEMORY`.
    pub(crate) const OUT_OF_MEMORY: i32 = if cfg!(windows) { 8 } else { 12 };
    /// `EAGAIN`, `ERROR_NO_SYSTEM_RESOURCES`.
    pub(crate) const TRY_AGAIN: i32 = if cfg!(windows) {
        1450
    } else if cfg!(any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "dragonfly",
        target_os = "netbsd",
        target_os = "openbsd"
    )) {
        35
    } else {
        11
    };
    /// `EPERM`, `ERROR_PRIVILEGE_NOT_HELD`.
    pub(crate) const NOT_PERMITTED: i32 = if cfg!(windows) { 1314 } else { 1 };
    /// `EACCES`, `ERROR_ACCESS_DENIED`.
    pub(crate) const ACCESS_DENIED: i32 = if cfg!(windows) { 5 } else { 13 };
}

impl OsError {
    /// Returns an error for `call` with the number `code` (`errno`, or `GetLastError` on Windows).
    #[must_use]
    pub const fn new(call: &'static str, code: i32) -> Self {
        Self { call, code }
    }

    /// Returns the error for an argument that was rejected before the system was asked.
    #[must_use]
    pub const fn invalid_argument(call: &'static str) -> Self {
        Self::new(call, code::INVALID_ARGUMENT)
    }

    /// Returns the error for a request that cannot fit in the address space or a limit.
    #[must_use]
    pub const fn out_of_memory(call: &'static str) -> Self {
        Self::new(call, code::OUT_OF_MEMORY)
    }

    /// Returns the error for a call that this target does not have.
    #[must_use]
    pub const fn unsupported(call: &'static str) -> Self {
        Self::new(call, code::UNSUPPORTED)
    }

    /// Returns the calling thread's last error (`errno`, `GetLastError`) as the failure of `call`.
    ///
    /// It is meaningful only directly after a failed call through the C library or the Windows API. The calls
    /// of this crate return their error and do not depend on it.
    #[cfg(any(feature = "std", windows, system = "unix", all(feature = "libc", system = "linux")))]
    #[must_use]
    pub fn last(call: &'static str) -> Self {
        Self::new(call, crate::platform::last_error_code())
    }

    /// Returns the name of the call that failed, such as `"mmap"` or `"madvise(MADV_COLLAPSE)"`.
    #[must_use]
    pub const fn call(&self) -> &'static str {
        self.call
    }

    /// Returns the system's number: `errno` on Unix, `GetLastError` on Windows.
    #[must_use]
    pub const fn code(&self) -> i32 {
        self.code
    }

    /// Returns true if the target, or the running kernel, does not have this call at all.
    #[must_use]
    pub const fn is_unsupported(&self) -> bool {
        self.code == code::UNSUPPORTED
    }

    /// Returns true if the system was out of memory, address space, or a limit on either.
    #[must_use]
    pub const fn is_out_of_memory(&self) -> bool {
        self.code == code::OUT_OF_MEMORY
    }

    /// Returns true if an argument was rejected, by this crate or by the system.
    #[must_use]
    pub const fn is_invalid_argument(&self) -> bool {
        self.code == code::INVALID_ARGUMENT
    }

    fn meaning(&self) -> &'static str {
        match self.code {
            code::UNSUPPORTED => "not supported here",
            code::INVALID_ARGUMENT => "invalid argument",
            code::OUT_OF_MEMORY => "out of memory",
            code::TRY_AGAIN => "temporarily refused",
            code::NOT_PERMITTED => "not permitted",
            code::ACCESS_DENIED => "access denied",
            _ => "failed",
        }
    }

    /// The remedy for the usual causes, or the empty string.
    fn advice(&self) -> &'static str {
        let limited = matches!(self.code, code::OUT_OF_MEMORY | code::TRY_AGAIN | code::NOT_PERMITTED);
        match self.call {
            "mlock" if limited => "raise RLIMIT_MEMLOCK (`ulimit -l`), or lock less memory",
            "VirtualLock" => {
                "raise the minimum working set with SetProcessWorkingSetSize, or lock less memory"
            }
            "mmap(MAP_HUGETLB)" if self.is_out_of_memory() => {
                "reserve huge pages: write a count to /proc/sys/vm/nr_hugepages"
            }
            "mmap(MAP_HUGETLB)" if self.is_invalid_argument() => {
                "use a size that /sys/kernel/mm/hugepages lists, and a length that is a multiple of it"
            }
            "VirtualAlloc(MEM_LARGE_PAGES)" if self.code == code::NOT_PERMITTED => {
                "grant the user \"Lock pages in memory\" (SeLockMemoryPrivilege) and enable it in the process"
            }
            "mmap" | "mremap" if self.is_out_of_memory() => {
                "the address space (RLIMIT_AS, `ulimit -v`), the overcommit limit \
                 (/proc/sys/vm/overcommit_memory) or the number of mappings (/proc/sys/vm/max_map_count) is exhausted"
            }
            "mprotect" | "munmap" if self.is_out_of_memory() => {
                "part of the range is not mapped, or a split would exceed /proc/sys/vm/max_map_count"
            }
            "mprotect" if matches!(self.code, code::ACCESS_DENIED) => {
                "a security policy forbids these rights (write and execute together, usually)"
            }
            "memfd_secret" if self.is_unsupported() => {
                "boot the kernel (5.14 or later) with secretmem.enable=1"
            }
            "mbind" if self.is_invalid_argument() => {
                "the mask is empty or names a node that /sys/devices/system/node/online does not list"
            }
            "mbind" if matches!(self.code, code::NOT_PERMITTED) => {
                "a container profile blocks mbind; allow it or drop the policy"
            }
            "mbind" if self.is_unsupported() => {
                "NUMA policies need Linux with CONFIG_NUMA; drop the policy elsewhere"
            }
            "madvise(MADV_HUGEPAGE)" if self.is_unsupported() => {
                "transparent huge pages need Linux with CONFIG_TRANSPARENT_HUGEPAGE"
            }
            _ => "",
        }
    }
}

impl fmt::Display for OsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (os error {})", self.call, self.meaning(), self.code)?;
        match self.advice() {
            "" => Ok(()),
            advice => write!(f, "; {advice}"),
        }
    }
}

impl core::error::Error for OsError {}

#[cfg(feature = "std")]
impl From<OsError> for std::io::Error {
    /// Keeps the number (`raw_os_error`); the name of the call is lost.
    fn from(error: OsError) -> Self {
        Self::from_raw_os_error(error.code)
    }
}

#[cfg(test)]
mod tests;
