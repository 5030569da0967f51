//! Freed blocks are held back: one is issued again only after so many other frees.
//!
//! ```text
//!            next
//!             v
//!   | held | oldest | held | held | ..        a ring of EPOCHS blocks
//!             |
//!   a free puts its block here, and the oldest one goes back to the inner allocator
//! ```
//!
//! # Invariants
//!
//! - (I1) `next < EPOCHS`.
//! - (I2) A held block is a live block of the inner allocator with the layout beside it, and nobody else's. A block within the
//!   wrapper's own bytes is known by its offset in them, any other by its address.
//! - (I3) With a pattern, every byte of a held block holds it, up to the usable size, unless somebody wrote to a freed block.
//! - (I4) No reference to bytes of blocks exists between two calls.
//!
//! # Operations
//!
//! | operation | cost beside the inner allocator's |
//! |---|---|
//! | allocate, resize in place | nothing |
//! | free | O(1): one place of the ring is exchanged |
//! | free, with a pattern | O(size) to fill the one, O(size) to check the other; rarely O(EPOCHS) |
//! | resize that moves | allocate, copy, free: O(size) |
//! | flush, drop | O(EPOCHS) frees |
//! | reset | O(EPOCHS) |
//!
//! # Design
//!
//! Delay is what makes a use after free harmless more often, and hard to exploit: the block is nobody else's yet. It also
//! costs memory: the inner allocator sees the held blocks as live. When it is exhausted, a request fails although blocks are
//! held, because a quarantine that empties itself on demand gives whoever can allocate a way around it; who wants the blocks
//! back says [`flush`](Quarantine::flush).
//!
//! *Moves.* A held block may lie in the wrapper's own bytes, which a move takes along, so it is remembered by its offset there
//! and found again from the wrapper (I2). The pointer to any other block is kept as it came, with its provenance.
//!
//! *With a pattern* the quarantine looks. A write to a held block is found when the block leaves. A second free of a held block
//! is found at once, unless its first word was written to in between: only a block that starts with the pattern is looked up
//! in the ring, which a live block almost never does. It does not see: writes that store the pattern itself; writes after the
//! block has left; reads; what lies in blocks that are still held when the inner allocator is reset.
//!
//! *Order.* A quarantine delays what the allocators beneath do at a free. Beneath it belong allocators that issue freed blocks
//! again, which is what is to be delayed; and not those that wipe, because the secret would stay in the held blocks, nor
//! arenas, which do not issue freed blocks again. [`over`](Quarantine::over) lets the compiler check that.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cell::Cell;
use core::mem::ManuallyDrop;
use core::ptr::{self, NonNull};
use core::slice;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, StableAddress, relocate,
};

use super::{pattern, place, wipe};
use crate::forward::{forward_block_facts, forward_totals, forward_uncarvable_range};
use crate::report;

use crate::layout::quarantinable::Quarantinable;

/// An allocator that frees a block after `EPOCHS` further frees.
///
/// # Examples
///
/// ```
/// use forge_alloc::{Allocator, Deallocator, InlineBacked, NonZeroLayout, Quarantine, Slab};
///
/// let slots = Quarantine::<_, 2>::over(Slab::<u64, _>::new(8, InlineBacked::<64>::new())?);
/// let layout = NonZeroLayout::for_type::<u64>().unwrap();
/// let blocks = [slots.allocate(layout)?, slots.allocate(layout)?, slots.allocate(layout)?];
/// // SAFETY: the blocks are live, and not used afterwards.
/// blocks.iter().for_each(|block| unsafe { slots.deallocate(block.cast(), layout) });
/// assert_eq!(slots.allocate(layout)?, blocks[0]); // two were freed after it
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
///
/// A ring without places does not build:
///
/// ```compile_fail,E0080
/// let none = forge_alloc::Quarantine::<_, 0>::new(forge_alloc::InlineBacked::<64>::new());
/// ```
pub struct Quarantine<I: Allocator, const EPOCHS: usize> {
    ring: [Cell<Held>; EPOCHS],
    next: Cell<usize>,
    /// How often `next` went around.
    rounds: Cell<usize>,
    pattern: Option<u8>,
    inner: I,
}

/// A place of the ring: a held block, or none.
#[derive(Clone, Copy)]
struct Held {
    /// The block, or for a block within the wrapper its offset there, as a pointer to nothing.
    place: *mut u8,
    /// From the lowest bit: whether it lies within the wrapper, 6 bits for the logarithm of its alignment, its size; 0 if there
    /// is no block. No machine has a block of 2^57 bytes.
    layout: u64,
}

// SAFETY: a held block belongs to the wrapper alone (I2), as memory of its inner allocator, which may go to another thread.
unsafe impl<I: Allocator + Send, const EPOCHS: usize> Send for Quarantine<I, EPOCHS> {}

impl Held {
    const NONE: Self = Self { place: ptr::null_mut(), layout: 0 };

    /// Returns the place of a block whose wrapper is `owner`. O(1).
    #[inline(always)]
    fn new<S: Allocator>(owner: &S, ptr: NonNull<u8>, layout: NonZeroLayout) -> Self {
        let offset = place::offset_within(owner, owner.blocks_stay(), ptr);
        let (size, align) = (layout.size().get() as u64, u64::from(layout.align().get().trailing_zeros()));
        Self {
            place: offset.map_or(ptr.as_ptr(), ptr::without_provenance_mut),
            layout: size << 7 | align << 1 | u64::from(offset.is_some()),
        }
    }

    /// Returns the held block, if there is one, whose wrapper is `owner`. O(1).
    #[inline(always)]
    fn block<S: Allocator>(self, owner: &S) -> Option<(NonNull<u8>, NonZeroLayout)> {
        let (size, align) = ((self.layout >> 7) as usize, 1 << (self.layout >> 1 & 63));
        // SAFETY: both numbers are those of a layout, or of an empty one.
        let layout = unsafe { Layout::from_size_align_unchecked(size, align) };
        let layout = NonZeroLayout::try_from(layout).ok()?;
        let ptr = if !owner.blocks_stay() && self.layout & 1 == 1 {
            // The block lies in memory that is written through shared references, as all storage of an allocator.
            ptr::from_ref(owner).cast::<u8>().cast_mut().wrapping_add(self.place.addr())
        } else {
            self.place
        };
        // SAFETY: the pointer to a block is not null, nor is one into the bytes of the owner.
        Some((unsafe { NonNull::new_unchecked(ptr) }, layout))
    }
}

impl<I: Allocator, const EPOCHS: usize> Quarantine<I, EPOCHS> {
    /// Returns `inner` with freed blocks that are held back. O(EPOCHS).
    ///
    /// It takes any allocator, also one over which it has no effect or a bad one; [`over`](Self::over) does not.
    pub fn new(inner: I) -> Self {
        Self::with_pattern(inner, None)
    }

    /// Returns `inner`, which issues freed blocks again, with freed blocks that are held back. O(EPOCHS).
    ///
    /// # Examples
    ///
    /// What wipes stands outside:
    ///
    /// ```
    /// use forge_alloc::{InlineBacked, Quarantine, Slab, ZeroizeOnFree};
    ///
    /// let slab = Slab::<[u64; 4], _>::new(8, InlineBacked::<256>::new())?;
    /// let keys = ZeroizeOnFree::new(Quarantine::<_, 4>::over(slab));
    /// # Ok::<(), forge_alloc::AllocError>(())
    /// ```
    ///
    /// The other way round, a freed secret would stay until its block leaves the quarantine:
    ///
    /// ```compile_fail,E0277
    /// use forge_alloc::{InlineBacked, Quarantine, Slab, ZeroizeOnFree};
    ///
    /// let slab = Slab::<[u64; 4], _>::new(8, InlineBacked::<256>::new())?;
    /// let keys = Quarantine::<_, 4>::over(ZeroizeOnFree::new(slab));
    /// # Ok::<(), forge_alloc::AllocError>(())
    /// ```
    ///
    /// The same for a pattern:
    ///
    /// ```
    /// use forge_alloc::{InlineBacked, PoisonOnFree, Quarantine, Slab};
    ///
    /// let slab = Slab::<[u64; 4], _>::new(8, InlineBacked::<256>::new())?;
    /// let slots = PoisonOnFree::new(Quarantine::<_, 4>::over(slab));
    /// # Ok::<(), forge_alloc::AllocError>(())
    /// ```
    ///
    /// ```compile_fail,E0277
    /// use forge_alloc::{InlineBacked, PoisonOnFree, Quarantine, Slab};
    ///
    /// let slab = Slab::<[u64; 4], _>::new(8, InlineBacked::<256>::new())?;
    /// let slots = Quarantine::<_, 4>::over(PoisonOnFree::new(slab));
    /// # Ok::<(), forge_alloc::AllocError>(())
    /// ```
    ///
    /// An arena does not issue a freed block again before it is reset, so there is nothing to delay:
    ///
    /// ```compile_fail,E0277
    /// use forge_alloc::{BumpArena, InlineBacked, Quarantine};
    ///
    /// let arena = Quarantine::<_, 4>::over(BumpArena::new(InlineBacked::<256>::new())?);
    /// # Ok::<(), forge_alloc::AllocError>(())
    /// ```
    pub fn over(inner: I) -> Self
    where
        I: Quarantinable,
    {
        Self::with_pattern(inner, None)
    }

    /// Returns `inner`, which issues freed blocks again, with freed blocks that are held back and filled with `pattern`, and
    /// looked at when they leave. O(EPOCHS).
    ///
    /// A block that was written to meanwhile ends the process, and so does a second free of a held block. The essay of this
    /// module says what is not seen.
    pub fn poisoning(inner: I, pattern: u8) -> Self
    where
        I: Quarantinable,
    {
        Self::with_pattern(inner, Some(pattern))
    }

    fn with_pattern(inner: I, pattern: Option<u8>) -> Self {
        const { assert!(EPOCHS >= 1, "a quarantine holds at least one block") };
        let ring = [const { Cell::new(Held::NONE) }; EPOCHS];
        Self { ring, next: Cell::new(0), rounds: Cell::new(0), pattern, inner }
    }

    /// Returns how many blocks were freed, those of resizes included; it wraps. O(1).
    #[must_use]
    pub fn deallocate_count(&self) -> usize {
        self.rounds.get().wrapping_mul(EPOCHS).wrapping_add(self.next.get())
    }

    /// Returns what is inside. A block that is freed there directly is not held back.
    #[must_use]
    pub const fn inner(&self) -> &I {
        &self.inner
    }

    /// Returns what was inside, after a [`flush`](Self::flush). O(EPOCHS).
    ///
    /// This moves it: its blocks live on if it is [`StableAddress`].
    #[must_use]
    pub fn into_inner(self) -> I {
        self.flush();
        let this = ManuallyDrop::new(self);
        // SAFETY: the wrapper is not used or dropped afterwards, and nothing is held.
        unsafe { ptr::read(&raw const this.inner) }
    }

    /// Frees every held block, the oldest first. O(EPOCHS).
    pub fn flush(&self) {
        // `next` is a place of the ring (I1).
        let Some((newer, older)) = self.ring.split_at_checked(self.next.get()) else { return };
        for held in older.iter().chain(newer) {
            let held = held.replace(Held::NONE);
            match self.pattern {
                None => self.release(held),
                Some(pattern) => self.release_checked(held, pattern),
            }
        }
    }

    /// Puts `held` at the next place of the ring, and returns what was there. O(1).
    #[inline(always)]
    fn exchange(&self, held: Held) -> Held {
        let index = self.next.get();
        if index + 1 == EPOCHS {
            self.next.set(0);
            self.rounds.set(self.rounds.get().wrapping_add(1));
        } else {
            self.next.set(index + 1);
        }
        // SAFETY: the index is a place of the ring (I1).
        unsafe { self.ring.get_unchecked(index) }.replace(held)
    }

    /// Frees a block that has left the ring, if there is one. O(1).
    #[inline(always)]
    fn release(&self, held: Held) {
        if let Some((ptr, layout)) = held.block(self) {
            // SAFETY: the block was live when it was freed, and was held since (I2).
            unsafe { self.inner.deallocate(ptr, layout) };
        }
    }

    /// Frees a block that has left the ring, if there is one; ends the process if it lost its pattern. O(size).
    fn release_checked(&self, held: Held, pattern: u8) {
        if let Some((ptr, layout)) = held.block(self) {
            self.check(ptr, layout, pattern);
            self.release(held);
        }
    }

    /// Returns the length of a live block in bytes. O(1).
    ///
    /// # Safety
    ///
    /// `ptr` is a live block of the inner allocator and `layout` its layout.
    #[inline(always)]
    unsafe fn len(&self, ptr: NonNull<u8>, layout: NonZeroLayout) -> usize {
        // SAFETY: the caller's promise is the callee's.
        unsafe { self.inner.usable_size(ptr, layout) }.unwrap_or(layout.size().get())
    }

    /// Frees a block under a pattern; ends the process if it is held already, or if the one that leaves lost its pattern.
    /// O(size).
    ///
    /// # Safety
    ///
    /// `ptr` is a live block of the inner allocator, `layout` its layout, and nothing uses it.
    #[inline(never)]
    unsafe fn deallocate_filled(&self, ptr: NonNull<u8>, layout: NonZeroLayout, pattern: u8) {
        // SAFETY: the block has this length, and is the caller's to overwrite.
        unsafe {
            let len = self.len(ptr, layout);
            if wipe::may_start_with(ptr, pattern, len) && self.holds(ptr) {
                report::fatal_free_in_quarantine(ptr);
            }
            wipe::fill(ptr, pattern, len);
        }
        self.release_checked(self.exchange(Held::new(self, ptr, layout)), pattern);
    }

    /// Ends the process if a held block lost its pattern. O(size).
    fn check(&self, ptr: NonNull<u8>, layout: NonZeroLayout, pattern: u8) {
        // SAFETY: the block is live and nobody else's (I2), of this length, and was filled (I3); no other reference to it exists
        // (I4).
        let bytes = unsafe { slice::from_raw_parts(ptr.as_ptr(), self.len(ptr, layout)) };
        if !pattern::holds_only(bytes, pattern) {
            report::fatal_write_after_free(ptr);
        }
    }

    /// Returns whether the block at `ptr` is held. O(EPOCHS).
    fn holds(&self, ptr: NonNull<u8>) -> bool {
        self.ring.iter().any(|held| held.get().block(self).is_some_and(|(other, _)| other == ptr))
    }
}

impl<I: Allocator, const EPOCHS: usize> Drop for Quarantine<I, EPOCHS> {
    /// Frees every held block, the oldest first.
    fn drop(&mut self) {
        self.flush();
    }
}

// SAFETY: a block that is freed is held, and reaches the inner allocator, which issued it, once, with its layout.
unsafe impl<I: Allocator, const EPOCHS: usize> Deallocator for Quarantine<I, EPOCHS> {
    /// Holds the block, and frees the one that has been held longest, if the ring is full. O(1), or O(size) with a pattern.
    #[inline(always)]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        if let Some(pattern) = self.pattern {
            // SAFETY: the block is live, of this layout, and given up.
            return unsafe { self.deallocate_filled(ptr, layout, pattern) };
        }
        self.release(self.exchange(Held::new(self, ptr, layout)));
    }
}

// SAFETY: blocks are those of the inner allocator, for which a held block is live, so it issues no byte of it.
unsafe impl<I: Allocator, const EPOCHS: usize> Allocator for Quarantine<I, EPOCHS> {
    /// Returns a block of the inner allocator.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the inner allocator refuses, also if blocks are held that would do.
    #[inline(always)]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.inner.allocate(layout)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.inner.allocate_zeroed(layout)
    }

    /// Lengthens a block in place if the inner allocator can; else moves it, and holds the old one.
    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callees'.
        unsafe {
            if self.inner.stays_in_place(ptr, old, new) {
                self.inner.grow(ptr, old, new)
            } else {
                relocate(self, ptr, old, new)
            }
        }
    }

    /// Shortens a block in place if the inner allocator can; else moves it, and holds the old one.
    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callees'.
        unsafe {
            if self.inner.stays_in_place(ptr, old, new) {
                self.inner.shrink(ptr, old, new)
            } else {
                relocate(self, ptr, old, new)
            }
        }
    }

    forward_block_facts!(inner);

    /// Forgets every block, the held ones too, unchecked. O(EPOCHS), plus the inner allocator's.
    fn reset(&mut self) -> Result<(), AllocError> {
        self.inner.reset()?;
        self.ring = [const { Cell::new(Held::NONE) }; EPOCHS];
        Ok(())
    }

    #[inline]
    fn can_reset(&self) -> bool {
        self.inner.can_reset()
    }

    /// Frees every held block, because its pattern may be overwritten next, and passes the visit on.
    unsafe fn visit_spans(&mut self, visit: &mut dyn FnMut(NonNull<[u8]>)) -> Result<(), AllocError> {
        self.flush();
        // SAFETY: the caller's promises are the callee's; nothing is held that would be freed later.
        unsafe { self.inner.visit_spans(visit) }
    }

    forward_totals!(inner);
}

// SAFETY: the range is the inner one, whose promises carry over; a block of before a move is found at its offset (I2).
unsafe impl<I: Allocator + FixedRange, const EPOCHS: usize> FixedRange for Quarantine<I, EPOCHS> {
    forward_uncarvable_range!(inner: I);
}

// SAFETY: a move of the wrapper moves the inner allocator and the ring, in which blocks elsewhere keep their addresses (I2).
unsafe impl<I: Allocator + StableAddress, const EPOCHS: usize> StableAddress for Quarantine<I, EPOCHS> {}

#[cfg(test)]
mod tests;
