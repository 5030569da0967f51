//! One call of an allocator: the word that every history is made of.
//!
//! # Design
//!
//! Blocks are numbered instead of addressed, so that a history recorded in one process means the same in another.
//! A resize carries no alignment: it keeps the one of the block, as C's `realloc` does. An operation is 24 bytes on
//! 64-bit targets and is read in order, so a run over millions of them streams through the caches.

use forge_alloc_core::{LayoutError, NonZeroLayout};

/// One call of an allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Allocate a block.
    Allocate {
        /// The number of the block from now on.
        id: u32,
        /// The size in bytes; 0 stands for C's `malloc(0)`, see [`Op::layout_of`].
        size: usize,
        /// The alignment in bytes, a power of two.
        align: usize,
        /// Whether the block must be zero-filled.
        zeroed: bool,
        /// The thread that calls.
        thread: u16,
    },
    /// Resize a block, which keeps its number and its alignment.
    Resize {
        /// The number of the block.
        id: u32,
        /// The new size in bytes; 0 as for [`Op::Allocate`].
        size: usize,
        /// The thread that calls.
        thread: u16,
    },
    /// Free a block.
    Free {
        /// The number of the block.
        id: u32,
        /// The thread that calls.
        thread: u16,
    },
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Op>() == 24, "traces hold millions of operations");

impl Op {
    /// Returns the number of the block concerned. O(1).
    #[inline]
    #[must_use]
    pub const fn id(&self) -> u32 {
        match *self {
            Self::Allocate { id, .. } | Self::Resize { id, .. } | Self::Free { id, .. } => id,
        }
    }

    /// Returns the thread that calls. O(1).
    #[inline]
    #[must_use]
    pub const fn thread(&self) -> u16 {
        match *self {
            Self::Allocate { thread, .. } | Self::Resize { thread, .. } | Self::Free { thread, .. } => thread,
        }
    }

    /// Returns the layout that a request of `size` bytes at `align` bytes becomes. O(1).
    ///
    /// Real programs call `malloc(0)` and expect a block that they can free. The contract of the toolkit has no empty
    /// blocks, so a size of 0 becomes 1 byte, as it does in every C allocator.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] if `align` is not a power of two or the size is too large for it.
    #[inline]
    pub const fn layout_of(size: usize, align: usize) -> Result<NonZeroLayout, LayoutError> {
        NonZeroLayout::from_size_align(if size == 0 { 1 } else { size }, align)
    }
}
