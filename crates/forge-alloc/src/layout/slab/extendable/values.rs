//! The typed face: values that are owned in slots of a segment.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, FreelistProtection, NonZeroLayout};
use forge_os::Os;

use super::ExtendableSlab;
use crate::layout::slab::slot_box::SlotBox;

impl<T, M: FreelistProtection, O: Os> ExtendableSlab<T, M, O> {
    /// Puts `value` into a slot and returns the box that owns it. O(1), as an allocation.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if no slot is free and no segment can be mapped; `value` is dropped and nothing else changes.
    #[inline]
    pub fn insert(&self, value: T) -> Result<SlotBox<'_, T, Self>, AllocError>
    where
        T: Send,
        M: Send,
    {
        self.try_insert(value).map_err(|_| AllocError)
    }

    /// Puts `value` into a slot as [`insert`](Self::insert) does, but gives it back if there is none. O(1).
    ///
    /// # Errors
    ///
    /// `value` itself if no slot is free and no segment can be mapped; nothing changes.
    #[inline]
    pub fn try_insert(&self, value: T) -> Result<SlotBox<'_, T, Self>, T>
    where
        T: Send,
        M: Send,
    {
        let slot = NonZeroLayout::for_type::<T>().and_then(|layout| self.allocate(layout).ok());
        let Some(slot) = slot.map(NonNull::cast::<T>) else { return Err(value) };
        // SAFETY: the block has the layout of a value, is ours alone, and stays so until the box frees it.
        unsafe {
            slot.write(value);
            Ok(SlotBox::from_raw(slot, self))
        }
    }
}
