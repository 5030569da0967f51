//! [`SlabRemote`]: what another thread frees blocks of a slab through.
//!
//! # Design
//!
//! A handle is the places of the slots and a counted reference. It clones without asking anything of `T` or of the backing,
//! and knows all that a free needs but the lane.
#![allow(unsafe_code)]

use core::fmt;
use core::ptr::NonNull;

use forge_alloc_core::sync::Arc;
use forge_alloc_core::{Allocator, Deallocator, FixedRange, NonZeroLayout};

use super::SlabOwner;
use super::shared::Shared;
use super::slots::Slots;
use crate::layout::slab::slot_box::SlotBox;
use crate::layout::slab::typed::shape::fits;

/// A handle through which any thread frees blocks of a [`SlabOwner`](crate::SlabOwner), the owner's own thread included.
///
/// Handles are `Clone` for every `T` and every backing, and `Send + Sync` if both are `Send`. A free is a few plain loads
/// and stores: it takes no lock, waits for nobody and never fails, however many frees wait and whether or not the owner
/// still looks. Once the owner is gone a free has no effect; the memory lives until the last handle is gone too.
///
/// The destructor of a value is the caller's business, before the free.
///
/// # Examples
///
/// ```
/// use forge_alloc::{Allocator, Deallocator, InlineBacked, NonZeroLayout, SlabOwner};
/// use std::ptr::NonNull;
///
/// struct Message(NonNull<[u64; 8]>);
/// // Sound: whoever has the message has the block.
/// unsafe impl Send for Message {}
///
/// let owner = SlabOwner::<[u64; 8], _>::new(1, InlineBacked::<64>::new())?;
/// let layout = NonZeroLayout::for_type::<[u64; 8]>().unwrap();
/// let message = Message(owner.allocate(layout)?.cast());
/// assert!(owner.allocate(layout).is_err(), "there is one slot");
///
/// let remote = owner.remote();
/// let thread = std::thread::spawn(move || {
///     let Message(block) = { message };
///     // Sound: the block is live, this is its layout, and nobody uses it any more.
///     unsafe { remote.deallocate(block.cast(), layout) };
/// });
/// thread.join().unwrap();
/// assert!(owner.allocate(layout).is_ok(), "it came back");
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
///
/// Values that must stay on their thread keep their handles there:
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<forge_alloc::SlabRemote<std::rc::Rc<u8>, forge_alloc::InlineBacked<64>>>();
/// ```
pub struct SlabRemote<T, B: Allocator + FixedRange> {
    slots: Slots<T, B>,
    shared: Arc<Shared<T, B>>,
}

impl<T, B: Allocator + FixedRange> SlabRemote<T, B> {
    pub(super) fn new(slots: Slots<T, B>, shared: Arc<Shared<T, B>>) -> Self {
        Self { slots, shared }
    }

    /// Returns a box that frees through this handle, so that its value may go to another thread and end there. O(1).
    ///
    /// # Errors
    ///
    /// The box itself if its slot is of another slab.
    ///
    /// # Examples
    ///
    /// ```
    /// use forge_alloc::{InlineBacked, SlabOwner};
    ///
    /// let owner = SlabOwner::<String, _>::new(8, InlineBacked::<256>::new())?;
    /// let remote = owner.remote();
    /// std::thread::scope(|threads| {
    ///     for name in ["Ada", "Grace"] {
    ///         let message = remote.adopt(owner.insert(name.into()).unwrap()).unwrap();
    ///         threads.spawn(move || assert!(!message.is_empty())); // its string and its slot are freed there
    ///     }
    /// });
    /// assert!(owner.is_empty());
    /// # Ok::<(), forge_alloc::AllocError>(())
    /// ```
    #[inline]
    pub fn adopt<'o>(
        &self,
        boxed: SlotBox<'o, T, SlabOwner<T, B>>,
    ) -> Result<SlotBox<'_, T, Self>, SlotBox<'o, T, SlabOwner<T, B>>> {
        if !SlotBox::pool(&boxed).is_of(&self.shared) {
            return Err(boxed);
        }
        // SAFETY: the value is given up by its box, and lies in a live block of the slab that this handle frees for, whose
        // memory lives as long as the handle.
        Ok(unsafe { SlotBox::from_raw(SlotBox::into_raw(boxed), self) })
    }

    /// Frees a block if there is room in the queue. O(1).
    ///
    /// # Errors
    ///
    /// `ptr` itself, whose block is still the caller's, if as many frees of this thread wait as the owner's
    /// `queue_capacity` (so always for 0), if the owner is gone, or if no slot starts at `ptr`.
    ///
    /// # Safety
    ///
    /// As for [`Deallocator::deallocate`], but only if `Ok` is returned is the block freed.
    pub unsafe fn try_deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) -> Result<(), NonNull<u8>> {
        debug_assert!(fits::<T>(layout), "a live block has a layout that fits a slot");
        if self.shared.is_closed() || self.shared.is_full() {
            return Err(ptr);
        }
        let (place, number) = self.slots.find(ptr).ok_or(ptr)?;
        // SAFETY: the place is that of the number, and the caller gives the block up.
        unsafe { self.shared.free(place, number) };
        Ok(())
    }
}

// SAFETY: a block of the owner is a slot of its slab, found by its address; a lane hands it over in happens-before order,
// also if several threads free at once.
unsafe impl<T, B: Allocator + FixedRange> Deallocator for SlabRemote<T, B> {
    /// Frees a block. O(1); never fails and never waits. Without effect once the owner is gone.
    ///
    /// A pointer at which no slot starts is counted as a corruption event of the owner; debug builds panic, others ignore it.
    #[inline(always)]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, _: NonZeroLayout) {
        match self.slots.find(ptr) {
            // SAFETY: the place is that of the number, and the caller gives the block up.
            Some((place, number)) => unsafe { self.shared.free(place, number) },
            None => self.shared.refuse_foreign(),
        }
    }
}

impl<T, B: Allocator + FixedRange> Clone for SlabRemote<T, B> {
    #[inline]
    fn clone(&self) -> Self {
        Self { slots: self.slots, shared: Arc::clone(&self.shared) }
    }
}

impl<T, B: Allocator + FixedRange> fmt::Debug for SlabRemote<T, B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SlabRemote").field("slots", &self.slots.capacity()).finish_non_exhaustive()
    }
}
