//! The handle of a cache: makes boxes, counts, shrinks, and is cloned for other owners.
//!
//! # Invariants
//!
//! - (I1) `root` is the root of a cache of `T`, `L`, `SLAB_SIZE` and `S`, with provenance over the whole first slab, and one of
//!   its owners is this handle.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | `alloc*`, dropping a box | O(1) under the lock; at the boundary of a slab also a call of the provider, without it |
//! | `new`, `new_in`, `reserve` | a call of the provider per slab, O(slots) each |
//! | `clone`, drop of a handle | O(1); the last owner gives every slab back |
//! | `stats` | O(slabs with free slots) |
//! | `shrink` | O(spare slabs) |
//!
//! # Design
//!
//! A value is moved, built or left out by the entry that is called, so a box always owns a value. The entry without any,
//! [`alloc`](SlabCache::alloc), is for types whose zeros are a value ([`Zeroable`](super::Zeroable)).
//!
//! Boxes do not borrow from a handle: they find their slab by themselves, and any number of handles may come and go. The
//! provider is named by the handle alone.
#![allow(unsafe_code)]

use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use super::locks::{DefaultLock, LockTrait, NoLock};
use super::provision::{self, Plan};
use super::root::{self, Root};
use super::source::{Hooks, SlabSource};
use super::{Result, SlabBox, SlabError, Zeroable};
use crate::report;

/// A handle of an object cache.
///
/// `SLAB_SIZE` is a power of two, large enough for two values; `L` is at most 16 bytes; a value may have any size and alignment
/// that fits. A value without a size takes a slot of one byte.
///
/// # Examples
///
/// ```
/// use forge_alloc::MmapSource;
/// use forge_alloc::cache::{SlabCache, locks::SpinLock};
///
/// let cache = SlabCache::<[u64; 8], SpinLock, 16384, _>::new_in(MmapSource::new())?;
/// let kept = cache.alloc_value([7; 8])?;
/// drop(cache);
/// assert_eq!(*kept, [7; 8]); // and now the mapping goes
/// # Ok::<(), forge_alloc::cache::SlabError>(())
/// ```
///
/// A slab that a mask cannot find, or that is too small, does not compile:
///
/// ```compile_fail,E0080
/// use forge_alloc::{HeapSource, cache::{SlabCache, locks::NoLock}};
/// let cache = SlabCache::<u64, NoLock, 1000, _>::new_local_in(HeapSource::new());
/// ```
///
/// ```compile_fail,E0080
/// use forge_alloc::{HeapSource, cache::{SlabCache, locks::NoLock}};
/// let cache = SlabCache::<[u64; 64], NoLock, 1024, _>::new_local_in(HeapSource::new());
/// ```
///
/// ```compile_fail,E0080
/// use forge_alloc::{HeapSource, cache::{SlabCache, locks::LockTrait}};
/// struct Wide([u64; 3]);
/// // SAFETY: not looked at; the lock is too wide for a root.
/// unsafe impl LockTrait for Wide {
///     type Guard<'a> = ();
///     fn lock(&self) {}
///     fn init() -> Self {
///         Self([0; 3])
///     }
/// }
/// let cache = SlabCache::<u64, Wide, 4096, _>::new_in(HeapSource::new());
/// ```
pub struct SlabCache<T, L: LockTrait = DefaultLock, const SLAB_SIZE: usize = 4096, S: SlabSource = Hooks> {
    root: NonNull<Root<L>>,
    owns: PhantomData<(T, S)>,
}

// SAFETY: handles reach what they share under the lock, and call the provider, which is `Sync` and may be dropped on any thread.
// Values do not move with a handle; boxes that it makes elsewhere may.
unsafe impl<T: Send, L: LockTrait + Sync, const SLAB_SIZE: usize, S: SlabSource + Send + Sync> Send
    for SlabCache<T, L, SLAB_SIZE, S>
{
}
// SAFETY: as above; every method of a shared handle takes the lock.
unsafe impl<T: Send, L: LockTrait + Sync, const SLAB_SIZE: usize, S: SlabSource + Send + Sync> Sync
    for SlabCache<T, L, SLAB_SIZE, S>
{
}

impl<T, L: LockTrait, const SLAB_SIZE: usize> SlabCache<T, L, SLAB_SIZE> {
    /// Returns a cache over [`Hooks`], with one slab.
    ///
    /// # Errors
    ///
    /// Those of [`new_in`](Self::new_in).
    pub fn new() -> Result<Self> {
        Self::new_in(Hooks)
    }
}

impl<T, const SLAB_SIZE: usize, S: SlabSource + 'static> SlabCache<T, NoLock, SLAB_SIZE, S> {
    /// Returns a cache for one thread over a provider of that thread, with one slab.
    ///
    /// # Errors
    ///
    /// Those of [`new_in`](Self::new_in).
    pub fn new_local_in(source: S) -> Result<Self> {
        Self::over(source)
    }
}

impl<T, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource + Send + Sync + 'static>
    SlabCache<T, L, SLAB_SIZE, S>
{
    /// Returns a cache over `source`, with one slab.
    ///
    /// # Errors
    ///
    /// [`SlabError::OutOfMemory`] if the provider has nothing, [`SlabError::AlignmentMismatch`] or [`SlabError::FatalError`] if
    /// what it has is not aligned to `SLAB_SIZE` or shorter than that. `source` is dropped.
    pub fn new_in(source: S) -> Result<Self> {
        Self::over(source)
    }
}

impl<T, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> SlabCache<T, L, SLAB_SIZE, S> {
    /// Returns a cache whose boxes may end where `source` may be called and dropped, after any lifetime in it.
    fn over(source: S) -> Result<Self> {
        Ok(Self { root: provision::create::<T, L, S, SLAB_SIZE>(source)?, owns: PhantomData })
    }

    #[inline(always)]
    fn root(&self) -> &Root<L> {
        // SAFETY: the root exists as long as this owner (I1).
        unsafe { self.root.as_ref() }
    }

    /// Returns where the root is, for parts of this room.
    #[inline(always)]
    pub(super) fn root_pointer(&self) -> NonNull<Root<L>> {
        self.root
    }

    /// Returns a slot for a value.
    #[inline(always)]
    pub(super) fn take(&self) -> Result<NonNull<T>> {
        match self.root().take::<SLAB_SIZE>() {
            Some(slot) => Ok(slot.cast()),
            // SAFETY: the root is one of these types, and this handle an owner (I1).
            None => Ok(unsafe { provision::grow::<T, L, S, SLAB_SIZE>(self.root) }?.cast()),
        }
    }

    /// Moves `value` into a box; without memory for it, it is dropped. O(1).
    ///
    /// # Errors
    ///
    /// [`SlabError::OutOfMemory`] if a slab is needed and the provider has none, [`SlabError::AlignmentMismatch`] or
    /// [`SlabError::FatalError`] if what it has is unfit. Nothing changes.
    #[inline]
    pub fn alloc_value(&self, value: T) -> Result<SlabBox<T, L, SLAB_SIZE>> {
        self.alloc_with(|| value)
    }

    /// Moves `value` into a box, or gives it back with the error. O(1).
    ///
    /// # Errors
    ///
    /// Those of [`alloc_value`](Self::alloc_value).
    #[inline]
    pub fn try_alloc(&self, value: T) -> Result<SlabBox<T, L, SLAB_SIZE>, (SlabError, T)> {
        match self.take() {
            // SAFETY: the slot has room for a `T`, is this box's alone, and is written before the box exists.
            Ok(slot) => Ok(unsafe {
                slot.write(value);
                SlabBox::owning(slot)
            }),
            Err(error) => Err((error, value)),
        }
    }

    /// Builds a value in a box; without memory for it, `make` is not called. O(1).
    ///
    /// # Errors
    ///
    /// Those of [`alloc_value`](Self::alloc_value).
    #[inline]
    pub fn alloc_with(&self, make: impl FnOnce() -> T) -> Result<SlabBox<T, L, SLAB_SIZE>> {
        Ok(SlabBox::write(self.alloc_uninit()?, make()))
    }

    /// Builds the default value in a box. O(1).
    ///
    /// # Errors
    ///
    /// Those of [`alloc_value`](Self::alloc_value).
    #[inline]
    pub fn alloc_default(&self) -> Result<SlabBox<T, L, SLAB_SIZE>>
    where
        T: Default,
    {
        self.alloc_with(T::default)
    }

    /// Returns a box whose value is still to be written. O(1).
    ///
    /// # Errors
    ///
    /// Those of [`alloc_value`](Self::alloc_value).
    #[inline]
    pub fn alloc_uninit(&self) -> Result<SlabBox<MaybeUninit<T>, L, SLAB_SIZE>> {
        // SAFETY: the slot has room for a `T`, so for a `MaybeUninit<T>`, which any bytes are.
        self.take().map(|slot| unsafe { SlabBox::owning(slot.cast()) })
    }

    /// Returns a box of zeros. O(size).
    ///
    /// # Errors
    ///
    /// Those of [`alloc_value`](Self::alloc_value).
    ///
    /// # Examples
    ///
    /// A type of which zeros are no value, or nobody has said so, does not compile:
    ///
    /// ```compile_fail,E0277
    /// use forge_alloc::{HeapSource, cache::{SlabCache, locks::NoLock}};
    /// let cache = SlabCache::<Box<u64>, NoLock, 4096, _>::new_local_in(HeapSource::new()).unwrap();
    /// let garbage = cache.alloc();
    /// ```
    #[inline]
    pub fn alloc(&self) -> Result<SlabBox<T, L, SLAB_SIZE>>
    where
        T: Zeroable,
    {
        let slot = self.take()?;
        // SAFETY: the slot has room for a `T`, is this box's alone, and zeros are a value.
        Ok(unsafe {
            slot.write_bytes(0, 1);
            SlabBox::owning(slot)
        })
    }

    /// Returns another handle of the cache. O(1).
    ///
    /// # Errors
    ///
    /// [`SlabError::FatalError`] if there are 2^31 - 1 of them.
    pub fn try_clone(&self) -> Result<Self> {
        self.root().join()?;
        Ok(Self { root: self.root, owns: PhantomData })
    }

    /// Makes room for `objects` values more than are live, and keeps the slabs for as many until the next
    /// [`shrink`](Self::shrink). A call of the provider per slab.
    ///
    /// # Errors
    ///
    /// Those of [`alloc_value`](Self::alloc_value); the slabs that the provider had stay.
    pub fn reserve(&self, objects: usize) -> Result<()> {
        let per_slab = Plan::<T, L, S, SLAB_SIZE>::OTHER.capacity;
        let wanted = objects.div_ceil(per_slab);
        self.root().keep_at_least(u32::try_from(wanted).map_err(|_| SlabError::OutOfMemory)?);
        // Counting walks over the slabs, so it is done before many and not before each; others may take slots meanwhile.
        loop {
            let missing = objects.saturating_sub(self.root().count::<SLAB_SIZE>().free);
            if missing == 0 {
                return Ok(());
            }
            for _ in 0..missing.div_ceil(per_slab) {
                // SAFETY: the root is one of these types, and this handle an owner (I1).
                unsafe { provision::add_slab::<T, L, S, SLAB_SIZE>(self.root) }?;
            }
        }
    }

    /// Gives back every slab without a value, except the first slab of the cache. O(spare slabs), and as many calls of the
    /// provider.
    pub fn shrink(&self) {
        // SAFETY: this handle is an owner (I1).
        unsafe { root::shrink::<L, SLAB_SIZE>(self.root_pointer()) };
    }

    /// Returns what the cache holds. O(slabs with free slots).
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let counts = self.root().count::<SLAB_SIZE>();
        let (first, other) =
            (Plan::<T, L, S, SLAB_SIZE>::FIRST.capacity, Plan::<T, L, S, SLAB_SIZE>::OTHER.capacity);
        let capacity = first + (counts.slabs - 1) * other;
        CacheStats {
            slabs: counts.slabs,
            capacity,
            live: capacity - counts.free,
            spare: counts.spare,
            requests: counts.requests,
        }
    }
}

/// What a cache holds at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// How many slabs there are.
    pub slabs: usize,
    /// How many values they have room for.
    pub capacity: usize,
    /// How many boxes there are.
    pub live: usize,
    /// How many slabs are kept although they are empty.
    pub spare: usize,
    /// How often the provider was asked for a slab; it wraps.
    pub requests: u32,
}

impl<T, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> Clone for SlabCache<T, L, SLAB_SIZE, S> {
    /// Returns another handle of the cache. O(1). Ends the process if there are 2^31 - 1 of them.
    fn clone(&self) -> Self {
        self.try_clone().unwrap_or_else(|_| report::fatal_too_many_handles())
    }
}

impl<T, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> Drop for SlabCache<T, L, SLAB_SIZE, S> {
    fn drop(&mut self) {
        // SAFETY: this handle is an owner (I1), and ends.
        unsafe { root::leave::<L, SLAB_SIZE>(self.root_pointer()) };
    }
}

impl<T, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> fmt::Debug for SlabCache<T, L, SLAB_SIZE, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlabCache").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
