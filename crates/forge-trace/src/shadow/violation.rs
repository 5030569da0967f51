//! What the shadow model reports: which promise an allocator broke, when, and for which block.

use alloc::string::String;
use core::fmt;

/// Which promise was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Promise {
    /// Blocks are aligned.
    Alignment,
    /// Blocks are as long as asked.
    Length,
    /// Blocks are disjoint.
    Overlap,
    /// Blocks lie in the range of the allocator.
    Containment,
    /// A resize that was promised to stay in place does.
    InPlace,
    /// Contents survive.
    Content,
    /// Zero-filled memory is zero.
    Zeroed,
    /// `usable_size` is at least the size.
    UsableSize,
    /// `capacity_bytes` is not exceeded.
    Capacity,
    /// The allocator finds its own bookkeeping intact.
    Bookkeeping,
}

/// A promise that an allocator broke, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The index of the operation after which it was noticed, counted from 0 over the life of the model.
    pub operation: usize,
    /// The number of the block concerned.
    pub id: u32,
    /// Which promise was broken.
    pub promise: Promise,
    /// What was found, with addresses and sizes.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, id, promise, detail } = self;
        write!(f, "{promise:?} broken at operation {operation}, block {id}: {detail}")
    }
}

impl core::error::Error for Violation {}
