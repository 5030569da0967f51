//! A value in a slot, owned: its end runs the destructor and frees the slot.
//!
//! # Invariants
//!
//! - (I1) The box owns an initialised `T` that nothing else refers to.
//! - (I2) Its memory is a live block of `pool` with the layout of a `T`, which stays in place while `pool` is borrowed.
//!
//! # Design
//!
//! Two words: the value and its pool. The pool is any [`Deallocator`], so one box serves every slab of the toolkit; its
//! free is a constant layout, which leaves no test of size or alignment behind. There is no pinned form, because a box
//! may be forgotten and its slab dropped.
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use forge_alloc_core::{Deallocator, NonZeroLayout};

use crate::forward::forward_to_value;

/// An owned value in a slot of a pool `A`.
///
/// # Examples
///
/// ```
/// use forge_alloc::{InlineBacked, Slab, SlotBox};
///
/// let slab = Slab::<String, _>::new(4, InlineBacked::<128>::new())?;
/// let mut name = slab.insert(String::from("slab"))?;
/// name.push_str(" slot");
/// assert_eq!(*name, "slab slot");
/// let name: String = SlotBox::into_inner(name); // the value leaves, the slot is free
/// assert_eq!((name.as_str(), slab.len()), ("slab slot", 0));
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
pub struct SlotBox<'a, T, A: Deallocator> {
    value: NonNull<T>,
    pool: &'a A,
    owns: PhantomData<T>,
}

// SAFETY: the box owns its `T` alone (I1); it hands its block to the pool, which takes calls from the box's thread because
// references to it may go there.
unsafe impl<T: Send, A: Deallocator + Sync> Send for SlotBox<'_, T, A> {}
// SAFETY: a shared box gives shared access to its `T` only.
unsafe impl<T: Sync, A: Deallocator + Sync> Sync for SlotBox<'_, T, A> {}

impl<'a, T, A: Deallocator> SlotBox<'a, T, A> {
    /// Returns the box that owns the value at `value`, in a block of `pool`.
    ///
    /// # Safety
    ///
    /// - (I1) `value` points to an initialised `T` that nothing else refers to.
    /// - (I2) Its memory is a live block of `pool` with the layout of a `T`, which stays in place while `pool` is borrowed.
    #[inline]
    pub unsafe fn from_raw(value: NonNull<T>, pool: &'a A) -> Self {
        Self { value, pool, owns: PhantomData }
    }

    /// Returns the pool that has the slot of the value. O(1).
    #[inline]
    #[must_use]
    pub fn pool(boxed: &Self) -> &'a A {
        boxed.pool
    }

    /// Gives the value up without running its destructor, and returns its address. Its slot stays live until it is
    /// deallocated. O(1).
    #[inline]
    #[must_use = "the destructor of the value will not run, and its slot stays live"]
    pub fn into_raw(boxed: Self) -> NonNull<T> {
        ManuallyDrop::new(boxed).value
    }

    /// Borrows the value for as long as the pool; its destructor will not run, and its slot stays live. O(1).
    #[inline]
    #[must_use = "the destructor of the value will not run, and its slot stays live"]
    pub fn leak(boxed: Self) -> &'a mut T {
        // SAFETY: the value is initialised and unaliased (I1), and its block stays live and in place for `'a` (I2).
        unsafe { &mut *Self::into_raw(boxed).as_ptr() }
    }

    /// Moves the value out and frees its slot. O(size).
    #[inline]
    #[must_use]
    pub fn into_inner(boxed: Self) -> T {
        let boxed = ManuallyDrop::new(boxed);
        // SAFETY: the value is initialised and given up (I1), so it is read exactly once; then its block is free.
        unsafe {
            let value = boxed.value.read();
            boxed.free();
            value
        }
    }

    /// Frees the slot.
    ///
    /// # Safety
    ///
    /// The value was moved out or dropped, and the box is not used afterwards.
    #[inline(always)]
    unsafe fn free(&self) {
        if let Some(layout) = NonZeroLayout::for_type::<T>() {
            // SAFETY: the block is live and has this layout (I2), and the caller gives it up.
            unsafe { self.pool.deallocate(self.value.cast(), layout) };
        }
    }
}

/// Frees the slot of a box whose value is going away, also if its destructor unwinds.
struct FreeSlot<'b, 'a, T, A: Deallocator>(&'b SlotBox<'a, T, A>);

impl<T, A: Deallocator> Drop for FreeSlot<'_, '_, T, A> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the destructor of the value has run, to its end or to its panic, and the box is being dropped.
        unsafe { self.0.free() };
    }
}

impl<T, A: Deallocator> Drop for SlotBox<'_, T, A> {
    /// Runs the destructor of the value and frees the slot, also if the destructor panics.
    #[inline]
    fn drop(&mut self) {
        let slot = FreeSlot(self);
        // SAFETY: the box owns an initialised value (I1) and is going away.
        unsafe { slot.0.value.drop_in_place() };
    }
}

impl<T, A: Deallocator> Deref for SlotBox<'_, T, A> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the value is initialised and borrowed as the box is (I1).
        unsafe { self.value.as_ref() }
    }
}

impl<T, A: Deallocator> DerefMut for SlotBox<'_, T, A> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the value is initialised, unaliased and borrowed as the box is (I1).
        unsafe { self.value.as_mut() }
    }
}

forward_to_value!([T, A: Deallocator] SlotBox<'_, T, A>, T);

#[cfg(test)]
mod tests;
