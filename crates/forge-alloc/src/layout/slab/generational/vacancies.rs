//! Which slots of a pool are vacant: the one freed last, a stack of older ones, and those never used.
//!
//! ```text
//!   numbers   first .............. first + fresh ............. first + capacity
//!             |  used: occupied,   |   never used              |
//!             |  vacant or retired |                           |
//!
//!   recent --> slot
//!   trunk  --> | 7 | 21 | 4 |   |      slots of four words; 7, 21 and 4 are numbers of slots; listed = 7
//!                |
//!                +-> | 3 | 15 | 8 | 2 |      a full trunk, whose first word is the trunk below it
//! ```
//!
//! # Invariants
//!
//! - (I1) Slots are numbered from `first` in steps of `G::STEP`, of which `first` is a multiple, without wrapping and below
//!   `NO_SLOT`; all numbers lie below `first + capacity`. The used slots are those below `first + fresh`: exactly their
//!   generations are initialised. `fresh <= capacity`, both are multiples of the step, and `fresh` never falls.
//! - (I2) A used slot that holds no value is `recent`, or on the stack, which has `listed` members, or retired: exactly one
//!   of the three. A retired slot has generation 0. `recent` is `NO_SLOT` or a used slot, which may hold a value again:
//!   it is vacant exactly if its generation is even.
//! - (I3) The members of the stack from the bottom are groups of [`WORDS`](Slots::WORDS), the last of which may be
//!   incomplete. The first of a group is its trunk: its words are the trunk of the group below, and then the other
//!   members in order. `trunk` is that of the last group, if there is one.
//!
//! # Operations
//!
//! Everything is O(1).
//!
//! # Design
//!
//! *The slot freed last* is kept in a field of its own, off the stack, and an insertion leaves the field alone: whether
//! the slot is vacant stands in its generation, which an insertion reads and writes anyway. A removal and an insertion in
//! turn then write nothing but the value, the generation twice, and nothing of this. The number of occupied slots
//! follows from the other fields, so there is no count that each call would have to load, change and store.
//!
//! *Trunks.* A list with one link in each slot makes every insertion wait for the slot of the one before, which the
//! caches may have lost. Here one slot in [`WORDS`](Slots::WORDS) is read, and the others are not touched until a value
//! is put there. The order is the same: last in, first out. File systems keep free blocks like this.
//!
//! This is a value of its own beside the backing, so that a method that changes it borrows nothing of inline storage.
#![allow(unsafe_code)]

use core::iter::StepBy;
use core::marker::PhantomData;
use core::mem;
use core::ops::Range;

use super::super::handle::GenerationInt;
use super::slots::Slots;
use crate::raw::slot_link::NO_SLOT;

/// The vacant slots of one pool.
pub(super) struct Vacancies<G> {
    first: u32,
    capacity: u32,
    fresh: u32,
    recent: u32,
    trunk: u32,
    listed: u32,
    retired: u32,
    of: PhantomData<fn() -> G>,
}

/// The numbers of used slots, in order.
pub(super) type Numbers = StepBy<Range<u32>>;

impl<G: GenerationInt> Vacancies<G> {
    /// Returns `capacity` slots numbered from `first` in steps, none of them used. The numbers do not wrap.
    pub(super) const fn new(first: u32, capacity: u32) -> Self {
        let capacity = capacity * G::STEP;
        Self {
            first,
            capacity,
            fresh: 0,
            recent: NO_SLOT,
            trunk: NO_SLOT,
            listed: 0,
            retired: 0,
            of: PhantomData,
        }
    }

    /// Returns how many slots there are.
    #[inline(always)]
    pub(super) const fn capacity(&self) -> u32 {
        self.capacity / G::STEP
    }

    /// Returns how far after the first number the used ones end.
    #[inline(always)]
    pub(super) const fn fresh(&self) -> u32 {
        self.fresh
    }

    /// Returns how many slots are retired.
    #[inline(always)]
    pub(super) const fn retired(&self) -> u32 {
        self.retired
    }

    /// Returns the used slot that was freed last, whether or not it holds a value again.
    #[inline(always)]
    pub(super) const fn recent(&self) -> Option<u32> {
        if self.recent == NO_SLOT { None } else { Some(self.recent) }
    }

    /// Returns how many slots are neither vacant nor retired, if the recent one is vacant or not as said.
    #[inline(always)]
    pub(super) const fn occupied(&self, recent_is_vacant: bool) -> u32 {
        // The three kinds of used slots without a value are disjoint (I2), so nothing underflows.
        self.fresh / G::STEP - recent_is_vacant as u32 - self.listed - self.retired
    }

    /// Returns the numbers of the slots that were ever used.
    #[inline(always)]
    pub(super) fn used(&self) -> Numbers {
        (self.first..self.first + self.fresh).step_by(G::STEP as usize)
    }

    /// Returns whether this is the number of a used slot.
    #[inline]
    pub(super) const fn is_used(&self, number: u32) -> bool {
        let distance = number.wrapping_sub(self.first);
        distance < self.fresh && distance % G::STEP == 0
    }

    /// Takes a slot for a value that the caller puts there at once, together with the odd generation that it returns.
    ///
    /// # Safety
    ///
    /// `slots` are those of this pool.
    #[inline(always)]
    pub(super) unsafe fn take<T>(&mut self, slots: Slots<T, G>) -> Option<(u32, G::Occupied)> {
        if let Some(number) = self.recent() {
            // SAFETY: the recent slot is used (I2), so its generation is initialised (I1).
            let generation = unsafe { slots.generation(number) };
            if !generation.is_occupied() {
                return Some((number, generation.occupied()));
            }
        }
        // SAFETY: the caller's promise is the callee's.
        unsafe { self.take_listed(slots) }
    }

    /// Takes the slot listed last, or else one that was never used.
    ///
    /// # Safety
    ///
    /// `slots` are those of this pool.
    #[inline(always)]
    unsafe fn take_listed<T>(&mut self, slots: Slots<T, G>) -> Option<(u32, G::Occupied)> {
        let Some(listed) = self.listed.checked_sub(1) else { return self.take_fresh() };
        self.listed = listed;
        let (trunk, place) = (self.trunk, listed % Slots::<T, G>::WORDS);
        // SAFETY: this word of the trunk was set for the member at this place (I3). That member is used (I2), so its
        // generation is initialised (I1).
        unsafe {
            let word = slots.word(trunk, place);
            let number = if place == 0 { mem::replace(&mut self.trunk, word) } else { word };
            Some((number, slots.generation(number).occupied()))
        }
    }

    /// Takes the first slot that was never used.
    #[inline(always)]
    fn take_fresh(&mut self) -> Option<(u32, G::Occupied)> {
        if self.fresh == self.capacity {
            return None;
        }
        let number = self.first + self.fresh;
        self.fresh += G::STEP;
        Some((number, G::ZERO.occupied()))
    }

    /// Takes the value out of a slot, which becomes the recent one or retires.
    ///
    /// # Safety
    ///
    /// `slots` are those of this pool, and the slot with this number is occupied in this generation.
    #[inline(always)]
    pub(super) unsafe fn vacate<T>(&mut self, slots: Slots<T, G>, number: u32, occupied: G::Occupied) -> T {
        let next = G::number(occupied).wrapping_inc();
        // SAFETY: the slot holds a value, which the even generation marks as gone, so it is read only once.
        let value = unsafe {
            slots.set_generation(number, next);
            slots.value(number).read()
        };
        if next == G::ZERO {
            self.retire(number);
        } else if self.recent != number {
            // SAFETY: the slots are those of this pool, and the slot is vacant and not on the stack.
            unsafe { self.make_recent(slots, number) };
        }
        value
    }

    /// Counts a slot out that is never used again.
    #[cold]
    const fn retire(&mut self, number: u32) {
        self.retired += 1;
        if self.recent == number {
            self.recent = NO_SLOT;
        }
    }

    /// Makes a vacant slot the recent one, and lists the one that was it, if that is vacant.
    ///
    /// # Safety
    ///
    /// `slots` are those of this pool, and the slot with this number is used, vacant, not listed and not the recent one.
    #[inline(always)]
    unsafe fn make_recent<T>(&mut self, slots: Slots<T, G>, number: u32) {
        let older = mem::replace(&mut self.recent, number);
        // SAFETY: the slot that was recent is used (I2), so its generation is initialised (I1); an even one says that it is
        // vacant, and it is not listed (I2).
        unsafe {
            if older != NO_SLOT && !slots.generation(older).is_occupied() {
                self.list(slots, older);
            }
        }
    }

    /// Puts a slot on the stack.
    ///
    /// # Safety
    ///
    /// `slots` are those of this pool, and the slot with this number is used, vacant and not listed.
    #[inline(always)]
    unsafe fn list<T>(&mut self, slots: Slots<T, G>, number: u32) {
        let place = self.listed % Slots::<T, G>::WORDS;
        self.listed += 1;
        let (trunk, word) =
            if place == 0 { (number, mem::replace(&mut self.trunk, number)) } else { (self.trunk, number) };
        // SAFETY: the trunk is on the stack or now comes onto it, so it holds no value (I2).
        unsafe { slots.set_word(trunk, place, word) };
    }
}
