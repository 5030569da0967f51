//! A scratch scope over a bump arena: what is allocated in it is forgotten at its end.
//!
//! ```text
//!   | before the scope | in the scope   | in a nested one |   free
//!                      ^ mark           ^ its mark        ^ cursor
//!                      <---------------- drop of the scope
//! ```
//!
//! # Invariants
//!
//! - (I1) While a scope lives, the arena and any outer scope are borrowed mutably, so only the innermost scope
//!   allocates.
//! - (I2) References that the scope returns borrow it, so none survives it.
//!
//! # Operations
//!
//! Opening and closing are one load and one store each; allocation is that of the arena. Closing happens on unwinding
//! too; a scope that is forgotten merely keeps its bytes handed out.
//!
//! # Design
//!
//! The scope is itself an [`Allocator`], so collections live in it. It holds a shared reference to the arena, under the
//! exclusive borrow that made it (I1): opening a nested scope then asserts nothing about the arena's bytes, and raw
//! blocks of the outer scope stay valid over inline storage too.
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, StableAddress};

use super::boxed::ArenaBox;
use super::bump::BumpArena;
use super::typed;
use crate::forward::{forward_allocator, forward_deallocator};

/// A scope over a [`BumpArena`], opened by [`BumpArena::scope`].
///
/// # Examples
///
/// ```
/// use forge_alloc::{BumpArena, InlineBacked};
///
/// let mut arena = BumpArena::new(InlineBacked::<1024>::new())?;
/// {
///     let scope = arena.scope();
///     let words = scope.alloc_slice_copy(&[1, 2, 3])?;
///     words[0] = 7;
///     assert_eq!(words, [7, 2, 3]);
/// }
/// assert_eq!(arena.allocated(), 0);
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
///
/// Nothing allocated in a scope outlives it:
///
/// ```compile_fail,E0597
/// use forge_alloc::{BumpArena, InlineBacked};
///
/// let mut arena = BumpArena::new(InlineBacked::<64>::new()).unwrap();
/// let escaped = {
///     let scope = arena.scope();
///     scope.alloc(1_u32).unwrap()
/// };
/// *escaped += 1;
/// ```
#[derive(Debug)]
pub struct Scope<'a, B: FixedRange> {
    arena: &'a BumpArena<B>,
    mark: usize,
    exclusive: PhantomData<&'a mut BumpArena<B>>,
}

// SAFETY: the scope stands for the exclusive borrow of the arena (I1), which could be sent as `&mut BumpArena<B>`.
unsafe impl<B: FixedRange + Send> Send for Scope<'_, B> {}

impl<'a, B: FixedRange> Scope<'a, B> {
    /// Opens a scope at the cursor of `arena`.
    #[inline(always)]
    pub(super) fn new(arena: &'a mut BumpArena<B>) -> Self {
        Self { mark: arena.allocated(), arena, exclusive: PhantomData }
    }

    /// Returns uninitialised memory for a `T`. O(1).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if it does not fit; nothing changes.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "each call returns a fresh block, disjoint from all others")]
    pub fn alloc_uninit<T>(&self) -> Result<&mut MaybeUninit<T>, AllocError> {
        // SAFETY: the block is fresh, valid for a `MaybeUninit<T>`, and stays until the scope ends (I2).
        typed::uninit::<T, _>(self.arena)
            .map(|block| unsafe { &mut *block.cast::<MaybeUninit<T>>().as_ptr() })
    }

    /// Returns a block of `layout.size()` zero bytes. O(size).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if it does not fit; nothing changes.
    #[inline]
    #[allow(clippy::mut_from_ref, reason = "each call returns a fresh block, disjoint from all others")]
    pub fn allocate(&self, layout: NonZeroLayout) -> Result<&mut [u8], AllocError> {
        // SAFETY: the block is fresh, zeroed up to its length, and stays until the scope ends (I2).
        self.arena.allocate_zeroed(layout).map(|block| unsafe { &mut *block.as_ptr() })
    }

    /// Moves `value` into the scope. O(size). Its destructor does not run: see [`alloc_box`](Self::alloc_box).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if it does not fit; `value` is dropped and nothing else changes.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "each call returns a fresh block, disjoint from all others")]
    pub fn alloc<T>(&self, value: T) -> Result<&mut T, AllocError> {
        // SAFETY: the block is fresh and initialised, and stays until the scope ends (I2).
        typed::value(self.arena, value).map(|block| unsafe { &mut *block.as_ptr() })
    }

    /// Moves `value` into the scope, as a box that runs its destructor. O(size).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if it does not fit; `value` is dropped and nothing else changes.
    #[inline]
    pub fn alloc_box<T>(&self, value: T) -> Result<ArenaBox<'_, T>, AllocError> {
        // SAFETY: the block is fresh and initialised, and stays until the scope ends (I2).
        typed::value(self.arena, value).map(|block| unsafe { ArenaBox::from_raw(block) })
    }

    /// Copies `src` into the scope. O(bytes).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if it does not fit; nothing changes.
    #[inline]
    #[allow(clippy::mut_from_ref, reason = "each call returns a fresh block, disjoint from all others")]
    pub fn alloc_slice_copy<T: Copy>(&self, src: &[T]) -> Result<&mut [T], AllocError> {
        // SAFETY: the block is fresh and initialised, and stays until the scope ends (I2).
        typed::slice_copy(self.arena, src).map(|block| unsafe { &mut *block.as_ptr() })
    }

    /// Copies `s` into the scope. O(bytes).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if it does not fit; nothing changes.
    #[inline]
    #[allow(clippy::mut_from_ref, reason = "each call returns a fresh block, disjoint from all others")]
    pub fn alloc_str(&self, s: &str) -> Result<&mut str, AllocError> {
        // SAFETY: the block is fresh and holds UTF-8, and stays until the scope ends (I2).
        typed::str(self.arena, s).map(|block| unsafe { &mut *block.as_ptr() })
    }

    /// Returns the bytes handed out by the arena, those from before the scope included. O(1).
    #[inline]
    #[must_use]
    pub fn arena_allocated(&self) -> usize {
        self.arena.allocated()
    }

    /// Opens a scope within this one. O(1).
    #[inline]
    pub fn scope(&mut self) -> Scope<'_, B> {
        Scope { arena: self.arena, mark: self.arena.allocated(), exclusive: PhantomData }
    }
}

impl<B: FixedRange> Drop for Scope<'_, B> {
    #[inline(always)]
    fn drop(&mut self) {
        let cursor = self.arena.cursor();
        let offset = self.mark.min(cursor.offset());
        // SAFETY: the offset is not above the cursor, and every block past the mark belonged to this scope (I1, I2).
        unsafe { cursor.set_offset(offset) };
    }
}

// SAFETY: the blocks are those of the arena, which keeps the contract.
unsafe impl<B: FixedRange> Deallocator for Scope<'_, B> {
    forward_deallocator!(arena);
}

// SAFETY: the blocks are those of the arena, which keeps the contract; they end with the scope, as its drop may.
unsafe impl<B: FixedRange> Allocator for Scope<'_, B> {
    forward_allocator!(arena);
}

// SAFETY: moving the scope moves a reference; the arena it borrows cannot move meanwhile.
unsafe impl<B: FixedRange> StableAddress for Scope<'_, B> {}

#[cfg(test)]
mod tests;
