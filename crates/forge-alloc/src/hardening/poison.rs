//! Freed bytes that show: a free fills the block with a pattern.
//!
//! ```text
//!   live    | 17 42 .. user bytes .. |
//!   free    | DE DE DE DE DE DE DE DE |      a slab then puts a link over the first bytes
//! ```
//!
//! # Invariants
//!
//! - (I1) As for [`scrub`](super::scrub): the inner allocator takes back no byte that does not hold the pattern.
//!
//! # Operations
//!
//! | operation | cost beside the inner allocator's |
//! |---|---|
//! | allocate, grow in place | nothing |
//! | free | O(size) |
//! | shrink in place | O(what is given up) |
//! | resize that moves | allocate, copy, free: O(size) |
//! | reset | nothing: a reset poisons nothing |
//!
//! # Design
//!
//! The pattern makes a read after a free visible to who looks at it; it detects nothing by itself. `Quarantine::poisoning`
//! does: it looks whether the pattern is still there. `0xDE` is odd as a pointer, negative as an integer, and large.
//! The stores stay also where the inner free is one that the compiler knows; see [`wipe`].
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, StableAddress, relocate,
};

use super::scrub::{scrub_then_deallocate, scrub_when_resized};
use super::wipe;
use crate::forward::{forward_reset, forward_totals, forward_uncarvable_range};

/// The pattern that a [`PoisonOnFree`] fills freed blocks with unless told otherwise.
pub const DEFAULT_POISON: u8 = 0xDE;

/// An allocator whose freed blocks are filled with a pattern.
///
/// # Examples
///
/// ```
/// use forge_alloc::{Allocator, DEFAULT_POISON, Deallocator, FixedRange, InlineBacked, NonZeroLayout, PoisonOnFree};
///
/// let memory = PoisonOnFree::new(InlineBacked::<64>::new());
/// let layout = NonZeroLayout::from_size_align(16, 8).unwrap();
/// let block = memory.allocate_zeroed(layout)?.cast::<u8>();
/// // SAFETY: the block is live, and then looked at through the range that it lay in.
/// unsafe {
///     memory.deallocate(block, layout);
///     assert_eq!(memory.base().cast::<[u8; 16]>().read(), [DEFAULT_POISON; 16]);
/// }
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
///
/// An arena that carved the bytes would free none of them through the wrapper, so it does not build:
///
/// ```compile_fail,E0080
/// use forge_alloc::{BumpArena, InlineBacked, PoisonOnFree};
///
/// let arena = BumpArena::new(PoisonOnFree::new(InlineBacked::<64>::new()));
/// ```
#[derive(Debug)]
pub struct PoisonOnFree<I> {
    inner: I,
    pattern: u8,
}

impl<I> PoisonOnFree<I> {
    /// Returns `inner` with freed blocks that are filled with [`DEFAULT_POISON`]. O(1).
    pub const fn new(inner: I) -> Self {
        Self::with_pattern(inner, DEFAULT_POISON)
    }

    /// Returns `inner` with freed blocks that are filled with `pattern`. O(1).
    pub const fn with_pattern(inner: I, pattern: u8) -> Self {
        Self { inner, pattern }
    }

    /// Returns the pattern. O(1).
    #[must_use]
    pub const fn pattern(&self) -> u8 {
        self.pattern
    }

    /// Returns what is inside. A block that is freed there directly keeps its bytes.
    #[must_use]
    pub const fn inner(&self) -> &I {
        &self.inner
    }

    /// Returns what was inside. O(1).
    ///
    /// This moves it: its blocks live on if it is [`StableAddress`].
    #[must_use]
    pub fn into_inner(self) -> I {
        self.inner
    }

    /// Fills `len` bytes at `ptr` with the pattern.
    ///
    /// # Safety
    ///
    /// The bytes are valid for writes, and nobody else uses them.
    #[inline(always)]
    unsafe fn scrub(&self, ptr: NonNull<u8>, len: usize) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { wipe::fill(ptr, self.pattern, len) };
    }
}

// SAFETY: a block reaches the inner allocator that issued it, with its layout, after its last use.
unsafe impl<I: Allocator> Deallocator for PoisonOnFree<I> {
    scrub_then_deallocate!();
}

// SAFETY: blocks are those of the inner allocator; only bytes that a block gives up are written.
unsafe impl<I: Allocator> Allocator for PoisonOnFree<I> {
    scrub_when_resized!();
    forward_totals!(inner);
    // A reset poisons nothing.
    forward_reset!(inner);
}

// SAFETY: the range is the inner one, whose promises carry over.
unsafe impl<I: Allocator + FixedRange> FixedRange for PoisonOnFree<I> {
    forward_uncarvable_range!(inner: I);
}

// SAFETY: a move of the wrapper moves the inner allocator and a byte.
unsafe impl<I: StableAddress> StableAddress for PoisonOnFree<I> {}

#[cfg(test)]
mod tests;
