//! The error of an object cache, in the four cases that its documentation names.

use core::fmt;

/// Why an object cache refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SlabError {
    /// The provider of slabs has no memory.
    OutOfMemory,
    /// The provider's memory does not start at a multiple of the slab size. It was handed back.
    AlignmentMismatch,
    /// A pointer is not the start of a slot of a slab.
    InvalidPointer,
    /// A promise was broken: the provider's memory is shorter than a slab (it was handed back), or there are more than two
    /// billion handles of one cache.
    FatalError,
}

impl fmt::Display for SlabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfMemory => "the provider of slabs has no memory",
            Self::AlignmentMismatch => "memory for a slab does not start at a multiple of the slab size",
            Self::InvalidPointer => "the pointer is not a slot of a slab",
            Self::FatalError => "memory for a slab is too short, or a cache has too many handles",
        })
    }
}

impl core::error::Error for SlabError {}

/// The result of an operation of an object cache.
pub type Result<T, E = SlabError> = core::result::Result<T, E>;
