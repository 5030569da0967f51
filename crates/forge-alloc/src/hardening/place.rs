//! Where a block is, in a way that survives a move of the allocator that holds it.
//!
//! ```text
//!   owner                             owner, moved
//!   +-----+-------[ block ]---+       +-----+-------[ block ]---+        elsewhere: [ block ]
//!   |<--- offset --->|                |<--- offset --->|                            address
//! ```
//!
//! # Invariants
//!
//! - (I1) A block that lies within the bytes of its owner moves with them, so its offset stays; any other stays where it is.
//!
//! # Design
//!
//! Storage inside a value is the only storage that a move takes along: a backing that promises more or less than that does
//! not exist (`FixedRange`, `StableAddress`). So one comparison with the owner's own bytes decides, and no wrapper has to
//! know what it wraps. The offset is below the size of the owner, where no block of another place has its address on a
//! machine whose lowest addresses are not heap; a wrapper that must tell the two kinds apart keeps the answer beside it.

use core::ptr::{self, NonNull};

/// Returns the offset of `ptr` from `owner` if it points into the bytes of `owner`. O(1).
#[inline(always)]
pub(super) fn offset_within<S>(owner: &S, ptr: NonNull<u8>) -> Option<usize> {
    let offset = ptr.addr().get().wrapping_sub(ptr::from_ref(owner).addr());
    if offset < size_of::<S>() { Some(offset) } else { None }
}

/// Returns a number for the block at `ptr` that stays with it when `owner`, which holds it, is moved (I1). O(1).
#[inline(always)]
pub(super) fn of<S>(owner: &S, ptr: NonNull<u8>) -> usize {
    offset_within(owner, ptr).unwrap_or(ptr.addr().get())
}

#[cfg(test)]
mod tests;
