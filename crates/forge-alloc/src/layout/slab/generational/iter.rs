//! Iterators over the values of a pool: shared, for changing, and for taking out.
//!
//! # Invariants
//!
//! - (I1) The arrays of a [`Cursor`] stay where they are, and exactly its `used` slots with an odd generation hold values: a
//!   cursor does not outlive a borrow of the pool.
//! - (I2) A cursor returns each slot once.
//!
//! # Operations
//!
//! A step is O(1) plus the free slots that it skips, of which it reads only the generations.
#![allow(unsafe_code)]

use core::fmt;
use core::iter::FusedIterator;
use core::marker::PhantomData;

use forge_alloc_core::{Allocator, FixedRange};

use super::super::handle::generation::Key;
use super::super::handle::{GenerationInt, Handle};
use super::GenerationalSlab;
use super::slots::Slots;
use super::vacancies::Numbers;

/// What both borrowing iterators do: find the next occupied slot.
struct Cursor<T, G: GenerationInt> {
    slots: Option<Slots<T, G>>,
    origin: G::Key,
    used: Numbers,
    left: usize,
}

impl<T, G: GenerationInt> Cursor<T, G> {
    /// Returns a cursor before the first slot. O(1).
    fn new<B: Allocator + FixedRange>(pool: &GenerationalSlab<T, B, G>) -> Self {
        let slots = pool.slots();
        let left = if slots.is_some() { pool.len() } else { 0 };
        Self { slots, origin: pool.rebase.negated(), used: pool.vacancies.used(), left }
    }

    /// Returns the handle of the next value, and where the value is.
    #[inline]
    fn advance(&mut self) -> Option<(Handle<T, G>, core::ptr::NonNull<T>)> {
        let slots = self.slots?;
        for number in self.used.by_ref() {
            // SAFETY: used slots have a generation (I1).
            let generation = unsafe { slots.generation(number) };
            if generation.is_occupied() {
                self.left -= 1;
                // SAFETY: the number is that of a slot of the pool (I1).
                let value = unsafe { slots.value(number) };
                return Some((Handle::new(self.origin, number, generation.occupied()), value));
            }
        }
        None
    }

    /// Returns another cursor at the same place.
    fn copy(&self) -> Self {
        Self { used: self.used.clone(), ..*self }
    }
}

/// The handles and values of a pool; made by [`GenerationalSlab::iter`].
pub struct HandleIter<'a, T, G: GenerationInt = u32> {
    cursor: Cursor<T, G>,
    borrows: PhantomData<&'a T>,
}

impl<'a, T, G: GenerationInt> HandleIter<'a, T, G> {
    pub(super) fn new<B: Allocator + FixedRange>(pool: &'a GenerationalSlab<T, B, G>) -> Self {
        Self { cursor: Cursor::new(pool), borrows: PhantomData }
    }
}

// SAFETY: the iterator gives out what a `&[T]` gives out, and reads generations, which nobody changes meanwhile.
unsafe impl<T: Sync, G: GenerationInt> Send for HandleIter<'_, T, G> {}
// SAFETY: a shared iterator gives out nothing.
unsafe impl<T: Sync, G: GenerationInt> Sync for HandleIter<'_, T, G> {}

impl<'a, T, G: GenerationInt> Iterator for HandleIter<'a, T, G> {
    type Item = (Handle<T, G>, &'a T);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (handle, value) = self.cursor.advance()?;
        // SAFETY: the slot holds a value, which nobody moves or changes during the borrow (I1).
        Some((handle, unsafe { value.as_ref() }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.cursor.left, Some(self.cursor.left))
    }
}

impl<T, G: GenerationInt> Clone for HandleIter<'_, T, G> {
    fn clone(&self) -> Self {
        Self { cursor: self.cursor.copy(), borrows: PhantomData }
    }
}

impl<T, G: GenerationInt> fmt::Debug for HandleIter<'_, T, G> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HandleIter").field("left", &self.cursor.left).finish()
    }
}

impl<T, G: GenerationInt> ExactSizeIterator for HandleIter<'_, T, G> {}
impl<T, G: GenerationInt> FusedIterator for HandleIter<'_, T, G> {}

/// The handles and values of a pool, for changing the values; made by [`GenerationalSlab::iter_mut`].
pub struct HandleIterMut<'a, T, G: GenerationInt = u32> {
    cursor: Cursor<T, G>,
    borrows: PhantomData<&'a mut T>,
}

impl<'a, T, G: GenerationInt> HandleIterMut<'a, T, G> {
    pub(super) fn new<B: Allocator + FixedRange>(pool: &'a mut GenerationalSlab<T, B, G>) -> Self {
        Self { cursor: Cursor::new(pool), borrows: PhantomData }
    }
}

// SAFETY: the iterator gives out what a `&mut [T]` gives out, and reads generations, which nobody changes meanwhile.
unsafe impl<T: Send, G: GenerationInt> Send for HandleIterMut<'_, T, G> {}
// SAFETY: a shared iterator gives out nothing.
unsafe impl<T: Sync, G: GenerationInt> Sync for HandleIterMut<'_, T, G> {}

impl<'a, T, G: GenerationInt> Iterator for HandleIterMut<'a, T, G> {
    type Item = (Handle<T, G>, &'a mut T);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (handle, mut value) = self.cursor.advance()?;
        // SAFETY: the slot holds a value (I1), the borrow of the pool is unique, and no slot comes up twice (I2).
        Some((handle, unsafe { value.as_mut() }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.cursor.left, Some(self.cursor.left))
    }
}

impl<T, G: GenerationInt> fmt::Debug for HandleIterMut<'_, T, G> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HandleIterMut").field("left", &self.cursor.left).finish()
    }
}

impl<T, G: GenerationInt> ExactSizeIterator for HandleIterMut<'_, T, G> {}
impl<T, G: GenerationInt> FusedIterator for HandleIterMut<'_, T, G> {}

/// The stale handles and values of a pool that is being emptied; made by [`GenerationalSlab::drain`].
///
/// Dropping it drops the values that are left. Forgetting it leaves them in the pool.
pub struct HandleDrain<'a, T, B: Allocator + FixedRange, G: GenerationInt = u32> {
    pool: &'a mut GenerationalSlab<T, B, G>,
    used: Numbers,
}

impl<'a, T, B: Allocator + FixedRange, G: GenerationInt> HandleDrain<'a, T, B, G> {
    pub(super) fn new(pool: &'a mut GenerationalSlab<T, B, G>) -> Self {
        let used = pool.vacancies.used();
        Self { pool, used }
    }
}

impl<T, B: Allocator + FixedRange, G: GenerationInt> Iterator for HandleDrain<'_, T, B, G> {
    type Item = (Handle<T, G>, T);

    fn next(&mut self) -> Option<Self::Item> {
        let handle = self.used.find_map(|number| self.pool.handle_at(number))?;
        self.pool.remove(handle).map(|value| (handle, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = if self.pool.slots().is_some() { self.pool.len() } else { 0 };
        (left, Some(left))
    }
}

impl<T, B: Allocator + FixedRange, G: GenerationInt> Drop for HandleDrain<'_, T, B, G> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

impl<T, B: Allocator + FixedRange, G: GenerationInt> fmt::Debug for HandleDrain<'_, T, B, G> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HandleDrain").field("left", &self.pool.len()).finish()
    }
}

impl<T, B: Allocator + FixedRange, G: GenerationInt> ExactSizeIterator for HandleDrain<'_, T, B, G> {}
impl<T, B: Allocator + FixedRange, G: GenerationInt> FusedIterator for HandleDrain<'_, T, B, G> {}
