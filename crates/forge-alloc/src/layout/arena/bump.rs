//! The bump arena: blocks one after another, released all at once.
//!
//! ```text
//!   base                         cursor                  base + size
//!    | block | block |pad| block |          free            |
//!    |<------- allocated ------->|<------- remaining ------>|
//! ```
//!
//! # Invariants
//!
//! - (I1) The arena claimed its backing, so nobody else hands out the bytes.
//! - (I2) State is one offset; the base is asked for on every use, so the arena may move with inline storage.
//! - (I3) Live blocks lie below the cursor and are disjoint.
//!
//! # Operations
//!
//! Everything is O(1) except copies. Freeing, growing and shrinking the last block happen in place; freeing any other
//! block does nothing until [`reset`](BumpArena::reset), [`rewind_to`](BumpArena::rewind_to) or the end of a
//! [`Scope`](crate::Scope). The last block is all that a growing `Vec` needs.
//!
//! # Design
//!
//! The typed methods of the seed's surface return raw pointers, whose use is `unsafe` because the arena may be reset or
//! moved under them. Beside them stand the borrowed forms: a borrow of the arena forbids both, so
//! [`alloc_ref`](BumpArena::alloc_ref) and [`alloc_box`](BumpArena::alloc_box) need no `unsafe` from the caller.
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, OsBacked, ProtectFlags, StableAddress,
    relocate,
};

use super::boxed::ArenaBox;
use super::scope::Scope;
use super::typed;
use crate::forward::{forward_os_backed, forward_range};
use crate::raw::cursor::BumpCursor;

/// An arena over one backing, which it owns.
///
/// # Examples
///
/// ```
/// use forge_alloc::{BumpArena, InlineBacked};
///
/// let mut arena = BumpArena::new(InlineBacked::<1024>::new())?;
/// let point = arena.alloc_ref([1.0_f32, 2.0])?;
/// point[0] += 1.0;
/// assert_eq!(*point, [2.0, 2.0]);
/// arena.reset();
/// assert_eq!(arena.remaining(), 1024);
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
#[derive(Debug)]
pub struct BumpArena<B: FixedRange> {
    backing: B,
    cursor: BumpCursor,
}

impl<B: FixedRange> BumpArena<B> {
    /// Returns an empty arena over the whole of `backing`. O(1).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the backing is empty, wraps the address space, or has handed out blocks itself; it is dropped.
    pub fn new(mut backing: B) -> Result<Self, AllocError> {
        const { assert!(B::CARVABLE, "an arena would bypass this wrapper: put the wrapper around the arena") };
        let end = backing.base().addr().get().checked_add(backing.size()).ok_or(AllocError)?;
        if end == 0 || backing.size() == 0 {
            return Err(AllocError);
        }
        backing.claim()?;
        Ok(Self { backing, cursor: BumpCursor::new() })
    }

    /// Returns the bytes handed out, padding included. O(1).
    #[inline]
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.cursor.offset()
    }

    /// Returns the size of the backing in bytes. O(1).
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.backing.size()
    }

    /// Returns the bytes that are free: `capacity() - allocated()`. O(1).
    #[inline]
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.backing.size() - self.cursor.offset()
    }

    /// Returns the backing. Its own allocator, if it has one, is turned off (I1).
    #[inline]
    #[must_use]
    pub fn backing(&self) -> &B {
        &self.backing
    }

    /// Returns a token that frees blocks of this arena by doing nothing, and keeps the arena from being reset. O(1).
    #[inline]
    #[must_use]
    pub fn deallocator(&self) -> BumpDeallocator<'_> {
        BumpDeallocator { arena: PhantomData }
    }

    /// Forgets every block. O(1); the backing keeps its memory.
    #[inline]
    pub fn reset(&mut self) {
        self.cursor.rewind_to(0);
    }

    /// Forgets every block handed out since [`allocated`](Self::allocated) returned `mark`. O(1).
    ///
    /// A mark above the cursor changes nothing.
    #[inline]
    pub fn rewind_to(&mut self, mark: usize) {
        self.cursor.rewind_to(mark);
    }

    /// Opens a scope: what is allocated through it is forgotten when it is dropped. O(1).
    #[inline]
    pub fn scope(&mut self) -> Scope<'_, B> {
        Scope::new(self)
    }

    /// Returns uninitialised memory for a `T`. O(1); a zero-sized `T` takes no space and never fails.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if it does not fit; nothing changes.
    #[inline(always)]
    pub fn alloc_uninit<T>(&self) -> Result<NonNull<T>, AllocError> {
        typed::uninit(self)
    }

    /// Moves `value` into the arena. O(size). The arena never runs its destructor.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if it does not fit; `value` is dropped and nothing else changes.
    #[inline(always)]
    pub fn alloc<T>(&self, value: T) -> Result<NonNull<T>, AllocError> {
        typed::value(self, value)
    }

    /// Copies `src` into the arena. O(bytes); an empty slice takes no space.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if it does not fit; nothing changes.
    #[inline]
    pub fn alloc_slice_copy<T: Copy>(&self, src: &[T]) -> Result<NonNull<[T]>, AllocError> {
        typed::slice_copy(self, src)
    }

    /// Copies `s` into the arena. O(bytes).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if it does not fit; nothing changes.
    #[inline]
    pub fn alloc_str(&self, s: &str) -> Result<NonNull<str>, AllocError> {
        typed::str(self, s)
    }

    /// Moves `value` into the arena and borrows it for as long as the arena is borrowed. O(size).
    ///
    /// A type that needs its destructor does not compile here, since the arena would not run it: use
    /// [`alloc_box`](Self::alloc_box), which does.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if it does not fit; nothing changes.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "each call returns a fresh block, disjoint from all others (I3)")]
    pub fn alloc_ref<T>(&self, value: T) -> Result<&mut T, AllocError> {
        typed::assert_needs_no_drop::<T>();
        // SAFETY: the block is fresh and initialised (I3), and the borrow of the arena keeps it live and in place.
        typed::value(self, value).map(|block| unsafe { &mut *block.as_ptr() })
    }

    /// Moves `value` into the arena, as a box that runs its destructor and borrows the arena. O(size).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if it does not fit; `value` is dropped and nothing else changes.
    #[inline]
    pub fn alloc_box<T>(&self, value: T) -> Result<ArenaBox<'_, T>, AllocError> {
        // SAFETY: the block is fresh and initialised (I3), and the borrow of the arena keeps it live and in place.
        typed::value(self, value).map(|block| unsafe { ArenaBox::from_raw(block) })
    }

    /// Returns the cursor, for the scope.
    #[inline(always)]
    pub(super) fn cursor(&self) -> &BumpCursor {
        &self.cursor
    }
}

// SAFETY: blocks lie below the cursor, inside the claimed range, and are disjoint (I1, I3). `free_last` moves the cursor
// back over a block that the caller gives up.
unsafe impl<B: FixedRange> Deallocator for BumpArena<B> {
    #[inline(always)]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.cursor.free_last(&self.backing, ptr, layout) }
    }
}

// SAFETY: as above; resizes in place touch only the last block and the free bytes after it (I3), and keep the address.
unsafe impl<B: FixedRange> Allocator for BumpArena<B> {
    #[inline(always)]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.cursor.allocate(&self.backing, layout)
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.cursor.grow(&self.backing, ptr, old, new) }
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callees'.
        unsafe {
            match self.cursor.shrink_in_place(&self.backing, ptr, old, new) {
                Some(block) => Ok(block),
                None => relocate(self, ptr, old, new),
            }
        }
    }

    #[inline]
    unsafe fn stays_in_place(&self, ptr: NonNull<u8>, old: NonZeroLayout, new: NonZeroLayout) -> bool {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.cursor.stays_in_place(&self.backing, ptr, old, new) }
    }

    #[inline]
    fn reset(&mut self) -> Result<(), AllocError> {
        self.cursor.rewind_to(0);
        Ok(())
    }

    #[inline]
    fn can_reset(&self) -> bool {
        true
    }

    unsafe fn visit_spans(&mut self, visit: &mut dyn FnMut(NonNull<[u8]>)) -> Result<(), AllocError> {
        self.cursor.visit_used(&self.backing, visit);
        Ok(())
    }

    #[inline]
    fn capacity_bytes(&self) -> Option<usize> {
        Some(self.backing.size())
    }

    #[inline]
    fn is_single_threaded(&self) -> bool {
        true
    }

    #[inline]
    fn blocks_stay(&self) -> bool {
        B::STAYS
    }
}

// SAFETY: the range is the backing's, which keeps the contract; `claim` takes all of it from this arena's cursor.
unsafe impl<B: FixedRange> FixedRange for BumpArena<B> {
    forward_range!(backing: B);

    #[inline]
    fn claim(&mut self) -> Result<(), AllocError> {
        self.cursor.claim(self.backing.size())
    }
}

// SAFETY: the mapping is the backing's, which keeps the contract.
unsafe impl<B: FixedRange + OsBacked> OsBacked for BumpArena<B> {
    forward_os_backed!(backing);
}

// SAFETY: the blocks are bytes of the backing, which a move of the arena leaves in place.
unsafe impl<B: FixedRange + StableAddress> StableAddress for BumpArena<B> {}

/// A token that accepts the blocks of one arena and does nothing with them.
///
/// It borrows the arena, so the arena can neither be reset nor dropped while the token lives, and it allocates nothing.
#[derive(Clone, Copy, Debug)]
pub struct BumpDeallocator<'a> {
    arena: PhantomData<&'a ()>,
}

// SAFETY: nothing is freed, so no block is invalidated.
unsafe impl Deallocator for BumpDeallocator<'_> {
    #[inline]
    unsafe fn deallocate(&self, _: NonNull<u8>, _: NonZeroLayout) {}
}

// SAFETY: no block is ever handed out, and every request fails without effect.
unsafe impl Allocator for BumpDeallocator<'_> {
    #[inline]
    fn allocate(&self, _: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        Err(AllocError)
    }
}

#[cfg(test)]
mod tests;
