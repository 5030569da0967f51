//! The shared contract: blocks of memory through `&self`.
//!
//! # Invariants
//!
//! What every implementation keeps, and what every caller may build on:
//!
//! - (I1) A block is aligned to its layout, at least as long as its layout, overlaps no other live block, and its
//!   pointer may read and write the whole slice that was returned.
//! - (I2) No method with a `&self` receiver moves, shortens or invalidates a live block, other than the one that it is
//!   told to free or resize.
//! - (I3) An `Err` changes nothing: a failed resize leaves the old block live and intact.
//! - (I4) No method unwinds.
//! - (I5) A block stays live until it is freed, its allocator is reset or dropped, or, unless the allocator is
//!   [`StableAddress`](crate::StableAddress), moved or borrowed exclusively.
//!
//! # Design
//!
//! [`Deallocator`] stands alone because some ends of an allocator can only free (a remote handle, a token). Resizing
//! may change the alignment, as the std trait allows; the defaults move the block, and an allocator that can do
//! better overrides them. Zero sizes do not occur: see [`NonZeroLayout`].
#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::{AllocError, NonZeroLayout};

/// The half of an allocator that takes blocks back.
///
/// # Safety
///
/// `deallocate` accepts every block that the same allocation domain issued, from `allocate`, `allocate_zeroed`, `grow`
/// or `shrink`. If the type is `Sync`, concurrent calls are safe.
pub unsafe trait Deallocator {
    /// Takes the block at `ptr` back. Never fails and never unwinds.
    ///
    /// # Safety
    ///
    /// - `ptr` is a live block of this allocator (for stateless forwarders: of any instance of the type).
    /// - `layout` equals the layout of the block: the one of its allocation or of its latest resize.
    /// - Nothing uses the block afterwards.
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout);
}

/// An allocator of blocks through `&self`.
///
/// # Safety
///
/// An implementation keeps what unsafe callers build on:
///
/// - a block is aligned to its layout, at least as long as its layout, overlaps no other live block, and its pointer may
///   read and write the whole slice that was returned;
/// - no method with a `&self` receiver moves, shortens or invalidates a live block, other than the one that it is told to
///   free or resize;
/// - an `Err` changes nothing: a failed resize leaves the old block live and intact;
/// - no method unwinds;
/// - a block stays live until it is freed, its allocator is reset or dropped, or, unless the allocator is
///   [`StableAddress`](crate::StableAddress), moved or borrowed exclusively;
/// - if `blocks_stay()`, which is the same for all values of the type, a live block stays where it is when the allocator is
///   moved;
/// - provided methods that it overrides keep what their documentation says.
pub unsafe trait Allocator: Deallocator {
    /// Returns a block of at least `layout.size()` bytes with unspecified contents.
    ///
    /// The slice may be longer than asked; [`Deallocator::deallocate`] still takes the layout that was asked for.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the request cannot be served; nothing changes.
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError>;

    /// Returns a block whose first `layout.size()` bytes are zero.
    ///
    /// # Errors
    ///
    /// As [`Allocator::allocate`].
    #[inline]
    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.allocate(layout)?;
        // SAFETY: the block is fresh, exclusively ours and at least this long (I1).
        unsafe { block.cast::<u8>().write_bytes(0, layout.size().get()) };
        Ok(block)
    }

    /// Lengthens a block, in place or by moving it. The bytes past the old size are unspecified.
    ///
    /// An equal address in the result means that the block stayed; any other means that the old one was freed.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the request cannot be served; the old block is live and unchanged.
    ///
    /// # Safety
    ///
    /// - `ptr` is a live block of this allocator and `old` is its layout.
    /// - `new.size() >= old.size()`. The alignments may differ.
    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(new.size() >= old.size());
        // SAFETY: the caller's promises are the callee's.
        unsafe { relocate(self, ptr, old, new) }
    }

    /// Lengthens a block as [`Allocator::grow`] does; the bytes between the sizes are zero.
    ///
    /// # Errors
    ///
    /// As [`Allocator::grow`].
    ///
    /// # Safety
    ///
    /// As [`Allocator::grow`].
    #[inline]
    unsafe fn grow_zeroed(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        let block = unsafe { self.grow(ptr, old, new) }?;
        let added = new.size().get() - old.size().get();
        // SAFETY: the block is live, ours, and holds `new.size() = old.size() + added` bytes (I1).
        unsafe { block.cast::<u8>().add(old.size().get()).write_bytes(0, added) };
        Ok(block)
    }

    /// Shortens a block, in place or by moving it.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the request cannot be served; the old block is live and unchanged.
    ///
    /// # Safety
    ///
    /// - `ptr` is a live block of this allocator and `old` is its layout.
    /// - `new.size() <= old.size()`. The alignments may differ.
    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(new.size() <= old.size());
        // SAFETY: the caller's promises are the callee's.
        unsafe { relocate(self, ptr, old, new) }
    }

    /// Returns whether a [`grow`](Self::grow) with these arguments, or a [`shrink`](Self::shrink) if the new size is smaller,
    /// as the caller's next call about this block, would succeed and leave the block where it is. O(1); changes nothing. For
    /// equal sizes a yes holds for both.
    ///
    /// A yes binds: no other call in between, of another thread or about another block, takes it back, except calls of
    /// this thread that allocate. The default is to promise nothing. A wrapper that has to do something to the old bytes
    /// before they are given up asks, and moves the block itself if the answer is no.
    ///
    /// # Safety
    ///
    /// `ptr` is a live block of this allocator and `old` its layout.
    #[inline]
    unsafe fn stays_in_place(&self, ptr: NonNull<u8>, old: NonZeroLayout, new: NonZeroLayout) -> bool {
        let _ = (ptr, old, new);
        false
    }

    /// Forgets every block at once, where the allocator can do that (arenas can).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the allocator cannot; nothing changes.
    fn reset(&mut self) -> Result<(), AllocError> {
        Err(AllocError)
    }

    /// Returns whether [`reset`](Self::reset) would succeed now. O(1).
    fn can_reset(&self) -> bool {
        false
    }

    /// Passes to `visit` every span of memory that may hold bytes of blocks, live ones and those that were freed since the
    /// last reset; `visit` may overwrite them. O(spans).
    ///
    /// What wipes memory calls it before the allocator is reset or dropped. The default is not to know.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the allocator does not know; nothing was visited.
    ///
    /// # Safety
    ///
    /// No block is used any more, and none is freed or resized: the allocator is only [reset](Self::reset), if it
    /// [can be](Self::can_reset), visited again, or dropped.
    unsafe fn visit_spans(&mut self, visit: &mut dyn FnMut(NonNull<[u8]>)) -> Result<(), AllocError> {
        let _ = visit;
        Err(AllocError)
    }

    /// Returns how many bytes at `ptr` may be used, at least `layout.size()`, or `None` where that is not tracked.
    ///
    /// # Safety
    ///
    /// `ptr` is a live block of this allocator and `layout` is its layout.
    unsafe fn usable_size(&self, ptr: NonNull<u8>, layout: NonZeroLayout) -> Option<usize> {
        let _ = (ptr, layout);
        None
    }

    /// Returns how many bytes the allocator can hand out in all, or `None` where there is no bound. A router reports its
    /// primary's.
    fn capacity_bytes(&self) -> Option<usize> {
        None
    }

    /// Returns how many corruptions of its own bookkeeping the allocator has detected. Monotonic; may lag.
    fn corruption_events(&self) -> u64 {
        0
    }

    /// Returns whether no two threads call this allocator at the same time, because its type is not `Sync`.
    ///
    /// A constant of the type, which an optimiser folds. A wrapper that counts does so with plain loads and stores if it is
    /// `true`. The default is the cautious answer; unsafe code must not build on a `true`, because a wrong one may lose a
    /// count but nothing more.
    #[inline]
    fn is_single_threaded(&self) -> bool {
        false
    }

    /// Returns whether a move of the allocator leaves all blocks where they are, because none lies in its own bytes.
    ///
    /// A constant of the type, which an optimiser folds: what [`StableAddress`](crate::StableAddress) says to the compiler, as
    /// a value. A wrapper that remembers blocks does not ask where they are if it is `true`. The default is the cautious answer.
    #[inline]
    fn blocks_stay(&self) -> bool {
        false
    }
}

/// Moves a block: allocates `new`, copies what both sizes hold, frees `old`. O(size).
///
/// This is what [`Allocator::grow`] and [`Allocator::shrink`] do by default, for overrides whose special case does
/// not apply.
///
/// # Errors
///
/// [`AllocError`] if `allocator` cannot serve `new`; the old block is live and unchanged.
///
/// # Safety
///
/// `ptr` is a live block of `allocator` and `old` is its layout.
#[inline]
pub unsafe fn relocate<A: Allocator + ?Sized>(
    allocator: &A,
    ptr: NonNull<u8>,
    old: NonZeroLayout,
    new: NonZeroLayout,
) -> Result<NonNull<[u8]>, AllocError> {
    let block = allocator.allocate(new)?;
    let kept = old.size().min(new.size()).get();
    // SAFETY: both blocks are live, distinct (I1) and at least `kept` bytes long; the old one is the caller's to free.
    unsafe {
        block.cast::<u8>().copy_from_nonoverlapping(ptr, kept);
        allocator.deallocate(ptr, old);
    }
    Ok(block)
}
