//! The branded pool: a generational slab whose handles no other pool accepts, by their type.
//!
//! # Invariants
//!
//! - (I1) A brand is the lifetime of one call of [`Brand::with`], invariant and chosen by nobody, so no two brands are the
//!   same type. The one [`Brand`] of a call is consumed by the one pool that carries it.
//! - (I2) Hence a [`BrandedHandle`] was issued by the pool of its brand, and its slot is a used one of that pool, as it stays
//!   for good.
//!
//! # Operations
//!
//! As for [`GenerationalSlab`], of which this is a face.
//!
//! # Design
//!
//! Generativity through a higher-ranked closure, as in Kiselyov and Shan's "Lightweight static capabilities" and Rust's
//! GhostCell: the closure must work for every lifetime, so the compiler treats each as different from all others. A
//! lookup needs neither the bounds check nor the pool's origin (I2): one comparison of generations is left, for handles
//! whose value is gone. The plain pool stays inside and unreachable, since swapping it for another one would break (I2).
#![allow(unsafe_code)]

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;

use forge_alloc_core::{AllocError, Allocator, FixedRange};

use super::super::handle::generation::Key;
use super::super::handle::{GenerationInt, Handle};
use super::GenerationalSlab;
use super::slots::Slots;

/// A lifetime that equals no other: neither longer nor shorter ones pass for it.
type Invariant<'brand> = PhantomData<fn(&'brand ()) -> &'brand ()>;

/// The right to make one [`BrandedSlab`]; given out by [`Brand::with`].
pub struct Brand<'brand> {
    brand: Invariant<'brand>,
}

impl Brand<'_> {
    /// Calls `body` with a brand that differs from every other one. O(1) besides `body`.
    #[inline]
    pub fn with<R>(body: impl for<'brand> FnOnce(Brand<'brand>) -> R) -> R {
        body(Brand { brand: PhantomData })
    }
}

impl fmt::Debug for Brand<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Brand")
    }
}

/// The name of one value in the [`BrandedSlab`] of the same brand. `Copy + Send + Sync + Hash + Ord` for every `T`.
pub struct BrandedHandle<'brand, T, G: GenerationInt = u32> {
    handle: Handle<T, G>,
    brand: Invariant<'brand>,
}

impl<T, G: GenerationInt> Clone for BrandedHandle<'_, T, G> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, G: GenerationInt> Copy for BrandedHandle<'_, T, G> {}

impl<T, G: GenerationInt> PartialEq for BrandedHandle<'_, T, G> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.handle == other.handle
    }
}

impl<T, G: GenerationInt> Eq for BrandedHandle<'_, T, G> {}

impl<T, G: GenerationInt> PartialOrd for BrandedHandle<'_, T, G> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T, G: GenerationInt> Ord for BrandedHandle<'_, T, G> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.handle.cmp(&other.handle)
    }
}

impl<T, G: GenerationInt> Hash for BrandedHandle<'_, T, G> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.handle.hash(state);
    }
}

impl<T, G: GenerationInt> fmt::Debug for BrandedHandle<'_, T, G> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Branded{:?}", self.handle)
    }
}

/// A [`GenerationalSlab`] that accepts only its own handles, which the compiler checks.
///
/// # Examples
///
/// ```
/// use forge_alloc::{Brand, BrandedSlab, InlineBacked};
///
/// let sum = Brand::with(|brand| {
///     let mut pool = BrandedSlab::<_, _>::new(brand, 8, InlineBacked::<256>::new())?;
///     let (two, three) = (pool.insert(2)?, pool.insert(3)?);
///     Ok::<_, forge_alloc::AllocError>(pool.get(two).copied().unwrap_or(0) + pool.remove(three).unwrap_or(0))
/// })?;
/// assert_eq!(sum, 5);
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
///
/// A handle of another pool does not compile:
///
/// ```compile_fail
/// use forge_alloc::{Brand, BrandedSlab, InlineBacked};
/// Brand::with(|one| Brand::with(|other| {
///     let mut mine = BrandedSlab::<u64, _>::new(one, 8, InlineBacked::<256>::new()).unwrap();
///     let theirs = BrandedSlab::<u64, _>::new(other, 8, InlineBacked::<256>::new()).unwrap();
///     let handle = mine.insert(1).unwrap();
///     theirs.get(handle).copied()
/// }));
/// ```
///
/// Nor do two pools of one brand, nor a handle that leaves its brand:
///
/// ```compile_fail,E0382
/// use forge_alloc::{Brand, BrandedSlab, InlineBacked};
/// Brand::with(|brand| {
///     let mine = BrandedSlab::<u64, _>::new(brand, 8, InlineBacked::<256>::new());
///     let theirs = BrandedSlab::<u64, _>::new(brand, 8, InlineBacked::<256>::new());
/// });
/// ```
///
/// ```compile_fail
/// use forge_alloc::{Brand, BrandedSlab, InlineBacked};
/// let escaped = Brand::with(|brand| {
///     BrandedSlab::<u64, _>::new(brand, 8, InlineBacked::<256>::new()).unwrap().insert(1).unwrap()
/// });
/// ```
pub struct BrandedSlab<'brand, T, B: Allocator + FixedRange, G: GenerationInt = u32> {
    pool: GenerationalSlab<T, B, G>,
    brand: Invariant<'brand>,
}

impl<'brand, T, B: Allocator + FixedRange, G: GenerationInt> BrandedSlab<'brand, T, B, G> {
    /// Returns an empty pool of `capacity` slots in one block of `backing`. O(1); no slot is touched.
    ///
    /// # Errors
    ///
    /// As for [`GenerationalSlab::with_generation`].
    pub fn new(brand: Brand<'brand>, capacity: usize, backing: B) -> Result<Self, AllocError> {
        Ok(Self { pool: GenerationalSlab::with_generation(capacity, backing)?, brand: brand.brand })
    }

    /// Returns how many slots the pool was made with, used, free and retired. O(1).
    #[inline]
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.pool.capacity()
    }

    /// Returns how many values the pool holds. O(1).
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.pool.len()
    }

    /// Returns whether the pool holds no value. O(1).
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pool.is_empty()
    }

    /// Puts `value` into the slot freed last, or else into the first that was never used. O(1).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if no slot is free; `value` is dropped and nothing else changes.
    #[inline]
    pub fn insert(&mut self, value: T) -> Result<BrandedHandle<'brand, T, G>, AllocError> {
        let handle = self.pool.insert(value)?;
        Ok(self.sign(handle))
    }

    /// Returns whether the handle's value is still in the pool. O(1).
    #[inline]
    #[must_use]
    pub fn contains(&self, handle: BrandedHandle<'brand, T, G>) -> bool {
        self.find(handle).is_some()
    }

    /// Returns the handle's value, if it is still in the pool. O(1).
    #[inline(always)]
    #[must_use]
    pub fn get(&self, handle: BrandedHandle<'brand, T, G>) -> Option<&T> {
        let (slots, number) = self.find(handle)?;
        // SAFETY: the slot is occupied; the borrow of the pool keeps the value from moving and from being changed.
        Some(unsafe { slots.value(number).as_ref() })
    }

    /// Returns the handle's value, if it is still in the pool, for changing it. O(1).
    #[inline(always)]
    #[must_use]
    pub fn get_mut(&mut self, handle: BrandedHandle<'brand, T, G>) -> Option<&mut T> {
        let (slots, number) = self.find(handle)?;
        // SAFETY: the slot is occupied; the unique borrow of the pool makes this the only way to the value.
        Some(unsafe { slots.value(number).as_mut() })
    }

    /// Takes the handle's value out of the pool, if it is still there. O(1).
    #[inline(always)]
    pub fn remove(&mut self, handle: BrandedHandle<'brand, T, G>) -> Option<T> {
        let (slots, number) = self.find(handle)?;
        // SAFETY: the arrays are those of this pool, and the slot is occupied in the handle's generation.
        Some(unsafe { self.pool.vacancies.vacate(slots, number, handle.handle.generation) })
    }

    /// Returns every handle with its value, in the order of the slots.
    pub fn iter(&self) -> impl Iterator<Item = (BrandedHandle<'brand, T, G>, &T)> {
        self.pool.iter().map(|(handle, value)| (self.sign(handle), value))
    }

    /// Removes every value for which `keep` returns `false`, as [`GenerationalSlab::retain`] does.
    pub fn retain<F: FnMut(BrandedHandle<'brand, T, G>, &mut T) -> bool>(&mut self, mut keep: F) {
        let brand = self.brand;
        self.pool.retain(|handle, value| keep(BrandedHandle { handle, brand }, value));
    }

    /// Drops every value, as [`GenerationalSlab::clear`] does.
    pub fn clear(&mut self) {
        self.pool.clear();
    }

    /// Returns a handle of this pool with the brand that says so.
    #[inline(always)]
    fn sign(&self, handle: Handle<T, G>) -> BrandedHandle<'brand, T, G> {
        BrandedHandle { handle, brand: self.brand }
    }

    /// Returns the slot that holds the handle's value. O(1).
    #[inline(always)]
    fn find(&self, handle: BrandedHandle<'brand, T, G>) -> Option<(Slots<T, G>, u32)> {
        let handle = handle.handle;
        let (slots, number) = (self.pool.slots()?, handle.key.number());
        debug_assert!(self.pool.vacancies.is_used(number));
        // SAFETY: this pool issued the handle, so the slot is used (I2) and its generation is initialised.
        let generation = unsafe { slots.generation(number) };
        (generation == G::number(handle.generation)).then_some((slots, number))
    }
}

impl<T, B: Allocator + FixedRange, G: GenerationInt> fmt::Debug for BrandedSlab<'_, T, B, G> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("BrandedSlab").field(&self.pool).finish()
    }
}
