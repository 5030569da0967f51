//! Which slots of a pool are vacant: the one freed last, a list of older ones, and those never used.
//!
//! ```text
//!   numbers   first .............. first + fresh ............. first + capacity
//!             |  used: occupied,   |   never used              |
//!             |  vacant or retired |                           |
//!
//!   recent --> slot     free --> slot --> slot --> .. (listed of them)
//! ```
//!
//! # Invariants
//!
//! - (I1) Slots are numbered from `first` without wrapping, below `NO_SLOT`. The first `fresh` of them are the used ones:
//!   exactly their generations are initialised. `fresh <= capacity`, and it never falls.
//! - (I2) A used slot that holds no value is `recent`, or on the list that starts at `free` and has `listed` members, or
//!   retired: exactly one of the three. A retired slot has generation 0.
//!
//! # Operations
//!
//! Everything is O(1).
//!
//! # Design
//!
//! The slot freed last is kept in a field of its own, off the list. An insertion after a removal, the common case, then
//! neither reads nor writes a link; and the number of occupied slots follows from the length of the list, so there is no
//! count of values that each insertion and each removal would have to load, change and store.
//!
//! This is a value of its own beside the backing, so that a method that changes it borrows nothing of inline storage.
#![allow(unsafe_code)]

use core::mem;
use core::ops::Range;

use super::super::handle::GenerationInt;
use super::slots::Slots;
use crate::raw::slot_link::NO_SLOT;

/// The vacant slots of one pool.
pub(super) struct Vacancies {
    first: u32,
    capacity: u32,
    fresh: u32,
    recent: u32,
    free: u32,
    listed: u32,
    retired: u32,
}

impl Vacancies {
    /// Returns `capacity` slots numbered from `first`, none of them used.
    pub(super) const fn new(first: u32, capacity: u32) -> Self {
        Self { first, capacity, fresh: 0, recent: NO_SLOT, free: NO_SLOT, listed: 0, retired: 0 }
    }

    /// Returns how many slots there are.
    #[inline(always)]
    pub(super) const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Returns how many slots were ever used.
    #[inline(always)]
    pub(super) const fn fresh(&self) -> u32 {
        self.fresh
    }

    /// Returns how many slots are retired.
    #[inline(always)]
    pub(super) const fn retired(&self) -> u32 {
        self.retired
    }

    /// Returns how many slots are neither vacant nor retired.
    #[inline(always)]
    pub(super) const fn occupied(&self) -> u32 {
        // The three kinds of used slots without a value are disjoint (I2), so nothing underflows.
        self.fresh - (self.recent != NO_SLOT) as u32 - self.listed - self.retired
    }

    /// Returns the numbers of the slots that were ever used.
    #[inline(always)]
    pub(super) const fn used(&self) -> Range<u32> {
        self.first..self.first + self.fresh
    }

    /// Takes a slot for a value that the caller puts there at once, and returns it with its even generation.
    ///
    /// # Safety
    ///
    /// `slots` are those of this pool.
    #[inline(always)]
    pub(super) unsafe fn take<T, G: GenerationInt>(&mut self, slots: Slots<T, G>) -> Option<(u32, G)> {
        let number = mem::replace(&mut self.recent, NO_SLOT);
        if number == NO_SLOT {
            // SAFETY: the caller's promise is the callee's.
            return unsafe { self.take_listed(slots) };
        }
        // SAFETY: the recent slot is used (I2), so its generation is initialised (I1).
        Some((number, unsafe { slots.generation(number) }))
    }

    /// Takes a slot from the list, or else one that was never used.
    ///
    /// # Safety
    ///
    /// `slots` are those of this pool.
    #[inline(always)]
    unsafe fn take_listed<T, G: GenerationInt>(&mut self, slots: Slots<T, G>) -> Option<(u32, G)> {
        let number = self.free;
        if number == NO_SLOT {
            return self.take_fresh();
        }
        // SAFETY: a slot on the list is used (I2), so its generation is initialised (I1), and it holds a link.
        let (next, generation) = unsafe { (slots.link(number), slots.generation(number)) };
        self.free = next;
        self.listed -= 1;
        Some((number, generation))
    }

    /// Takes the first slot that was never used.
    #[inline(always)]
    fn take_fresh<G: GenerationInt>(&mut self) -> Option<(u32, G)> {
        if self.fresh == self.capacity {
            return None;
        }
        let number = self.first + self.fresh;
        self.fresh += 1;
        Some((number, G::ZERO))
    }

    /// Takes the value out of a slot, which becomes the recent one or retires.
    ///
    /// # Safety
    ///
    /// `slots` are those of this pool, and the slot with this number is occupied in this generation.
    #[inline(always)]
    pub(super) unsafe fn vacate<T, G: GenerationInt>(
        &mut self,
        slots: Slots<T, G>,
        number: u32,
        occupied: G::Occupied,
    ) -> T {
        let next = G::number(occupied).wrapping_inc();
        // SAFETY: the slot holds a value, which the even generation marks as gone, so it is read only once.
        let value = unsafe {
            slots.set_generation(number, next);
            slots.value(number).read()
        };
        if next == G::ZERO {
            self.retired += 1;
            return value;
        }
        let older = mem::replace(&mut self.recent, number);
        if older != NO_SLOT {
            // SAFETY: the slot that was recent is used and holds no value (I2).
            unsafe { slots.set_link(older, self.free) };
            self.free = older;
            self.listed += 1;
        }
        value
    }
}
