//! The promise that moving a value moves no memory that it owns or has handed out.
//!
//! ```text
//!   MmapBacked (stable)                     InlineBacked (not stable)
//!   +--------+                              +------------------------+
//!   | base --+--> [ bytes in a mapping ]    | [ bytes in the value ] |  <- a move copies the bytes elsewhere
//!   +--------+                              +------------------------+
//! ```
//!
//! # Design
//!
//! A standard collection owns its allocator by value and moves both together, so a block must stay where it is when
//! its allocator moves. Inline storage cannot promise that, except behind a shared reference that pins it for the
//! borrow. The bridge to std collections is therefore bounded by this marker instead of covering every allocator.
//!
//! `Box<A>` and `&mut A` are stable only where `A` is: moving one of them asserts unique access to the bytes of the
//! pointee, which ends the validity of pointers into inline storage even though the bytes stay in place.
#![allow(unsafe_code)]

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
use alloc::sync::Arc;
#[cfg(feature = "alloc")]
use alloc::{boxed::Box, rc::Rc};

/// Marks types whose memory stays at its address when the value itself is moved.
///
/// # Safety
///
/// Implement it only if, for a value `a: Self`:
///
/// - every block that `a` handed out, and the range that `a` owns, stays valid at its address while `a` is moved, and
///   until `a` is dropped or the block is freed;
/// - if `Self: Clone`, a clone frees and resizes the blocks of the original as the original does, a block lives until the
///   last clone is dropped, and nothing that one clone can do safely, `reset` through `&mut` included, ends a block of
///   another.
pub unsafe trait StableAddress {}

// SAFETY: moving a shared reference leaves the referent alone, and its copies denote the same allocator.
unsafe impl<A: ?Sized> StableAddress for &A {}

// SAFETY: moving the reference moves nothing that `A` owns; re-borrowing touches only the bytes of the `A` itself,
// which hold no block because `A` is stable.
unsafe impl<A: StableAddress + ?Sized> StableAddress for &mut A {}

#[cfg(feature = "alloc")]
// SAFETY: as for `&mut A`.
unsafe impl<A: StableAddress + ?Sized> StableAddress for Box<A> {}

#[cfg(feature = "alloc")]
// SAFETY: moving or cloning the pointer leaves the referent alone, and it lives until the last clone is dropped.
unsafe impl<A: ?Sized> StableAddress for Rc<A> {}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
// SAFETY: moving or cloning the pointer leaves the referent alone, and it lives until the last clone is dropped.
unsafe impl<A: ?Sized> StableAddress for Arc<A> {}
