//! Linux and Android: raw system calls through rustix, and through [`shim`] for the few that rustix lacks.

#![allow(unsafe_code)]

mod shim;

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::mm::{self, Advice as MmAdvice, MapFlags, MprotectFlags, MremapFlags, ProtFlags};

use crate::contract::{Advice, HugePageSizes, MapOptions, Protection};
use crate::{OsError, aligned};

#[cfg(feature = "libc")]
pub(crate) use super::pthread::{create_exit_key, delete_exit_key, exit_word, set_exit_word};
pub(crate) use shim::{map_secret, numa_bind, numa_node, numa_policy};

/// Pages are backed at their first touch.
pub(crate) const MUST_COMMIT: bool = false;

pub(crate) const MAP_CALL: &str = "mmap";
pub(crate) const MAP_HUGE_CALL: &str = "mmap(MAP_HUGETLB)";

/// `MAP_HUGE_SHIFT`: the base-2 logarithm of the huge page size stands in the flags from this bit on.
const HUGE_SHIFT: u32 = 26;

fn failed(call: &'static str) -> impl Fn(Errno) -> OsError {
    move |errno| OsError::new(call, errno.raw_os_error())
}

fn raw(ptr: NonNull<u8>) -> *mut c_void {
    ptr.as_ptr().cast()
}

/// Turns the result of a successful mapping call into a pointer; the kernel does not hand out page zero.
fn mapped(call: &'static str, ptr: *mut c_void) -> Result<NonNull<u8>, OsError> {
    NonNull::new(ptr.cast::<u8>()).ok_or(OsError::out_of_memory(call))
}

pub(crate) fn map(len: usize, granule: usize, options: MapOptions) -> Result<NonNull<u8>, OsError> {
    let mut call = MAP_CALL;
    let mut flags = MapFlags::PRIVATE;
    if cfg!(miri) && options.alignment > granule {
        // Miri's munmap takes whole mappings, so nothing can be trimmed.
        return Err(OsError::unsupported("mmap(alignment)"));
    }
    // Miri has no limit that this flag could lift, and refuses it.
    if (options.reserve || options.no_reserve) && cfg!(not(miri)) {
        flags |= MapFlags::NORESERVE;
    }
    if let Some(size) = options.huge_page_size {
        call = MAP_HUGE_CALL;
        flags |= MapFlags::HUGETLB | MapFlags::from_bits_retain(size.trailing_zeros() << HUGE_SHIFT);
    }
    let rights = ProtFlags::from_bits_truncate(protection_bits(options.protection));
    let map_granule = |len| {
        let near = ptr::without_provenance_mut(options.near & !(granule - 1));
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no existing memory, and the address is a hint.
        let ptr = unsafe { mm::mmap_anonymous(near, len, rights, flags) };
        mapped(call, ptr.map_err(failed(call))?)
    };
    // SAFETY: the kernel aligns to the page size, and hugetlb mappings to their huge page size; `unmap` takes
    // parts; the sizes passed `MapOptions::check`. The closure unmaps only parts of the mapping that was just
    // made.
    let ptr = unsafe {
        aligned::map_aligned(len, granule, options.alignment, map_granule, |ptr, len| unmap(ptr, len))?
    };
    if options.populate {
        // SAFETY: the mapping is fresh, `len` bytes long, and has the rights in `options`.
        if let Err(error) = unsafe { populate(ptr, len, options.protection) } {
            // SAFETY: the whole mapping, which nobody else has seen. The population's error is the one to
            // report.
            let _ = unsafe { unmap(ptr, len) };
            return Err(error);
        }
    }
    Ok(ptr)
}

/// Backs every page now. `MAP_POPULATE` would hide its failures, so this asks with the advice that reports
/// them, and touches the pages on kernels (and under Miri) that do not have it.
///
/// # Safety
///
/// The range is a fresh mapping with these rights, of which read or write is one.
unsafe fn populate(ptr: NonNull<u8>, len: usize, protection: Protection) -> Result<(), OsError> {
    let write = protection.contains(Protection::WRITE);
    if cfg!(not(miri)) {
        let advice = if write { Advice::PopulateWrite } else { Advice::PopulateRead };
        // SAFETY: populating keeps content; the range is a mapping.
        match unsafe { advise(ptr, len, advice) } {
            Err(error) if error.is_invalid_argument() => {}
            result => return result,
        }
    }
    // SAFETY: the mapping is fresh, so zero and unused, and has the right that `write` names.
    unsafe { super::touch_pages(ptr, len, crate::page_size(), write) };
    Ok(())
}

pub(crate) unsafe fn unmap(ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
    // SAFETY: the caller gives up a range of a mapping.
    unsafe { mm::munmap(raw(ptr), len) }.map_err(failed("munmap"))
}

pub(crate) unsafe fn protect(ptr: NonNull<u8>, len: usize, protection: Protection) -> Result<(), OsError> {
    let rights = MprotectFlags::from_bits_truncate(protection_bits(protection));
    // SAFETY: the caller owns the range and obeys the new rights.
    unsafe { mm::mprotect(raw(ptr), len, rights) }.map_err(failed("mprotect"))
}

fn protection_bits(protection: Protection) -> u32 {
    let mut bits = ProtFlags::empty();
    bits.set(ProtFlags::READ, protection.contains(Protection::READ));
    bits.set(ProtFlags::WRITE, protection.contains(Protection::WRITE));
    bits.set(ProtFlags::EXEC, protection.contains(Protection::EXECUTE));
    bits.bits()
}

/// A reserved mapping has its rights from the start and the kernel backs pages at the first touch: nothing is
/// left to do.
pub(crate) unsafe fn commit(_: NonNull<u8>, _: usize) -> Result<(), OsError> {
    Ok(())
}

pub(crate) unsafe fn decommit(ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
    // SAFETY: the caller gives up the content, which is what this advice loses.
    unsafe { advise(ptr, len, Advice::DontNeed) }
}

pub(crate) unsafe fn advise(ptr: NonNull<u8>, len: usize, advice: Advice) -> Result<(), OsError> {
    let kind = match advice {
        Advice::Sequential => MmAdvice::Sequential,
        Advice::Random => MmAdvice::Random,
        Advice::WillNeed => MmAdvice::WillNeed,
        Advice::DontNeed => MmAdvice::LinuxDontNeed,
        Advice::DontNeedLocked => MmAdvice::LinuxDontneedLocked,
        Advice::Free => MmAdvice::LinuxFree,
        Advice::Cold => MmAdvice::LinuxCold,
        Advice::PageOut => MmAdvice::LinuxPageOut,
        Advice::HugePage => MmAdvice::LinuxHugepage,
        Advice::NoHugePage => MmAdvice::LinuxNoHugepage,
        Advice::DontDump => MmAdvice::LinuxDontDump,
        Advice::DoDump => MmAdvice::LinuxDoDump,
        Advice::DontFork => MmAdvice::LinuxDontFork,
        Advice::DoFork => MmAdvice::LinuxDoFork,
        Advice::WipeOnFork => MmAdvice::LinuxWipeOnFork,
        Advice::KeepOnFork => MmAdvice::LinuxKeepOnFork,
        Advice::PopulateRead => MmAdvice::LinuxPopulateRead,
        Advice::PopulateWrite => MmAdvice::LinuxPopulateWrite,
        // SAFETY: the caller's promises for these kinds are passed on.
        Advice::Collapse => return unsafe { shim::madvise(ptr, len, shim::MADV_COLLAPSE, advice) },
        // SAFETY: as above.
        Advice::GuardInstall => return unsafe { shim::madvise(ptr, len, shim::MADV_GUARD_INSTALL, advice) },
        // SAFETY: as above.
        Advice::GuardRemove => return unsafe { shim::madvise(ptr, len, shim::MADV_GUARD_REMOVE, advice) },
    };
    // SAFETY: the range is a mapping of the caller's, who allows what this advice does to its content.
    unsafe { mm::madvise(raw(ptr), len, kind) }.map_err(failed(advice.call()))
}

pub(crate) unsafe fn lock(ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
    // SAFETY: locking changes neither content nor rights.
    unsafe { mm::mlock(raw(ptr), len) }.map_err(failed("mlock"))
}

pub(crate) unsafe fn unlock(ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
    // SAFETY: unlocking changes neither content nor rights.
    unsafe { mm::munlock(raw(ptr), len) }.map_err(failed("munlock"))
}

pub(crate) unsafe fn remap(
    ptr: NonNull<u8>,
    old_len: usize,
    new_len: usize,
    may_move: bool,
) -> Result<NonNull<u8>, OsError> {
    if new_len == 0 || new_len > isize::MAX as usize || new_len % crate::page_size() != 0 {
        return Err(OsError::invalid_argument("mremap"));
    }
    let flags = if may_move { MremapFlags::MAYMOVE } else { MremapFlags::empty() };
    // SAFETY: the caller gives the whole mapping and stops using the old range if it moved.
    let moved = unsafe { mm::mremap(raw(ptr), old_len, new_len, flags) };
    mapped("mremap", moved.map_err(failed("mremap"))?)
}

pub(crate) fn page_size() -> usize {
    rustix::param::page_size()
}

pub(crate) unsafe fn resident(ptr: NonNull<u8>, len: usize, resident: &mut [u8]) -> Result<(), OsError> {
    // SAFETY: the caller's promise.
    unsafe { shim::mincore(ptr, len, resident)? };
    // The other bits are reserved.
    resident.iter_mut().for_each(|page| *page &= 1);
    Ok(())
}

pub(crate) fn milliseconds() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

pub(crate) fn huge_page_sizes() -> HugePageSizes {
    let mut sizes = HugePageSizes::new();
    if cfg!(miri) {
        return sizes;
    }
    // The directory has one entry per size, named by kibibytes. Asking for every possible name needs no
    // directory buffer.
    for shift in 14..usize::BITS.min(36) {
        let mut name = HugePageName::new(1_usize << (shift - 10));
        if rustix::fs::access(name.path(), rustix::fs::Access::EXISTS).is_ok() {
            sizes.push(1 << shift);
        }
    }
    sizes
}

/// The path of one huge page size in sysfs, built on the stack.
struct HugePageName {
    bytes: [u8; 64],
}

impl HugePageName {
    const PREFIX: &'static [u8] = b"/sys/kernel/mm/hugepages/hugepages-";

    fn new(kibibytes: usize) -> Self {
        let mut digits = [0_u8; 20];
        let mut first = digits.len();
        let mut rest = kibibytes;
        for (index, digit) in digits.iter_mut().enumerate().rev() {
            *digit = b'0' + (rest % 10) as u8;
            first = index;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let digits = digits.get(first..).unwrap_or(&[]);
        let mut bytes = [0; 64];
        let text = Self::PREFIX.iter().chain(digits).chain(b"kB");
        // 35 + 20 + 2 bytes at most, so the last byte stays zero.
        for (byte, source) in bytes.iter_mut().zip(text) {
            *byte = *source;
        }
        Self { bytes }
    }

    fn path(&mut self) -> &core::ffi::CStr {
        core::ffi::CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

pub(crate) fn transparent_huge_page_size() -> Option<usize> {
    use rustix::fs::{Mode, OFlags, open};
    if cfg!(miri) {
        return None;
    }
    let path = c"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size";
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = [0_u8; 24];
    let length = rustix::io::read(&file, &mut text).ok()?;
    let digits = core::str::from_utf8(text.get(..length)?).ok()?.trim_end();
    digits.parse().ok().filter(|size: &usize| size.is_power_of_two())
}

pub(crate) fn fill_random(mut buffer: &mut [u8]) -> Result<(), OsError> {
    use rustix::rand::{GetRandomFlags, getrandom};
    while !buffer.is_empty() {
        match getrandom(&mut *buffer, GetRandomFlags::empty()) {
            Ok(filled) => buffer = buffer.get_mut(filled..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(failed("getrandom")(errno)),
        }
    }
    Ok(())
}

pub(crate) fn write_stderr(mut bytes: &[u8]) {
    // SAFETY: descriptor 2 is the standard error by convention; if it is closed or something else, the write
    // fails or lands there, which is what every program's messages do.
    let stderr = unsafe { BorrowedFd::borrow_raw(2) };
    while !bytes.is_empty() {
        match rustix::io::write(stderr, bytes) {
            Ok(0) => return,
            Ok(written) => bytes = bytes.get(written..).unwrap_or(&[]),
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

#[cfg(not(feature = "libc"))]
pub(crate) fn abort() -> ! {
    use rustix::process::{Signal, getpid, kill_process};
    // A signal to the calling thread arrives before the call returns; one to the process may go to another
    // thread and lose the race against SIGKILL, which ends the process just as well.
    if shim::signal_this_thread(Signal::ABORT).is_err() {
        let _ = kill_process(getpid(), Signal::ABORT);
    }
    // Still here: SIGABRT is blocked or handled. SIGKILL can be neither.
    let _ = kill_process(getpid(), Signal::KILL);
    loop {
        core::hint::spin_loop();
    }
}

#[cfg(all(feature = "libc", not(feature = "std")))]
pub(crate) fn abort() -> ! {
    // SAFETY: no precondition.
    unsafe { libc::abort() }
}

#[cfg(not(feature = "std"))]
pub(crate) fn thread_number() -> core::num::NonZeroUsize {
    let number = rustix::thread::gettid().as_raw_nonzero();
    number.unsigned_abs().try_into().unwrap_or(core::num::NonZeroUsize::MIN)
}

#[cfg(all(feature = "libc", not(feature = "std")))]
pub(crate) fn last_error_code() -> i32 {
    // SAFETY: the place is the calling thread's own.
    unsafe { error_place().read() }
}

/// Returns where the error number of the calling thread is.
#[cfg(feature = "libc")]
pub(crate) fn error_place() -> *mut i32 {
    #[cfg(target_os = "android")]
    // SAFETY: no precondition.
    return unsafe { libc::__errno() };
    #[cfg(not(target_os = "android"))]
    // SAFETY: no precondition.
    return unsafe { libc::__errno_location() };
}

#[cfg(not(feature = "libc"))]
mod no_threads {
    //! Without the C library nobody runs a destructor when a thread ends.

    use crate::OsError;

    pub(crate) fn create_exit_key() -> Result<usize, OsError> {
        Err(OsError::unsupported("on_thread_exit"))
    }

    pub(crate) fn delete_exit_key(_: usize) {}

    pub(crate) fn exit_word(_: usize) -> usize {
        0
    }

    pub(crate) fn set_exit_word(_: usize, _: usize) -> Result<(), OsError> {
        Err(OsError::unsupported("on_thread_exit"))
    }
}

#[cfg(not(feature = "libc"))]
pub(crate) use no_threads::{create_exit_key, delete_exit_key, exit_word, set_exit_word};
