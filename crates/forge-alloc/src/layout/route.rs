//! The router: a primary allocator over one range, and a secondary that takes what the primary refuses.
//!
//! ```text
//!   allocate --> primary --Ok--> block in the range   [ base ........ base + size )
//!                   |                                         ^ free: inside, to the primary
//!                  Err
//!                   v
//!                secondary ----> block elsewhere              ^ free: outside, to the secondary
//! ```
//!
//! # Invariants
//!
//! - (I1) Every live block of the primary starts in the primary's range: it is an allocator of that range.
//! - (I2) No live block that the secondary issued through the router starts in the primary's range: what it issues is
//!   compared with the range first.
//!
//! # Operations
//!
//! | operation | cost beside the half's own |
//! |---|---|
//! | allocate from the primary | nothing |
//! | allocate from the secondary | the refusal, one comparison |
//! | free, `usable_size` | one comparison |
//! | resize within the owning half | one comparison, two in the secondary |
//! | resize that the owning half refuses | a block of the other half, a copy, a free: O(size) |
//!
//! # Design
//!
//! The address alone says where a block belongs, so no header is stored and none can be damaged. A block stays in its
//! half until that half refuses to resize it; one in the secondary is not fetched back when the primary has room again,
//! since that would copy where the secondary may grow in place.
//!
//! Two values whose ranges overlap do not exist by the contract of [`FixedRange`]: the bytes belong to one value alone,
//! which the router owns, and neither references nor clones of it are ranges. Two holes are left. An `unsafe`
//! implementation may be wrong; and a secondary may come to borrow the primary *after* the router was built, through
//! [`primary`](WithFallback::primary) and a cell, and hand out pieces of it with headers of its own. So (I2) is checked and
//! not argued: a fresh block in the primary's range goes back and the request fails; a block that a resize has moved
//! there cannot be undone and ends the process. Both checks stand behind a refusal of the primary or on the
//! secondary's own path, where one comparison is lost in the noise. [`try_new`](WithFallback::try_new) finds an overlap
//! early, where both halves have a range.
//!
//! Moving a primary with inline storage ends its blocks, and so the router is [`StableAddress`] only if both halves are. A
//! block of the secondary cannot fall into the new place of the range, which is as exclusive as the old one.
//!
//! `reset` is an error: two resets are not one, because the second may fail after the first has forgotten its blocks. Take
//! the halves [apart](WithFallback::into_parts), reset each, and build a new router.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, StableAddress};

use crate::report;

/// A primary allocator, and a secondary for the requests that the primary refuses.
///
/// # Examples
///
/// ```
/// use forge_alloc::{Allocator, BumpArena, Deallocator, FixedRange, InlineBacked, NonZeroLayout, StackAlloc, WithFallback};
///
/// let near = BumpArena::new(InlineBacked::<256>::new())?;
/// let far = StackAlloc::new(InlineBacked::<4096>::new())?;
/// let router = WithFallback::new(near, far);
/// let (small, large) = (NonZeroLayout::from_size_align(64, 8), NonZeroLayout::from_size_align(1000, 8));
/// let (small, large) = (small.unwrap(), large.unwrap());
/// let inside = router.allocate(small)?.cast();
/// let outside = router.allocate(large)?.cast();
/// assert!(router.primary().contains(inside));
/// assert!(router.secondary().contains(outside));
/// // SAFETY: both blocks are live and not used afterwards.
/// unsafe {
///     router.deallocate(inside, small);
///     router.deallocate(outside, large);
/// }
/// assert_eq!((router.primary().allocated(), router.secondary().allocated()), (0, 0));
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
///
/// A primary without a range does not route:
///
/// ```compile_fail,E0599
/// use forge_alloc::{Allocator, NonZeroLayout, NullBacked, System, WithFallback};
///
/// let router = WithFallback::new(System::new(), NullBacked);
/// let block = router.allocate(NonZeroLayout::for_type::<u64>().unwrap());
/// ```
#[derive(Debug)]
pub struct WithFallback<P, S> {
    primary: P,
    secondary: S,
}

impl<P, S> WithFallback<P, S> {
    /// Returns the router of two halves. O(1).
    ///
    /// It allocates only if `P` is an [`Allocator`] and a [`FixedRange`], and `S` an [`Allocator`].
    #[must_use]
    pub const fn new(primary: P, secondary: S) -> Self {
        Self { primary, secondary }
    }

    /// Returns the primary. A block taken from it directly may be freed through the router too.
    #[inline]
    #[must_use]
    pub const fn primary(&self) -> &P {
        &self.primary
    }

    /// Returns the secondary. A block taken from it directly may be freed through the router too.
    #[inline]
    #[must_use]
    pub const fn secondary(&self) -> &S {
        &self.secondary
    }

    /// Returns the primary and the secondary. O(1).
    ///
    /// This moves both: blocks of a half live on, as blocks of that half, if it is [`StableAddress`].
    #[must_use]
    pub fn into_parts(self) -> (P, S) {
        (self.primary, self.secondary)
    }
}

impl<P: FixedRange, S: FixedRange> WithFallback<P, S> {
    /// Returns the router of two halves that share no byte. O(1).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the ranges overlap or one exceeds the address space; both halves are dropped.
    pub fn try_new(primary: P, secondary: S) -> Result<Self, AllocError> {
        let router = Self::new(primary, secondary);
        if router.ranges_disjoint() { Ok(router) } else { Err(AllocError) }
    }

    /// Returns whether the halves share no byte: ranges that touch do not, nor does an empty one. O(1).
    ///
    /// It is `false` if the end of a range exceeds the address space.
    #[must_use]
    pub fn ranges_disjoint(&self) -> bool {
        let (one, other) = (self.primary.base().addr().get(), self.secondary.base().addr().get());
        let (one_size, other_size) = (self.primary.size(), self.secondary.size());
        match (one.checked_add(one_size), other.checked_add(other_size)) {
            (Some(one_end), Some(other_end)) => {
                one_size == 0 || other_size == 0 || one_end <= other || other_end <= one
            }
            _ => false,
        }
    }
}

impl<P: Allocator + FixedRange, S: Allocator> WithFallback<P, S> {
    /// Returns a block of the secondary that routes to it (I2).
    #[cold]
    #[inline(never)]
    fn allocate_from_secondary(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.refuse_overlap(self.secondary.allocate(layout)?, layout)
    }

    /// Returns a zeroed block of the secondary that routes to it (I2).
    #[cold]
    #[inline(never)]
    fn allocate_zeroed_from_secondary(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.refuse_overlap(self.secondary.allocate_zeroed(layout)?, layout)
    }

    /// Passes on a fresh block of the secondary, or gives it back if a free would reach the primary (I2).
    #[inline]
    fn refuse_overlap(
        &self,
        block: NonNull<[u8]>,
        layout: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if self.primary.contains(block.cast()) {
            // SAFETY: the secondary has just issued the block for this layout, and nobody has seen it.
            unsafe { self.secondary.deallocate(block.cast(), layout) };
            return Err(AllocError);
        }
        Ok(block)
    }

    /// Passes on a resized block of the secondary, whose old form is gone, if it still routes to the secondary (I2).
    #[inline]
    fn demand_apart(&self, block: NonNull<[u8]>) -> NonNull<[u8]> {
        if self.primary.contains(block.cast()) {
            report::fatal_secondary_overlap(block.cast());
        }
        block
    }

    /// Checks (I1) of a block that the primary returned.
    #[inline(always)]
    fn of_primary(&self, block: NonNull<[u8]>) -> NonNull<[u8]> {
        debug_assert!(self.primary.contains(block.cast()), "the primary left its range");
        block
    }

    /// Resizes a block in the half that owns it, by `within_primary` or `within_secondary`; if that half refuses, moves it to
    /// the other. The bytes past the old size are zero if `zeroed`, which the two closures see to for their half.
    ///
    /// # Safety
    ///
    /// As the resize of the router that the closures pass on, for a block of the layout `old` that shall have `new`.
    #[inline(always)]
    unsafe fn resized(
        &self,
        ptr: NonNull<u8>,
        [old, new]: [NonZeroLayout; 2],
        zeroed: bool,
        within_primary: impl FnOnce(&P) -> Result<NonNull<[u8]>, AllocError>,
        within_secondary: impl FnOnce(&S) -> Result<NonNull<[u8]>, AllocError>,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the block is live in the half that it is routed to (I1, I2); a refusal leaves it live there.
        unsafe {
            if self.primary.contains(ptr) {
                match within_primary(&self.primary) {
                    Ok(block) => Ok(self.of_primary(block)),
                    Err(_) => self.leave_primary(ptr, old, new, zeroed),
                }
            } else {
                match within_secondary(&self.secondary) {
                    Ok(block) => Ok(self.demand_apart(block)),
                    Err(_) => self.enter_primary(ptr, old, new, zeroed),
                }
            }
        }
    }

    /// Moves a block that the primary refuses to resize to the secondary; the bytes past the old size are zero if `zeroed`.
    ///
    /// # Safety
    ///
    /// `ptr` is a live block of the primary and `old` its layout.
    #[cold]
    #[inline(never)]
    unsafe fn leave_primary(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
        zeroed: bool,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let block = if zeroed {
            self.allocate_zeroed_from_secondary(new)
        } else {
            self.allocate_from_secondary(new)
        }?;
        // SAFETY: the new block is fresh and as long as `new`; the caller promises the rest.
        unsafe { hand_over(&self.primary, ptr, old, block, new) };
        Ok(block)
    }

    /// Moves a block that the secondary refuses to resize to the primary; the bytes past the old size are zero if `zeroed`.
    ///
    /// # Safety
    ///
    /// `ptr` is a live block of the secondary and `old` its layout.
    #[cold]
    #[inline(never)]
    unsafe fn enter_primary(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
        zeroed: bool,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let block = if zeroed { self.primary.allocate_zeroed(new) } else { self.primary.allocate(new) }?;
        let block = self.of_primary(block);
        // SAFETY: the new block is fresh and as long as `new`; the caller promises the rest.
        unsafe { hand_over(&self.secondary, ptr, old, block, new) };
        Ok(block)
    }
}

/// Copies what both sizes hold from the block at `ptr` into `block`, and gives the old one back to `owner`. O(size).
///
/// # Safety
///
/// - `ptr` is a live block of `owner` and `old` its layout; nothing uses it afterwards.
/// - `block` is live, exclusively the caller's, and at least `new.size()` bytes long.
#[inline]
unsafe fn hand_over<D: Deallocator>(
    owner: &D,
    ptr: NonNull<u8>,
    old: NonZeroLayout,
    block: NonNull<[u8]>,
    new: NonZeroLayout,
) {
    let kept = old.size().min(new.size()).get();
    // SAFETY: both blocks are live at once, hence disjoint, and hold `kept` bytes; the old one is the caller's to free.
    unsafe {
        block.cast::<u8>().copy_from_nonoverlapping(ptr, kept);
        owner.deallocate(ptr, old);
    }
}

// SAFETY: a block in the primary's range was issued by the primary (I2), any other by the secondary (I1), so each
// reaches the half that issued it, with the layout that the half was asked for. If the router is `Sync`, so are both.
unsafe impl<P: Allocator + FixedRange, S: Allocator> Deallocator for WithFallback<P, S> {
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the block is live in the half that it is routed to (I1, I2), with this layout.
        unsafe {
            if self.primary.contains(ptr) {
                self.primary.deallocate(ptr, layout);
            } else {
                self.secondary.deallocate(ptr, layout);
            }
        }
    }
}

// SAFETY: every block is a block of one half, which keeps the contract for it, and blocks of two halves are disjoint
// because each half owns what it hands out. A move between halves frees the old block only after the new one is there,
// so an error changes nothing.
unsafe impl<P: Allocator + FixedRange, S: Allocator> Allocator for WithFallback<P, S> {
    #[inline]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        match self.primary.allocate(layout) {
            Ok(block) => Ok(self.of_primary(block)),
            Err(_) => self.allocate_from_secondary(layout),
        }
    }

    #[inline]
    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        match self.primary.allocate_zeroed(layout) {
            Ok(block) => Ok(self.of_primary(block)),
            Err(_) => self.allocate_zeroed_from_secondary(layout),
        }
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's; each half is asked about a live block of its own.
        unsafe {
            self.resized(
                ptr,
                [old, new],
                false,
                |primary| primary.grow(ptr, old, new),
                |secondary| secondary.grow(ptr, old, new),
            )
        }
    }

    #[inline]
    unsafe fn grow_zeroed(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's; each half is asked about a live block of its own.
        unsafe {
            self.resized(
                ptr,
                [old, new],
                true,
                |primary| primary.grow_zeroed(ptr, old, new),
                |secondary| secondary.grow_zeroed(ptr, old, new),
            )
        }
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's; each half is asked about a live block of its own.
        unsafe {
            self.resized(
                ptr,
                [old, new],
                false,
                |primary| primary.shrink(ptr, old, new),
                |secondary| secondary.shrink(ptr, old, new),
            )
        }
    }

    #[inline]
    unsafe fn stays_in_place(&self, ptr: NonNull<u8>, old: NonZeroLayout, new: NonZeroLayout) -> bool {
        // SAFETY: the block is live in the half that it is routed to (I1, I2), with this layout.
        unsafe {
            if self.primary.contains(ptr) {
                self.primary.stays_in_place(ptr, old, new)
            } else {
                self.secondary.stays_in_place(ptr, old, new)
            }
        }
    }

    #[inline]
    unsafe fn usable_size(&self, ptr: NonNull<u8>, layout: NonZeroLayout) -> Option<usize> {
        // SAFETY: the block is live in the half that it is routed to (I1, I2), with this layout.
        unsafe {
            if self.primary.contains(ptr) {
                self.primary.usable_size(ptr, layout)
            } else {
                self.secondary.usable_size(ptr, layout)
            }
        }
    }

    /// Returns the capacity of the primary: what is handed out before requests fall through. The secondary's bytes come
    /// on top.
    #[inline]
    fn capacity_bytes(&self) -> Option<usize> {
        self.primary.capacity_bytes()
    }

    /// Returns the sum over both halves, at most `u64::MAX`.
    #[inline]
    fn corruption_events(&self) -> u64 {
        self.primary.corruption_events().saturating_add(self.secondary.corruption_events())
    }

    /// Returns whether either half is: the router is `Sync` only if both are.
    #[inline]
    fn is_single_threaded(&self) -> bool {
        self.primary.is_single_threaded() || self.secondary.is_single_threaded()
    }

    #[inline]
    fn blocks_stay(&self) -> bool {
        self.primary.blocks_stay() && self.secondary.blocks_stay()
    }
}

// SAFETY: every block is a block of one half, and a move of the router moves both halves and nothing else. The primary's
// range stays too, so blocks route as before. The router is not `Clone`.
unsafe impl<P: StableAddress, S: StableAddress> StableAddress for WithFallback<P, S> {}

#[cfg(test)]
mod tests;
