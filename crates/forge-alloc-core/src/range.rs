//! One owned span of memory whose bytes a layout carves: the lowest seam of the shared family.
//!
//! ```text
//!   base                                    base + size
//!    |<-------------- size bytes ------------->|
//!    [ offset 0 ........ offset o ............. ]
//!            layouts remember o, never an address
//! ```
//!
//! # The offsets rule
//!
//! `base()` may change when the value is moved (inline storage moves with it). A layout therefore remembers only
//! offsets, and asks for `base()` again on every use. This is the one place where the rule is stated.
//!
//! # Carving and claiming
//!
//! Many backings are also allocators of their own bytes. A layout that carves the range behind such an allocator's
//! back would hand out bytes twice, so it first calls [`FixedRange::claim`], which turns the backing's own allocator
//! off for good. A wrapper whose promise is attached to `allocate` and `deallocate` (a canary, a scrubber) sets
//! [`FixedRange::CARVABLE`] to `false`: an arena over it would silently switch the promise off, so it does not build.
//!
//! # Bookkeeping elsewhere
//!
//! ```text
//!   base                    base + size                  split span
//!    | values, nothing else      | guard: a touch faults      | what the layout knows about them |
//! ```
//!
//! A range may hold a second span, far from its bytes, for what a layout has to remember about them ([`FixedRange::SPLIT`]),
//! and may end at memory that cannot be touched ([`FixedRange::GUARDED`]). A layout that knows of these uses them: a slab
//! keeps its list and its map in the split span, and puts its last slot against the guard.
//!
//! # Design
//!
//! The trait is `unsafe` to implement: layouts dereference what it returns. A safe trait would let a program without
//! `unsafe` point an arena at memory that it does not own.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::AllocError;

/// A span of memory that belongs to this value alone.
///
/// # Safety
///
/// An implementation promises, for a value that is not moved meanwhile:
///
/// - `base()` is aligned to `BASE_ALIGN` and carries provenance over `size()` bytes; `size()` is at most `isize::MAX`, and
///   `base() + size()` does not overflow `usize`;
/// - the bytes below `committed()`, which is at most `size()`, and those that `commit` was asked for with success are
///   valid for reads and writes; if `MUST_COMMIT` is `false`, all are;
/// - nothing else reads, writes or hands out those bytes, except through this value; if the type is also an allocator
///   of the range, every block that it hands out lies in it, and after a successful `claim` its `allocate` fails until somebody resets it through `&mut`;
/// - `base()` and `size()` return the same values on every call, and `size()` also across moves; so does `base()` if `STAYS`;
/// - `base`, `size`, `committed`, `commit` and `contains` may be called from several threads at once through shared
///   references, whether or not the type is `Sync`;
/// - the bytes stay valid until the value is dropped; after a move the byte at each offset is what it was, and if the type
///   is also an allocator, a block of before the move may be freed at its offset;
/// - if `GUARDED`, a touch of the byte at `base() + size()` faults for as long as the value lives, and moves leave the
///   bytes where they are;
/// - after a successful `claim_split(bytes)` the split span has at least so many bytes, is aligned to 16, stays at its
///   address until the value is dropped, overlaps nothing else, and is written by nobody but the claimant.
pub unsafe trait FixedRange {
    /// The alignment in bytes that `base()` is known to have at compile time; a power of two.
    const BASE_ALIGN: usize = 1;

    /// Whether a layout may carve the range directly; `false` for wrappers that guard `allocate` and `deallocate`.
    const CARVABLE: bool = true;

    /// Whether `base()` returns the same address on every call, also after the value was moved.
    const STAYS: bool = false;

    /// Whether some bytes may have to be [committed](Self::commit) before they are touched; if `false`, none has to be.
    const MUST_COMMIT: bool = false;

    /// Whether a touch of the byte behind the range faults.
    const GUARDED: bool = false;

    /// Whether there is a second span for the bookkeeping of a layout.
    const SPLIT: bool = false;

    /// Returns the first byte of the range. O(1).
    fn base(&self) -> NonNull<u8>;

    /// Returns the length of the range in bytes. O(1).
    fn size(&self) -> usize;

    /// Returns how many bytes from the base on may be touched without [`commit`](Self::commit). Never falls; O(1).
    ///
    /// The default is for ranges that are writable from the start.
    #[inline]
    fn committed(&self) -> usize {
        self.size()
    }

    /// Makes `len` bytes at `offset` writable. Idempotent; O(1) once they are. The span lies in the range; `Ok` for one
    /// that does not permits nothing.
    ///
    /// The default is for ranges that are writable from the start.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the system refuses; the bytes must then not be touched.
    #[inline]
    fn commit(&self, offset: usize, len: usize) -> Result<(), AllocError> {
        let _ = (offset, len);
        Ok(())
    }

    /// Returns whether `ptr` points into the range. O(1); an empty range contains nothing.
    #[inline]
    fn contains(&self, ptr: NonNull<u8>) -> bool {
        // The wrapping difference is right even for a range that ends at the top of the address space.
        ptr.addr().get().wrapping_sub(self.base().addr().get()) < self.size()
    }

    /// Turns the value's own allocator off, so that a layout may carve the whole range. O(1).
    ///
    /// The default is for values that are no allocator and so have nothing to turn off.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if blocks of the value may be live or its allocator is off already; nothing changes then.
    #[inline]
    fn claim(&mut self) -> Result<(), AllocError> {
        Ok(())
    }

    /// Returns the first byte of the split span; meaningless before it was [claimed](Self::claim_split). O(1).
    #[inline]
    fn split_base(&self) -> NonNull<u8> {
        NonNull::dangling()
    }

    /// Takes the split span, with at least `bytes` bytes, for the bookkeeping of one layout.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if there is none, if it is taken or in use already, or if it cannot be made so long; nothing changes.
    #[inline]
    fn claim_split(&mut self, bytes: usize) -> Result<(), AllocError> {
        let _ = bytes;
        Err(AllocError)
    }
}
