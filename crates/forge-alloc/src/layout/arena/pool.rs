//! [`ArenaPool`]: arenas that are used again instead of being mapped and unmapped for every piece of work.
//!
//! ```text
//!            checkout / lease                      give_back / end of the lease
//!   idle: [ arena | arena | arena ]  ---> reset, in use --->  back on top of idle
//!                             ^ top                           (dropped instead if `capacity` arenas are idle)
//! ```
//!
//! # Invariants
//!
//! - (I1) Nobody uses a block of an idle arena any more: its owner gave the arena back, or its lease is over.
//! - (I2) While a lease exists, its arena is the last of the list, and the list does not change.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | checkout, lease, give back | O(1); no call of the factory, the heap or the system while idle arenas suffice |
//! | checkout with none idle | one call of the factory |
//! | prewarm, clear, release the pages | O(arenas concerned) |
//!
//! # Design
//!
//! The most recently returned arena is handed out first: its memory is the most likely to be in a cache. The list of
//! idle arenas grows only when more are idle than ever before, and only fallibly: an arena that cannot be kept is
//! dropped, which is always right. An arena is reset when it is handed out and not when it comes back: that also covers
//! a lease that was leaked, and the processor need not wait for the store.
//!
//! The pool hands arenas out by value, so that they may outlive the call or go to other owners, and as a
//! [lease](ArenaPool::lease), which leaves the arena in the list: nothing is moved and nothing is forgotten.
#![allow(unsafe_code)]

use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use forge_alloc_core::{AllocError, FixedRange, OsBacked};

use super::bump::BumpArena;

/// A stock of idle bump arenas, and a factory of backings for new ones.
///
/// # Examples
///
/// ```
/// use forge_alloc::{ArenaPool, HeapBytes};
///
/// let mut pool = ArenaPool::new(4, || HeapBytes::new(4096));
/// for request in 0..100_u64 {
///     let arena = pool.lease()?;
///     let copy = arena.alloc_ref(request)?;
///     assert_eq!(*copy, request);
/// }
/// assert_eq!(pool.idle_count(), 1); // the one arena that all requests used
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
pub struct ArenaPool<B: FixedRange, F>
where
    F: FnMut() -> Result<B, AllocError>,
{
    idle: Vec<BumpArena<B>>,
    cap: usize,
    factory: F,
}

impl<B: FixedRange, F> ArenaPool<B, F>
where
    F: FnMut() -> Result<B, AllocError>,
{
    /// Returns an empty pool that keeps at most `cap` idle arenas and makes backings with `factory`. O(1).
    pub fn new(cap: usize, factory: F) -> Self {
        Self { idle: Vec::new(), cap, factory }
    }

    /// Returns an empty arena: the most recently returned idle one, or a new one. O(1).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if none is idle and the factory fails or its backing cannot hold an arena; the pool is unchanged.
    #[inline]
    pub fn checkout(&mut self) -> Result<BumpArena<B>, AllocError> {
        match self.idle.pop() {
            Some(mut arena) => {
                arena.reset();
                Ok(arena)
            }
            None => self.mint(),
        }
    }

    /// Takes `arena`, which may come from anywhere, with all its blocks: keeps it if fewer than
    /// [`capacity`](Self::capacity) are idle, drops it otherwise. O(1).
    #[inline]
    pub fn give_back(&mut self, arena: BumpArena<B>) {
        if self.idle.len() < self.cap && self.has_room() {
            self.idle.push(arena);
        }
    }

    /// Returns an empty arena that goes back to the pool when the lease is dropped. O(1).
    ///
    /// # Errors
    ///
    /// As [`checkout`](Self::checkout); also if there is no memory to list a new arena.
    #[inline]
    pub fn lease(&mut self) -> Result<ArenaLease<'_, B, F>, AllocError> {
        if self.idle.is_empty() {
            self.mint_idle()?;
        }
        let arena = self.idle.last_mut().ok_or(AllocError)?;
        arena.reset();
        Ok(ArenaLease { arena: NonNull::from(arena), pool: self })
    }

    /// Makes up to `n` idle arenas in advance, as far as [`capacity`](Self::capacity) allows, and returns how many. O(n).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the factory fails, its backing cannot hold an arena, or there is no memory to list the idle
    /// arenas; those made so far stay.
    pub fn prewarm(&mut self, n: usize) -> Result<usize, AllocError> {
        let before = self.idle.len();
        let target = before.saturating_add(n).min(self.cap);
        while self.idle.len() < target {
            self.mint_idle()?;
        }
        Ok(self.idle.len() - before)
    }

    /// Returns how many arenas are idle. O(1).
    #[must_use]
    pub fn idle_count(&self) -> usize {
        self.idle.len()
    }

    /// Returns how many idle arenas the pool keeps at most. O(1).
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.cap
    }

    /// Drops the idle arenas. O(idle arenas).
    pub fn clear(&mut self) {
        self.idle.clear();
    }

    /// Returns whether the list has a place for one more arena, and makes one if necessary.
    #[inline]
    fn has_room(&mut self) -> bool {
        self.idle.len() < self.idle.capacity() || self.lengthen_list()
    }

    /// Makes places for more idle arenas; returns whether that worked.
    #[cold]
    fn lengthen_list(&mut self) -> bool {
        self.idle.try_reserve(1).is_ok()
    }

    /// Returns a new arena.
    #[cold]
    fn mint(&mut self) -> Result<BumpArena<B>, AllocError> {
        BumpArena::new((self.factory)()?)
    }

    /// Lists a new arena.
    #[cold]
    fn mint_idle(&mut self) -> Result<(), AllocError> {
        if !self.has_room() {
            return Err(AllocError);
        }
        let arena = self.mint()?;
        self.idle.push(arena);
        Ok(())
    }
}

impl<B: FixedRange + OsBacked, F> ArenaPool<B, F>
where
    F: FnMut() -> Result<B, AllocError>,
{
    /// Gives the physical pages of the idle arenas back to the system and keeps the arenas. One system call for each.
    ///
    /// A system that refuses keeps its pages, which is not an error: the arenas work either way.
    pub fn release_idle(&self) {
        for arena in &self.idle {
            // SAFETY: the span is the whole mapping of the arena's backing, and nobody uses a block of it (I1).
            unsafe { arena.release_pages(arena.base_ptr(), arena.region_size()) };
        }
    }
}

impl<B: FixedRange, F> fmt::Debug for ArenaPool<B, F>
where
    F: FnMut() -> Result<B, AllocError>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArenaPool")
            .field("idle_count", &self.idle_count())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

/// An arena on loan: dereferences to it, and gives it back to its pool when dropped.
///
/// What was allocated in it cannot outlive it:
///
/// ```compile_fail,E0597
/// use forge_alloc::{ArenaPool, HeapBytes};
///
/// let mut pool = ArenaPool::new(1, || HeapBytes::new(64));
/// let value;
/// {
///     let arena = pool.lease().unwrap();
///     value = arena.alloc_ref(7_u8).unwrap();
/// }
/// assert_eq!(*value, 7);
/// ```
#[must_use = "a lease that is dropped at once gives the arena back unused"]
pub struct ArenaLease<'a, B: FixedRange, F>
where
    F: FnMut() -> Result<B, AllocError>,
{
    arena: NonNull<BumpArena<B>>,
    pool: &'a mut ArenaPool<B, F>,
}

// SAFETY: the lease borrows the pool exclusively and reaches the arena alone (I2), so it is as movable as the pool.
unsafe impl<B: FixedRange + Send, F: Send> Send for ArenaLease<'_, B, F> where
    F: FnMut() -> Result<B, AllocError>
{
}

impl<B: FixedRange, F> Deref for ArenaLease<'_, B, F>
where
    F: FnMut() -> Result<B, AllocError>,
{
    type Target = BumpArena<B>;

    #[inline(always)]
    fn deref(&self) -> &BumpArena<B> {
        // SAFETY: the arena lies in the list, which nothing changes or reads while the lease exists (I2).
        unsafe { self.arena.as_ref() }
    }
}

impl<B: FixedRange, F> DerefMut for ArenaLease<'_, B, F>
where
    F: FnMut() -> Result<B, AllocError>,
{
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut BumpArena<B> {
        // SAFETY: as for `deref`; the lease is borrowed exclusively.
        unsafe { self.arena.as_mut() }
    }
}

impl<B: FixedRange, F> Drop for ArenaLease<'_, B, F>
where
    F: FnMut() -> Result<B, AllocError>,
{
    #[inline]
    fn drop(&mut self) {
        // A pool of capacity 0 listed the arena for the lease alone.
        if self.pool.idle.len() > self.pool.cap {
            self.pool.idle.pop();
        }
    }
}

impl<B: FixedRange, F> fmt::Debug for ArenaLease<'_, B, F>
where
    F: FnMut() -> Result<B, AllocError>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArenaLease")
            .field("allocated", &self.allocated())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
