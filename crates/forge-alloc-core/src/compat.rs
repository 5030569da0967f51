//! The bridge to the collections of the standard library and its mirrors, and the one place where zero sizes appear.
//!
//! ```text
//!   Vec, Box, hashbrown --Layout--> StdCompat<A> --NonZeroLayout--> A
//!                                       |
//!                                       +-- size 0: answered here, A is not called
//! ```
//!
//! | trait | feature |
//! |---|---|
//! | `allocator_api2::alloc::Allocator` of 0.2, 0.3, 0.4 | `allocator-api2-02`, `allocator-api2-03`, `allocator-api2-04` |
//! | `core::alloc::Allocator` | `nightly` |
//!
//! # Invariants
//!
//! - (I1) A block returned to a collection is exactly as long as its layout says, so every size that "fits" the block
//!   in the sense of those traits is the size that `A` knows.
//! - (I2) A block of size zero is an address without memory behind it, aligned to its layout; `A` never sees it.
//! - (I3) Blocks stay valid while the `StdCompat` is moved, because `A` is [`StableAddress`]; a clone of it frees and
//!   resizes the blocks of the original and keeps them alive, by the second promise of that trait.
//!
//! # Operations
//!
//! What the four traits ask for, in terms of `A`; `n` is a size that is not zero, and an error leaves all as it was.
//!
//! | call | old size 0 | old size n |
//! |---|---|---|
//! | `allocate(0)`, `allocate_zeroed(0)` | no memory | - |
//! | `allocate(n)`, `allocate_zeroed(n)` | `allocate(n)`, `allocate_zeroed(n)` | - |
//! | `deallocate` | nothing | `deallocate` |
//! | `grow`, `grow_zeroed` to 0 | no memory, at the new alignment | error |
//! | `grow`, `grow_zeroed` to n | `allocate(n)`, `allocate_zeroed(n)` | `grow`, `grow_zeroed`, or a move |
//! | `shrink` to 0 | no memory, at the new alignment | `deallocate`, then no memory |
//! | `shrink` to n | error | `shrink`, or a move |
//!
//! "Or a move" is the case of a changed alignment: the block is allocated anew, copied and freed here.
//!
//! # Design
//!
//! The std traits let a resize change the alignment, and so does [`Allocator`]; allocators written against
//! an older contract, which kept the alignment, exist, so a changed one is not forwarded.
//!
//! The bound [`StableAddress`] is what the std traits call "moving the allocator must not invalidate memory blocks".
//! It excludes inline storage by value and admits it behind a reference:
//!
//! ```text
//!   StdCompat<BumpArena<InlineBacked<N>>>     not an allocator
//!   StdCompat<&BumpArena<InlineBacked<N>>>    an allocator
//! ```
//!
//! The contract of `core::alloc::Allocator` also forbids unwinding and forbids shared-reference methods to end live
//! blocks; both are promises of every [`Allocator`]. `reset` takes `&mut self`, and no safe method here gives
//! out `&mut A`.
//!
//! allocator-api2 0.2 has a feature of its own under which it re-exports the trait of `core`; a second implementation of
//! that one trait does not compile. No crate can see another's features, so a graph in which somebody enables it says
//! so with `allocator-api2-02-nightly`: the implementation for `core` then serves both.

#[cfg(any(
    test,
    feature = "allocator-api2-02",
    feature = "allocator-api2-03",
    feature = "allocator-api2-04",
    feature = "nightly"
))]
mod boundary;
#[cfg(any(
    feature = "allocator-api2-02",
    feature = "allocator-api2-03",
    feature = "allocator-api2-04",
    feature = "nightly"
))]
mod implement;
#[cfg(all(feature = "allocator-api2-02", not(feature = "allocator-api2-02-nightly")))]
mod mirror_02;
#[cfg(feature = "allocator-api2-03")]
mod mirror_03;
#[cfg(feature = "allocator-api2-04")]
mod mirror_04;
#[cfg(feature = "nightly")]
mod nightly;

#[cfg(doc)]
use crate::{Allocator, StableAddress};

/// An [`Allocator`] as the standard library and its mirrors know allocators.
///
/// It implements their traits where `A` is an [`Allocator`] whose blocks survive a move of it ([`StableAddress`]).
#[cfg_attr(all(feature = "allocator-api2-02", not(feature = "allocator-api2-02-nightly")), doc = include_str!("compat/examples.md"))]
#[derive(Clone, Copy, Debug, Default)]
#[repr(transparent)]
pub struct StdCompat<A> {
    inner: A,
}

impl<A> StdCompat<A> {
    /// Returns the bridge over `inner`. O(1).
    pub const fn new(inner: A) -> Self {
        Self { inner }
    }

    /// Returns the allocator underneath. O(1).
    pub const fn inner(&self) -> &A {
        &self.inner
    }

    /// Returns the allocator underneath and drops the bridge. O(1).
    pub fn into_inner(self) -> A {
        self.inner
    }
}

#[cfg(test)]
mod tests;
