//! The typed face: values that are owned in slots.
#![allow(unsafe_code)]

use forge_alloc_core::{AllocError, Allocator, FixedRange, FreelistProtection};

use super::Slab;
use crate::layout::slab::slot_box::SlotBox;

impl<T, B: Allocator + FixedRange, M: FreelistProtection> Slab<T, B, M> {
    /// Puts `value` into a slot and returns the box that owns it. O(1).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if no slot is free; `value` is dropped and nothing else changes.
    #[inline]
    pub fn insert(&self, value: T) -> Result<SlotBox<'_, T, Self>, AllocError> {
        self.try_insert(value).map_err(|_| AllocError)
    }

    /// Puts `value` into a slot as [`insert`](Self::insert) does, but gives it back if none is free. O(1).
    ///
    /// # Errors
    ///
    /// `value` itself if no slot is free; nothing changes.
    #[inline]
    pub fn try_insert(&self, value: T) -> Result<SlotBox<'_, T, Self>, T> {
        let Some(slot) = self.take() else { return Err(value) };
        // SAFETY: the slot has room for a value and is aligned for it, ours alone, and stays so until the box frees it as
        // a block with the layout of a value; the borrow keeps the slab from moving.
        unsafe {
            slot.cast::<T>().write(value);
            Ok(SlotBox::from_raw(slot.cast(), self))
        }
    }
}
