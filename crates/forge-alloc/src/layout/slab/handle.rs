//! Handles: names of values that never dangle.
//!
//! ```text
//!   Handle<T, u32>            | key: u32 | generation: u32 |                    8 bytes
//!   Handle<T, u64>            | key: u64            | generation: u64      |   16 bytes
//!
//!   key = a number that the slot shares with no other slot of any pool
//! ```
//!
//! # Invariants
//!
//! - (I1) The generation of a handle is odd, the parity of an occupied slot; so it is not zero either.
//!
//! # Operations
//!
//! Everything is O(1) on two integers.
//!
//! # Design
//!
//! A handle is two integers and owns nothing, so it is copied, compared, hashed and sent whatever `T` is: `T` stands
//! there only to keep handles of different pools' types apart, as `fn() -> T`, which has no auto traits to take away.
//! Derives would ask each of them of `T`, hence the implementations by hand.
//!
//! The key is not an index from 0. Every pool numbers its slots from an origin of its own, so that the keys of two pools
//! do not meet: that is the pool's identity at the price of one subtraction, without a third field.
//!
//! The key lies first, which `repr(C)` fixes: read from memory as one word, the low half is then the key, which needs no
//! shift on a chain of dependent lookups.
//!
//! Odd generations leave zero free for `None`: an optional handle is as small as a handle.

pub(super) mod generation;

use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;

pub use generation::GenerationInt;
use generation::Key;

/// The name of one value in one [`GenerationalSlab`](crate::GenerationalSlab).
///
/// A handle never dangles: once its value is removed, no pool ever returns another value for it. See the
/// [guarantees](crate::GenerationalSlab#guarantees).
///
/// Handles are `Copy + Send + Sync + Hash + Ord` for every `T`, so they are keys of any map. Their order is that of
/// slots within a pool, and then of generations. 8 bytes for a `u32` generation or a smaller one, 16 for `u64`, and no
/// more for an `Option` of one.
///
/// # Examples
///
/// ```
/// use std::collections::HashMap;
/// use std::cell::Cell;
/// use forge_alloc::{GenerationalSlab, Handle, InlineBacked};
///
/// let mut pool = GenerationalSlab::new(8, InlineBacked::<512>::new())?;
/// let handle: Handle<Cell<String>> = pool.insert(Cell::new("value".into()))?;
///
/// // Copied into a map and sent to a thread, although a `Cell<String>` is neither copied nor shared.
/// let names = HashMap::from([(handle, "the first")]);
/// let name = std::thread::spawn(move || names[&handle]).join().unwrap();
/// assert_eq!(name, "the first");
/// assert_eq!(size_of::<Option<Handle<Cell<String>>>>(), 8);
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
///
/// Handles to different types are different types:
///
/// ```compile_fail,E0308
/// use forge_alloc::{GenerationalSlab, InlineBacked};
/// let mut bytes = GenerationalSlab::<u8, _>::new(8, InlineBacked::<512>::new()).unwrap();
/// let words = GenerationalSlab::<u64, _>::new(8, InlineBacked::<512>::new()).unwrap();
/// let byte = bytes.insert(1).unwrap();
/// words.get(byte);
/// ```
#[repr(C)]
pub struct Handle<T, G: GenerationInt = u32> {
    pub(super) key: G::Key,
    pub(super) generation: G::Occupied,
    names: PhantomData<fn() -> T>,
}

impl<T, G: GenerationInt> Handle<T, G> {
    /// Returns the handle to a slot, by its number in the pool with this origin, in this generation. O(1).
    #[inline(always)]
    pub(super) fn new(origin: G::Key, number: u32, generation: G::Occupied) -> Self {
        Self { key: origin.with_number(number), generation, names: PhantomData }
    }
}

impl<T, G: GenerationInt> Clone for Handle<T, G> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, G: GenerationInt> Copy for Handle<T, G> {}

impl<T, G: GenerationInt> PartialEq for Handle<T, G> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.generation == other.generation
    }
}

impl<T, G: GenerationInt> Eq for Handle<T, G> {}

impl<T, G: GenerationInt> PartialOrd for Handle<T, G> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T, G: GenerationInt> Ord for Handle<T, G> {
    #[inline]
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.key, self.generation).cmp(&(other.key, other.generation))
    }
}

impl<T, G: GenerationInt> Hash for Handle<T, G> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
        self.generation.hash(state);
    }
}

impl<T, G: GenerationInt> fmt::Debug for Handle<T, G> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Handle({:?}:{:?})", self.key, self.generation)
    }
}

#[cfg(test)]
mod tests;
