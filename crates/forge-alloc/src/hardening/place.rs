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
//! know what it wraps; where the type says that its blocks [stay](forge_alloc_core::Allocator::blocks_stay), none is made. The offset is below the size of the owner, where no block of another place has its address on a
//! machine whose lowest addresses are not heap; a wrapper that must tell the two kinds apart keeps the answer beside it.

use core::ptr::{self, NonNull};

/// Returns the offset of `ptr` from `owner` if it points into the bytes of `owner`, where no block lies if its blocks `stay`.
/// O(1).
#[inline(always)]
pub(super) fn offset_within<S>(owner: &S, stay: bool, ptr: NonNull<u8>) -> Option<usize> {
    let offset = ptr.addr().get().wrapping_sub(ptr::from_ref(owner).addr());
    if !stay && offset < size_of::<S>() { Some(offset) } else { None }
}

/// Returns a number for the block at `ptr` that stays with it when `owner`, which holds it, is moved (I1), given whether its
/// blocks `stay`. O(1).
#[inline(always)]
pub(super) fn of<S>(owner: &S, stay: bool, ptr: NonNull<u8>) -> usize {
    offset_within(owner, stay, ptr).unwrap_or(ptr.addr().get())
}

#[cfg(test)]
mod tests;
