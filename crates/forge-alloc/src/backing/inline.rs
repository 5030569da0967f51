//! Bytes inside the value itself: a backing without a heap, a system or a lifetime.
//!
//! ```text
//!   InlineBacked<N>, aligned to 16
//!   +-------------------- N bytes ----------------------+-------+
//!   | block | block |            free                   | state |
//!   +---------------------------------------------------+-------+
//!   ^ base(): moves with the value                 offsets stay
//! ```
//!
//! # Invariants
//!
//! - (I1) The storage is the first field of a `repr(C)` struct of alignment [`MAX_ALIGN`], so `base()` has it too.
//! - (I2) The storage is reached only through its `UnsafeCell`, never as a reference.
//!
//! # Operations
//!
//! All O(1) and without a system call.
//!
//! # Design
//!
//! Moving the value moves the bytes, so earlier blocks are dead after a move and the type is not `StableAddress`;
//! layouts over it keep offsets and go on. Alignments above [`MAX_ALIGN`] are refused outright: padding could serve
//! them at one address and not after the next move.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, relocate};

use super::own::{OwnCursor, bump_its_own_bytes};

/// The largest alignment in bytes that [`InlineBacked`] serves.
pub const MAX_ALIGN: usize = 16;

/// `N` bytes of storage inside the value, handed out by a bump cursor.
///
/// # Examples
///
/// ```
/// use forge_alloc::{Allocator, InlineBacked, NonZeroLayout};
///
/// let mut storage = InlineBacked::<64>::new();
/// let layout = NonZeroLayout::from_size_align(24, 8).unwrap();
/// assert!(storage.allocate(layout).is_ok());
/// assert!(storage.allocate(layout).is_ok());
/// assert!(storage.allocate(layout).is_err());
/// storage.reset();
/// assert_eq!(storage.remaining(), 64);
/// ```
///
/// The size is a whole number of machine words:
///
/// ```compile_fail,E0080
/// let storage = forge_alloc::InlineBacked::<7>::new();
/// ```
///
/// The cursor is not shared between threads:
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<forge_alloc::InlineBacked<64>>();
/// ```
#[repr(C, align(16))]
pub struct InlineBacked<const N: usize> {
    storage: UnsafeCell<MaybeUninit<[u8; N]>>,
    own: OwnCursor<MAX_ALIGN>,
}

impl<const N: usize> InlineBacked<N> {
    /// Returns `N` uninitialised bytes. O(1). `N` is a multiple of the word size, or the program does not build.
    #[must_use]
    pub const fn new() -> Self {
        const {
            assert!(N % align_of::<usize>() == 0, "N must be a multiple of the alignment of usize");
        }
        Self { storage: UnsafeCell::new(MaybeUninit::uninit()), own: OwnCursor::over_unknown() }
    }

    /// Returns how many bytes are handed out or lost to padding.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.own.allocated()
    }

    /// Returns `N`, the number of bytes in all.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        N
    }

    /// Returns how many bytes are free.
    #[must_use]
    pub fn remaining(&self) -> usize {
        N - self.allocated()
    }

    /// Forgets every block; does nothing if a layout carves the storage.
    #[inline]
    pub fn reset(&mut self) {
        // The error says that a layout owns the bytes: nothing of ours is to be forgotten then.
        let _ = self.own.reset();
    }
}

impl<const N: usize> Default for InlineBacked<N> {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: `base` is the first byte of storage that the value owns (I1), reached through its `UnsafeCell` (I2), so the
// pointer may read and write all N bytes; both answers depend on nothing that changes; after `claim` the cursor stands
// at the end for good, so `allocate` fails.
unsafe impl<const N: usize> FixedRange for InlineBacked<N> {
    const BASE_ALIGN: usize = MAX_ALIGN;

    #[inline(always)]
    fn base(&self) -> NonNull<u8> {
        // SAFETY: a pointer to a field of `self` is not null.
        unsafe { NonNull::new_unchecked(self.storage.get().cast()) }
    }

    #[inline(always)]
    fn size(&self) -> usize {
        N
    }

    #[inline]
    fn claim(&mut self) -> Result<(), AllocError> {
        self.own.claim(N)
    }
}

bump_its_own_bytes!([const N: usize] InlineBacked<N>);

#[cfg(test)]
mod tests;
