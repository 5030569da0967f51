//! Windows: reserve and commit as two steps, whole regions only on release.
//!
//! # Design
//!
//! `VirtualFree` releases exactly what one `VirtualAlloc` reserved, so an over-aligned mapping cannot be
//! trimmed. Instead a larger range is reserved to find an aligned address, released, and reserved again at
//! that address; another thread may take it in between, so this is tried a few times.

#![allow(unsafe_code)]

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use windows_sys::Win32::Foundation::GetLastError;
use windows_sys::Win32::Security::Cryptography::{BCRYPT_USE_SYSTEM_PREFERRED_RNG, BCryptGenRandom};
use windows_sys::Win32::Storage::FileSystem::WriteFile;
use windows_sys::Win32::System::Console::{GetStdHandle, STD_ERROR_HANDLE};
use windows_sys::Win32::System::Kernel::PROCESSOR_NUMBER;
use windows_sys::Win32::System::Memory::{
    GetLargePageMinimum, MEM_COMMIT, MEM_DECOMMIT, MEM_LARGE_PAGES, MEM_RELEASE, MEM_RESERVE, MEM_RESET,
    PAGE_EXECUTE, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE, PAGE_NOACCESS, PAGE_READONLY, PAGE_READWRITE,
    VirtualAlloc, VirtualFree, VirtualLock, VirtualProtect, VirtualUnlock,
};
use windows_sys::Win32::System::SystemInformation::{GetSystemInfo, GetTickCount64, SYSTEM_INFO};
use windows_sys::Win32::System::Threading::{
    FLS_OUT_OF_INDEXES, FlsAlloc, FlsFree, FlsGetValue, FlsSetValue, GetCurrentProcessorNumberEx,
    GetNumaProcessorNodeEx,
};

use crate::OsError;
use crate::contract::{Advice, HugePageSizes, MapOptions, Protection};
use crate::numa::{NodeMask, NumaMode};

/// Reserved addresses have no pages until they are committed.
pub(crate) const MUST_COMMIT: bool = true;

pub(crate) const MAP_CALL: &str = "VirtualAlloc";
pub(crate) const MAP_HUGE_CALL: &str = "VirtualAlloc(MEM_LARGE_PAGES)";

/// Reservations start at multiples of this many bytes.
const RESERVATION_ALIGNMENT: usize = 64 << 10;

/// How often an aligned address is looked for before giving up.
const ALIGNED_ATTEMPTS: usize = 16;

fn raw(ptr: NonNull<u8>) -> *mut c_void {
    ptr.as_ptr().cast()
}

fn failed(call: &'static str) -> OsError {
    // SAFETY: no precondition.
    OsError::new(call, unsafe { GetLastError() } as i32)
}

/// Windows calls return zero for failure.
fn check(call: &'static str, result: i32) -> Result<(), OsError> {
    if result == 0 { Err(failed(call)) } else { Ok(()) }
}

pub(crate) fn map(len: usize, granule: usize, options: MapOptions) -> Result<NonNull<u8>, OsError> {
    let mut call = MAP_CALL;
    let mut kind = MEM_RESERVE;
    if options.no_reserve {
        return Err(OsError::unsupported("VirtualAlloc(no reserve)"));
    }
    if !options.reserve {
        kind |= MEM_COMMIT;
    }
    if options.huge_page_size.is_some() {
        call = MAP_HUGE_CALL;
        kind |= MEM_LARGE_PAGES;
    }
    let rights = protection_bits(options.protection);
    let natural = granule.max(RESERVATION_ALIGNMENT);
    let ptr = if options.alignment <= natural {
        allocate(call, ptr::null(), len, kind, rights)?
    } else {
        allocate_aligned(call, len, options.alignment, kind, rights)?
    };
    if options.populate {
        let write = options.protection.contains(Protection::WRITE);
        // SAFETY: the mapping is fresh, committed (`populate` excludes `reserve`), and has the right that
        // `write` names.
        unsafe { super::touch_pages(ptr, len, crate::page_size(), write) };
    }
    Ok(ptr)
}

fn allocate(
    call: &'static str,
    at: *const c_void,
    len: usize,
    kind: u32,
    rights: u32,
) -> Result<NonNull<u8>, OsError> {
    // SAFETY: a reservation, even at a wanted address, never touches a range that is in use: it fails
    // instead.
    let ptr = unsafe { VirtualAlloc(at, len, kind, rights) };
    NonNull::new(ptr.cast::<u8>()).ok_or_else(|| failed(call))
}

fn allocate_aligned(
    call: &'static str,
    len: usize,
    alignment: usize,
    kind: u32,
    rights: u32,
) -> Result<NonNull<u8>, OsError> {
    let mut outcome = Err(OsError::out_of_memory(call));
    for _ in 0..ALIGNED_ATTEMPTS {
        let probe = allocate(call, ptr::null(), len + alignment, MEM_RESERVE, PAGE_NOACCESS)?;
        let wanted = raw(probe).map_addr(|address| (address + alignment - 1) & !(alignment - 1));
        // SAFETY: the reservation was made above and nobody else knows it.
        unsafe { unmap(probe, len + alignment)? };
        outcome = allocate(call, wanted, len, kind, rights);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

pub(crate) unsafe fn unmap(ptr: NonNull<u8>, _: usize) -> Result<(), OsError> {
    // SAFETY: the caller gives up a whole mapping; the length must be zero for a release.
    check("VirtualFree", unsafe { VirtualFree(raw(ptr), 0, MEM_RELEASE) })
}

pub(crate) unsafe fn protect(ptr: NonNull<u8>, len: usize, protection: Protection) -> Result<(), OsError> {
    let mut before = 0;
    // SAFETY: the caller owns the range and obeys the new rights; `before` is writable.
    check("VirtualProtect", unsafe {
        VirtualProtect(raw(ptr), len, protection_bits(protection), &raw mut before)
    })
}

/// Windows has no write-only pages: write implies read.
fn protection_bits(protection: Protection) -> u32 {
    let has = |right| protection.contains(right);
    match (has(Protection::READ), has(Protection::WRITE), has(Protection::EXECUTE)) {
        (false, false, false) => PAGE_NOACCESS,
        (true, false, false) => PAGE_READONLY,
        (_, true, false) => PAGE_READWRITE,
        (false, false, true) => PAGE_EXECUTE,
        (true, false, true) => PAGE_EXECUTE_READ,
        (_, true, true) => PAGE_EXECUTE_READWRITE,
    }
}

pub(crate) unsafe fn commit(ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
    // SAFETY: the range lies in a reservation of the caller's; committing committed pages keeps their
    // content.
    let result = unsafe { VirtualAlloc(raw(ptr), len, MEM_COMMIT, PAGE_READWRITE) };
    if result.is_null() { Err(failed("VirtualAlloc(MEM_COMMIT)")) } else { Ok(()) }
}

pub(crate) unsafe fn decommit(ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
    // SAFETY: the range lies in a mapping of the caller's, who gives up its content.
    check("VirtualFree(MEM_DECOMMIT)", unsafe { VirtualFree(raw(ptr), len, MEM_DECOMMIT) })
}

pub(crate) unsafe fn advise(ptr: NonNull<u8>, len: usize, advice: Advice) -> Result<(), OsError> {
    if advice != Advice::Free {
        return Err(OsError::unsupported(advice.call()));
    }
    // SAFETY: the range lies in a mapping of the caller's, who gives up its content; the rights argument is
    // ignored but must be valid.
    let result = unsafe { VirtualAlloc(raw(ptr), len, MEM_RESET, PAGE_READWRITE) };
    if result.is_null() { Err(failed("VirtualAlloc(MEM_RESET)")) } else { Ok(()) }
}

pub(crate) unsafe fn lock(ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
    // SAFETY: locking changes neither content nor rights.
    check("VirtualLock", unsafe { VirtualLock(raw(ptr), len) })
}

pub(crate) unsafe fn unlock(ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
    // SAFETY: unlocking changes neither content nor rights.
    check("VirtualUnlock", unsafe { VirtualUnlock(raw(ptr), len) })
}

pub(crate) unsafe fn remap(_: NonNull<u8>, _: usize, _: usize, _: bool) -> Result<NonNull<u8>, OsError> {
    Err(OsError::unsupported("remap"))
}

pub(crate) fn page_size() -> usize {
    let mut information = MaybeUninit::<SYSTEM_INFO>::zeroed();
    // SAFETY: the structure is writable; it consists of numbers and pointers, for which zero is valid.
    let information = unsafe {
        GetSystemInfo(information.as_mut_ptr());
        information.assume_init()
    };
    information.dwPageSize as usize
}

pub(crate) unsafe fn resident(_: NonNull<u8>, _: usize, _: &mut [u8]) -> Result<(), OsError> {
    Err(OsError::unsupported("mincore"))
}

pub(crate) fn milliseconds() -> u64 {
    // SAFETY: the call has no preconditions.
    unsafe { GetTickCount64() }
}

pub(crate) fn huge_page_sizes() -> HugePageSizes {
    let mut sizes = HugePageSizes::new();
    // SAFETY: no precondition. Zero means that the processor has none.
    let size = unsafe { GetLargePageMinimum() };
    if size != 0 {
        sizes.push(size);
    }
    sizes
}

pub(crate) fn transparent_huge_page_size() -> Option<usize> {
    None
}

pub(crate) fn numa_node() -> Result<u32, OsError> {
    let mut processor = PROCESSOR_NUMBER { Group: 0, Number: 0, Reserved: 0 };
    let mut node = 0_u16;
    // SAFETY: both structures are writable, and the second call reads what the first wrote.
    let result = unsafe {
        GetCurrentProcessorNumberEx(&raw mut processor);
        GetNumaProcessorNodeEx(&raw const processor, &raw mut node)
    };
    check("GetNumaProcessorNodeEx", result)?;
    Ok(u32::from(node))
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
    /// A length that fits the call's 32-bit count.
    const LIMIT: usize = 1 << 30;
    for chunk in buffer.chunks_mut(LIMIT) {
        // SAFETY: the chunk is writable for its length; the system's generator needs no handle.
        let status = unsafe {
            BCryptGenRandom(
                ptr::null_mut(),
                chunk.as_mut_ptr(),
                chunk.len() as u32,
                BCRYPT_USE_SYSTEM_PREFERRED_RNG,
            )
        };
        if status != 0 {
            return Err(OsError::new("BCryptGenRandom", status));
        }
    }
    Ok(())
}

pub(crate) fn write_stderr(mut bytes: &[u8]) {
    // SAFETY: no precondition.
    let stderr = unsafe { GetStdHandle(STD_ERROR_HANDLE) };
    while !bytes.is_empty() {
        let mut written = 0;
        // SAFETY: the bytes are readable for their length, which is at most the line's; `written` is
        // writable.
        let result = unsafe {
            WriteFile(stderr, bytes.as_ptr(), bytes.len() as u32, &raw mut written, ptr::null_mut())
        };
        if result == 0 || written == 0 {
            return;
        }
        bytes = bytes.get(written as usize..).unwrap_or(&[]);
    }
}

#[cfg(not(feature = "std"))]
pub(crate) fn abort() -> ! {
    use windows_sys::Win32::System::Threading::{GetCurrentProcess, TerminateProcess};
    /// `STATUS_STACK_BUFFER_OVERRUN`, the exit code of a fail-fast end.
    const FAIL_FAST: u32 = 0xC000_0409;
    // SAFETY: the pseudo handle of the process itself.
    unsafe { TerminateProcess(GetCurrentProcess(), FAIL_FAST) };
    loop {
        core::hint::spin_loop();
    }
}

#[cfg(not(feature = "std"))]
pub(crate) fn thread_number() -> core::num::NonZeroUsize {
    // SAFETY: no precondition.
    let number = unsafe { windows_sys::Win32::System::Threading::GetCurrentThreadId() };
    core::num::NonZeroUsize::new(number as usize).unwrap_or(core::num::NonZeroUsize::MIN)
}

#[cfg(not(feature = "std"))]
pub(crate) fn last_error_code() -> i32 {
    // SAFETY: no precondition.
    unsafe { GetLastError() as i32 }
}

/// The callback of the fiber-local word; the system passes the word when the thread ends.
unsafe extern "system" fn run(word: *const c_void) {
    crate::thread::run_hooks(word.addr());
}

pub(crate) fn create_exit_key() -> Result<usize, OsError> {
    // SAFETY: the callback has the required signature and lives as long as the module.
    let key = unsafe { FlsAlloc(Some(run)) };
    if key == FLS_OUT_OF_INDEXES { Err(failed("FlsAlloc")) } else { Ok(key as usize) }
}

pub(crate) fn delete_exit_key(key: usize) {
    // SAFETY: the key came from `create_exit_key` and no thread has used it.
    let _ = unsafe { FlsFree(key as u32) };
}

pub(crate) fn exit_word(key: usize) -> usize {
    // SAFETY: the key came from `create_exit_key`.
    unsafe { FlsGetValue(key as u32) }.addr()
}

pub(crate) fn set_exit_word(key: usize, word: usize) -> Result<(), OsError> {
    // SAFETY: the key came from `create_exit_key`; the word is never dereferenced.
    check("FlsSetValue", unsafe { FlsSetValue(key as u32, ptr::without_provenance(word)) })
}
