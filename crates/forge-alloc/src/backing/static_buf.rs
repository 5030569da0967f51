//! Bytes that the caller lends: a static array, a stack buffer, memory that a boot loader set aside.
//!
//! ```text
//!   [MaybeUninit<u8>; n] somewhere
//!   |<------------- n bytes ------------->|
//!   ^ base(): stays, wherever the StaticBacked value moves
//! ```
//!
//! # Invariants
//!
//! - (I1) `base` and `len` came from one exclusive borrow that lasts `'a`, and the value is the only way to its bytes.
//!
//! # Operations
//!
//! All O(1) and without a system call.
//!
//! # Design
//!
//! A layout writes values with padding into the bytes, and padding is uninitialised. A `&'a mut [u8]` promises its
//! owner initialised bytes once `'a` ends, so safe code may lend only bytes that are `MaybeUninit`, or bytes that nobody
//! reads again (`'static`). A destructor that writes the bytes again would not repair this: a value can be forgotten.
//! Initialised buffers are lent with the `unsafe` [`StaticBacked::from_bytes`].
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use forge_alloc_core::{FixedRange, StableAddress};

/// A range of borrowed bytes.
///
/// # Examples
///
/// ```
/// use core::mem::MaybeUninit;
/// use forge_alloc::{FixedRange, StaticBacked};
///
/// let mut buffer = [MaybeUninit::<u8>::uninit(); 256];
/// let backing = StaticBacked::uninit(&mut buffer);
/// assert_eq!(backing.size(), 256);
/// ```
///
/// A buffer of initialised bytes that is read again later is not accepted:
///
/// ```compile_fail,E0597
/// let mut buffer = [0_u8; 256];
/// let backing = forge_alloc::StaticBacked::new(&mut buffer);
/// drop(backing);
/// ```
///
/// The buffer is borrowed as long as the backing exists:
///
/// ```compile_fail,E0499
/// let mut buffer = [core::mem::MaybeUninit::<u8>::uninit(); 256];
/// let one = forge_alloc::StaticBacked::uninit(&mut buffer);
/// let two = forge_alloc::StaticBacked::uninit(&mut buffer);
/// drop((one, two));
/// ```
#[derive(Debug)]
pub struct StaticBacked<'a> {
    base: NonNull<u8>,
    len: usize,
    borrow: PhantomData<&'a mut [MaybeUninit<u8>]>,
}

impl StaticBacked<'static> {
    /// Returns the range of `buf`, whose bytes nobody else reads again. O(1).
    #[must_use]
    pub fn new(buf: &'static mut [u8]) -> Self {
        // SAFETY: the borrow is exclusive and never ends, so no one finds the bytes uninitialised later.
        unsafe { Self::from_bytes(buf) }
    }
}

impl<'a> StaticBacked<'a> {
    /// Returns the range of `buf`. O(1). An empty buffer gives an empty range.
    #[must_use]
    pub const fn uninit(buf: &'a mut [MaybeUninit<u8>]) -> Self {
        let len = buf.len();
        // SAFETY: the pointer of a slice is not null.
        let base = unsafe { NonNull::new_unchecked(buf.as_mut_ptr()) }.cast();
        Self { base, len, borrow: PhantomData }
    }

    /// Returns the range of `buf`, whose bytes are initialised now and may not be afterwards. O(1).
    ///
    /// # Safety
    ///
    /// Once the borrow ends, no byte of `buf` is read before it is written again.
    #[must_use]
    pub const unsafe fn from_bytes(buf: &'a mut [u8]) -> Self {
        let len = buf.len();
        // SAFETY: the pointer of a slice is not null.
        let base = unsafe { NonNull::new_unchecked(buf.as_mut_ptr()) };
        Self { base, len, borrow: PhantomData }
    }

    /// Returns the length of the buffer in bytes.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.len
    }
}

impl<'a> From<&'a mut [MaybeUninit<u8>]> for StaticBacked<'a> {
    fn from(buf: &'a mut [MaybeUninit<u8>]) -> Self {
        Self::uninit(buf)
    }
}

impl<'a, const N: usize> From<&'a mut [MaybeUninit<u8>; N]> for StaticBacked<'a> {
    fn from(buf: &'a mut [MaybeUninit<u8>; N]) -> Self {
        Self::uninit(buf)
    }
}

impl From<&'static mut [u8]> for StaticBacked<'static> {
    fn from(buf: &'static mut [u8]) -> Self {
        Self::new(buf)
    }
}

// SAFETY: the value stands for an exclusive borrow of plain bytes (I1), which any thread may hold.
unsafe impl Send for StaticBacked<'_> {}
// SAFETY: a shared reference gives away an address and a length, which never change; `base` reads and writes nothing.
unsafe impl Sync for StaticBacked<'_> {}

// SAFETY: the borrowed bytes stay where they are when the value moves.
unsafe impl StableAddress for StaticBacked<'_> {}

// SAFETY: the bytes are exclusively borrowed for longer than the value lives (I1), and a slice never exceeds the
// address space; both answers are plain fields that never change; the type has no allocator of its own.
unsafe impl FixedRange for StaticBacked<'_> {
    const STAYS: bool = true;

    #[inline(always)]
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    #[inline(always)]
    fn size(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests;
