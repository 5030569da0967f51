//! A value in a slab, owned, and found again by its address alone.
//!
//! # Invariants
//!
//! - (I1) The box owns an initialised `T` that nothing else refers to.
//! - (I2) It lies in a slot that was taken from a cache of slabs of `SLAB_SIZE` bytes under a lock `L`, and the pointer is the
//!   one that was returned: it has provenance over the whole slab.
//!
//! # Design
//!
//! One word, never null. What a free needs is in the header of the slab, at the address of the value with the low bits cleared;
//! that the pointer may reach there is (I2), so a reference to the value, which reaches no further than the value, is not
//! enough to make a box of again.
//!
//! Everything that is not a trait of [`Box`](https://doc.rust-lang.org/std/boxed/struct.Box.html) is a function of the type and
//! not a method, so that it hides nothing of the value's; [`as_ptr`](SlabBox::as_ptr) is the exception that is documented so.
//! A box may be pinned: whoever forgets it keeps the slot, and so the slab, for ever.
#![allow(unsafe_code)]

use core::error::Error;
use core::fmt;
use core::future::Future;
use core::iter::FusedIterator;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ops::{Deref, DerefMut};
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};

use super::locks::{DefaultLock, LockTrait};
use super::root;
use super::slab::Home;
use super::{Result, SlabError};
use crate::forward::forward_to_value;
use crate::report;

/// An owned value in a slot of a [`SlabCache`](super::SlabCache).
///
/// # Examples
///
/// ```
/// use forge_alloc::HeapSource;
/// use forge_alloc::cache::{SlabBox, SlabCache, locks::SpinLock};
///
/// let cache = SlabCache::<String, SpinLock, 4096, _>::new_in(HeapSource::new())?;
/// let name: SlabBox<String> = cache.alloc_value(String::from("slab"))?;
/// drop(cache); // the box keeps what it needs
/// assert_eq!(SlabBox::into_inner(name), "slab");
/// # Ok::<(), forge_alloc::cache::SlabError>(())
/// ```
///
/// A box is not made of any pointer by safe code:
///
/// ```compile_fail,E0133
/// use forge_alloc::cache::SlabBox;
/// let mut value = 7_u64;
/// let thief: SlabBox<u64> = SlabBox::from_raw(std::ptr::NonNull::from(&mut value));
/// ```
pub struct SlabBox<T, L: LockTrait = DefaultLock, const SLAB_SIZE: usize = 4096> {
    value: NonNull<T>,
    owns: PhantomData<(T, L)>,
}

const _: () = {
    assert!(size_of::<SlabBox<u64>>() == size_of::<usize>(), "a box is one pointer");
    assert!(size_of::<Option<SlabBox<u64>>>() == size_of::<usize>(), "no box is null");
};

// SAFETY: the box owns its `T` alone (I1); its slot is given back under a lock that threads share, to a provider that any
// thread may call.
unsafe impl<T: Send, L: LockTrait + Sync, const SLAB_SIZE: usize> Send for SlabBox<T, L, SLAB_SIZE> {}
// SAFETY: a shared box gives shared access to its `T` only.
unsafe impl<T: Sync, L: LockTrait + Sync, const SLAB_SIZE: usize> Sync for SlabBox<T, L, SLAB_SIZE> {}
// The value does not move with its box.
impl<T, L: LockTrait, const SLAB_SIZE: usize> Unpin for SlabBox<T, L, SLAB_SIZE> {}

impl<T, L: LockTrait, const SLAB_SIZE: usize> SlabBox<T, L, SLAB_SIZE> {
    /// Returns the box that owns the value at `value`.
    ///
    /// # Safety
    ///
    /// (I1) and (I2) hold.
    #[inline(always)]
    pub(super) unsafe fn owning(value: NonNull<T>) -> Self {
        Self { value, owns: PhantomData }
    }

    /// Returns the box whose value [`into_raw`](Self::into_raw) has let go. O(1).
    ///
    /// A pointer that is not the start of a slot of a slab ends the process, as far as there is a slab around it to look at.
    ///
    /// # Safety
    ///
    /// `value` was returned by `into_raw` of a box of this type, or is equal to that and has its provenance, which that of a
    /// reference to the value is not; no other box was made of it since; and it points to an initialised `T`.
    #[inline]
    #[must_use]
    pub unsafe fn from_raw(value: NonNull<T>) -> Self {
        // SAFETY: the caller's promises.
        unsafe { Self::try_from_raw(value) }.unwrap_or_else(|_| report::fatal_foreign_free(value.cast()))
    }

    /// Returns the box whose value [`into_raw`](Self::into_raw) has let go. O(1).
    ///
    /// # Errors
    ///
    /// [`SlabError::InvalidPointer`] if `value` is not the start of a slot of a slab.
    ///
    /// # Safety
    ///
    /// Those of [`from_raw`](Self::from_raw), or else `value` has provenance over `SLAB_SIZE` bytes around it, from a multiple of
    /// that, which hold a slab, or held one, or are at least initialised.
    pub unsafe fn try_from_raw(value: NonNull<T>) -> Result<Self> {
        // SAFETY: the caller's promises: there is a slab, or the bytes of its header can be read.
        let slab = unsafe { Home::<SLAB_SIZE>::around(value.cast()) };
        let stride = const { if size_of::<T>() == 0 { 1 } else { size_of::<T>() } };
        if slab.has(value.cast(), stride) {
            // SAFETY: the caller's promises.
            Ok(unsafe { Self::owning(value) })
        } else {
            Err(SlabError::InvalidPointer)
        }
    }

    /// Gives the value up without running its destructor, and returns its address. Its slot stays taken. O(1).
    #[inline]
    #[must_use = "the destructor of the value will not run, and its slot stays taken"]
    pub fn into_raw(boxed: Self) -> NonNull<T> {
        ManuallyDrop::new(boxed).value
    }

    /// Returns the address of the value, which is the same for the life of the box. O(1).
    #[inline]
    #[must_use]
    pub fn as_ptr(&self) -> *mut T {
        self.value.as_ptr()
    }

    /// Borrows the value for ever; its destructor will not run, and its slot stays taken, with its slab. O(1).
    #[inline]
    #[must_use = "the destructor of the value will not run, and its slot stays taken"]
    pub fn leak<'a>(boxed: Self) -> &'a mut T
    where
        T: 'a,
    {
        // SAFETY: the value is initialised and unaliased (I1), and stays where it is as its slot is never given back.
        unsafe { &mut *Self::into_raw(boxed).as_ptr() }
    }

    /// Moves the value out and gives its slot back. O(size).
    #[inline]
    #[must_use]
    pub fn into_inner(boxed: Self) -> T {
        let value = Self::into_raw(boxed);
        let _slot = Slot::<T, L, SLAB_SIZE>(value, PhantomData);
        // SAFETY: the value is initialised and given up (I1), so it is read exactly once; then its slot is free.
        unsafe { value.read() }
    }

    /// Pins the value, which never moves anyway. O(1).
    #[inline]
    #[must_use]
    pub fn into_pin(boxed: Self) -> Pin<Self> {
        // SAFETY: the value stays in its slot until it is dropped there, and `Deref` returns that place.
        unsafe { Pin::new_unchecked(boxed) }
    }
}

impl<T, L: LockTrait, const SLAB_SIZE: usize> SlabBox<MaybeUninit<T>, L, SLAB_SIZE> {
    /// Returns the box of the value that was written to it. O(1).
    ///
    /// # Safety
    ///
    /// The value is initialised.
    #[inline]
    #[must_use]
    pub unsafe fn assume_init(boxed: Self) -> SlabBox<T, L, SLAB_SIZE> {
        // SAFETY: the slot is that of a `T` (I2), which is initialised by the caller's promise.
        unsafe { SlabBox::owning(Self::into_raw(boxed).cast()) }
    }

    /// Writes the value, and returns the box of it. O(size).
    #[inline]
    #[must_use]
    pub fn write(mut boxed: Self, value: T) -> SlabBox<T, L, SLAB_SIZE> {
        (*boxed).write(value);
        // SAFETY: the value was just written.
        unsafe { Self::assume_init(boxed) }
    }
}

/// Gives the slot of a value back that is going away, also if its destructor unwinds.
struct Slot<T, L: LockTrait, const SLAB_SIZE: usize>(NonNull<T>, PhantomData<L>);

impl<T, L: LockTrait, const SLAB_SIZE: usize> Drop for Slot<T, L, SLAB_SIZE> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the slot was taken (I2), and its value was moved out, or its destructor has run to its end or its panic.
        unsafe { root::give::<L, SLAB_SIZE>(self.0.cast()) };
    }
}

impl<T, L: LockTrait, const SLAB_SIZE: usize> Drop for SlabBox<T, L, SLAB_SIZE> {
    /// Runs the destructor of the value, with no lock held, and gives the slot back, also if the destructor panics.
    #[inline]
    fn drop(&mut self) {
        let slot = Slot::<T, L, SLAB_SIZE>(self.value, PhantomData);
        // SAFETY: the box owns an initialised value (I1) and is going away.
        unsafe { slot.0.drop_in_place() };
    }
}

impl<T, L: LockTrait, const SLAB_SIZE: usize> Deref for SlabBox<T, L, SLAB_SIZE> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the value is initialised and borrowed as the box is (I1).
        unsafe { self.value.as_ref() }
    }
}

impl<T, L: LockTrait, const SLAB_SIZE: usize> DerefMut for SlabBox<T, L, SLAB_SIZE> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the value is initialised, unaliased and borrowed as the box is (I1).
        unsafe { self.value.as_mut() }
    }
}

forward_to_value!([T, L: LockTrait, const SLAB_SIZE: usize] SlabBox<T, L, SLAB_SIZE>, T);

impl<T, L: LockTrait, const SLAB_SIZE: usize> fmt::Pointer for SlabBox<T, L, SLAB_SIZE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Pointer::fmt(&self.value, f)
    }
}

impl<T: Error, L: LockTrait, const SLAB_SIZE: usize> Error for SlabBox<T, L, SLAB_SIZE> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        (**self).source()
    }
}

impl<T: Future + Unpin, L: LockTrait, const SLAB_SIZE: usize> Future for SlabBox<T, L, SLAB_SIZE> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T::Output> {
        Pin::new(&mut **self).poll(context)
    }
}

impl<T: Iterator, L: LockTrait, const SLAB_SIZE: usize> Iterator for SlabBox<T, L, SLAB_SIZE> {
    type Item = T::Item;

    fn next(&mut self) -> Option<T::Item> {
        (**self).next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (**self).size_hint()
    }

    fn nth(&mut self, n: usize) -> Option<T::Item> {
        (**self).nth(n)
    }
}

impl<T: DoubleEndedIterator, L: LockTrait, const SLAB_SIZE: usize> DoubleEndedIterator
    for SlabBox<T, L, SLAB_SIZE>
{
    fn next_back(&mut self) -> Option<T::Item> {
        (**self).next_back()
    }
}

impl<T: ExactSizeIterator, L: LockTrait, const SLAB_SIZE: usize> ExactSizeIterator
    for SlabBox<T, L, SLAB_SIZE>
{
    fn len(&self) -> usize {
        (**self).len()
    }
}

impl<T: FusedIterator, L: LockTrait, const SLAB_SIZE: usize> FusedIterator for SlabBox<T, L, SLAB_SIZE> {}

impl<T, L: LockTrait, const SLAB_SIZE: usize> From<SlabBox<T, L, SLAB_SIZE>>
    for Pin<SlabBox<T, L, SLAB_SIZE>>
{
    fn from(boxed: SlabBox<T, L, SLAB_SIZE>) -> Self {
        SlabBox::into_pin(boxed)
    }
}

#[cfg(test)]
mod tests;
