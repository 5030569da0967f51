//! The slab: slots of one size in one block of a backing, taken and given back in constant time.
//!
//! ```text
//!   base + zero
//!   |        | slot 1 | slot 2 | slot 3 | slot 4 | ..  never used ..  |     slots are numbered from 1
//!              value    link ----^        value  ^ fresh              ^ capacity
//!                        ^ top of the free list
//! ```
//!
//! # Invariants
//!
//! - (I1) The slots lie in a live block of the backing, which nobody else uses, the first one stride after the offset `zero`
//!   from the backing's base. The list and the map, if there are any, lie in the same block, or in the split span of the
//!   backing, which the slab has claimed; all as [`shape`] says.
//! - (I2) Slots with numbers up to `fresh` were issued at least once, the others never. `fresh <= capacity`.
//! - (I3) A slot that was issued is live, or on the free list, or one of `lost`: exactly one of the three. The numbers on
//!   the free list are at most `fresh`.
//! - (I4) `seat`, `home` and `first` are the addresses that the base, one stride before the first slot, and the first slot
//!   had at a moment since which the free list was not known to be empty. The offsets of free slots are addresses of that
//!   moment; the base has moved by the `shift` of [`Slots`] since.
//! - (I5) If the policy tracks, the map has a byte for each slot; those of the slots that were issued are initialised, and not
//!   zero exactly if the slot is live or lost.
//!
//! # Operations
//!
//! Everything is O(1) but iteration; one free and one allocation in sixteen move a group of the free list. Nothing divides or
//! calls the system; making a slab touches no slot.
//!
//! # Design
//!
//! *The policy is a type.* Where the free list lies, whether its links are signed, and whether a map of live slots is
//! kept follow from constants of `M`; what a slab does not use is not compiled. See [`freelist`](crate::raw::freelist).
//!
//! *Misses.* Where a slab has read nothing of the slot that it issues, it asks for its line: the owner writes first, and a store
//! that misses holds up the stores behind it.
//!
//! *Misuse.* The arithmetic that finds a slot's number refuses, with one comparison, every pointer that is not the start
//! of an issued slot. A second free of a slot needs the map to be noticed. A policy without checks leaves the comparison
//! out, and the links that only a check would read.
//!
//! *Corruption.* A link that does not agree with what the slab knows means that somebody wrote to a free slot. The list is
//! then dropped: its slots are lost until the slab ends, and allocation goes on with slots that were never used. With a
//! map, nothing is lost: the list is made again from it.
//!
//! *Signed links* are bound to the slot and the slab: the nonce is the slot's number counted from an origin that no other
//! slab of the process has. The tag that was signed or verified last is remembered, since a free and an allocation
//! in turn meet the same link again, and a tag depends on nothing else.
//!
//! *A backing that is split or guarded* decides more than the policy: over a split one, the list and a map of live slots lie
//! in the split span, whatever the policy is, so nothing about a slot can be reached from a slot, and double and foreign
//! frees end the process. Over a guarded one the slots lie at the end of the range, the last one against the guard.
//!
//! *Moves.* State is offsets; those of free slots count from where the slab was when the list was last known to be empty, so
//! that they are addresses while it stays there. If the backing promises less alignment than the slots need, an access checks where they are
//! now: a slab whose bytes were moved to a misaligned place issues nothing, and loses what is freed there. Over a backing that
//! [stays](FixedRange::STAYS) nothing of this is compiled.
#![allow(unsafe_code)]

mod contract;
mod free;
mod list;
pub(crate) mod live;
mod map;
pub(super) mod shape;
mod values;

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, FixedRange, FreelistProtection, NoProtection};

use super::generational::identity;
use crate::raw::freelist::{FreeList, Slots};
use crate::raw::prefetch::prefetch_for_writing;
use crate::report;
use live::LiveSlots;
use shape::{Keeps, Plan, Shape};

/// A pool of `capacity` slots for values of one type, in one block of a backing.
///
/// [`insert`](Self::insert) owns values in slots; as an [`Allocator`] the slab serves every layout that fits a slot. The
/// slot freed last is the next one taken, then slots that were never used, in the order of their addresses.
///
/// The policy `M` decides what a slab knows about its free slots:
///
/// | `M` | a write to a free slot | a second free | bytes per slot beside the value |
/// |---|---|---|---|
/// | [`NoProtection`] | is noticed when the slot is taken, unless forged | goes unnoticed | 0 |
/// | `SipHashMAC` | is noticed, or changes nothing | goes unnoticed | 0 |
/// | [`OffSlab`](crate::OffSlab) | changes nothing | goes unnoticed | a word |
/// | [`Tracked<M>`](crate::Tracked) | as `M`, and no slot is lost | ends the process | 1 more |
/// | [`Fatal<M>`](crate::Fatal) | what `M` notices ends the process | as `M` | as `M` |
/// | [`Trusting<M>`](crate::Trusting) | as `M`, but in a slot it goes unnoticed | goes unnoticed, and so does a free of what is no slot | as `M` |
///
/// # Examples
///
/// ```
/// use forge_alloc::{InlineBacked, Slab};
///
/// let slab = Slab::<[u64; 4], _>::new(16, InlineBacked::<512>::new())?;
/// let first = slab.insert([1; 4])?;
/// let mut second = slab.insert([2; 4])?;
/// second[0] = first[0];
/// assert_eq!((*second, slab.len()), ([1, 2, 2, 2], 2));
/// drop(second); // runs the destructor and frees the slot
/// assert_eq!(slab.len(), 1);
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
///
/// A type without a size has no slots:
///
/// ```compile_fail,E0080
/// let slab = forge_alloc::Slab::<(), _>::new(1, forge_alloc::InlineBacked::<64>::new());
/// ```
///
/// A slab belongs to one thread at a time:
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<forge_alloc::Slab<u64, forge_alloc::InlineBacked<64>>>();
/// ```
#[repr(C)]
pub struct Slab<T, B: Allocator + FixedRange, M: FreelistProtection = NoProtection> {
    fresh: Cell<usize>,
    capacity: usize,
    /// The offset from the backing's base of one stride before the first slot; it may wrap.
    zero: usize,
    /// The address of the backing's base when the free list was last known to be empty.
    seat: Cell<usize>,
    /// The address of one stride before the first slot at that time; it may wrap.
    home: Cell<usize>,
    /// The address of the first slot at that time.
    first: Cell<usize>,
    /// The offset of the map of live slots from where what lies beside the slots is.
    map: usize,
    lost: Cell<usize>,
    corruptions: Cell<u64>,
    /// The link that was signed or verified last: its slot, its target and its tag.
    signed: [Cell<u32>; 3],
    /// The nonce of the number 0.
    origin: usize,
    free: FreeList,
    policy: M,
    backing: B,
    owns: PhantomData<T>,
}

impl<T, B: Allocator + FixedRange> Slab<T, B> {
    /// Returns an empty slab of `capacity` slots in one block of `backing`. O(1); no slot is touched.
    ///
    /// # Errors
    ///
    /// As for [`with_protection`](Self::with_protection).
    pub fn new(capacity: usize, backing: B) -> Result<Self, AllocError> {
        Self::with_protection(capacity, backing, NoProtection)
    }
}

impl<T, B: Allocator + FixedRange, M: FreelistProtection> Slab<T, B, M> {
    /// The distance between two slots in bytes: the size of a value, at least 8, rounded up to the alignment of a slot,
    /// which is that of a value, at least 4.
    pub const STRIDE: usize = Shape::<T>::STRIDE;

    /// Whether free slots are linked without a tag.
    const LINKED: bool = !Keeps::<B, M>::OFF_SLAB && !Keeps::<B, M>::SIGNS;

    /// Whether the slots of the magazine are not linked, since nothing would compare the links.
    const UNLINKED: bool = Self::LINKED && !Keeps::<B, M>::CHECKS;

    /// Returns an empty slab of `capacity` slots in one block of `backing`, under the policy `policy`. O(1); no slot is
    /// touched.
    ///
    /// The block takes `capacity` times [`STRIDE`](Self::STRIDE) bytes, and what the policy needs beside the slots.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if `capacity` is 0 or larger than `u32::MAX`, if the size of the slots overflows, or if the backing
    /// refuses them or hands out memory outside its range. The backing is dropped.
    pub fn with_protection(capacity: usize, mut backing: B, policy: M) -> Result<Self, AllocError> {
        let count = u32::try_from(capacity).map_err(|_| AllocError)?;
        let plan = Self::plan(count, &backing).ok_or(AllocError)?;
        if B::SPLIT {
            backing.claim_split(plan.split)?;
        }
        let block = backing.allocate(plan.block)?.cast::<u8>();
        let start = block.addr().get().wrapping_sub(backing.base().addr().get());
        if backing.size().checked_sub(plan.block.size().get()).is_none_or(|last| start > last) {
            // SAFETY: the block is live, has this layout, and is not used.
            unsafe { backing.deallocate(block, plan.block) };
            return Err(AllocError);
        }
        let zero = start.wrapping_add(plan.slots).wrapping_sub(Self::STRIDE);
        let aside = if B::SPLIT { 0 } else { start };
        let seat = backing.base().addr().get();
        let home = seat.wrapping_add(zero);
        let free = if Keeps::<B, M>::OFF_SLAB {
            FreeList::beside(aside + plan.entries)
        } else {
            FreeList::in_slots(home)
        };
        let origin = if Keeps::<B, M>::SIGNS { identity::draw_origin(count) as usize } else { 0 };
        Ok(Self {
            free,
            fresh: Cell::new(0),
            capacity,
            zero,
            seat: Cell::new(seat),
            home: Cell::new(home),
            first: Cell::new(home.wrapping_add(Self::STRIDE)),
            map: aside + plan.map,
            lost: Cell::new(0),
            corruptions: Cell::new(0),
            signed: [const { Cell::new(0) }; 3],
            origin,
            policy,
            backing,
            owns: PhantomData,
        })
    }

    /// Returns where the parts of a slab of `capacity` slots lie in `backing`. O(1).
    fn plan(capacity: u32, backing: &B) -> Option<Plan> {
        // A guarded backing is taken whole, from the first byte that is aligned.
        let whole = || {
            let first = backing.base().addr().get();
            let padding = first.checked_next_multiple_of(Plan::align::<T, B, M>())? - first;
            backing.size().checked_sub(padding)
        };
        let room = if B::GUARDED { Some(whole()?) } else { None };
        Plan::new::<T, B, M>(capacity, room)
    }

    /// Returns how many slots there are, live, free and lost. O(1).
    #[inline]
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns how many slots are live. O(1).
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        // The three kinds of issued slots are disjoint (I3), so nothing underflows.
        self.fresh.get() - self.free.len(Keeps::<B, M>::OFF_SLAB) - self.lost.get()
    }

    /// Returns whether no slot is live. O(1).
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many slots are out of use because a link to them was overwritten. O(1).
    #[inline]
    #[must_use]
    pub fn lost(&self) -> usize {
        self.lost.get()
    }

    /// Returns the distance between two slots in bytes. O(1).
    #[inline]
    #[must_use]
    pub const fn block_stride(&self) -> usize {
        Self::STRIDE
    }

    /// Returns the backing, which holds the slots. O(1).
    #[inline]
    #[must_use]
    pub const fn backing(&self) -> &B {
        &self.backing
    }

    /// Returns the place of every live slot, in the order of their addresses. O(capacity) in all with a policy that
    /// tracks; else a slot costs up to O(1 + free slots / 4096).
    ///
    /// The places are those at the moment when the iterator reaches their group of 4096 slots: a slot that is freed while
    /// the iterator is in its group is still returned. Looking through a place is `unsafe`: its owner may be using it.
    #[inline]
    #[must_use]
    pub fn iter(&self) -> LiveSlots<'_, T, B, M> {
        LiveSlots::new(self)
    }

    /// Returns where the slots are now. O(1).
    #[inline(always)]
    fn slots(&self) -> Slots {
        let base = self.backing.base();
        let aside = if B::SPLIT { self.backing.split_base() } else { base };
        let shift = if B::STAYS { 0 } else { base.addr().get().wrapping_sub(self.seat.get()) };
        Slots { base, shift, zero: self.home.get(), stride: Self::STRIDE, aside }
    }

    /// Returns where the slots are now, if values can be there. O(1).
    #[inline(always)]
    fn aligned_slots(&self) -> Option<Slots> {
        let slots = self.slots();
        if Self::is_aligned(&slots) { Some(slots) } else { None }
    }

    /// Returns whether values can be where the slots are. O(1).
    #[inline(always)]
    fn is_aligned(slots: &Slots) -> bool {
        let align = Plan::align::<T, B, M>();
        let first = slots.zero.wrapping_add(slots.shift).wrapping_add(Self::STRIDE);
        B::STAYS || B::BASE_ALIGN >= align || first % align == 0
    }

    /// Returns the number of the slot at an offset (see [`Slots`]). O(1).
    #[inline(always)]
    fn number_at(&self, offset: usize) -> u32 {
        Shape::<T>::number_at(offset.wrapping_sub(self.home.get())) as u32
    }

    /// Takes the slot freed last, or else the first that was never used; `None` if the slab is full. O(1).
    #[inline(always)]
    pub(crate) fn take(&self) -> Option<NonNull<u8>> {
        let slots = self.aligned_slots()?;
        if slots.shift != 0 {
            return self.take_moved();
        }
        // A constant: see `take_moved`.
        self.take_at(Slots { shift: 0, ..slots })
    }

    /// Takes a slot of a slab that has moved since its free list was last known to be empty.
    ///
    /// Apart from [`take`](Self::take), so that an address of a slab that has not moved waits for no sum with the shift.
    #[cold]
    #[inline(never)]
    fn take_moved(&self) -> Option<NonNull<u8>> {
        self.settle();
        self.take_at(self.slots())
    }

    /// Makes the place where the slots are now their home, if the free list is empty. O(1).
    fn settle(&self) {
        if self.free.len(Keeps::<B, M>::OFF_SLAB) == 0 {
            self.seat.set(self.backing.base().addr().get());
            self.home.set(self.seat.get().wrapping_add(self.zero));
            self.first.set(self.home.get().wrapping_add(Self::STRIDE));
            self.free.clear(self.home.get());
        }
    }

    /// Does as [`take`](Self::take), where the slots are.
    #[inline(always)]
    fn take_at(&self, slots: Slots) -> Option<NonNull<u8>> {
        if self.free.is_drained() {
            return if Self::LINKED && self.free.has_groups() { self.refill() } else { self.carve(slots) };
        }
        let top = if Keeps::<B, M>::OFF_SLAB {
            // SAFETY: the list is not empty, and lies beside these slots (I1).
            unsafe { self.free.pop_beside(slots) }
        } else if Keeps::<B, M>::SIGNS {
            self.free.top_signed()
        } else {
            self.free.top_linked()
        };
        if Keeps::<B, M>::TRACKS {
            let number = self.number_at(top);
            // A list in a split span cannot have been forged.
            if !B::SPLIT && self.is_live(slots, number) {
                return self.take_after_corruption(None);
            }
            self.mark(slots, number, true);
        }
        if self.unlink(slots, top).is_err() {
            return self.take_after_corruption(Some(self.number_at(top)));
        }
        // SAFETY: the top is a slot (I3).
        let slot = unsafe { slots.at(top) };
        if Keeps::<B, M>::OFF_SLAB {
            prefetch_for_writing(slot);
        }
        Some(slot)
    }

    /// Takes the first slot that was never used. O(1).
    #[inline(always)]
    fn carve(&self, slots: Slots) -> Option<NonNull<u8>> {
        let fresh = self.fresh.get();
        if fresh == self.capacity {
            return None;
        }
        let number = fresh + 1;
        self.fresh.set(number);
        if Keeps::<B, M>::TRACKS {
            self.mark(slots, number as u32, true);
        }
        // SAFETY: there are `capacity` slots (I1), and this is one of them.
        let slot = unsafe { slots.at(slots.offset(number as u32)) };
        prefetch_for_writing(slot);
        Some(slot)
    }

    /// Counts a corrupted link, of the slot `unlinked` if it is off the list already, gets the list into order, reports, and
    /// takes a slot from what is left.
    #[cold]
    #[inline(never)]
    fn take_after_corruption(&self, unlinked: Option<u32>) -> Option<NonNull<u8>> {
        // Found again and not passed: an argument of three words would be stored on the path that has no use for it.
        let slots = self.slots();
        if M::ENDS {
            report::fatal_freelist(self.slot(unlinked.map_or(0, |number| number - 1)));
        }
        self.count_corruption();
        if Keeps::<B, M>::TRACKS {
            self.free.clear(self.home.get());
            if let Some(number) = unlinked {
                self.mark(slots, number, false);
            }
            for number in (1..=self.fresh.get() as u32).rev().filter(|&number| !self.is_live(slots, number)) {
                self.link(slots, slots.offset(number), number);
            }
        } else {
            self.lost.set(
                self.lost.get() + self.free.len(Keeps::<B, M>::OFF_SLAB) + usize::from(unlinked.is_some()),
            );
            self.free.clear(self.home.get());
        }
        report::freelist_corruption();
        self.take()
    }

    /// Returns the number, counted from 0, of the issued slot that starts at `ptr`. O(1).
    #[inline(always)]
    pub(crate) fn number_of(&self, ptr: NonNull<u8>) -> Option<u32> {
        self.number_in(self.slots(), ptr)
    }

    /// Does as [`number_of`](Self::number_of), where the slots are.
    #[inline(always)]
    fn number_in(&self, slots: Slots, ptr: NonNull<u8>) -> Option<u32> {
        let offset = ptr.addr().get().wrapping_sub(slots.shift);
        let number = Shape::<T>::number_at(offset.wrapping_sub(self.first.get()));
        if number < self.fresh.get() { Some(number as u32) } else { None }
    }

    /// Returns the place of the slot with a number, counted from 0, below the capacity. O(1).
    #[inline(always)]
    pub(crate) fn slot(&self, number: u32) -> NonNull<u8> {
        let slots = self.slots();
        debug_assert!((number as usize) < self.capacity);
        // SAFETY: there are `capacity` slots (I1), and the caller's number is that of one of them.
        unsafe { slots.at(slots.offset(number + 1)) }
    }

    fn count_corruption(&self) {
        self.corruptions.set(self.corruptions.get().saturating_add(1));
    }

    /// Counts and reports a free of what the slab did not issue.
    #[cold]
    #[inline(never)]
    pub(crate) fn refuse_foreign(&self, ptr: NonNull<u8>) {
        self.count_corruption();
        if Keeps::<B, M>::TRACKS || M::ENDS {
            report::fatal_foreign_free(ptr);
        }
        report::foreign_free();
    }
}

impl<T, B: Allocator + FixedRange, M: FreelistProtection> Drop for Slab<T, B, M> {
    /// Gives the slots back to the backing. Values that are still live are forgotten, not dropped.
    fn drop(&mut self) {
        if let Some(plan) = Self::plan(self.capacity as u32, &self.backing) {
            let start = self.zero.wrapping_add(Self::STRIDE).wrapping_sub(plan.slots);
            // SAFETY: the block starts so far before its first slot, is live (I1), has this layout, and nothing in it is used
            // any more.
            unsafe { self.backing.deallocate(self.backing.base().add(start), plan.block) };
        }
    }
}

impl<T, B: Allocator + FixedRange, M: FreelistProtection> fmt::Debug for Slab<T, B, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Slab")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("stride", &Self::STRIDE)
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
