//! The list of free slots of a slab: last in, first out, through the slots themselves or beside them.
//!
//! ```text
//!   top                      ring: the numbers of the free slots nearest to the top, by depth
//!    |                       | .. | d-3 | d-2 | d-1 |
//!    v                               |     |     ^ = top
//!   slot --next--> slot --next--> slot --next--> ..            0 ends the list
//!     \__________________ ahead ____________________> slot     AHEAD links further down
//! ```
//!
//! A link is the first eight bytes of a free slot: the number of the next free slot, and a second word that is either
//! `ahead`, the number of the slot that is [`AHEAD`] links further down, or the tag that a policy signed. Numbers start
//! at 1, so that 0 can end the list; they and not addresses are stored, and the list may move with its slots.
//!
//! # Invariants
//!
//! - (I1) The list is empty exactly if `cursor == floor`.
//! - (I2) *In the slots:* `floor` is 0 and `cursor` the number of slots on the list, its depth. `top` is the offset from
//!   the base of the memory of the slot pushed last; it means nothing while the list is empty.
//! - (I3) *Linked:* for `depth - AHEAD <= i < depth`, entry `i % RING` of the ring is the number of the free slot at depth
//!   `i`, counted from the bottom; for the negative ones of these `i` it is 0. `ahead` of the slot at depth `i` is the
//!   number of the slot at depth `i - AHEAD`, or 0. All numbers are at most the `bound` of the last pop.
//! - (I4) *Beside:* the entries from `floor` up to `cursor`, which are offsets from the base in steps of a word, hold the
//!   offsets of the slots on the list, from the bottom to the top.
//!
//! # Operations
//!
//! Push and pop are O(1).
//!
//! # Design
//!
//! In a plain linked list each pop waits for the memory of the slot that the pop before it returned. The second word
//! breaks that chain: a slot that is popped says which number enters the ring, [`AHEAD`] pops before it is needed, so
//! that the misses of as many pops overlap (Roth and Sohi, "Effective jump-pointer prefetching for linked data
//! structures", 1999). A push at depth `d` reads entry `d - AHEAD` and writes entry `d`; the pop of that slot writes entry
//! `d - AHEAD` again, unless it is still there, as it is unless more than `AHEAD` slots were pushed meanwhile. That keeps
//! (I2), and a loop of few frees and allocations hands nothing from one round to the next but the top.
//!
//! What the ring remembers also checks the links: `next` of the popped slot is known, so any write to it is noticed, and
//! a forged `ahead` is noticed one pop before it would be issued, unless the `next` of a second slot was forged to agree.
//! A tag takes the place of `ahead`, so a signed list is a plain chain.
//!
//! `top` is kept beside the ring, as an offset: from an address to it and back is one addition each, which is all that a
//! loop of a free and an allocation waits for.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ptr::NonNull;

use forge_alloc_core::FreelistCorruption;

/// How many links further down the second word of a link leads.
const AHEAD: usize = 16;

/// How many numbers the ring holds: a power of two, so that depths wrap, and twice `AHEAD`.
const RING: usize = 32;

/// The first bytes of a free slot.
#[derive(Clone, Copy)]
#[repr(C)]
struct Link {
    next: u32,
    second: u32,
}

/// The bytes of an entry beside the slots.
pub(crate) const ENTRY: usize = size_of::<usize>();

/// The slots of one slab: the memory that they lie in, and how a number leads to a slot.
#[derive(Clone, Copy)]
pub(crate) struct Slots {
    /// The base of the memory, where it is now.
    pub(crate) base: NonNull<u8>,
    /// The offset from the base of the slot with number 0, one stride before the first; it may wrap.
    pub(crate) zero: usize,
    /// The distance between two slots in bytes.
    pub(crate) stride: usize,
}

impl Slots {
    /// Returns the offset from the base of the slot with this number. O(1).
    #[inline(always)]
    pub(crate) fn offset(self, number: u32) -> usize {
        self.zero.wrapping_add((number as usize).wrapping_mul(self.stride))
    }

    /// Returns the slot at an offset from the base. O(1).
    ///
    /// # Safety
    ///
    /// A slot starts there.
    #[inline(always)]
    pub(crate) unsafe fn at(self, offset: usize) -> NonNull<u8> {
        // SAFETY: the caller promises a slot, which lies in the memory of the base.
        unsafe { self.base.add(offset) }
    }
}

/// The free slots of one slab. The slab uses either the linked, the signed or the beside functions, never two kinds.
pub(crate) struct FreeList {
    top: Cell<usize>,
    cursor: Cell<usize>,
    floor: usize,
    ring: [Cell<u32>; RING],
}

impl FreeList {
    /// Returns the empty list in the slots.
    pub(crate) const fn in_slots() -> Self {
        Self::with_floor(0)
    }

    /// Returns the empty list whose entries start at the offset `entries` from the base. O(1).
    pub(crate) const fn beside(entries: usize) -> Self {
        Self::with_floor(entries)
    }

    const fn with_floor(floor: usize) -> Self {
        let ring = [const { Cell::new(0) }; RING];
        Self { top: Cell::new(0), cursor: Cell::new(floor), floor, ring }
    }

    /// Returns whether no slot is on the list. O(1).
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.cursor.get() == self.floor
    }

    /// Returns the offset from the base of the top of a list in the slots, which is not empty. O(1).
    #[inline(always)]
    pub(crate) fn top(&self) -> usize {
        self.top.get()
    }

    /// Returns the offset from the base of the top of a list beside the slots. O(1).
    ///
    /// # Safety
    ///
    /// As [`pop_beside`](Self::pop_beside).
    #[inline(always)]
    pub(crate) unsafe fn top_beside(&self, slots: Slots) -> usize {
        // SAFETY: the list is not empty, so its last entry was written (I4).
        unsafe { slots.at(self.cursor.get().wrapping_sub(ENTRY)).cast::<usize>().read() }
    }

    /// Returns how many slots are on the list, given whether it lies beside the slots. O(1).
    #[inline(always)]
    pub(crate) fn len(&self, beside: bool) -> usize {
        let distance = self.cursor.get() - self.floor;
        if beside { distance / ENTRY } else { distance }
    }

    /// Forgets all slots. O(1).
    pub(crate) fn clear(&self) {
        self.cursor.set(self.floor);
        self.ring.iter().for_each(|entry| entry.set(0));
    }

    /// Returns the entry of the ring for a depth.
    #[inline(always)]
    fn entry(&self, depth: usize) -> &Cell<u32> {
        // The remainder is below the length, so the index needs no check.
        &self.ring[depth % RING]
    }

    /// Puts a slot on a linked list. O(1).
    ///
    /// # Safety
    ///
    /// The slot at `offset` is valid for writing eight bytes, aligned to four, holds no value, has the number `number`,
    /// which is not 0, and is not on the list.
    #[inline(always)]
    pub(crate) unsafe fn push_linked(&self, slots: Slots, offset: usize, number: u32) {
        let depth = self.cursor.get();
        let next = self.entry(depth.wrapping_sub(1)).get();
        let second = self.entry(depth.wrapping_sub(AHEAD)).get();
        // SAFETY: the caller promises room and alignment, and that nobody needs the bytes.
        unsafe { slots.at(offset).cast::<Link>().write(Link { next, second }) };
        self.entry(depth).set(number);
        self.top.set(offset);
        self.cursor.set(depth.wrapping_add(1));
    }

    /// Takes the top off a linked list of numbers up to `bound`. O(1).
    ///
    /// # Errors
    ///
    /// [`FreelistCorruption`] if the link was overwritten: the slot is off the list, and the list can only be
    /// [cleared](Self::clear).
    ///
    /// # Safety
    ///
    /// The list is not empty, and `slots` leads to where its slots are now.
    #[inline(always)]
    pub(crate) unsafe fn pop_linked(&self, slots: Slots, bound: usize) -> Result<(), FreelistCorruption> {
        // SAFETY: the list is not empty, so its top is a slot.
        let slot = unsafe { slots.at(self.top.get()) };
        let depth = self.cursor.get();
        let below = self.entry(depth.wrapping_sub(2)).get();
        // Stored before the link is compared with it: the compiler would store the equal one, and so wait for the slot.
        self.top.set(slots.offset(below));
        self.cursor.set(depth.wrapping_sub(1));
        // SAFETY: a slot on the list was written by `push_linked`; its bytes are initialised, whatever overwrote them.
        let link = unsafe { slot.cast::<Link>().read() };
        let ahead = self.entry(depth.wrapping_sub(AHEAD + 1));
        if link.second != ahead.get() {
            if link.second as usize > bound {
                return Err(FreelistCorruption);
            }
            ahead.set(link.second);
        }
        if link.next == below { Ok(()) } else { Err(FreelistCorruption) }
    }

    /// Puts a slot on a signed list whose top has the number `next`, or 0; `tag` is that of the link. O(1).
    ///
    /// # Safety
    ///
    /// As [`push_linked`](Self::push_linked).
    #[inline(always)]
    pub(crate) unsafe fn push_signed(&self, slots: Slots, offset: usize, next: u32, tag: u32) {
        // SAFETY: the caller promises room and alignment, and that nobody needs the bytes.
        unsafe { slots.at(offset).cast::<Link>().write(Link { next, second: tag }) };
        self.top.set(offset);
        self.cursor.set(self.cursor.get().wrapping_add(1));
    }

    /// Takes the top off a signed list of numbers up to `bound`; `verify` checks a link and its tag. O(1).
    ///
    /// # Errors
    ///
    /// As [`pop_linked`](Self::pop_linked).
    ///
    /// # Safety
    ///
    /// As [`pop_linked`](Self::pop_linked).
    #[inline(always)]
    pub(crate) unsafe fn pop_signed(
        &self,
        slots: Slots,
        bound: usize,
        verify: impl FnOnce(u32, u32) -> Result<(), FreelistCorruption>,
    ) -> Result<(), FreelistCorruption> {
        // SAFETY: the list is not empty, so its top is a slot that `push_signed` wrote; its bytes are initialised, whatever
        // overwrote them.
        let link = unsafe { slots.at(self.top.get()).cast::<Link>().read() };
        let depth = self.cursor.get().wrapping_sub(1);
        self.top.set(slots.offset(link.next));
        self.cursor.set(depth);
        // A list that ends early or late was not written by `push_signed` either.
        if link.next as usize > bound || (link.next == 0) != (depth == 0) {
            return Err(FreelistCorruption);
        }
        verify(link.next, link.second)
    }

    /// Puts a slot on a list beside the slots. O(1).
    ///
    /// # Safety
    ///
    /// At the offset that the list was made with, from the base of `slots`, there is an aligned array of as many words as
    /// there are slots, which nobody else uses while the list lives. The slot at `offset` is not on the list.
    #[inline(always)]
    pub(crate) unsafe fn push_beside(&self, slots: Slots, offset: usize) {
        let cursor = self.cursor.get();
        // SAFETY: not all slots are on the list (this one is not), so there is room for its entry (I4).
        unsafe { slots.at(cursor).cast::<usize>().write(offset) };
        self.cursor.set(cursor.wrapping_add(ENTRY));
    }

    /// Takes the top off a list beside the slots. O(1).
    ///
    /// # Safety
    ///
    /// The list is not empty, and the array is as for [`push_beside`](Self::push_beside).
    #[inline(always)]
    pub(crate) unsafe fn pop_beside(&self) {
        self.cursor.set(self.cursor.get().wrapping_sub(ENTRY));
    }

    /// Calls `visit` with every number on a list in the slots, as far as its links lead to numbers up to `bound`; `top` is
    /// the number of the top. O(depth).
    ///
    /// # Safety
    ///
    /// `slots` leads to where the slots are now, and those with numbers up to `bound` exist.
    pub(crate) unsafe fn for_each_in_slots(
        &self,
        slots: Slots,
        bound: usize,
        top: u32,
        mut visit: impl FnMut(u32),
    ) {
        let mut number = top;
        for _ in 0..self.cursor.get() {
            if number == 0 || number as usize > bound {
                return;
            }
            visit(number);
            // SAFETY: the slot exists, is at least eight bytes long and aligned to four, and was written when it was freed.
            number = unsafe { slots.at(slots.offset(number)).cast::<Link>().read() }.next;
        }
    }

    /// Calls `visit` with the offset of every slot on a list beside the slots. O(depth).
    ///
    /// # Safety
    ///
    /// The array is as for [`push_beside`](Self::push_beside).
    pub(crate) unsafe fn for_each_beside(&self, slots: Slots, mut visit: impl FnMut(usize)) {
        for entry in (self.floor..self.cursor.get()).step_by(ENTRY) {
            // SAFETY: the entries between the floor and the cursor were written (I4).
            visit(unsafe { slots.at(entry).cast::<usize>().read() });
        }
    }
}

#[cfg(test)]
mod tests;
