//! A heap over a borrowed pool, shared by clones on one thread.
//!
//! ```text
//!   AllocatorRc<'pool, A> --+
//!   AllocatorRc<'pool, A> --+--> Rc { Local { heap A } } --addresses--> [ pool: borrowed for 'pool ]
//! ```
//!
//! # Invariants
//!
//! - (I1) The pool is borrowed exclusively for `'pool`, and only the heap reaches its bytes meanwhile.
//! - (I2) The heap lives until the last clone is dropped, and no method gives it away.
//!
//! # Operations
//!
//! Those of the heap, and those of [`Local`].
//!
//! # Design
//!
//! The borrow of the pool is a parameter of the type, so that the pool can neither be used nor freed while blocks lie in
//! it. Values with padding leave uninitialised bytes behind, so a pool that is read again later is one of `MaybeUninit`;
//! one of `u8` is `'static`, or lent with the `unsafe` [`StaticBacked::from_bytes`]. [`StaticBacked`] is what all three have
//! in common.
//!
//! Zero-sized requests of the standard library are answered by the bridge, [`StdCompat`]: a dangling pointer with
//! the alignment of the layout, which never reaches the heap. With the feature `nightly` this type is a standard allocator
//! by itself, by way of the same bridge.
#![allow(unsafe_code)]

use alloc::rc::Rc;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

#[cfg(any(doc, feature = "nightly"))]
use forge_alloc_core::StdCompat;
use forge_alloc_core::{
    AllocError, Allocator, ByteAllocator, Deallocator, FixedRange, NonZeroLayout, Region, RejectedRegion,
    StableAddress,
};

use super::locked::{HeapGuard, Local};
use crate::backing::StaticBacked;
use crate::forward::{forward_allocator, forward_deallocator};

/// A heap over a borrowed pool that its clones share. It stays on its thread.
///
/// # Examples
///
/// ```
/// use core::mem::MaybeUninit;
/// use forge_alloc::{AllocatorRc, StdCompat, TlsfByteAllocator};
///
/// let mut pool = vec![MaybeUninit::<u8>::uninit(); 1 << 16];
/// let allocator = StdCompat::new(AllocatorRc::new(TlsfByteAllocator::new(), &mut pool[..]));
/// let mut numbers = allocator_api2::vec::Vec::new_in(allocator.clone());
/// numbers.extend(0..1000_u32);
/// let copy = numbers.clone();
/// assert_eq!(numbers, copy);
/// ```
///
/// The pool is borrowed as long as a clone exists:
///
/// ```compile_fail,E0505
/// use core::mem::MaybeUninit;
/// use forge_alloc::{AllocatorRc, ByteAllocator};
///
/// fn free_under_the_allocator<H: ByteAllocator>(heap: H) {
///     let mut pool = vec![MaybeUninit::<u8>::uninit(); 4096];
///     let allocator = AllocatorRc::new(heap, &mut pool[..]);
///     let clone = allocator.clone();
///     drop(allocator);
///     drop(pool);
///     drop(clone);
/// }
/// ```
///
/// and is not written to behind the heap's back:
///
/// ```compile_fail,E0499
/// use core::mem::MaybeUninit;
/// use forge_alloc::{AllocatorRc, ByteAllocator};
///
/// fn overwrite<H: ByteAllocator>(heap: H, pool: &mut [MaybeUninit<u8>]) {
///     let allocator = AllocatorRc::new(heap, &mut *pool);
///     pool.fill(MaybeUninit::new(0xAA));
///     drop(allocator);
/// }
/// ```
///
/// A pool of initialised bytes that is read again later is not accepted:
///
/// ```compile_fail,E0597
/// use forge_alloc::{AllocatorRc, ByteAllocator};
///
/// fn read_padding<H: ByteAllocator>(heap: H) -> u8 {
///     let mut pool = [0_u8; 4096];
///     drop(AllocatorRc::new(heap, &mut pool[..]));
///     pool[0]
/// }
/// ```
///
/// Collections write to the memory that a heap hands out, so a heap that promises nothing does not compile:
///
/// ```compile_fail,E0200
/// use core::alloc::Layout;
/// use core::ptr::NonNull;
/// use forge_alloc::{AllocResult, BaseAllocator, ByteAllocator, Region, RejectedRegion};
///
/// struct Lie;
///
/// impl BaseAllocator for Lie {
///     unsafe fn init(&mut self, _: usize, _: usize) {}
///     unsafe fn add_memory(&mut self, _: usize, _: usize) -> AllocResult { Ok(()) }
/// }
///
/// impl ByteAllocator for Lie {
///     fn add_region(&mut self, _: Region) -> Result<(), RejectedRegion> { Ok(()) }
///     fn alloc(&mut self, _: Layout) -> AllocResult<NonNull<u8>> { Ok(NonNull::dangling()) }
///     unsafe fn dealloc(&mut self, _: NonNull<u8>, _: Layout) {}
///     fn total_bytes(&self) -> usize { 0 }
///     fn used_bytes(&self) -> usize { 0 }
///     fn available_bytes(&self) -> usize { 0 }
/// }
/// ```
pub struct AllocatorRc<'pool, A> {
    shared: Rc<Local<A>>,
    pool: PhantomData<&'pool mut [MaybeUninit<u8>]>,
}

impl<'pool, A: ByteAllocator> AllocatorRc<'pool, A> {
    /// Returns the allocator that serves from `pool` through `inner`. A pool that the heap cannot use leaves it without
    /// memory.
    ///
    /// `pool` is a `&'pool mut [MaybeUninit<u8>]`, a `&'static mut [u8]`, or a [`StaticBacked`].
    pub fn new(inner: A, pool: impl Into<StaticBacked<'pool>>) -> Self {
        let mut inner = inner;
        // The error says why, and `try_new` is for who wants to know; every request fails then.
        let _ = inner.add_region(region(&pool.into()));
        Self::of(inner)
    }

    /// Returns the allocator that serves from `pool` through `inner`, as [`new`](Self::new) does.
    ///
    /// # Errors
    ///
    /// The region of the pool with the reason, if the heap does not take it.
    pub fn try_new(mut inner: A, pool: impl Into<StaticBacked<'pool>>) -> Result<Self, RejectedRegion> {
        inner.add_region(region(&pool.into()))?;
        Ok(Self::of(inner))
    }

    fn of(inner: A) -> Self {
        Self { shared: Rc::new(Local::new(inner)), pool: PhantomData }
    }

    /// Returns the heap, for its statistics and for more regions, until the guard is dropped.
    ///
    /// Allocating meanwhile ends the process: the heap would be entered twice.
    pub fn heap(&self) -> HeapGuard<'_, A, forge_alloc_core::sync::NoLock> {
        self.shared.lock()
    }
}

/// Returns the bytes of `pool`, whose only user the region becomes (I1).
fn region(pool: &StaticBacked<'_>) -> Region {
    // SAFETY: the pool is borrowed exclusively for longer than the allocator exists, and its value is dropped unused.
    unsafe { Region::from_raw(pool.base(), pool.size()) }
}

impl<A> Clone for AllocatorRc<'_, A> {
    fn clone(&self) -> Self {
        Self { shared: Rc::clone(&self.shared), pool: PhantomData }
    }
}

// SAFETY: every call of every clone reaches the one heap.
unsafe impl<A: ByteAllocator> Deallocator for AllocatorRc<'_, A> {
    forward_deallocator!(shared);
}

// SAFETY: every call of every clone reaches the one heap.
unsafe impl<A: ByteAllocator> Allocator for AllocatorRc<'_, A> {
    forward_allocator!(shared);
}

// SAFETY: blocks lie in the pool, which stays in place; clones share one heap, which lives as long as the last (I2).
unsafe impl<A: ByteAllocator> StableAddress for AllocatorRc<'_, A> {}

impl<A> fmt::Debug for AllocatorRc<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AllocatorRc").field("clones", &Rc::strong_count(&self.shared)).finish_non_exhaustive()
    }
}

#[cfg(feature = "nightly")]
mod nightly;
#[cfg(test)]
mod tests;
