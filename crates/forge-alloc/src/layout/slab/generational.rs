//! The generational slab: a typed pool whose values are named by handles that never dangle.
//!
//! ```text
//!   number      first   first+4  first+8  first+12   ..        in steps of the size of a `u32` generation
//!   generation     7        4        1        0         -  never touched  -
//!               | value |  link  | value | retired |
//!                           ^ free                  ^ first + fresh
//!
//!   vacancies: the slot freed last, the stack of older ones, and `fresh` (see `vacancies.rs`)
//!   handle (first+8, 1) --> the third value       (first+4, 3) --> stale: that slot is at 4
//! ```
//!
//! # Invariants
//!
//! - (I1) `generations` leads from the backing's base to one array of `slots`, and `values` from there to the other, by
//!   wrapping sums, inside one live block of the backing, which nobody else uses and which starts at the offset `block`.
//! - (I2) Exactly the used slots of `vacancies` have an initialised generation, and a used slot stays one.
//! - (I3) A slot holds a value exactly if it is used and its generation is odd; it is then neither vacant nor retired.
//! - (I4) The keys of this pool are those from an origin on, whose low bits number the slots in steps of `G::STEP` without
//!   wrapping; the origin is a multiple of the step, and the pool keeps it negated as `rebase`. A pool issues no handle
//!   twice, since a slot's generation only rises until it retires.
//!
//! # Operations
//!
//! `insert`, `get`, `get_mut`, `contains`, `remove`, `len`: O(1). `iter`, `retain`, `drain`, `clear` and dropping:
//! O(slots used so far). `new`: O(1), and touches no slot.
//!
//! # Design
//!
//! *One comparison.* Occupied slots have odd generations and handles carry odd ones, so equality of the two says both
//! "occupied" and "the same value". Nothing that is presented can match a free or a retired slot, whose generation is
//! even; that is what makes `remove` safe with any handle. See [`generation`](super::handle::generation).
//!
//! *Few instructions.* A lookup takes the bounds from the key by one addition of `rebase` into another register, so that
//! the key itself, which the load waits for, is used as it is: as a distance, see `slots.rs`. Generation and value are
//! loaded side by side, from two arrays that are reached through one another: both addresses then serve every lookup of a
//! loop, also where a lookup may fail. What a removal and an insertion store bounds how many of them there are in a
//! second; see `vacancies.rs`.
//!
//! *Retirement.* A slot whose generation wraps to 0 leaves the pool for good. Reusing it would make the oldest handles
//! match again.
//!
//! *Identity.* Pools draw disjoint ranges of keys (see [`identity`]), so another pool's handle fails the bounds check.
//! [`BrandedSlab`](crate::BrandedSlab) turns the same mistake into a compile error.
//!
//! *Moves.* State is offsets. If the backing promises less alignment than the values need, an access checks where the
//! arrays are now; a pool whose bytes were moved to a misaligned place finds no value rather than a misaligned one.
#![allow(unsafe_code)]

pub(crate) mod branded;
#[cfg(target_has_atomic = "ptr")]
pub(super) mod identity;
#[cfg(not(target_has_atomic = "ptr"))]
#[path = "generational/identity/absent.rs"]
pub(super) mod identity;
pub(crate) mod iter;
mod slots;
mod vacancies;

use core::fmt;
use core::marker::PhantomData;
use core::mem;

use forge_alloc_core::{AllocError, Allocator, FixedRange};

use super::handle::generation::Key;
use super::handle::{GenerationInt, Handle};
use iter::{HandleDrain, HandleIter, HandleIterMut};
use slots::{Slots, divide, generation_of};
use vacancies::Vacancies;

/// A pool of up to `capacity` values of one type, each named by a [`Handle`].
///
/// # Guarantees
///
/// A handle reaches the value that it was issued for, or nothing:
///
/// | handle presented | refused because | how surely |
/// |---|---|---|
/// | of a removed value | the slot has a later generation | always |
/// | of a value 2^(bits - 1) uses of its slot ago | the slot retired instead of starting over | always |
/// | of another pool of the same type | pools have different keys | with `u64` handles on a 64-bit machine, always; otherwise see below |
///
/// Otherwise two pools have different keys if all pools made from the one to the other, both included, have fewer than
/// 2^29 slots together. Beyond that, and on targets without atomic exchange, a foreign handle may reach a live value of
/// the same type. Never a free slot, and never memory that is not a `T`: memory safety does not rest on who
/// presents what. [`BrandedSlab`](crate::BrandedSlab) makes the mistake a compile error instead.
///
/// Retired slots are lost to the pool: after [`retired`](Self::retired) reaches the capacity, every `insert` fails. With
/// `u32` generations that takes 2^31 insertions into each slot, with `u8` 128.
///
/// # Examples
///
/// ```
/// use forge_alloc::{GenerationalSlab, InlineBacked};
///
/// let mut pool = GenerationalSlab::new(4, InlineBacked::<128>::new())?;
/// let first = pool.insert(String::from("first"))?;
/// let second = pool.insert(String::from("second"))?;
///
/// assert_eq!(pool.remove(first).as_deref(), Some("first"));
/// let third = pool.insert(String::from("third"))?;
/// assert_eq!(pool.get(first), None, "the slot is in use again, but not for the first handle");
/// assert_eq!(pool.get(third).map(String::as_str), Some("third"));
///
/// // Moving the pool moves inline storage with it, and handles go on working.
/// let moved = Box::new(pool);
/// assert_eq!(moved.get(second).map(String::as_str), Some("second"));
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
///
/// Handles cross threads whatever `T` is; a pool does only if its values do:
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<forge_alloc::GenerationalSlab<std::rc::Rc<u8>, forge_alloc::InlineBacked<64>>>();
/// ```
pub struct GenerationalSlab<T, B: Allocator + FixedRange, G: GenerationInt = u32> {
    backing: B,
    block: usize,
    generations: usize,
    values: usize,
    rebase: G::Key,
    vacancies: Vacancies<G>,
    owns: PhantomData<(T, G)>,
}

impl<T, B: Allocator + FixedRange> GenerationalSlab<T, B> {
    /// Returns an empty pool of `capacity` slots in one block of `backing`, with `u32` generations. O(1); no slot is
    /// touched.
    ///
    /// # Errors
    ///
    /// As for [`with_generation`](Self::with_generation).
    pub fn new(capacity: usize, backing: B) -> Result<Self, AllocError> {
        Self::with_generation(capacity, backing)
    }
}

impl<T, B: Allocator + FixedRange, G: GenerationInt> GenerationalSlab<T, B, G> {
    /// Returns an empty pool of `capacity` slots in one block of `backing`. O(1); no slot is touched.
    ///
    /// A slot takes the larger of `size_of::<T>()` and four bytes, plus a generation.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if `capacity` is 0 or larger than `u32::MAX` (with `u16` generations, than half of that; with `u32`
    /// generations, than a quarter), if the size of the slots overflows, or if the backing refuses them or hands out
    /// memory outside its range. The backing is dropped.
    pub fn with_generation(capacity: usize, backing: B) -> Result<Self, AllocError> {
        let capacity = u32::try_from(capacity).map_err(|_| AllocError)?;
        if capacity == 0 {
            return Err(AllocError);
        }
        let numbers = capacity.checked_mul(G::STEP).ok_or(AllocError)?;
        let division = divide::<T, G>(capacity).ok_or(AllocError)?;
        let size = division.block.size().get();
        let block = backing.allocate(division.block)?;
        let offset = block.addr().get().wrapping_sub(backing.base().addr().get());
        if backing.size().checked_sub(size).is_none_or(|last| offset > last) {
            // SAFETY: the block is live, has this layout, and is not used.
            unsafe { backing.deallocate(block.cast(), division.block) };
            return Err(AllocError);
        }
        let origin = G::Key::drawn(identity::draw_origin(numbers));
        let (generations, values) = division.distances::<T, G>(origin.number());
        Ok(Self {
            backing,
            block: offset,
            generations: offset.wrapping_add(generations),
            values,
            rebase: origin.negated(),
            vacancies: Vacancies::new(origin.number(), capacity),
            owns: PhantomData,
        })
    }

    /// Returns how many slots the pool was made with, used, free and retired. O(1).
    #[inline]
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.vacancies.capacity() as usize
    }

    /// Returns how many values the pool holds. O(1).
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        let is_vacant = |number| {
            // SAFETY: the offset leads to the generations of this pool (I1), and the recent slot is used (I2).
            let generation: G = unsafe { generation_of(&self.backing, self.generations, number) };
            !generation.is_occupied()
        };
        self.vacancies.occupied(self.vacancies.recent().is_some_and(is_vacant)) as usize
    }

    /// Returns whether the pool holds no value. O(1).
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many slots have used up their generations and are never issued again. O(1).
    #[inline]
    #[must_use]
    pub const fn retired(&self) -> usize {
        self.vacancies.retired() as usize
    }

    /// Returns the backing, which holds the values. O(1).
    #[inline]
    #[must_use]
    pub const fn backing(&self) -> &B {
        &self.backing
    }

    /// Puts `value` into the slot freed last, or else into the first that was never used. O(1).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if no slot is free; `value` is dropped and nothing else changes.
    #[inline]
    pub fn insert(&mut self, value: T) -> Result<Handle<T, G>, AllocError> {
        self.try_insert(value).map_err(|_| AllocError)
    }

    /// Puts `value` into a slot as [`insert`](Self::insert) does, but gives it back if none is free. O(1).
    ///
    /// # Errors
    ///
    /// `value` itself if no slot is free; nothing changes.
    #[inline(always)]
    pub fn try_insert(&mut self, value: T) -> Result<Handle<T, G>, T> {
        let Some(slots) = self.slots() else { return Err(value) };
        // SAFETY: the arrays are those of this pool.
        let Some((number, generation)) = (unsafe { self.vacancies.take(slots) }) else { return Err(value) };
        // SAFETY: the slot is used (I2), not vacant any more, and holds no value (I3), so the write loses nothing; the odd
        // generation keeps (I3). The arrays are ours alone (I1).
        unsafe {
            slots.value(number).write(value);
            slots.set_generation(number, G::number(generation));
        }
        Ok(self.handle(number, generation))
    }

    /// Returns whether the handle's value is in the pool. O(1).
    #[inline]
    #[must_use]
    pub fn contains(&self, handle: Handle<T, G>) -> bool {
        self.find(handle).is_some()
    }

    /// Returns the handle's value, if it is in the pool. O(1).
    #[inline(always)]
    #[must_use]
    pub fn get(&self, handle: Handle<T, G>) -> Option<&T> {
        let (slots, number) = self.find(handle)?;
        // SAFETY: the slot is occupied (I3); the borrow of the pool keeps the value from moving and from being changed.
        Some(unsafe { slots.value(number).as_ref() })
    }

    /// Returns the handle's value, if it is in the pool, for changing it. O(1).
    #[inline(always)]
    #[must_use]
    pub fn get_mut(&mut self, handle: Handle<T, G>) -> Option<&mut T> {
        let (slots, number) = self.find(handle)?;
        // SAFETY: the slot is occupied (I3); the unique borrow of the pool makes this the only way to the value.
        Some(unsafe { slots.value(number).as_mut() })
    }

    /// Takes the handle's value out of the pool, if it is there. Every copy of the handle is stale from then on. O(1).
    #[inline(always)]
    pub fn remove(&mut self, handle: Handle<T, G>) -> Option<T> {
        let (slots, number) = self.find(handle)?;
        // SAFETY: the arrays are those of this pool, and the slot is occupied in the handle's generation.
        Some(unsafe { self.vacancies.vacate(slots, number, handle.generation) })
    }

    /// Returns the position of the handle's slot, from 0 to below the capacity, if its value is in the pool. O(1).
    ///
    /// Values that are in the pool at one time have different positions, so a position may index a table beside the
    /// pool. A position is used again after a removal; the handle is not, and is the safer key.
    #[inline]
    #[must_use]
    pub fn position(&self, handle: Handle<T, G>) -> Option<usize> {
        self.find(handle).map(|_| (handle.key.position(self.rebase) / u64::from(G::STEP)) as usize)
    }

    /// Returns every handle with its value, in the order of the slots.
    #[inline]
    #[must_use]
    pub fn iter(&self) -> HandleIter<'_, T, G> {
        HandleIter::new(self)
    }

    /// Returns every handle with its value for changing it, in the order of the slots.
    #[inline]
    #[must_use]
    pub fn iter_mut(&mut self) -> HandleIterMut<'_, T, G> {
        HandleIterMut::new(self)
    }

    /// Removes every value for which `keep` returns `false`. O(slots used so far).
    ///
    /// If `keep` or the destructor of a value panics, the values not looked at yet stay in the pool.
    pub fn retain<F: FnMut(Handle<T, G>, &mut T) -> bool>(&mut self, mut keep: F) {
        for number in self.vacancies.used() {
            let Some(handle) = self.handle_at(number) else { continue };
            if self.get_mut(handle).is_some_and(|value| !keep(handle, value)) {
                drop(self.remove(handle));
            }
        }
    }

    /// Removes every value and returns it with its stale handle. What the iterator is not asked for, its end drops.
    #[inline]
    pub fn drain(&mut self) -> HandleDrain<'_, T, B, G> {
        HandleDrain::new(self)
    }

    /// Drops every value. O(slots used so far).
    ///
    /// If a destructor panics, the values after it stay in the pool.
    pub fn clear(&mut self) {
        drop(self.drain());
    }

    /// Returns the two arrays where they are now; `None` if a move has left them misaligned. O(1).
    #[inline(always)]
    fn slots(&self) -> Option<Slots<T, G>> {
        Slots::locate(&self.backing, self.generations, self.values)
    }

    /// Returns the slot that holds the handle's value. O(1).
    #[inline(always)]
    fn find(&self, handle: Handle<T, G>) -> Option<(Slots<T, G>, u32)> {
        // The arrays first: what does not depend on the handle is then loaded once for a loop of lookups.
        let (slots, number) = (self.slots()?, handle.key.number());
        if handle.key.position(self.rebase) >= u64::from(self.vacancies.fresh()) {
            return None;
        }
        // SAFETY: the slot is used, so its generation is initialised (I2).
        let generation = unsafe { slots.generation(number) };
        (generation == G::number(handle.generation)).then_some((slots, number))
    }

    /// Returns the handle to a slot in one of its generations. O(1).
    #[inline(always)]
    fn handle(&self, number: u32, generation: G::Occupied) -> Handle<T, G> {
        Handle::new(self.rebase.negated(), number, generation)
    }

    /// Returns the handle of the value in the slot with this number, if there is one. O(1).
    #[inline]
    fn handle_at(&self, number: u32) -> Option<Handle<T, G>> {
        if !self.vacancies.is_used(number) {
            return None;
        }
        // SAFETY: the slot is used, so its generation is initialised (I2).
        let generation = unsafe { self.slots()?.generation(number) };
        generation.is_occupied().then(|| self.handle(number, generation.occupied()))
    }
}

impl<T, B: Allocator + FixedRange, G: GenerationInt> Drop for GenerationalSlab<T, B, G> {
    /// Drops every value, then gives the block back. A destructor that panics leaks the values after it and the block.
    fn drop(&mut self) {
        let Some(slots) = self.slots() else { return };
        if mem::needs_drop::<T>() {
            for number in self.vacancies.used() {
                // SAFETY: the generation of a used slot is initialised (I2), and an odd one means a value (I3). Each slot
                // is visited once, and nobody looks at the pool afterwards, also if a destructor panics.
                unsafe {
                    if slots.generation(number).is_occupied() {
                        slots.value(number).drop_in_place();
                    }
                }
            }
        }
        if let Some(division) = divide::<T, G>(self.vacancies.capacity()) {
            // SAFETY: the block is live (I1), has this layout, and nothing in it is used any more.
            unsafe { self.backing.deallocate(self.backing.base().add(self.block), division.block) };
        }
    }
}

impl<T, B: Allocator + FixedRange, G: GenerationInt> fmt::Debug for GenerationalSlab<T, B, G> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("GenerationalSlab")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("retired", &self.retired())
            .finish_non_exhaustive()
    }
}

impl<'a, T, B: Allocator + FixedRange, G: GenerationInt> IntoIterator for &'a GenerationalSlab<T, B, G> {
    type Item = (Handle<T, G>, &'a T);
    type IntoIter = HandleIter<'a, T, G>;

    fn into_iter(self) -> HandleIter<'a, T, G> {
        self.iter()
    }
}

impl<'a, T, B: Allocator + FixedRange, G: GenerationInt> IntoIterator for &'a mut GenerationalSlab<T, B, G> {
    type Item = (Handle<T, G>, &'a mut T);
    type IntoIter = HandleIterMut<'a, T, G>;

    fn into_iter(self) -> HandleIterMut<'a, T, G> {
        self.iter_mut()
    }
}

#[cfg(test)]
mod tests;
