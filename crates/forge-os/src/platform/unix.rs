//! macOS, the BSDs and illumos: their C libraries, whose kernels promise no stable system-call numbers.

#![allow(unsafe_code)]

use core::ffi::{c_int, c_void};
use core::ptr::{self, NonNull};

use crate::contract::{Advice, HugePageSizes, MapOptions, Protection};
use crate::numa::{NodeMask, NumaMode};
use crate::{OsError, aligned};

pub(crate) use super::pthread::{create_exit_key, delete_exit_key, exit_word, set_exit_word};

/// Pages are backed at their first touch.
pub(crate) const MUST_COMMIT: bool = false;

pub(crate) const MAP_CALL: &str = "mmap";
pub(crate) const MAP_HUGE_CALL: &str = "mmap(superpage)";

/// `MAP_NORESERVE` where the system has it.
#[cfg(any(target_vendor = "apple", target_os = "netbsd", target_os = "solaris", target_os = "illumos"))]
const NO_RESERVE: Option<c_int> = Some(libc::MAP_NORESERVE);
#[cfg(not(any(
    target_vendor = "apple",
    target_os = "netbsd",
    target_os = "solaris",
    target_os = "illumos"
)))]
const NO_RESERVE: Option<c_int> = None;

/// The only huge page size that can be asked for, and what `mmap` takes in place of a descriptor to ask for
/// it (`VM_FLAGS_SUPERPAGE_SIZE_2MB`).
const SUPERPAGE: Option<(usize, c_int)> =
    if cfg!(all(target_os = "macos", target_arch = "x86_64")) { Some((2 << 20, 2 << 16)) } else { None };

/// Returns the calling thread's last error as the failure of `call`.
fn failed(call: &'static str) -> OsError {
    OsError::last(call)
}

fn check(call: &'static str, result: c_int) -> Result<(), OsError> {
    if result == 0 { Ok(()) } else { Err(failed(call)) }
}

pub(crate) fn map(len: usize, granule: usize, options: MapOptions) -> Result<NonNull<u8>, OsError> {
    let mut call = MAP_CALL;
    let mut flags = libc::MAP_PRIVATE | libc::MAP_ANON;
    let mut descriptor = -1;
    if options.no_reserve {
        flags |= NO_RESERVE.ok_or(OsError::unsupported("mmap(MAP_NORESERVE)"))?;
    }
    if options.reserve {
        flags |= NO_RESERVE.unwrap_or(0);
    }
    if let Some(size) = options.huge_page_size {
        call = MAP_HUGE_CALL;
        match SUPERPAGE {
            Some((offered, request)) if offered == size => descriptor = request,
            _ => return Err(OsError::unsupported(call)),
        }
    }
    let rights = protection_bits(options.protection);
    let map_granule = |len| {
        let near = ptr::without_provenance_mut(options.near & !(granule - 1));
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no existing memory, and the address is a hint.
        let ptr = unsafe { libc::mmap(near, len, rights, flags, descriptor, 0) };
        if ptr == libc::MAP_FAILED {
            return Err(failed(call));
        }
        NonNull::new(ptr.cast::<u8>()).ok_or(OsError::out_of_memory(call))
    };
    // SAFETY: the kernel aligns to the page size, and superpages to their size; `unmap` takes parts; the
    // sizes passed `MapOptions::check`. The closure unmaps only parts of the mapping that was just made.
    let ptr = unsafe {
        aligned::map_aligned(len, granule, options.alignment, map_granule, |ptr, len| unmap(ptr, len))?
    };
    if options.populate {
        let write = options.protection.contains(Protection::WRITE);
        // SAFETY: the mapping is fresh, so zero and unused, and has the right that `write` names.
        unsafe { super::touch_pages(ptr, len, crate::page_size(), write) };
    }
    Ok(ptr)
}

fn raw(ptr: NonNull<u8>) -> *mut c_void {
    ptr.as_ptr().cast()
}

pub(crate) unsafe fn unmap(ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
    // SAFETY: the caller gives up a range of a mapping.
    check("munmap", unsafe { libc::munmap(raw(ptr), len) })
}

pub(crate) unsafe fn protect(ptr: NonNull<u8>, len: usize, protection: Protection) -> Result<(), OsError> {
    // SAFETY: the caller owns the range and obeys the new rights.
    check("mprotect", unsafe { libc::mprotect(raw(ptr), len, protection_bits(protection)) })
}

fn protection_bits(protection: Protection) -> c_int {
    let mut bits = libc::PROT_NONE;
    for (right, bit) in [
        (Protection::READ, libc::PROT_READ),
        (Protection::WRITE, libc::PROT_WRITE),
        (Protection::EXECUTE, libc::PROT_EXEC),
    ] {
        if protection.contains(right) {
            bits |= bit;
        }
    }
    bits
}

/// A reserved mapping has its rights from the start and the kernel backs pages at the first touch: nothing is
/// left to do.
pub(crate) unsafe fn commit(_: NonNull<u8>, _: usize) -> Result<(), OsError> {
    Ok(())
}

/// Maps fresh pages over the range: no advice of these systems promises zero.
pub(crate) unsafe fn decommit(ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_FIXED | NO_RESERVE.unwrap_or(0);
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the range is part of a reserved mapping of the caller's, who gives up its content; it is
    // replaced by the same kind of mapping with the same rights.
    let result = unsafe { libc::mmap(raw(ptr), len, rights, flags, -1, 0) };
    if result == libc::MAP_FAILED { Err(failed("mmap(MAP_FIXED)")) } else { Ok(()) }
}

pub(crate) unsafe fn advise(ptr: NonNull<u8>, len: usize, advice: Advice) -> Result<(), OsError> {
    let kind = match advice {
        Advice::Sequential => libc::MADV_SEQUENTIAL,
        Advice::Random => libc::MADV_RANDOM,
        Advice::WillNeed => libc::MADV_WILLNEED,
        Advice::Free => libc::MADV_FREE,
        #[cfg(any(target_os = "freebsd", target_os = "dragonfly"))]
        Advice::DontDump => libc::MADV_NOCORE,
        #[cfg(any(target_os = "freebsd", target_os = "dragonfly"))]
        Advice::DoDump => libc::MADV_CORE,
        _ => return Err(OsError::unsupported(advice.call())),
    };
    // SAFETY: the range is a mapping of the caller's, who allows what this advice does to its content.
    check(advice.call(), unsafe { libc::madvise(raw(ptr).cast(), len, kind) })
}

pub(crate) unsafe fn lock(ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
    // SAFETY: locking changes neither content nor rights.
    check("mlock", unsafe { libc::mlock(raw(ptr), len) })
}

pub(crate) unsafe fn unlock(ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
    // SAFETY: unlocking changes neither content nor rights.
    check("munlock", unsafe { libc::munlock(raw(ptr), len) })
}

pub(crate) unsafe fn remap(_: NonNull<u8>, _: usize, _: usize, _: bool) -> Result<NonNull<u8>, OsError> {
    Err(OsError::unsupported("mremap"))
}

pub(crate) fn page_size() -> usize {
    // SAFETY: no precondition. A failure is -1, which becomes zero and then the fallback.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(0)
}

pub(crate) unsafe fn resident(_: NonNull<u8>, _: usize, _: &mut [u8]) -> Result<(), OsError> {
    Err(OsError::unsupported("mincore"))
}

pub(crate) fn milliseconds() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes the structure and nothing else. Where it fails the time is 0, as without a clock.
    let _ = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

pub(crate) fn huge_page_sizes() -> HugePageSizes {
    let mut sizes = HugePageSizes::new();
    if let Some((size, _)) = SUPERPAGE {
        sizes.push(size);
    }
    sizes
}

pub(crate) fn transparent_huge_page_size() -> Option<usize> {
    None
}

pub(crate) fn numa_node() -> Result<u32, OsError> {
    Err(OsError::unsupported("getcpu"))
}

pub(crate) unsafe fn numa_bind(_: NonNull<u8>, _: usize, _: NumaMode, _: &NodeMask) -> Result<(), OsError> {
    Err(OsError::unsupported("mbind"))
}

pub(crate) fn numa_policy(_: NonNull<u8>) -> Result<(Option<NumaMode>, NodeMask), OsError> {
    Err(OsError::unsupported("get_mempolicy"))
}

pub(crate) fn map_secret(_: usize) -> Result<NonNull<u8>, OsError> {
    Err(OsError::unsupported("memfd_secret"))
}

pub(crate) fn fill_random(buffer: &mut [u8]) -> Result<(), OsError> {
    /// The most that one call fills.
    const LIMIT: usize = 256;
    for chunk in buffer.chunks_mut(LIMIT) {
        // SAFETY: the chunk is writable for its length.
        check("getentropy", unsafe { libc::getentropy(chunk.as_mut_ptr().cast(), chunk.len()) })?;
    }
    Ok(())
}

pub(crate) fn write_stderr(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the bytes are readable for their length; descriptor 2 is the standard error by convention.
        let written = unsafe { libc::write(2, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(written) {
            Ok(0) => return,
            Ok(written) => bytes = bytes.get(written..).unwrap_or(&[]),
            Err(_) if failed("write").code() == libc::EINTR => {}
            Err(_) => return,
        }
    }
}

#[cfg(not(feature = "std"))]
pub(crate) fn abort() -> ! {
    // SAFETY: no precondition.
    unsafe { libc::abort() }
}

#[cfg(not(feature = "std"))]
#[allow(
    trivial_numeric_casts,
    reason = "a thread is a number on some of these systems and a pointer on others"
)]
pub(crate) fn thread_number() -> core::num::NonZeroUsize {
    // SAFETY: no precondition. The result is a pointer or a positive number on these systems.
    let thread = unsafe { libc::pthread_self() } as usize;
    core::num::NonZeroUsize::new(thread).unwrap_or(core::num::NonZeroUsize::MIN)
}

#[cfg(not(feature = "std"))]
pub(crate) fn last_error_code() -> i32 {
    // SAFETY: the place is the calling thread's own.
    unsafe { error_place().read() }
}

/// Returns where the error number of the calling thread is.
pub(crate) fn error_place() -> *mut i32 {
    #[cfg(any(target_os = "solaris", target_os = "illumos"))]
    use libc::___errno as place;
    #[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
    use libc::__errno as place;
    #[cfg(target_os = "dragonfly")]
    use libc::__errno_location as place;
    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    use libc::__error as place;
    // SAFETY: no precondition.
    unsafe { place() }
}
