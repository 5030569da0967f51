//! The functions of C, as glibc documents them.
//!
//! | function | what is special |
//! |---|---|
//! | `malloc`, `calloc`, `realloc`, `reallocarray` | a block of its own for a size of 0; aligned to 16; null and `ENOMEM` |
//! | `realloc` to 0 | frees the block and returns null |
//! | `aligned_alloc`, `memalign` | null and `EINVAL` unless the alignment is a power of two; any size |
//! | `posix_memalign` | returns the error, and leaves `errno` and the place of the result alone if it fails |
//! | `valloc`, `pvalloc` | aligned to a page; `pvalloc` gives whole pages, and at least one |
//! | `free`, `cfree`, `free_sized`, `free_aligned_sized` | null is nothing; `errno` stays; the block says its size, not the caller |
//! | `malloc_usable_size` | stays the same while the block lives, and all of it may be used |
//! | `malloc_trim` | 1 if memory went back to the system |
//! | `mallopt` | takes hints and heeds none: 1; what would change a promise is refused: 0 |
//! | `mallinfo2`, `mallinfo` | bytes; the fields about chunks of glibc's own kind are 0 |
//!
//! # Invariants
//!
//! - (I1) Every block that leaves this module is aligned to [`MIN_ALIGN`].
//!
//! # Operations
//!
//! As those of [`forge_malloc::fast`].
//!
//! # Design
//!
//! A request fails only after everything that is free was given back to the system, since what is free may be what it lacks.
//!
//! A request that succeeds and a free leave `errno` as it is (POSIX.1-2024 asks that of `free`): the calls to the system
//! below bypass the C library. The sized forms of C23 do not trust the size: a program that passes another one than it asked for
//! works with the allocators that it was tested with. The hardened profile ends it with a line that says so. The names with two underscores are those under which glibc exports its
//! own functions; programs call them to get past wrappers, and free the result with `free`.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ffi::{c_int, c_void};
use core::ptr;

use forge_os::{OsError, page_size, posix};

use super::process::{Cache, HEAP, if_attached, smallest, with_cache};

/// The alignment of every block: that of the largest type of C.
pub(crate) const MIN_ALIGN: usize = 16;

/// The largest size for which the cache is asked before anything else.
const LARGEST_AT_HAND: usize = 1024;

/// `ENOMEM`.
const NO_MEMORY: c_int = OsError::out_of_memory("malloc").code();
/// `EINVAL`.
const INVALID: c_int = OsError::invalid_argument("malloc").code();

/// Sets `errno` and returns null.
#[cold]
#[inline(never)]
fn fail(code: c_int) -> *mut c_void {
    posix::set_errno(code);
    ptr::null_mut()
}

/// Returns a block of the cache of the calling thread, if that has one at hand, or null. O(1), without a call.
#[inline(always)]
pub(crate) fn at_hand(size: usize) -> *mut c_void {
    if size > LARGEST_AT_HAND {
        return ptr::null_mut();
    }
    let Ok(layout) = Layout::from_size_align(size.max(1), MIN_ALIGN) else { return ptr::null_mut() };
    // SAFETY: every request goes to the heap of the process.
    if_attached(ptr::null_mut(), |cache| unsafe { cache.at_hand(layout) }).cast()
}

/// Calls `attempt`, and once more, after all that is free was given back to the system, if it returns null.
#[inline(always)]
fn insist(attempt: impl Fn(&Cache) -> *mut u8) -> *mut c_void {
    let mut block = with_cache(&attempt);
    if block.is_null() {
        give_back();
        block = with_cache(&attempt);
    }
    block.cast()
}

/// Gives all that is free back to the system, except what other threads have at hand. O(what is free).
#[cold]
fn give_back() {
    // SAFETY: every request goes to the heap of the process.
    with_cache(|cache| unsafe { cache.empty(&HEAP) });
    HEAP.trim();
}

/// Returns a block, or null. O(1).
#[inline(always)]
pub(crate) fn allocate(size: usize, align: usize) -> *mut c_void {
    let Ok(layout) = Layout::from_size_align(smallest(size), align) else { return ptr::null_mut() };
    // SAFETY: every request goes to the heap of the process.
    insist(|cache| unsafe { cache.allocate_any(&HEAP, layout) })
}

/// Returns a block, or null after setting `errno`.
#[cold]
#[inline(never)]
extern "C" fn allocate_or_fail(size: usize, align: usize) -> *mut c_void {
    let block = allocate(size, align);
    if block.is_null() { fail(NO_MEMORY) } else { block }
}

/// Takes a block back; null is nothing. O(1).
///
/// # Safety
///
/// The block is null, or live, and nobody uses it any more.
#[inline(always)]
pub(crate) unsafe fn deallocate(block: *mut c_void) {
    // SAFETY: the caller's promise; every request goes to the heap of the process.
    unsafe {
        if !if_attached(false, |cache| cache.keep(&HEAP, block.cast())) {
            deallocate_elsewhere(block);
        }
    }
}

/// Takes a block back that the cache has no room for, or that is in no span; null is nothing.
///
/// # Safety
///
/// As [`deallocate`].
#[cold]
#[inline(never)]
unsafe extern "C" fn deallocate_elsewhere(block: *mut c_void) {
    if !block.is_null() {
        // SAFETY: the caller's promise; every request goes to the heap of the process.
        with_cache(|cache| unsafe { cache.free(&HEAP, block.cast()) });
    }
}

/// Takes a block back of which the caller says the size and the alignment; the hardened profile ends the process if they are others.
///
/// # Safety
///
/// As [`deallocate`].
#[inline(always)]
pub(crate) unsafe fn deallocate_sized(block: *mut c_void, size: usize, align: usize) {
    if !block.is_null() {
        HEAP.check_layout(block.cast(), smallest(size), Some(align));
    }
    // SAFETY: the caller's promise.
    unsafe { deallocate(block) };
}

/// Returns a block of at least `size` bytes, or null and `ENOMEM`.
#[cfg_attr(all(exported, not(test)), unsafe(no_mangle))]
pub(crate) extern "C" fn malloc(size: usize) -> *mut c_void {
    let block = at_hand(size);
    if block.is_null() { allocate_or_fail(size, MIN_ALIGN) } else { block }
}

/// Returns a block of `count * size` bytes of 0, or null and `ENOMEM`.
#[cfg_attr(all(exported, not(test)), unsafe(no_mangle))]
pub(crate) extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let Some(bytes) = count.checked_mul(size) else { return fail(NO_MEMORY) };
    if smallest(bytes) == 0 {
        return allocate_or_fail(0, MIN_ALIGN);
    }
    let Ok(layout) = Layout::from_size_align(smallest(bytes), MIN_ALIGN) else { return fail(NO_MEMORY) };
    // SAFETY: every request goes to the heap of the process.
    let block = insist(|cache| unsafe { cache.allocate_zeroed(&HEAP, layout) });
    if block.is_null() { fail(NO_MEMORY) } else { block }
}

/// Moves a block to `size` bytes; a null block is new, and a size of 0 frees it. Null and `ENOMEM` leave it as it was.
///
/// # Safety
///
/// As [`deallocate`], unless null and `ENOMEM` are the result.
#[cfg_attr(all(exported, not(test)), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    if block.is_null() {
        return malloc(size);
    }
    if size == 0 {
        // SAFETY: the caller's promise.
        unsafe { deallocate(block) };
        return ptr::null_mut();
    }
    let Ok(layout) = Layout::from_size_align(size, MIN_ALIGN) else { return fail(NO_MEMORY) };
    // SAFETY: the caller's promise; every request goes to the heap of the process.
    let moved = insist(|cache| unsafe { cache.move_to(&HEAP, block.cast(), layout) });
    if moved.is_null() { fail(NO_MEMORY) } else { moved }
}

/// Moves a block to `count * size` bytes, as [`realloc`].
///
/// # Safety
///
/// As [`realloc`].
#[cfg_attr(all(exported, not(test)), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn reallocarray(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller's promise.
        Some(bytes) => unsafe { realloc(block, bytes) },
        None => fail(NO_MEMORY),
    }
}

/// Takes a block back. Null is nothing.
///
/// # Safety
///
/// As [`deallocate`].
#[cfg_attr(all(exported, not(test)), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn free(block: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { deallocate(block) };
}

/// Takes a block back, as [`free`].
///
/// # Safety
///
/// As [`deallocate`].
#[cfg_attr(all(exported, not(test)), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn cfree(block: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { deallocate(block) };
}

/// Takes a block back, as [`free`].
///
/// # Safety
///
/// As [`deallocate`].
#[cfg_attr(all(exported, not(test)), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn free_sized(block: *mut c_void, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { deallocate_sized(block, size, MIN_ALIGN) };
}

/// Takes a block back, as [`free`].
///
/// # Safety
///
/// As [`deallocate`].
#[cfg_attr(all(exported, not(test)), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn free_aligned_sized(block: *mut c_void, align: usize, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { deallocate_sized(block, size, align.max(MIN_ALIGN)) };
}

/// Returns a block of at least `size` bytes at a multiple of `align`; null and `EINVAL` if that is no power of two, or null and
/// `ENOMEM`.
#[cfg_attr(all(exported, not(test)), unsafe(no_mangle))]
pub(crate) extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    if align.is_power_of_two() { allocate_or_fail(size, align.max(MIN_ALIGN)) } else { fail(INVALID) }
}

/// Returns a block, as [`memalign`].
#[cfg_attr(all(exported, not(test)), unsafe(no_mangle))]
pub(crate) extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    memalign(align, size)
}

/// Writes the address of a block to `place` and returns 0; returns `EINVAL` or `ENOMEM` and writes nothing.
///
/// # Safety
///
/// `place` is valid for writing a pointer.
#[cfg_attr(all(exported, not(test)), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn posix_memalign(place: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if !align.is_power_of_two() || align < size_of::<*mut c_void>() {
        return INVALID;
    }
    let block = allocate(size, align.max(MIN_ALIGN));
    if block.is_null() {
        return NO_MEMORY;
    }
    // SAFETY: the caller's promise.
    unsafe { place.write(block) };
    0
}

/// Returns a block at a page, or null and `ENOMEM`.
#[cfg_attr(all(exported, not(test)), unsafe(no_mangle))]
pub(crate) extern "C" fn valloc(size: usize) -> *mut c_void {
    allocate_or_fail(size, page_size())
}

/// Returns a block of whole pages at a page, or null and `ENOMEM`.
#[cfg_attr(all(exported, not(test)), unsafe(no_mangle))]
pub(crate) extern "C" fn pvalloc(size: usize) -> *mut c_void {
    match size.max(1).checked_next_multiple_of(page_size()) {
        Some(bytes) => allocate_or_fail(bytes, page_size()),
        None => fail(NO_MEMORY),
    }
}

/// Returns how many bytes of a block may be used; 0 for null.
#[cfg_attr(all(exported, not(test)), unsafe(no_mangle))]
pub(crate) extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    HEAP.usable_size(block.cast()).unwrap_or(0)
}

/// Gives what is free back to the system, and returns 1 if it took memory. The padding of glibc's heap top means nothing here.
#[cfg_attr(all(exported, not(test)), unsafe(no_mangle))]
pub(crate) extern "C" fn malloc_trim(_padding: usize) -> c_int {
    let before = HEAP.stats();
    give_back();
    let after = HEAP.stats();
    c_int::from(after.mapped < before.mapped || after.retained < before.retained)
}

/// Takes the hints of glibc's manual and heeds none of them; returns 0 for what is no hint.
#[cfg_attr(all(exported, not(test)), unsafe(no_mangle))]
pub(crate) extern "C" fn mallopt(parameter: c_int, _value: c_int) -> c_int {
    /// `M_MXFAST`, `M_TRIM_THRESHOLD`, `M_TOP_PAD`, `M_MMAP_THRESHOLD`, `M_MMAP_MAX`, `M_ARENA_TEST`, `M_ARENA_MAX`.
    const HINTS: [c_int; 7] = [1, -1, -2, -3, -4, -7, -8];
    c_int::from(HINTS.contains(&parameter))
}

/// `struct mallinfo2` and, with `int`, `struct mallinfo`.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Info<T> {
    pub(crate) arena: T,
    pub(crate) ordblks: T,
    pub(crate) smblks: T,
    pub(crate) hblks: T,
    pub(crate) hblkhd: T,
    pub(crate) usmblks: T,
    pub(crate) fsmblks: T,
    pub(crate) uordblks: T,
    pub(crate) fordblks: T,
    pub(crate) keepcost: T,
}

/// Returns how much memory there is: mapped, at its peak, in use, free, and ready to go back.
#[cfg_attr(all(exported, not(test)), unsafe(no_mangle))]
pub(crate) extern "C" fn mallinfo2() -> Info<usize> {
    let stats = HEAP.stats();
    Info {
        arena: stats.mapped,
        usmblks: stats.peak,
        uordblks: stats.live,
        fordblks: stats.mapped.saturating_sub(stats.live),
        keepcost: stats.retained,
        ..Info::default()
    }
}

/// Returns what [`mallinfo2`] does, where it fits into an `int`, and the largest `int` where not.
#[cfg_attr(all(exported, not(test)), unsafe(no_mangle))]
pub(crate) extern "C" fn mallinfo() -> Info<c_int> {
    let narrow = |bytes: usize| c_int::try_from(bytes).unwrap_or(c_int::MAX);
    let info = mallinfo2();
    Info {
        arena: narrow(info.arena),
        usmblks: narrow(info.usmblks),
        uordblks: narrow(info.uordblks),
        fordblks: narrow(info.fordblks),
        keepcost: narrow(info.keepcost),
        ..Info::default()
    }
}

/// Exports a function under the second name that glibc gives it.
macro_rules! also {
    ($($name:literal = $alias:ident($($argument:ident: $kind:ty),*) -> $result:ty => $function:ident;)*) => {
        $(
            #[cfg_attr(all(exported, not(test)), unsafe(export_name = $name))]
            #[cfg_attr(not(all(exported, not(test))), allow(dead_code))]
            unsafe extern "C" fn $alias($($argument: $kind),*) -> $result {
                #[allow(unused_unsafe, reason = "some of the functions are safe")]
                // SAFETY: the promise of the function is the caller's.
                unsafe { $function($($argument),*) }
            }
        )*
    };
}

also! {
    "__libc_malloc" = libc_malloc(size: usize) -> *mut c_void => malloc;
    "__libc_calloc" = libc_calloc(count: usize, size: usize) -> *mut c_void => calloc;
    "__libc_realloc" = libc_realloc(block: *mut c_void, size: usize) -> *mut c_void => realloc;
    "__libc_free" = libc_free(block: *mut c_void) -> () => free;
    "__libc_cfree" = libc_cfree(block: *mut c_void) -> () => free;
    "__libc_memalign" = libc_memalign(align: usize, size: usize) -> *mut c_void => memalign;
    "__libc_valloc" = libc_valloc(size: usize) -> *mut c_void => valloc;
    "__libc_pvalloc" = libc_pvalloc(size: usize) -> *mut c_void => pvalloc;
    "__posix_memalign" = libc_posix_memalign(place: *mut *mut c_void, align: usize, size: usize) -> c_int => posix_memalign;
}

#[cfg(all(test, exported))]
#[path = "c/tests.rs"]
mod tests;
