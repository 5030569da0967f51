//! A chain of freed slots that one thread lengthens and another takes over, through the slots themselves.
//!
//! ```text
//!   recent, at both ends: the AHEAD slots freed last, by position
//!
//!   head                                                   position: how many slots were freed before this one
//!    |
//!    v                                       . taken over before
//!   slot --next--> slot --next--> slot --next--> ..
//!     \__________________ ahead ______________________> slot     AHEAD positions earlier
//! ```
//!
//! The freeing end writes the first eight bytes of a slot with [`write`]: the number of the slot freed before it, and of
//! the one freed [`AHEAD`] before it, or any number where there was none. The owning end [adopts](Chain::adopt) the slots
//! from a head on, as many as it is told, and then pushes and pops them as a list that is last in, first out.
//!
//! # Invariants
//!
//! - (I1) The chain holds `depth` slots. If that is not 0, `top` is the number of the slot pushed last, and below the bound
//!   of the calls so far.
//! - (I2) `ring[i % AHEAD]` is the number of the slot at depth `i`, counted from the bottom, for the `AHEAD` greatest
//!   `i < depth`, and for `i = -1` what the link of the bottom slot names, if that entry is not taken.
//! - (I3) The slot at depth `i >= AHEAD` names in `ahead` the slot at depth `i - AHEAD`. A slot further down names
//!   something that is not in the chain and never becomes a top.
//!
//! # Operations
//!
//! Push and pop are O(1). Adopting a chain of any length is O(1): it reads at most [`AHEAD`] links.
//!
//! # Design
//!
//! A pop does not wait for the memory of the slot that the pop before it returned: a slot that is popped says which number
//! enters the ring, [`AHEAD`] pops before it is needed. This is the jump-pointer list of [`FreeList`](super::freelist::FreeList)
//! slot by slot instead of in bundles, because a slot that is freed elsewhere is linked once and for all. An adopted chain
//! continues into slots that its owner took over and issued before, so the length and not a link says where it ends, nothing
//! needs rewriting in it, and a burst of any size changes hands in constant time. What the ring remembers checks every link.
//!
//! Somebody who writes to a freed slot forges a link. A number out of bounds is never followed. A forged link that an
//! adoption follows can mislead fewer than [`AHEAD`] pops, since the `ahead` of the slots above it disagrees; any other is
//! noticed before a wrong slot is popped.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ptr::NonNull;

use forge_alloc_core::FreelistCorruption;

use super::prefetch::prefetch_for_writing;

/// How many positions back the second word of a link leads; a power of two.
pub(crate) const AHEAD: usize = 16;

/// The first bytes of a freed slot.
#[derive(Clone, Copy)]
#[repr(C)]
struct Link {
    next: u32,
    ahead: u32,
}

/// Links a freed slot to the slot freed before it and to the one freed [`AHEAD`] before it. O(1).
///
/// # Safety
///
/// `slot` is valid for writing eight bytes, aligned to four, and holds no value.
#[inline(always)]
pub(crate) unsafe fn write(slot: NonNull<u8>, next: u32, ahead: u32) {
    // SAFETY: the caller promises room and alignment, and that nobody needs the bytes.
    unsafe { slot.cast::<Link>().write(Link { next, ahead }) };
}

/// Returns the number of the slot freed before `slot`. O(1).
///
/// # Safety
///
/// [`write`] was called on `slot`, happens before this call, and nobody writes to the slot meanwhile.
#[inline(always)]
pub(crate) unsafe fn next_of(slot: NonNull<u8>) -> u32 {
    // SAFETY: the caller promises that a link was written here; its bytes are initialised, whatever overwrote them.
    unsafe { slot.cast::<Link>().read() }.next
}

/// The owning end: freed slots, last in, first out.
pub(crate) struct Chain {
    top: Cell<u32>,
    depth: Cell<u32>,
    ring: [Cell<u32>; AHEAD],
}

impl Chain {
    /// Returns the empty chain.
    pub(crate) const fn new() -> Self {
        Self { top: Cell::new(0), depth: Cell::new(0), ring: [const { Cell::new(0) }; AHEAD] }
    }

    /// Returns the number of the slot that the next pop takes, if the chain is not empty. O(1).
    #[inline(always)]
    pub(crate) fn top(&self) -> u32 {
        self.top.get()
    }

    /// Returns how many slots the chain holds. O(1).
    #[inline(always)]
    pub(crate) fn depth(&self) -> u32 {
        self.depth.get()
    }

    /// Forgets all slots. O(1).
    pub(crate) fn clear(&self) {
        self.exchange(&Self::new());
    }

    /// Exchanges the slots of two chains. O(1).
    pub(crate) fn exchange(&self, other: &Self) {
        self.top.swap(&other.top);
        self.depth.swap(&other.depth);
        self.ring.iter().zip(&other.ring).for_each(|(own, entry)| own.swap(entry));
    }

    /// Returns the entry of the ring for a depth; one below 0 wraps.
    #[inline(always)]
    fn entry(&self, depth: u32) -> &Cell<u32> {
        // The remainder is below the length, so the index needs no check.
        &self.ring[depth as usize % AHEAD]
    }

    /// Puts a slot on the chain. O(1).
    ///
    /// # Safety
    ///
    /// `slot` is valid for writing eight bytes, aligned to four, holds no value, and has the number `number`, which is
    /// below the bound of later calls and not in the chain.
    #[inline(always)]
    pub(crate) unsafe fn push(&self, slot: NonNull<u8>, number: u32) {
        let depth = self.depth.get();
        let entry = self.entry(depth);
        // SAFETY: the caller's promises are the callee's.
        unsafe { write(slot, self.top.get(), entry.get()) };
        entry.set(number);
        self.top.set(number);
        self.depth.set(depth.wrapping_add(1));
    }

    /// Takes the top off the chain, whose numbers are below `bound`. O(1).
    ///
    /// # Errors
    ///
    /// [`FreelistCorruption`] if the link was overwritten: the slot is off the chain, and the chain can only be
    /// [cleared](Self::clear).
    ///
    /// # Safety
    ///
    /// The chain is not empty, `slot_of` returns the place of a slot by its number below `bound`, and `slot` is that of the
    /// [`top`](Self::top).
    #[inline(always)]
    pub(crate) unsafe fn pop(
        &self,
        slot: NonNull<u8>,
        bound: u32,
        slot_of: impl Fn(u32) -> NonNull<u8>,
    ) -> Result<(), FreelistCorruption> {
        let depth = self.depth.get();
        let below = self.entry(depth.wrapping_sub(2)).get();
        // Stored before the link is compared with it: the compiler would store the equal one, and so wait for the slot.
        self.top.set(below);
        self.depth.set(depth.wrapping_sub(1));
        // SAFETY: a slot of the chain was written when it was freed, and belongs to this end since.
        let link = unsafe { slot.cast::<Link>().read() };
        if link.next != below {
            return Err(FreelistCorruption);
        }
        if depth > AHEAD as u32 {
            if link.ahead >= bound {
                return Err(FreelistCorruption);
            }
            prefetch_for_writing(slot_of(link.ahead));
        }
        self.entry(depth.wrapping_sub(1)).set(link.ahead);
        Ok(())
    }

    /// Replaces an empty chain by the `count` slots from `head` on, which the other end has linked. O(1).
    ///
    /// # Errors
    ///
    /// [`FreelistCorruption`] if a link leads to no number below `bound`; the chain is then empty.
    ///
    /// # Safety
    ///
    /// The last `count` slots that the other end freed, of which `head` is the last, were [written](write) in this order;
    /// that happens before this call, and they belong to this end now. `slot_of` is as for [`pop`](Self::pop).
    pub(crate) unsafe fn adopt(
        &self,
        head: u32,
        count: u32,
        bound: u32,
        slot_of: impl Fn(u32) -> NonNull<u8>,
    ) -> Result<(), FreelistCorruption> {
        let mut number = head;
        for back in 1..=AHEAD as u32 {
            self.entry(count.wrapping_sub(back)).set(number);
            if back > count {
                break;
            }
            if number >= bound {
                self.clear();
                return Err(FreelistCorruption);
            }
            // SAFETY: one of the slots of the other end, because fewer than `count` links were followed.
            number = unsafe { next_of(slot_of(number)) };
        }
        self.top.set(head);
        self.depth.set(count);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
