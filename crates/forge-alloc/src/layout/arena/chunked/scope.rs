//! A scratch scope over a growing arena: what is allocated in it is forgotten at its end.
//!
//! ```text
//!   | chunk | before ^ mark | in the scope |-->| chunk | in the scope |-->| spare |
//!                    <-------------- drop of the scope: both chunks stay with the arena
//! ```
//!
//! # Invariants
//!
//! - (I1) While a scope lives, the arena and any outer scope are borrowed mutably, so only the innermost allocates.
//! - (I2) References that the scope returns borrow it, so none survives it.
//!
//! # Operations
//!
//! Opening and closing copy three words; allocation is that of the arena.
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, Deallocator, NonZeroLayout, RegionSource, StableAddress};

use super::face::typed_face;
use super::{Arena, Mark};
use crate::forward::{forward_allocator, forward_deallocator};
use crate::layout::arena::boxed::ArenaBox;
use crate::layout::arena::typed;

/// A scope over an [`Arena`]: what is allocated through it is forgotten when it is dropped.
///
/// Chunks that were added meanwhile stay with the arena. The scope is itself an allocator.
///
/// # Examples
///
/// ```
/// use forge_alloc::Arena;
///
/// let mut arena = Arena::new();
/// {
///     let scope = arena.scope();
///     scope.alloc_slice_copy(&[0_u64; 100])?;
/// }
/// assert_eq!(arena.allocated_bytes(), 0);
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
#[derive(Debug)]
pub struct ArenaScope<'a, S: RegionSource, const MIN_ALIGN: usize = 8> {
    arena: &'a Arena<S, MIN_ALIGN>,
    mark: Mark,
    exclusive: PhantomData<&'a mut Arena<S, MIN_ALIGN>>,
}

// SAFETY: the scope stands for the exclusive borrow of the arena, which could be sent as `&mut Arena<S>`.
unsafe impl<S: RegionSource + Send, const MIN_ALIGN: usize> Send for ArenaScope<'_, S, MIN_ALIGN> {}

impl<'a, S: RegionSource, const MIN_ALIGN: usize> ArenaScope<'a, S, MIN_ALIGN> {
    /// Opens a scope at the position of `arena`.
    #[inline(always)]
    pub(super) fn new(arena: &'a mut Arena<S, MIN_ALIGN>) -> Self {
        Self { mark: arena.mark(), arena, exclusive: PhantomData }
    }

    /// Opens a scope within this one. O(1).
    #[inline]
    pub fn scope(&mut self) -> ArenaScope<'_, S, MIN_ALIGN> {
        ArenaScope { arena: self.arena, mark: self.arena.mark(), exclusive: PhantomData }
    }

    /// Returns the arena, for the typed methods.
    #[inline(always)]
    fn allocator(&self) -> &Arena<S, MIN_ALIGN> {
        self.arena
    }
}

impl<S: RegionSource, const MIN_ALIGN: usize> Drop for ArenaScope<'_, S, MIN_ALIGN> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the mark was taken when the scope was opened; blocks since then were its own, and end with it.
        unsafe { self.arena.rewind(self.mark) }
    }
}

// SAFETY: the blocks are those of the arena, which keeps the contract.
unsafe impl<S: RegionSource, const MIN_ALIGN: usize> Deallocator for ArenaScope<'_, S, MIN_ALIGN> {
    forward_deallocator!(arena);
}

// SAFETY: the blocks are those of the arena, which keeps the contract; they end with the scope, as its drop may.
unsafe impl<S: RegionSource, const MIN_ALIGN: usize> Allocator for ArenaScope<'_, S, MIN_ALIGN> {
    forward_allocator!(arena);
}

// SAFETY: moving the scope moves a reference; the arena's chunks stay in place anyway.
unsafe impl<S: RegionSource, const MIN_ALIGN: usize> StableAddress for ArenaScope<'_, S, MIN_ALIGN> {}

typed_face!(ArenaScope<'_, S, MIN_ALIGN>);
