//! The list of free slots of a slab: last in, first out, through the slots themselves or beside them.
//!
//! ```text
//!   window    | entry 0 .. GROUP - 1 | GROUP ..       cursor - 1 |  unused  |       offsets of slots
//!             |   the last group     |        magazine       ^ top
//!
//!   top --next--> slot --next--> .. --next--> slots of the last group --next--> older groups --next--> 0
//!   slot of a group --second--> the slot at the same place of the group under it
//! ```
//!
//! A link is the first eight bytes of a free slot: the number of the next free slot, and a second word. Numbers start
//! at 1, so that 0 can end the list; they and not addresses are stored, and the list may move with its slots. The second
//! word is written when a slot leaves the magazine, and is the number of the slot [`GROUP`] links further down; that of a
//! signed link is the tag.
//!
//! # Invariants
//!
//! - (I1) *Linked:* entries `GROUP` to `cursor - 1` of the window are the slots freed last, the latest at the end. The
//!   `grouped` slots under them, a multiple of `GROUP`, are in groups; entries 0 to `GROUP - 1` are the uppermost group, or
//!   the offset of the number 0 if there is none. `GROUP <= cursor <= WINDOW`.
//! - (I2) *Linked:* the second word of the slot at place `k` of a group is the number of the slot at place `k` of the group
//!   under it, or 0 if there is none. All such numbers are at most the `bound` of the last call.
//! - (I3) *Signed:* `cursor - floor` slots are on the list, and `top` is the offset of the one pushed last.
//! - (I4) *Beside:* the entries from `floor` up to `cursor`, which are offsets from `aside` in steps of a word, hold the
//!   offsets of the slots on the list, from the bottom to the top. Otherwise `floor` is `GROUP`.
//!
//! # Operations
//!
//! Push and pop are O(1): one push or pop in `GROUP` moves a group between the magazine and the slots.
//!
//! # Design
//!
//! In a plain linked list each pop waits for the memory of the slot that the pop before it returned. Here a pop reads the
//! window, and a group enters it with as many loads, none of which waits for another: that is the jump-pointer list of Roth
//! and Sohi ("Effective jump-pointer prefetching for linked data structures", 1999), taken in bundles. The last group stays
//! in the window, so that a load which swings around the end of the magazine moves no group twice.
//!
//! The window also checks the links: which slot is next is known before the link is read, so any write to `next` is
//! noticed. A forged second word enters the window and is noticed one pop before it would be issued, since the `next` of
//! the slot above it disagrees; to mislead a pop, two words in different slots must be forged to agree. A tag takes the
//! place of the second word, so a signed list is a plain chain.
//!
//! *Unlinked:* a list whose links nobody compares leaves them out, and writes to a slot when it leaves the magazine.
//!
//! A free and an allocation in turn are bound by how many instructions and stores they are: a push stores the link, the
//! entry and the cursor, a pop the cursor.
//!
//! An offset of a slot is the address that it has, or had before the memory moved with slots on the list. So what a push
//! stores is what it was given, what a pop returns is what it loads, and neither waits for the base.
#![allow(unsafe_code)]

use core::array;
use core::cell::Cell;
use core::ptr::NonNull;

use forge_alloc_core::FreelistCorruption;

/// How many slots move between the magazine and the slots at a time.
const GROUP: usize = 16;

/// How many entries the window has: the last group, and two groups of magazine.
const WINDOW: usize = 3 * GROUP;

/// The first bytes of a free slot on a signed list.
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
    /// How far the memory has moved since the list was made or [cleared](FreeList::clear); it may wrap.
    pub(crate) shift: usize,
    /// The offset of the slot with number 0, one stride before the first; it may wrap.
    pub(crate) zero: usize,
    /// The distance between two slots in bytes.
    pub(crate) stride: usize,
    /// The base of the memory with the list and the map beside the slots: that of the slots, or another one.
    pub(crate) aside: NonNull<u8>,
}

impl Slots {
    /// Returns the offset of the slot with this number. O(1).
    #[inline(always)]
    pub(crate) fn offset(self, number: u32) -> usize {
        self.zero.wrapping_add((number as usize).wrapping_mul(self.stride))
    }

    /// Returns the slot at an offset. O(1).
    ///
    /// # Safety
    ///
    /// A slot starts there.
    #[inline(always)]
    pub(crate) unsafe fn at(self, offset: usize) -> NonNull<u8> {
        // The sum is the offset and the shift; what the pointer may reach is the memory of the base.
        let slot = self.base.as_ptr().wrapping_sub(self.base.addr().get()).wrapping_add(offset);
        // SAFETY: the caller promises a slot, which lies in the memory of the base and so not at null.
        unsafe { NonNull::new_unchecked(slot.wrapping_add(self.shift)) }
    }
}

/// The free slots of one slab. The slab uses either the linked, the signed or the beside functions, never two kinds.
#[repr(C)]
pub(crate) struct FreeList {
    cursor: Cell<usize>,
    floor: usize,
    grouped: Cell<usize>,
    top: Cell<usize>,
    window: [Cell<usize>; WINDOW],
}

impl FreeList {
    /// Returns the empty list in the slots, where the number 0 has the offset `zero` from the base. O(1).
    pub(crate) fn in_slots(zero: usize) -> Self {
        Self {
            cursor: Cell::new(GROUP),
            floor: GROUP,
            grouped: Cell::new(0),
            top: Cell::new(0),
            window: array::from_fn(|_| Cell::new(zero)),
        }
    }

    /// Returns the empty list whose entries start at the offset `entries` from `aside`. O(1).
    pub(crate) fn beside(entries: usize) -> Self {
        Self { cursor: Cell::new(entries), floor: entries, ..Self::in_slots(0) }
    }

    /// Returns whether a signed list or a list beside the slots is empty, or the magazine of a linked list. O(1).
    #[inline(always)]
    pub(crate) fn is_drained(&self) -> bool {
        self.cursor.get() == self.floor
    }

    /// Returns whether the magazine of a linked list is full. O(1).
    #[inline(always)]
    pub(crate) fn is_full(&self) -> bool {
        self.cursor.get() == WINDOW
    }

    /// Returns whether slots of a linked list are in groups. O(1).
    #[inline(always)]
    pub(crate) fn has_groups(&self) -> bool {
        self.grouped.get() != 0
    }

    /// Returns how many slots are on the list, given whether it lies beside the slots. O(1).
    #[inline(always)]
    pub(crate) fn len(&self, beside: bool) -> usize {
        let distance = self.cursor.get() - self.floor;
        if beside { distance / ENTRY } else { self.grouped.get() + distance }
    }

    /// Forgets all slots; the number 0 has the offset `zero` from the base. O(1).
    pub(crate) fn clear(&self, zero: usize) {
        self.cursor.set(self.floor);
        self.grouped.set(0);
        self.window.iter().for_each(|entry| entry.set(zero));
    }

    /// Returns an entry of the window.
    ///
    /// # Safety
    ///
    /// `index` is below `WINDOW`.
    #[inline(always)]
    unsafe fn entry(&self, index: usize) -> &Cell<usize> {
        debug_assert!(index < WINDOW);
        // SAFETY: the caller's promise.
        unsafe { self.window.get_unchecked(index) }
    }

    /// Returns the offset of the top of a linked list, or that of the number 0. O(1).
    #[inline(always)]
    pub(crate) fn top_linked(&self) -> usize {
        // SAFETY: a linked list has a cursor from `GROUP` to `WINDOW` (I1).
        unsafe { self.entry(self.cursor.get() - 1) }.get()
    }

    /// Puts a slot on a linked list; `number_at` returns the number of the slot at an offset. O(1).
    ///
    /// # Safety
    ///
    /// The magazine is not [full](Self::is_full). The slot at `offset` is valid for writing eight bytes, aligned to four,
    /// holds no value, and is not on the list; `slots` leads to where the slots are now.
    #[inline(always)]
    pub(crate) unsafe fn push_linked(&self, slots: Slots, offset: usize, number_at: impl Fn(usize) -> u32) {
        let cursor = self.cursor.get();
        // SAFETY: the cursor is from `GROUP` to below `WINDOW` (I1); the caller promises room and alignment in the slot, and
        // that nobody needs its bytes.
        unsafe {
            let next = number_at(self.entry(cursor - 1).get());
            slots.at(offset).cast::<u32>().write(next);
            self.entry(cursor).set(offset);
        }
        self.cursor.set(cursor + 1);
    }

    /// Puts a slot on a linked list whose magazine is not linked. O(1).
    ///
    /// # Safety
    ///
    /// As [`push_linked`](Self::push_linked). Every push and pop of the list is an unlinked one.
    #[inline(always)]
    pub(crate) unsafe fn push_unlinked(&self, offset: usize) {
        let cursor = self.cursor.get();
        // SAFETY: the magazine is not full, so the cursor is from `GROUP` to below `WINDOW` (I1).
        unsafe { self.entry(cursor) }.set(offset);
        self.cursor.set(cursor + 1);
    }

    /// Takes the top off a linked list whose magazine is not linked. O(1).
    ///
    /// # Safety
    ///
    /// The magazine is not drained.
    #[inline(always)]
    pub(crate) unsafe fn pop_unlinked(&self) {
        self.cursor.set(self.cursor.get() - 1);
    }

    /// Takes the top off a linked list; `number_at` returns the number of the slot at an offset. O(1).
    ///
    /// # Errors
    ///
    /// [`FreelistCorruption`] if the link was overwritten: the slot is off the list, and the list can only be
    /// [cleared](Self::clear).
    ///
    /// # Safety
    ///
    /// The magazine is not drained, and `slots` leads to where the slots are now.
    #[inline(always)]
    pub(crate) unsafe fn pop_linked(
        &self,
        slots: Slots,
        number_at: impl Fn(usize) -> u32,
    ) -> Result<(), FreelistCorruption> {
        let cursor = self.cursor.get() - 1;
        self.cursor.set(cursor);
        // SAFETY: the cursor is from `GROUP` to below `WINDOW` now. Its entry is that of a slot on the list (I1), which was
        // written when it was freed; its bytes are initialised, whatever overwrote them.
        let (next, below) = unsafe {
            (slots.at(self.entry(cursor).get()).cast::<u32>().read(), self.entry(cursor - 1).get())
        };
        // Numbers and not offsets are compared, because a product may wrap where a word has 32 bits.
        if next == number_at(below) { Ok(()) } else { Err(FreelistCorruption) }
    }

    /// Makes the oldest slots of the full magazine of a linked list the last group. O(`GROUP`).
    ///
    /// # Safety
    ///
    /// The magazine is [full](Self::is_full), and `slots` leads to where the slots are now.
    #[inline]
    pub(crate) unsafe fn spill(&self, slots: Slots, number_at: impl Fn(usize) -> u32) {
        let (last, magazine) = self.window.split_at(GROUP);
        for (under, entry) in last.iter().zip(magazine) {
            // SAFETY: the slot is on the list (I1), so it has room for the second word, and nobody else uses it.
            unsafe { slots.at(entry.get()).cast::<u32>().add(1).write(number_at(under.get())) };
        }
        let window = self.window.as_ptr().cast_mut();
        // SAFETY: both spans lie in the window, whose entries are cells that nobody has borrowed.
        unsafe { window.copy_from(window.add(GROUP), WINDOW - GROUP) };
        self.cursor.set(WINDOW - GROUP);
        self.grouped.set(self.grouped.get() + GROUP);
    }

    /// Makes the last group of a linked list the magazine. O(`GROUP`).
    ///
    /// # Errors
    ///
    /// [`FreelistCorruption`] if a second word was overwritten with a number of no slot up to `bound`: the list can only
    /// be [cleared](Self::clear).
    ///
    /// # Safety
    ///
    /// The magazine is drained, the list has groups, and `slots` leads to where the slots are now.
    #[inline]
    pub(crate) unsafe fn refill(&self, slots: Slots, bound: usize) -> Result<(), FreelistCorruption> {
        let (last, magazine) = self.window.split_at(GROUP);
        let grouped = self.grouped.get() - GROUP;
        let mut largest = 0;
        for (under, entry) in last.iter().zip(magazine) {
            let offset = under.get();
            entry.set(offset);
            // SAFETY: the entry is that of a slot on the list (I1), whose second word was written when it left the magazine. If
            // a program has written to a free slot, against the contract, it is still a slot, of bytes that mean nothing.
            let number = unsafe { slots.at(offset).cast::<u32>().add(1).read() };
            // The wrapping makes 0, which is no slot, the largest.
            largest = largest.max(number.wrapping_sub(1));
            under.set(slots.offset(number));
        }
        self.cursor.set(2 * GROUP);
        self.grouped.set(grouped);
        // Under the lowest group is nothing, so its second words name no slots.
        if grouped != 0 && largest as usize >= bound { Err(FreelistCorruption) } else { Ok(()) }
    }

    /// Returns the offset of the top of a signed list, which is not empty. O(1).
    #[inline(always)]
    pub(crate) fn top_signed(&self) -> usize {
        self.top.get()
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

    /// Takes the top off a signed list of numbers up to `bound`, which is not empty; `verify` checks a link and its tag. O(1).
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
        let cursor = self.cursor.get() - 1;
        self.top.set(slots.offset(link.next));
        self.cursor.set(cursor);
        // A list that ends early or late was not written by `push_signed` either.
        if link.next as usize > bound || (link.next == 0) != (cursor == self.floor) {
            return Err(FreelistCorruption);
        }
        verify(link.next, link.second)
    }

    /// Puts a slot on a list beside the slots. O(1).
    ///
    /// # Safety
    ///
    /// At the offset that the list was made with, from `slots.aside`, there is an aligned array of as many words as
    /// there are slots, which nobody else uses while the list lives. The slot at `offset` is not on the list.
    #[inline(always)]
    pub(crate) unsafe fn push_beside(&self, slots: Slots, offset: usize) {
        let cursor = self.cursor.get();
        // SAFETY: not all slots are on the list (this one is not), so there is room for its entry (I4).
        unsafe { slots.aside.add(cursor).cast::<usize>().write(offset) };
        self.cursor.set(cursor + ENTRY);
    }

    /// Takes the top off a list beside the slots and returns its offset. O(1).
    ///
    /// # Safety
    ///
    /// The list is not empty, and the array is as for [`push_beside`](Self::push_beside).
    #[inline(always)]
    pub(crate) unsafe fn pop_beside(&self, slots: Slots) -> usize {
        let cursor = self.cursor.get() - ENTRY;
        // Before anything else is stored, so that the sum needs no second load, and the next call finds it sooner.
        self.cursor.set(cursor);
        // SAFETY: the list was not empty, so its last entry was written (I4).
        unsafe { slots.aside.add(cursor).cast::<usize>().read() }
    }

    /// Calls `visit` with every number on a list in the slots, as far as its links lead to numbers up to `bound`; `top` is
    /// the number of the top. O(length).
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
        for _ in 0..self.len(false) {
            if number == 0 || number as usize > bound {
                return;
            }
            visit(number);
            // SAFETY: the slot exists, is at least eight bytes long and aligned to four, and was written when it was freed.
            number = unsafe { slots.at(slots.offset(number)).cast::<u32>().read() };
        }
    }

    /// Calls `visit` with the offset of every slot on a linked list, by the second words of its groups, as far as they lead
    /// to numbers up to `bound`. O(length).
    ///
    /// # Safety
    ///
    /// As [`for_each_in_slots`](Self::for_each_in_slots).
    pub(crate) unsafe fn for_each_grouped(&self, slots: Slots, bound: usize, mut visit: impl FnMut(usize)) {
        let (last, magazine) = self.window.split_at(GROUP);
        magazine.iter().take(self.cursor.get() - GROUP).for_each(|entry| visit(entry.get()));
        for entry in last {
            let mut offset = entry.get();
            for left in (0..self.grouped.get() / GROUP).rev() {
                visit(offset);
                if left == 0 {
                    break;
                }
                // SAFETY: the slot exists, is at least eight bytes long and aligned to four, and its second word was
                // written when it left the magazine.
                let number = unsafe { slots.at(offset).cast::<u32>().add(1).read() };
                if number == 0 || number as usize > bound {
                    break;
                }
                offset = slots.offset(number);
            }
        }
    }

    /// Calls `visit` with the offset of every slot on a list beside the slots. O(length).
    ///
    /// # Safety
    ///
    /// The array is as for [`push_beside`](Self::push_beside).
    pub(crate) unsafe fn for_each_beside(&self, slots: Slots, mut visit: impl FnMut(usize)) {
        for entry in (self.floor..self.cursor.get()).step_by(ENTRY) {
            // SAFETY: the entries from the floor up to the cursor were written (I4).
            visit(unsafe { slots.aside.add(entry).cast::<usize>().read() });
        }
    }
}

#[cfg(test)]
mod tests;
