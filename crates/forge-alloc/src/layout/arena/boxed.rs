//! A value in an arena that runs its destructor: ownership without a free.
//!
//! # Invariants
//!
//! - (I1) The box owns an initialised `T` that nothing else refers to.
//! - (I2) The block stays live and in place for `'a`, because `'a` is a borrow of its arena.
//!
//! # Design
//!
//! Arenas forget blocks without looking at them, so a value with a destructor would leak. The box runs it and leaves
//! the bytes to the arena. It is one pointer wide and needs no reference to its arena. There is no pinned form: a
//! pinned value must be dropped before its bytes are reused, and an arena may be reset after a box was forgotten.
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use crate::forward::forward_to_value;

/// An owned value in an arena that is borrowed for `'a`; dropping it runs the value's destructor.
///
/// # Examples
///
/// ```
/// use forge_alloc::{BumpArena, InlineBacked};
///
/// let arena = BumpArena::new(InlineBacked::<256>::new())?;
/// let mut names = arena.alloc_box(vec![String::from("slab")])?;
/// names.push(String::from("arena"));
/// assert_eq!(names.len(), 2); // both strings are freed when `names` goes out of scope
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
pub struct ArenaBox<'a, T: ?Sized> {
    value: NonNull<T>,
    owns: PhantomData<(&'a (), T)>,
}

// SAFETY: the box owns its `T` alone (I1), as a `Box` does.
unsafe impl<T: ?Sized + Send> Send for ArenaBox<'_, T> {}
// SAFETY: a shared box gives shared access to its `T` only.
unsafe impl<T: ?Sized + Sync> Sync for ArenaBox<'_, T> {}

impl<'a, T: ?Sized> ArenaBox<'a, T> {
    /// Returns the box that owns the value at `value`.
    ///
    /// # Safety
    ///
    /// - (I1) `value` points to an initialised `T` that nothing else refers to.
    /// - (I2) Its memory stays live and in place for `'a`.
    #[inline]
    pub unsafe fn from_raw(value: NonNull<T>) -> Self {
        Self { value, owns: PhantomData }
    }

    /// Gives the value up without running its destructor, and returns its address. O(1).
    #[inline]
    #[must_use = "the destructor of the value will not run"]
    pub fn into_raw(boxed: Self) -> NonNull<T> {
        ManuallyDrop::new(boxed).value
    }

    /// Borrows the value for as long as the arena; its destructor will not run. O(1).
    #[inline]
    #[must_use = "the destructor of the value will not run"]
    pub fn leak(boxed: Self) -> &'a mut T {
        // SAFETY: the value is initialised and unaliased (I1) and stays in place for `'a` (I2).
        unsafe { &mut *Self::into_raw(boxed).as_ptr() }
    }
}

impl<T> ArenaBox<'_, T> {
    /// Moves the value out; its bytes stay with the arena. O(size).
    #[inline]
    #[must_use]
    pub fn into_inner(boxed: Self) -> T {
        // SAFETY: the value is initialised and given up (I1), so it is read exactly once.
        unsafe { Self::into_raw(boxed).read() }
    }
}

impl<T: ?Sized> Drop for ArenaBox<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the box owns an initialised value (I1) and is going away.
        unsafe { self.value.drop_in_place() }
    }
}

impl<T: ?Sized> Deref for ArenaBox<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the value is initialised and borrowed as the box is (I1).
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for ArenaBox<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the value is initialised, unaliased and borrowed as the box is (I1).
        unsafe { self.value.as_mut() }
    }
}

forward_to_value!([T: ?Sized] ArenaBox<'_, T>, T);

#[cfg(test)]
mod tests;
