//! One range of addresses: equal slots between guards, and beside it, in a vault, what is known about each slot.
//!
//! ```text
//!   base, a multiple of a granule
//!   | guard | slot 0       | guard | slot 1       | guard | ..         | rest: guards |
//!            <- slot_bytes, with the guard ------->
//!
//!   vault   slots   | 0: start, size, tag, state, next | 1: .. | ..
//!           order   | vacant slots, in any order | ..            position 0 to `vacant`
//! ```
//!
//! # Invariants
//!
//! - (I1) The range and the vault stay mapped as long as the extent is in the directory, and belong to who holds the lock of its
//!   shard.
//! - (I2) Each page of the range is a guard, except those of live blocks (and of retired slots that could not be shut).
//! - (I3) The first `vacant` positions of the order hold exactly the slots whose state is [`State::Vacant`].
//! - (I4) An entry of the order that is zero stands for its own position, any other for one less than itself.
//! - (I5) `start` of a slot is that of its block, or of the last one that it had; 0 if it had none.
//!
//! # Operations
//!
//! All O(1).
//!
//! # Design
//!
//! The vacant slots are an array so that each is drawn with the same chance; filling it in at the start would touch memory for slots
//! that no one uses, hence (I4). Nothing about a block is kept near blocks.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use super::guards::Method;
use super::vault::Vault;

/// The most slots of an extent.
pub(super) const MOST_SLOTS: usize = 0xFFFF;

/// What a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// It may be drawn. Zero, as in fresh memory.
    Vacant = 0,
    /// It has a block.
    Live = 1,
    /// Its block was freed, and it waits.
    Waiting = 2,
    /// The system refused to guard it: it is never used again.
    Retired = 3,
}

/// What is known about a slot. All zero is a vacant one that never had a block.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) start: usize,
    pub(super) size: usize,
    pub(super) tag: u64,
    /// The slot that waits behind this one, plus one.
    pub(super) next: u32,
    pub(super) align_log: u8,
    pub(super) state: State,
}

/// A range of addresses.
#[derive(Debug)]
pub(super) struct Extent {
    pub(super) base: NonNull<u8>,
    pub(super) len: usize,
    pub(super) slot_bytes: usize,
    pub(super) class: usize,
    pub(super) slots: u32,
    pub(super) vacant: u32,
    pub(super) retired: u32,
    /// The next extent of the pool, or the next unused number, plus one.
    pub(super) next: u32,
    pub(super) method: Method,
    pub(super) vault: Vault,
}

impl Extent {
    /// Returns the bytes of the vault for so many slots.
    pub(super) const fn table_bytes(slots: usize) -> usize {
        slots * (size_of::<Slot>() + size_of::<u32>())
    }

    /// Returns the address of the guard of a slot.
    pub(super) fn guard_of(&self, slot: u32) -> usize {
        debug_assert!(slot < self.slots);
        // The range begins with a guard of its own, and the guard of a slot is its last page.
        self.base.addr().get() + (slot as usize + 1) * self.slot_bytes
    }

    /// Returns the number of the slot that an address lies in; none in front of the first and behind the last.
    pub(super) fn slot_at(&self, address: usize, page: usize) -> Option<u32> {
        let offset = address.checked_sub(self.base.addr().get() + page)?;
        u32::try_from(offset / self.slot_bytes).ok().filter(|&slot| slot < self.slots)
    }

    /// Returns the pointer to an address of the range.
    pub(super) fn pointer(&self, address: usize) -> NonNull<u8> {
        let offset = address.wrapping_sub(self.base.addr().get());
        debug_assert!(offset < self.len);
        // SAFETY: the callers ask for addresses of slots, which lie in the range.
        unsafe { self.base.add(offset) }
    }

    /// Returns what is known about a slot.
    pub(super) fn slot(&mut self, slot: u32) -> &mut Slot {
        debug_assert!(slot < self.slots);
        // SAFETY: the table has as many slots, and zero is a value of each; the vault is the caller's (I1).
        unsafe { self.vault.data().cast::<Slot>().add(slot as usize).as_mut() }
    }

    /// Takes the vacant slot at a position of the order.
    pub(super) fn draw(&mut self, position: u32) -> u32 {
        debug_assert!(position < self.vacant);
        let last = self.vacant - 1;
        let (drawn, moved) = (self.at(position), self.at(last));
        self.put(position, moved);
        self.vacant = last;
        drawn
    }

    /// Makes a slot vacant.
    pub(super) fn vacate(&mut self, slot: u32) {
        self.slot(slot).state = State::Vacant;
        self.put(self.vacant, slot);
        self.vacant += 1;
    }

    /// Returns whether no slot has a block or waits, if none of the waiting ones is this extent's.
    pub(super) fn is_idle(&self) -> bool {
        self.vacant + self.retired == self.slots
    }

    /// Returns the place of an entry of the order.
    fn entry(&self, position: u32) -> NonNull<u32> {
        debug_assert!(position < self.slots);
        // SAFETY: the order lies behind the slots, and has as many entries.
        unsafe {
            self.vault.data().cast::<Slot>().add(self.slots as usize).cast::<u32>().add(position as usize)
        }
    }

    fn at(&self, position: u32) -> u32 {
        // SAFETY: the entry is in the vault, which is the caller's (I1). Zero stands for itself (I4).
        unsafe { self.entry(position).read() }.checked_sub(1).unwrap_or(position)
    }

    fn put(&mut self, position: u32, slot: u32) {
        // SAFETY: the entry is in the vault, which is the caller's (I1).
        unsafe { self.entry(position).write(slot + 1) };
    }
}

const _: () = assert!(size_of::<Slot>() % align_of::<u32>() == 0, "the order is aligned where the slots end");
