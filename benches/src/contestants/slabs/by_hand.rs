//! What people write themselves: a vector of free pointers, and a list through the free slots.
//!
//! Both hand out slots of one piece of memory that were never used, in order, once nothing is free. Both are sound for a
//! caller who keeps the contract, and neither notices one who does not.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use super::{Memory, Object, Slots, read_word, write_word};
use crate::harness::Side;
use crate::sink::exhausted;

/// The slots of a piece of memory that were never taken.
struct Fresh {
    memory: Memory,
    taken: usize,
    slots: usize,
}

impl Fresh {
    fn new(slots: usize) -> Self {
        Self { memory: Memory::new(slots), taken: 0, slots }
    }

    #[inline(always)]
    fn next(&mut self) -> NonNull<Object> {
        if self.taken == self.slots {
            exhausted();
        }
        // SAFETY: the memory holds `slots` objects, and fewer were taken.
        let slot = unsafe { self.memory.start().add(self.taken) };
        self.taken += 1;
        slot
    }
}

/// A vector of the pointers that are free.
pub struct FreePointers {
    free: Vec<NonNull<Object>>,
    fresh: Fresh,
}

impl Slots for FreePointers {
    const NAME: &'static str = "Vec of free pointers";
    const SIDE: Side = Side::Peer;
    type Slot = NonNull<Object>;

    fn with_capacity(slots: usize) -> Self {
        Self { free: Vec::with_capacity(slots), fresh: Fresh::new(slots) }
    }

    #[inline(always)]
    fn take(&mut self, word: u64) -> NonNull<Object> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.fresh.next(),
        };
        // SAFETY: the slot is ours and nobody else's.
        unsafe { write_word(slot, word) };
        slot
    }

    #[inline(always)]
    unsafe fn give(&mut self, slot: NonNull<Object>) -> u64 {
        // SAFETY: the slot is live by the caller's contract.
        let word = unsafe { read_word(slot) };
        self.free.push(slot);
        word
    }
}

/// A list of the free slots, each of which holds the next.
pub struct Intrusive {
    top: Option<NonNull<Object>>,
    fresh: Fresh,
}

impl Slots for Intrusive {
    const NAME: &'static str = "list through the free slots";
    const SIDE: Side = Side::Peer;
    type Slot = NonNull<Object>;

    fn with_capacity(slots: usize) -> Self {
        Self { top: None, fresh: Fresh::new(slots) }
    }

    #[inline(always)]
    fn take(&mut self, word: u64) -> NonNull<Object> {
        let slot = match self.top {
            Some(slot) => {
                // SAFETY: a slot on the list holds the next of the list.
                self.top = unsafe { slot.cast().read() };
                slot
            }
            None => self.fresh.next(),
        };
        // SAFETY: the slot is ours and nobody else's.
        unsafe { write_word(slot, word) };
        slot
    }

    #[inline(always)]
    unsafe fn give(&mut self, slot: NonNull<Object>) -> u64 {
        // SAFETY: the slot is live by the caller's contract, aligned to a pointer and as large as one.
        let word = unsafe {
            let word = read_word(slot);
            slot.cast().write(self.top);
            word
        };
        self.top = Some(slot);
        word
    }
}
