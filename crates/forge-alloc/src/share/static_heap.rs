//! A heap in a `static`: its bytes lie in `.bss`, and it sets itself up at the first call.
//!
//! ```text
//!   static HEAP: StaticHeap<N>
//!   | lock | heap: unset, then H::INIT | N bytes, the heap's one region |      all zero before the first call
//! ```
//!
//! # Invariants
//!
//! - (I1) The heap is set once, with the lock held.
//! - (I2) From then on the heap alone reaches the bytes, and the value is neither moved nor borrowed exclusively: safe code
//!   allocates through a `&'static` only, and who calls `GlobalAlloc` vouches for it.
//!
//! # Operations
//!
//! Those of the heap, and a lock and unlock each.
//!
//! # Design
//!
//! An initial value with one bit set would put all `N` bytes into the image of the program. So the heap is not there
//! before the first call, which writes [`ConstInit::INIT`], hands the bytes over and goes on; later calls look at one flag
//! that lies beside the heap. Nobody has to call a function before memory is used, and no `static mut` is needed.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use forge_alloc_core::sync::RawLock;
use forge_alloc_core::{ByteAllocator, Region};

use super::const_init::{ConstInit, DefaultLock};
use super::global;
use super::locked::{HeapGuard, Locked};
use crate::layout::heap::tlsf::Tlsf;

mod late;

pub use late::Late;

/// A heap of `N` bytes that lie beside it, for a `static`.
///
/// As a `#[global_allocator]` it is used in place. For safe code, [`allocator`](Self::allocator) is what
/// collections take.
///
/// # Safety
///
/// The methods of [`GlobalAlloc`] may be called only as long as the value is neither moved nor borrowed exclusively
/// after the first call: in a `static`, or behind any other shared reference that lasts as long as its blocks.
///
/// # Examples
///
/// ```
/// use forge_alloc::{ByteAllocator, StaticHeap};
///
/// #[global_allocator]
/// static HEAP: StaticHeap<{ 1 << 20 }> = StaticHeap::new();
///
/// fn main() {
///     let numbers: Vec<u32> = (0..1000).collect();
///     assert!(HEAP.lock().used_bytes() >= 4000);
///     assert_eq!(numbers.iter().sum::<u32>(), 499_500);
/// }
/// ```
pub struct StaticHeap<const N: usize, H = Tlsf, L = DefaultLock> {
    heap: Locked<Late<H>, L>,
    bytes: Bytes<N>,
}

/// The bytes, aligned to a usual cache line.
#[repr(align(64))]
struct Bytes<const N: usize>(UnsafeCell<MaybeUninit<[u8; N]>>);

// SAFETY: the bytes are reached by the heap alone, which is behind the lock (I2).
unsafe impl<const N: usize, H, L> Sync for StaticHeap<N, H, L> where Locked<Late<H>, L>: Sync {}

impl<const N: usize, H, L> StaticHeap<N, H, L> {
    /// Returns the heap, which takes no memory of the program's image. O(1).
    pub const fn new() -> Self
    where
        L: ConstInit,
    {
        Self::with_lock(L::INIT)
    }

    /// Returns the heap behind `lock`. O(1).
    pub const fn with_lock(lock: L) -> Self {
        let bytes = Bytes(UnsafeCell::new(MaybeUninit::uninit()));
        Self { heap: Locked::with_lock(Late::new(), lock), bytes }
    }
}

impl<const N: usize, H: ByteAllocator + ConstInit, L: RawLock> StaticHeap<N, H, L> {
    /// Returns the heap as an [`Allocator`](forge_alloc_core::Allocator) for safe code, set up.
    pub fn allocator(&'static self) -> &'static Locked<Late<H>, L> {
        self.set_up();
        &self.heap
    }

    /// Takes the lock, waiting until it is free, and returns the heap until the guard is dropped.
    pub fn lock(&'static self) -> HeapGuard<'static, Late<H>, L> {
        self.allocator().lock()
    }

    /// Puts the heap in its place and hands the bytes over, unless that is done.
    #[cold]
    #[inline(never)]
    fn set_up(&self) {
        let mut guard = self.heap.lock();
        if guard.is_set() {
            return;
        }
        // SAFETY: there is no heap yet, so no block ends.
        unsafe { guard.heap_mut() }.set_up();
        let Some(base) = NonNull::new(self.bytes.0.get()) else { return };
        // SAFETY: the bytes are ours, and from now on the heap's alone, in place (I2). No type is longer than
        // `isize::MAX` or leaves the address space.
        let region = unsafe { Region::from_raw(base.cast(), N) };
        // A heap that has no use for so few bytes refuses every request.
        let _ = guard.add_region(region);
    }

    /// Allocates through `work`, once more if the heap was not set up.
    #[inline]
    fn first_or_again(&self, work: impl Fn(&Locked<Late<H>, L>) -> *mut u8) -> *mut u8 {
        let block = work(&self.heap);
        if block.is_null() { self.again(work) } else { block }
    }

    /// Sets the heap up if it is not, and calls `work` once more.
    #[cold]
    #[inline(never)]
    fn again(&self, work: impl Fn(&Locked<Late<H>, L>) -> *mut u8) -> *mut u8 {
        self.set_up();
        work(&self.heap)
    }
}

// SAFETY: what `Allocator` promises is what `GlobalAlloc` promises, and no method unwinds. The bytes stay in place, by
// the caller's promise (I2).
unsafe impl<const N: usize, H: ByteAllocator + ConstInit, L: RawLock> GlobalAlloc for StaticHeap<N, H, L> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.first_or_again(|heap| global::alloc(heap, layout))
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.first_or_again(|heap| global::alloc_zeroed(heap, layout))
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the callee's.
        unsafe { global::dealloc(&self.heap, block, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promises are the callee's.
        unsafe { global::realloc(&self.heap, block, layout, size) }
    }
}

impl<const N: usize, H, L: ConstInit> Default for StaticHeap<N, H, L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize, H, L> fmt::Debug for StaticHeap<N, H, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticHeap").field("bytes", &N).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
