//! The limit: freed slots are chained up on the freeing side, and a chain of 64 goes home in one exchange.
//!
//! ```text
//!   remote   last -> .. -> first          64 slots, each of which holds the next
//!                 | compare and exchange
//!   home     last -> .. -> first -> the chains that came before
//!                 | swap with nothing
//!   owner    takes the slots of the chain one by one, then those that were never used
//! ```
#![allow(unsafe_code)]

use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering};
use std::sync::Arc;

use super::{Owner, Remote};
use crate::contestants::slabs::{Memory, Object, read_word, write_word};
use crate::harness::Side;

/// Slots per chain.
const CHAIN: usize = 64;

/// Where chains meet, on cache lines of its own.
#[repr(align(128))]
struct Home(AtomicPtr<Object>);

/// The side that takes slots.
pub struct Chains {
    top: *mut Object,
    fresh: usize,
    home: Arc<Home>,
    memory: Memory,
    slots: usize,
}

impl Owner for Chains {
    const NAME: &'static str = "limit, chains of 64";
    const SIDE: Side = Side::Limit;
    type Remote = Chain;

    fn with_capacity(slots: usize) -> Self {
        let home = Arc::new(Home(AtomicPtr::new(null_mut())));
        Self { top: null_mut(), fresh: 0, home, memory: Memory::new(slots), slots }
    }

    fn remote(&self) -> Chain {
        Chain { top: null_mut(), bottom: null_mut(), length: 0, home: Arc::clone(&self.home) }
    }

    #[inline(always)]
    fn take(&mut self, word: u64) -> NonNull<Object> {
        let slot = match NonNull::new(self.top) {
            Some(slot) => slot,
            None => self.refill(),
        };
        // SAFETY: the slot is at the top of a chain, so it holds the next; then it is ours.
        unsafe {
            self.top = slot.cast().read();
            write_word(slot, word);
        }
        slot
    }
}

impl Chains {
    /// Returns the top of what came home, or else a slot that was never used, as a chain of one.
    #[cold]
    #[inline(never)]
    fn refill(&mut self) -> NonNull<Object> {
        // Acquire: pairs with the Release exchange of `flush`; the links in the slots are there.
        if let Some(slot) = NonNull::new(self.home.0.swap(null_mut(), Ordering::Acquire)) {
            return slot;
        }
        assert!(self.fresh < self.slots, "no slot is free");
        // SAFETY: the memory holds `slots` objects, and fewer were taken; an object holds a pointer.
        unsafe {
            let slot = self.memory.start().add(self.fresh);
            self.fresh += 1;
            slot.cast().write(null_mut::<Object>());
            slot
        }
    }
}

/// A side that gives slots back.
pub struct Chain {
    top: *mut Object,
    bottom: *mut Object,
    length: usize,
    home: Arc<Home>,
}

// SAFETY: the slots of the chain are this side's alone until `home` gets them.
unsafe impl Send for Chain {}

impl Remote for Chain {
    #[inline(always)]
    unsafe fn give(&mut self, slot: NonNull<Object>) -> u64 {
        // SAFETY: the slot is live by the caller's contract, and an object holds a pointer.
        let word = unsafe {
            let word = read_word(slot);
            slot.cast().write(self.top);
            word
        };
        self.top = slot.as_ptr();
        if self.length == 0 {
            self.bottom = self.top;
        }
        self.length += 1;
        if self.length == CHAIN {
            self.flush();
        }
        word
    }

    #[inline(always)]
    fn flush(&mut self) {
        if self.length == 0 {
            return;
        }
        let mut before = self.home.0.load(Ordering::Relaxed);
        loop {
            // SAFETY: the bottom is a slot of the chain, which is ours until the exchange succeeds.
            unsafe { self.bottom.cast::<*mut Object>().write(before) };
            // Release: pairs with the Acquire swap of `refill`.
            match self.home.0.compare_exchange_weak(before, self.top, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => before = now,
            }
        }
        (self.top, self.length) = (null_mut(), 0);
    }
}
