//! The calls that rustix does not offer: `getcpu`'s node, `mbind`, `get_mempolicy`, `memfd_secret`, `mincore`, and new
//! `madvise` kinds.
//!
//! # Design
//!
//! One function, [`call`], enters the kernel: through [`raw`](crate::raw) on processors that have a file
//! there, otherwise through the C library's `syscall` if the feature `libc` is on, otherwise it reports that
//! the call is unsupported. Miri knows none of these calls and is treated as a kernel without them.

#![allow(unsafe_code)]

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU8, Ordering};

use rustix::fd::{FromRawFd, OwnedFd};
use rustix::mm::{MapFlags, ProtFlags};

use crate::OsError;
use crate::contract::Advice;
use crate::numa::{NodeMask, NumaMode};

pub(super) const MADV_COLLAPSE: usize = 25;
pub(super) const MADV_GUARD_INSTALL: usize = 102;
pub(super) const MADV_GUARD_REMOVE: usize = 103;

#[cfg(all(raw_calls, target_arch = "x86_64"))]
mod number {
    pub(super) const MINCORE: usize = 27;
    pub(super) const MADVISE: usize = 28;
    pub(super) const MBIND: usize = 237;
    pub(super) const GET_MEMPOLICY: usize = 239;
    pub(super) const GETCPU: usize = 309;
    #[cfg(not(feature = "libc"))]
    pub(super) const TGKILL: usize = 234;
}

#[cfg(all(raw_calls, target_arch = "aarch64"))]
mod number {
    pub(super) const MINCORE: usize = 232;
    pub(super) const MADVISE: usize = 233;
    pub(super) const MBIND: usize = 235;
    pub(super) const GET_MEMPOLICY: usize = 236;
    pub(super) const GETCPU: usize = 168;
    #[cfg(not(feature = "libc"))]
    pub(super) const TGKILL: usize = 131;
}

#[cfg(all(not(miri), not(raw_calls), feature = "libc"))]
mod number {
    pub(super) const MINCORE: usize = libc::SYS_mincore as usize;
    pub(super) const MADVISE: usize = libc::SYS_madvise as usize;
    pub(super) const MBIND: usize = libc::SYS_mbind as usize;
    pub(super) const GET_MEMPOLICY: usize = libc::SYS_get_mempolicy as usize;
    pub(super) const GETCPU: usize = libc::SYS_getcpu as usize;
}

#[cfg(any(miri, not(any(raw_calls, feature = "libc"))))]
mod number {
    pub(super) const MINCORE: usize = 0;
    pub(super) const MADVISE: usize = 0;
    pub(super) const MBIND: usize = 0;
    pub(super) const GET_MEMPOLICY: usize = 0;
    pub(super) const GETCPU: usize = 0;
    #[cfg(not(feature = "libc"))]
    pub(super) const TGKILL: usize = 0;
}

/// Newer calls have one number everywhere, except where the architecture adds its own base (MIPS); those are
/// left out.
const MEMFD_SECRET: usize = 447;

/// Enters the kernel.
///
/// # Safety
///
/// The arguments satisfy the contract of the system call `number`.
#[cfg(raw_calls)]
unsafe fn call(name: &'static str, number: usize, arguments: [usize; 6]) -> Result<usize, OsError> {
    // SAFETY: the caller's promise.
    unsafe { crate::raw::syscall6(number, arguments) }.map_err(|code| OsError::new(name, code))
}

/// Enters the kernel through the C library.
///
/// # Safety
///
/// The arguments satisfy the contract of the system call `number`.
#[cfg(all(not(miri), not(raw_calls), feature = "libc"))]
unsafe fn call(name: &'static str, number: usize, arguments: [usize; 6]) -> Result<usize, OsError> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the caller's promise; `syscall` is variadic and takes words.
    let result = unsafe { libc::syscall(number as libc::c_long, a, b, c, d, e, f) };
    match usize::try_from(result) {
        Ok(value) => Ok(value),
        Err(_) => Err(OsError::last(name)),
    }
}

/// Reports that this build cannot enter the kernel directly.
///
/// # Safety
///
/// None; the signature is that of the other builds.
#[cfg(any(miri, not(any(raw_calls, feature = "libc"))))]
unsafe fn call(name: &'static str, _: usize, _: [usize; 6]) -> Result<usize, OsError> {
    Err(OsError::unsupported(name))
}

/// A number that stands for no kind of advice.
const NO_KIND: usize = i32::MAX as usize;

/// Whether an unknown kind of advice is an error: 0 while nobody has asked, then `TAKES_ALL` or `REFUSES`.
static UNKNOWN: AtomicU8 = AtomicU8::new(0);
const TAKES_ALL: u8 = 1;
const REFUSES: u8 = 2;

/// Returns whether the kernel refuses advice that it does not know, as Linux does. One system call, once.
///
/// User-mode emulators take any advice for a hint and answer that all is well, also where they do nothing; then a guard would be
/// believed in that is not there.
fn refuses_unknown_advice() -> bool {
    // Relaxed: the value stands alone, and every thread that finds zero comes to the same one.
    let mut known = UNKNOWN.load(Ordering::Relaxed);
    if known == 0 {
        // About the page of the answer itself, a range that is not to blame for a refusal.
        let page = crate::page_size();
        let start = (&raw const UNKNOWN).addr() & !(page - 1);
        // SAFETY: nobody does anything for a kind that does not exist.
        let taken = unsafe { call("madvise", number::MADVISE, [start, page, NO_KIND, 0, 0, 0]) };
        known = if taken.is_ok() { TAKES_ALL } else { REFUSES };
        UNKNOWN.store(known, Ordering::Relaxed);
    }
    known == REFUSES
}

/// Gives a kind of advice by its number. It is unsupported where success says nothing.
///
/// # Safety
///
/// As [`Os::advise`](crate::Os::advise) for `advice`.
pub(super) unsafe fn madvise(
    ptr: NonNull<u8>,
    len: usize,
    kind: usize,
    advice: Advice,
) -> Result<(), OsError> {
    let address = ptr.as_ptr().expose_provenance();
    // SAFETY: the range is the caller's mapping, and the caller allows what this kind does to it.
    unsafe { call(advice.call(), number::MADVISE, [address, len, kind, 0, 0, 0])? };
    if refuses_unknown_advice() { Ok(()) } else { Err(OsError::unsupported(advice.call())) }
}

/// Asks which pages are in memory.
///
/// # Safety
///
/// The range is page-aligned and lies in a live mapping, and `resident` has a place for each page.
pub(super) unsafe fn mincore(ptr: NonNull<u8>, len: usize, resident: &mut [u8]) -> Result<(), OsError> {
    let (start, place) = (ptr.as_ptr().expose_provenance(), resident.as_mut_ptr().expose_provenance());
    // SAFETY: the caller's promise; the kernel writes a byte for each page.
    unsafe { call("mincore", number::MINCORE, [start, len, place, 0, 0, 0]) }.map(drop)
}

/// Sends a signal to the calling thread; unless it is blocked, it is delivered before this returns.
#[cfg(not(feature = "libc"))]
pub(super) fn signal_this_thread(signal: rustix::process::Signal) -> Result<(), OsError> {
    let process = rustix::process::getpid().as_raw_nonzero().get() as usize;
    let thread = rustix::thread::gettid().as_raw_nonzero().get() as usize;
    // SAFETY: the call takes numbers only; its effect is the signal.
    unsafe { call("tgkill", number::TGKILL, [process, thread, signal.as_raw() as usize, 0, 0, 0]) }.map(drop)
}

pub(crate) fn numa_node() -> Result<u32, OsError> {
    let mut node = 0_u32;
    let place = (&raw mut node).expose_provenance();
    // SAFETY: the first and third arguments may be null; the second is a writable `u32`.
    unsafe { call("getcpu", number::GETCPU, [0, place, 0, 0, 0, 0])? };
    // SAFETY: `node` is a live local; volatile, because the kernel wrote it behind the compiler's back.
    Ok(unsafe { (&raw const node).read_volatile() })
}

/// `MPOL_MF_STRICT`: report pages that exist and lie elsewhere (`EIO`).
const REPORT_MISPLACED: usize = 1;
/// `MPOL_MF_MOVE`: move such pages, if only this process uses them.
const MOVE_MISPLACED: usize = 2;
const EIO: i32 = 5;

pub(crate) unsafe fn numa_bind(
    ptr: NonNull<u8>,
    len: usize,
    mode: NumaMode,
    nodes: &NodeMask,
) -> Result<(), OsError> {
    let words = nodes.as_words();
    let bind = |flags| {
        let start = ptr.as_ptr().expose_provenance();
        let mask = words.as_ptr().expose_provenance();
        let arguments = [start, len, mode as usize, mask, KERNEL_MASK_BITS, flags];
        // SAFETY: the range is the caller's mapping, and the mask is readable for `KERNEL_MASK_BITS - 1` bits. A
        // placement policy changes neither content nor rights, and a page that moves keeps its address.
        unsafe { call("mbind", number::MBIND, arguments) }.map(drop)
    };
    // Moving makes every processor flush its lists of pages, so it is asked for only where there is something to move.
    match bind(REPORT_MISPLACED) {
        Err(error) if error.code() == EIO => match mode {
            NumaMode::Preferred => bind(MOVE_MISPLACED),
            NumaMode::Bind | NumaMode::Interleave => bind(MOVE_MISPLACED | REPORT_MISPLACED),
        },
        done => done,
    }
}

/// The kernel decrements the number of bits before it uses it, so a mask of n bits is announced as n + 1.
const KERNEL_MASK_BITS: usize = NodeMask::CAPACITY + 1;

pub(crate) fn numa_policy(ptr: NonNull<u8>) -> Result<(Option<NumaMode>, NodeMask), OsError> {
    /// `MPOL_F_ADDR`: ask about the mapping at the address.
    const BY_ADDRESS: usize = 2;
    let mut mode = 0_i32;
    let mut nodes = NodeMask::new();
    let arguments = [
        (&raw mut mode).expose_provenance(),
        nodes.as_words_mut().as_mut_ptr().expose_provenance(),
        KERNEL_MASK_BITS,
        ptr.as_ptr().expose_provenance(),
        BY_ADDRESS,
        0,
    ];
    // SAFETY: the kernel writes one `i32` and `KERNEL_MASK_BITS - 1` bits, for both of which there is room;
    // it only looks up the address.
    unsafe { call("get_mempolicy", number::GET_MEMPOLICY, arguments)? };
    // SAFETY: `mode` is a live local; volatile, because the kernel wrote it behind the compiler's back.
    let mode = unsafe { (&raw const mode).read_volatile() };
    Ok((NumaMode::from_kernel(mode), nodes))
}

pub(crate) fn map_secret(len: usize) -> Result<NonNull<u8>, OsError> {
    const CLOSE_ON_EXEC: usize = rustix::fs::OFlags::CLOEXEC.bits() as usize;
    if cfg!(any(target_arch = "mips", target_arch = "mips64")) {
        return Err(OsError::unsupported("memfd_secret"));
    }
    // SAFETY: the call takes only flags.
    let descriptor = unsafe { call("memfd_secret", MEMFD_SECRET, [CLOSE_ON_EXEC, 0, 0, 0, 0, 0])? };
    // SAFETY: the kernel just returned this descriptor, so nobody else owns it; it fits, because it is a
    // small number.
    let file = unsafe { OwnedFd::from_raw_fd(descriptor as i32) };
    rustix::fs::ftruncate(&file, len as u64).map_err(super::failed("ftruncate"))?;
    let rights = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a mapping at an address of the kernel's choice touches no existing memory; the file is known to
    // nobody else.
    let ptr = unsafe { rustix::mm::mmap(ptr::null_mut(), len, rights, MapFlags::SHARED, &file, 0) };
    super::mapped("mmap(memfd_secret)", ptr.map_err(super::failed("mmap(memfd_secret)"))?)
}
