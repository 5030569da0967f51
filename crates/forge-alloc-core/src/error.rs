//! The errors of the contract: small values that say what failed, never why in prose.
//!
//! # Design
//!
//! Exhaustion on a hot path is [`AllocError`], a zero-sized unit: a `Result` of it and a pointer costs one register.
//! It is our own type and not the one of a std-trait mirror, so that no version of a mirror is welded into every
//! signature; conversions exist where a mirror is enabled. Set-up failures carry their reason (the OS layer's error
//! type). The kernel family documents a four-way error, here [`HeapError`].

use core::fmt;

/// The error of a shared allocator: the request could not be served and nothing changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AllocError;

impl fmt::Display for AllocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory allocation failed")
    }
}

impl core::error::Error for AllocError {}

/// The error of building a [`NonZeroLayout`](crate::NonZeroLayout): zero size, an alignment that is not a power of
/// two, or a size that exceeds `isize::MAX` once rounded up to the alignment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LayoutError;

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "layout needs a non-zero size, a power-of-two alignment and at most isize::MAX bytes in all",
        )
    }
}

impl core::error::Error for LayoutError {}

/// The error of an exclusive allocator (bytes, pages or ids).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeapError {
    /// An argument is outside its documented domain (zero count, alignment that is not a power of two, ...).
    InvalidParam,
    /// A region handed over overlaps memory that the allocator already manages.
    MemoryOverlap,
    /// No free run satisfies the request.
    NoMemory,
    /// The address or id given back is not an allocation of this allocator.
    NotAllocated,
}

impl fmt::Display for HeapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidParam => "invalid argument",
            Self::MemoryOverlap => "the region overlaps memory that is already managed",
            Self::NoMemory => "no free memory satisfies the request",
            Self::NotAllocated => "not an allocation of this allocator",
        })
    }
}

impl core::error::Error for HeapError {}

impl From<HeapError> for AllocError {
    fn from(_: HeapError) -> Self {
        Self
    }
}

/// The result of an operation on an exclusive allocator.
pub type AllocResult<T = ()> = Result<T, HeapError>;
