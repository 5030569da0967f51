//! Objects that keep their construction: what comes back is handed out again as it is.
//!
//! ```text
//!   slot of a SlabCache:  | value | next |
//!   ready --> object --> object --> null        constructed, and in nobody's hands, the latest first
//! ```
//!
//! # Invariants
//!
//! - (I1) Every object on the list is a live box of `objects` with an initialised value, which nothing else refers to.
//! - (I2) The list is reached under `lock`, or by whoever has the cache for itself.
//! - (I3) An [`Object`] owns its box until it ends, and puts it on the list then.
//!
//! # Operations
//!
//! `get` and the end of an object: O(1) under the lock, and a call of the constructor if no object is ready. `shrink` and drop:
//! O(objects ready).
//!
//! # Design
//!
//! Bonwick ("The slab allocator: an object-caching kernel memory allocator", 1994) keeps in each free object the part of its
//! state that every user sets up and tears down in the same way: its buffers, its mutex, its list heads. The constructor runs
//! when memory becomes an object and the destructor when it ceases to be one, not at each use. His cache keeps constructed
//! objects in its slabs; here they are live boxes of an ordinary cache on a list, so slabs know nothing of it. The link lies
//! beside the value, which stays whole. Whoever uses an object leaves it as the next user expects to find it.
//!
//! The constructor and destructors run with no lock held. An object borrows the cache, so that its list outlives it.
#![allow(unsafe_code)]

use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};

use super::locks::{DefaultLock, LockTrait};
use super::source::{Hooks, SlabSource};
use super::{CacheStats, Result, SlabBox, SlabCache};

/// A value and its place in the list.
pub struct Kept<T> {
    value: T,
    next: Cell<*mut Kept<T>>,
}

/// A cache of objects that `C` constructs, over slabs of `SLAB_SIZE` bytes.
///
/// # Examples
///
/// ```
/// use forge_alloc::HeapSource;
/// use forge_alloc::cache::{Kept, ObjectCache, SlabCache, locks::SpinLock};
///
/// let slabs = SlabCache::<Kept<Vec<u8>>, SpinLock, 4096, _>::new_in(HeapSource::new())?;
/// let buffers = ObjectCache::new(slabs, || Vec::with_capacity(1 << 16));
/// let mut buffer = buffers.get()?;
/// buffer.extend_from_slice(b"request");
/// buffer.clear(); // as the next user expects it
/// drop(buffer);
/// assert_eq!(buffers.get()?.capacity(), 1 << 16); // the same one
/// assert_eq!(buffers.stats().live, 1);
/// # Ok::<(), forge_alloc::cache::SlabError>(())
/// ```
pub struct ObjectCache<T, C, L: LockTrait = DefaultLock, const SLAB_SIZE: usize = 4096, S: SlabSource = Hooks>
{
    objects: SlabCache<Kept<T>, L, SLAB_SIZE, S>,
    make: C,
    lock: L,
    ready: UnsafeCell<*mut Kept<T>>,
}

// SAFETY: the objects on the list go with the cache, which `T: Send` allows; nothing here belongs to a thread.
unsafe impl<T: Send, C: Send, L: LockTrait + Sync, const SLAB_SIZE: usize, S: SlabSource + Send + Sync> Send
    for ObjectCache<T, C, L, SLAB_SIZE, S>
{
}
// SAFETY: the list is reached under its lock (I2), and hands each object to one owner, on any thread, which `T: Send` allows;
// the constructor is called by reference.
unsafe impl<T: Send, C: Sync, L: LockTrait + Sync, const SLAB_SIZE: usize, S: SlabSource + Send + Sync> Sync
    for ObjectCache<T, C, L, SLAB_SIZE, S>
{
}

impl<T, C: Fn() -> T, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource>
    ObjectCache<T, C, L, SLAB_SIZE, S>
{
    /// Returns a cache of no objects, which `make` will construct in slots of `slabs`. O(1).
    pub fn new(slabs: SlabCache<Kept<T>, L, SLAB_SIZE, S>, make: C) -> Self {
        Self { objects: slabs, make, lock: L::init(), ready: UnsafeCell::new(ptr::null_mut()) }
    }

    /// Returns the object that came back last, as it was left, or a new one. O(1).
    ///
    /// # Errors
    ///
    /// Those of [`SlabCache::alloc_value`], if no object is ready.
    pub fn get(&self) -> Result<Object<'_, T, C, L, SLAB_SIZE, S>> {
        let boxed = match self.take() {
            Some(ready) => ready,
            None => {
                self.objects.alloc_with(|| Kept { value: (self.make)(), next: Cell::new(ptr::null_mut()) })?
            }
        };
        Ok(Object { boxed: ManuallyDrop::new(boxed), home: self })
    }
}

impl<T, C, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> ObjectCache<T, C, L, SLAB_SIZE, S> {
    /// Takes an object off the list.
    fn take(&self) -> Option<SlabBox<Kept<T>, L, SLAB_SIZE>> {
        let _held = self.lock.lock();
        // SAFETY: the lock is held (I2), and what is on the list is a live box that nobody else has (I1).
        unsafe {
            let first = NonNull::new(*self.ready.get())?;
            *self.ready.get() = first.as_ref().next.get();
            Some(SlabBox::owning(first))
        }
    }

    /// Puts an object on the list.
    fn put(&self, boxed: SlabBox<Kept<T>, L, SLAB_SIZE>) {
        let object = SlabBox::into_raw(boxed);
        let _held = self.lock.lock();
        // SAFETY: the lock is held (I2), and the object is live and nobody else's (I3).
        unsafe {
            object.as_ref().next.set(*self.ready.get());
            *self.ready.get() = object.as_ptr();
        }
    }

    /// Destroys the objects that are ready, and gives back every slab that is empty then, except the first. O(objects ready).
    pub fn shrink(&self) {
        while let Some(object) = self.take() {
            drop(object);
        }
        self.objects.shrink();
    }

    /// Returns what the slabs hold, where objects that are ready count as live. O(slabs with free slots).
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.objects.stats()
    }
}

impl<T, C, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> Drop for ObjectCache<T, C, L, SLAB_SIZE, S> {
    /// Destroys the objects that are ready.
    fn drop(&mut self) {
        while let Some(object) = self.take() {
            drop(object);
        }
    }
}

impl<T, C, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> fmt::Debug
    for ObjectCache<T, C, L, SLAB_SIZE, S>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectCache").field("objects", &self.objects).finish_non_exhaustive()
    }
}

/// An object in use. Its end gives it back as it is; its destructor does not run.
pub struct Object<'a, T, C, L: LockTrait = DefaultLock, const SLAB_SIZE: usize = 4096, S: SlabSource = Hooks>
{
    boxed: ManuallyDrop<SlabBox<Kept<T>, L, SLAB_SIZE>>,
    home: &'a ObjectCache<T, C, L, SLAB_SIZE, S>,
}

// SAFETY: the object owns its value, and its end puts it on a list that threads share; its link is read and written under the
// lock of that, or before the object is first handed out.
unsafe impl<T: Send, C: Sync, L: LockTrait + Sync, const SLAB_SIZE: usize, S: SlabSource + Send + Sync> Send
    for Object<'_, T, C, L, SLAB_SIZE, S>
{
}
// SAFETY: a shared object gives shared access to its value only.
unsafe impl<T: Send + Sync, C: Sync, L: LockTrait + Sync, const SLAB_SIZE: usize, S: SlabSource + Send + Sync>
    Sync for Object<'_, T, C, L, SLAB_SIZE, S>
{
}

impl<T, C, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> Drop for Object<'_, T, C, L, SLAB_SIZE, S> {
    fn drop(&mut self) {
        // SAFETY: the object ends, so its box is taken out once (I3).
        self.home.put(unsafe { ManuallyDrop::take(&mut self.boxed) });
    }
}

impl<T, C, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> Deref for Object<'_, T, C, L, SLAB_SIZE, S> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.boxed.value
    }
}

impl<T, C, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> DerefMut
    for Object<'_, T, C, L, SLAB_SIZE, S>
{
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.boxed.value
    }
}

impl<T: fmt::Debug, C, L: LockTrait, const SLAB_SIZE: usize, S: SlabSource> fmt::Debug
    for Object<'_, T, C, L, SLAB_SIZE, S>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests;
